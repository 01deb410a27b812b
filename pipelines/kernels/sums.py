"""Vectors as sums of one entry from each codebook: the best codebooks for codes, and better codes for codebooks.

shapes  N vectors of D numbers; M codebooks of K entries: (M, K, D); codes (N, M), whole numbers below K
"""

import numba
import numpy as np
from scipy.linalg import solve
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

Array = np.ndarray
ROWS = 4096  # vectors whose products with all entries are held at once
SWEEPS = 3  # over the parts of a vector, each time that its codes are looked for anew
RIDGE = 0.01  # sightings of 0 that are added to each entry, so that one that no code names stays finite


def refined(x: Array, codebooks: Array, codes: Array, n_turns: int) -> tuple[Array, Array]:
    """(M, K, D) codebooks and (N, M) codes that come closer: codes for the codebooks and codebooks for the codes, in turn."""
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        for _ in range(n_turns):
            codes = reassign(x, codebooks, codes, SWEEPS)
            codebooks = least_squares(x, codes, codebooks.shape[1])
    return codebooks, codes


def least_squares(x: Array, codes: Array, n_entries: int) -> Array:
    """(M, K, D) float32, the codebooks whose sums come closest to the vectors."""
    n, n_parts = codes.shape
    columns = codes + np.arange(n_parts) * n_entries
    chosen = csr_array((np.ones(n * n_parts), columns.ravel(), np.arange(n + 1) * n_parts), shape=(n, n_parts * n_entries))
    together = (chosen.T @ chosen).toarray() + RIDGE * np.eye(n_parts * n_entries)
    return solve(together, chosen.T @ x, assume_a="pos").reshape(n_parts, n_entries, -1).astype(np.float32)


def reassign(x: Array, codebooks: Array, codes: Array, n_sweeps: int) -> Array:
    """(N, M) codes whose sums are no farther from the vectors: each part in turn takes the best entry while the others stay."""
    n_parts, n_entries, _ = codebooks.shape
    entries = codebooks.reshape(n_parts * n_entries, -1)
    cross, better = entries @ entries.T, codes.astype(np.int64)
    for start in range(0, len(x), ROWS):
        part = slice(start, start + ROWS)
        _sweep(np.asarray(x[part] @ entries.T, np.float32), cross, better[part], n_entries, n_sweeps)
    return better


@numba.njit(cache=True, nogil=True)
def _sweep(products, cross, codes, n_entries, n_sweeps):
    n_parts = codes.shape[1]
    lost = np.empty(n_entries, np.float32)
    for i in range(len(codes)):
        for _ in range(n_sweeps):
            changed = False
            for m in range(n_parts):
                first = m * n_entries
                for k in range(n_entries):  # half of ||x - sum||^2, but for what no choice of k changes
                    lost[k] = 0.5 * cross[first + k, first + k] - products[i, first + k]
                for j in range(n_parts):
                    if j != m:
                        row = cross[j * n_entries + codes[i, j], first : first + n_entries]
                        for k in range(n_entries):
                            lost[k] += row[k]
                best = lost.argmin()
                changed |= best != codes[i, m] and lost[best] < lost[codes[i, m]]
                codes[i, m] = best
            if not changed:
                break
