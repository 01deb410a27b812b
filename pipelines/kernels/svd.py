"""The K largest singular values of a sparse matrix and their vectors: randomised subspace iteration.

A block of random directions is multiplied by the matrix and its transpose in turn, which draws it to the
largest ones. What takes the time is the product of sparse and dense: each row of it is one thread's, the
small dense steps are done in one thread, so the bytes are the same for any number of threads.

source  Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1
"""

from collections.abc import Callable

import numba
import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

Array = np.ndarray
SPARE = 20  # directions more than asked for: the last ones of a block are the least exact
DENSE = 4_000_000  # cells; a smaller matrix is worked on as a dense one, exactly


def svd(
    a: csr_array, k: int, n_iter: int, rng: np.random.Generator, done: Callable[[float], None] = lambda n: None
) -> tuple[Array, Array, Array]:
    """Truncated SVD.

    Args:
        a: (R, C) float32.
        k: at most min(R, C).
        n_iter: passes over the matrix and its transpose; more where singular values fall slowly.
        done: is told of each product, one part of 2 + 2 n_iter.

    Returns:
        (R, k) float32 left vectors, (k,) float64 singular values, falling, and (C, k) float32 right vectors. Of each pair of
        vectors the largest number of the right one is above 0, so that signs are the same everywhere.
    """
    width = min(k + SPARE, *a.shape)
    with threadpool_limits(1, "blas"):
        if a.shape[0] * a.shape[1] <= DENSE:
            u, s, vt = np.linalg.svd(a.toarray().astype(np.float64), full_matrices=False)
            done(2 + 2 * n_iter)
            return _signed(u[:, :k], s[:k], vt[:k].T)
        at = a.T.tocsr()
        x = rng.standard_normal((a.shape[1], width), np.float32)
        for _ in range(n_iter + 1):
            y = orthonormal(multiply(a, x))  # (R, width)
            done(1)
            z = multiply(at, y)  # (C, width)
            done(1)
            x = orthonormal(z)
        # a = y zT, so that the small matrix holds all singular values there are in this space
        u, s, vt = np.linalg.svd((x.T @ z).T.astype(np.float64))
        return _signed(y @ u[:, :k].astype(np.float32), s[:k], x @ vt[:k].T.astype(np.float32))


def _signed(u: Array, s: Array, v: Array) -> tuple[Array, Array, Array]:
    sign = np.sign(v[np.abs(v).argmax(axis=0), np.arange(v.shape[1])])
    return (u * sign).astype(np.float32), s, (v * sign).astype(np.float32)


def rank(s: Array) -> int:
    """How many singular values, falling, are more than rounding of float32 beside the first."""
    return int((s > 1e-6 * s[0]).sum())


def orthonormal(x: Array) -> Array:
    """The directions of the columns of x, (n, D) float32, of length 1 and at right angles; zeros for those that are none of their own.

    By the eigenvectors of x.T @ x: a tenth of the time of Householder's QR, and as good where singular values lie within a
    millionth of the first, below which a product of float32 says nothing.
    """
    x = x.astype(np.float64)
    values, vectors = np.linalg.eigh(x.T @ x)
    kept = values > 1e-12 * values[-1]
    return (x @ (vectors * np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0))).astype(np.float32)


def multiply(a: csr_array, x: Array) -> Array:
    """a @ x, (R, D) float32, for (C, D) float32; a row is summed in the order of its columns."""
    out = np.empty((a.shape[0], x.shape[1]), np.float32)
    # rows differ in length: shares of equal work, more than there are threads
    share = np.searchsorted(a.indptr, np.linspace(0, a.indptr[-1], 65)[:-1]).astype(np.int64)
    share = np.concatenate([share[:1] * 0, share[1:], [a.shape[0]]])
    _multiply(a.data, a.indices, a.indptr, np.ascontiguousarray(x), share, out)
    return out


@numba.njit(cache=True, parallel=True, fastmath={"contract", "nsz"})
def _multiply(data, indices, indptr, x, share, out):
    for part in numba.prange(len(share) - 1):
        for row in range(share[part], share[part + 1]):
            total = out[row]
            total[:] = 0
            for at in range(indptr[row], indptr[row + 1]):
                weight, other = data[at], x[indices[at]]
                for d in range(len(total)):
                    total[d] += weight * other[d]
