"""The nearest by codings: by the bits that differ where a coding is bits, else by cosine; and the best of them again by exact cosine.

    index = Index(codings, rows)
    found, _ = index.nearest(places, 100)
    found, _ = reranked(found, exact[places], exact, 10)

A place is a row's number among `rows`, those that are looked among; `exact` are the vectors of these.
"""

import numpy as np

from pipelines.artifacts.codings import Codings
from pipelines.coding import are_bits, are_names, decode
from pipelines.kernels import hamming
from pipelines.kernels.nearest import nearest, unit

Array = np.ndarray
CELLS = 4_000_000  # numbers of candidates held at once: 16 MB


class Index:
    """Of some rows of the codings, which places are counted among. Raises Fault for codings that hold what is no number."""

    def __init__(self, codings: Codings, rows: Array):
        settings = codings.settings()
        self.n_bits = codings.size if are_bits(settings) else 0
        if self.n_bits:
            self.by, self.held = "Hamming distance", hamming.pack(codings.finite(codings.matrix())[rows])
        elif are_names(settings):
            self.by, self.held = "cosine of the reconstructions", unit(decode(codings)[rows])
        else:
            self.by, self.held = "cosine of the codings", unit(codings.finite(codings.matrix())[rows])

    def nearest(self, places: Array, k: int) -> tuple[Array, Array]:
        """The k nearest to each of these places, which are never their own neighbours; k is at most the number of rows less 1.

        Returns:
            (Q, k) int64 places, the nearest first, and (Q, k) cosines; of bits as of vectors of -1 and 1.
        """
        if not self.n_bits:
            return nearest(self.held[places], self.held, k, places)
        found, distance = hamming.nearest(np.ascontiguousarray(self.held[:, places]), self.held, k, places)
        return found, 1 - 2 * distance / self.n_bits


def reranked(found: Array, queries: Array, vectors: Array, k: int) -> tuple[Array, Array]:
    """The k among those found that are most similar by the vectors themselves.

    Args:
        found: (Q, r) int64 rows of `vectors`.
        queries: (Q, D) float32, length 1.
        vectors: (V, D) float32, length 1.

    Returns:
        (Q, k) int64 rows, the most similar first, and (Q, k) float32 cosines.
    """
    cosine = np.empty(found.shape, np.float32)
    step = max(1, CELLS // max(found.shape[1] * vectors.shape[1], 1))
    for start in range(0, len(found), step):
        part = slice(start, start + step)
        cosine[part] = np.einsum("qrd,qd->qr", vectors[found[part]], queries[part])
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(cosine, order, axis=1)
