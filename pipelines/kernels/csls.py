"""Translation between two spaces: the rotation that lays one on the other, and retrieval that hubs do not win.

`retrieve` goes by blocks, `csls_plain` says what it maximises, of all pairs at once.

source  Schönemann 1966 (orthogonal Procrustes); Conneau, Lample, Ranzato, Denoyer, Jégou 2018, Word translation without
        parallel data: cross-domain similarity local scaling, eq. 3
"""

import numpy as np

from pipelines.kernels.nearest import similarities

Array = np.ndarray


def rotation(x: Array, y: Array) -> Array:
    """(D, D) float64, orthogonal: of all such W that with the least squared difference of x W and y, rows of one place.

    Args:
        x, y: (P, D).
    """
    u, _, vt = np.linalg.svd(x.astype(np.float64).T @ y.astype(np.float64))
    return u @ vt


def nearness(queries: Array, vectors: Array, k: int) -> Array:
    """(Q,) float32, the mean cosine of each query's k nearest vectors: high for a hub, which is near to everything.

    Args:
        queries: (Q, D) float32, length 1.
        vectors: (V, D) float32, length 1; V at least k.
    """
    mean = np.empty(len(queries), np.float32)
    for part, similarity in similarities(queries, vectors):
        mean[part] = np.partition(similarity, -k, axis=1)[:, -k:].mean(axis=1)
    return mean


def retrieve(queries: Array, vectors: Array, hubness: Array | None = None) -> Array:
    """(Q,) int64, the row of `vectors` that is most similar to each query.

    Args:
        queries, vectors: (Q, D) and (V, D) float32, length 1.
        hubness: (V,) `nearness` of the vectors to all that is asked about, for CSLS; None for plain cosines. What CSLS takes off
            for the query's own nearness is the same for all vectors, and changes no answer.
    """
    answer = np.empty(len(queries), np.int64)
    for part, similarity in similarities(queries, vectors):
        answer[part] = (similarity if hubness is None else 2 * similarity - hubness).argmax(axis=1)
    return answer


def csls_plain(queries: Array, vectors: Array, k: int) -> Array:
    """(Q, V): 2 cos(x, y) less the mean cosine of x to its k nearest y, and of y to its k nearest x."""
    cosine = queries @ vectors.T
    of_query, of_vector = (np.sort(side, axis=1)[:, -k:].mean(axis=1) for side in (cosine, cosine.T))
    return 2 * cosine - of_query[:, None] - of_vector
