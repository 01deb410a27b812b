"""Who lies in which direction: cosine neighbours, by products of blocks of matrices."""

from collections.abc import Iterator, Sequence

import numpy as np

Array = np.ndarray

CELLS = 8_000_000  # similarities held at once: 32 MB
EPSILON = 0.001  # that 3CosMul adds below the line, the authors' value


def unit(vectors: Array) -> Array:
    """(n, D) float32 of length 1; a vector of zeros stays one."""
    vectors = np.asarray(vectors, np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def rows_of(words: Sequence[str], items: Sequence[str]) -> Array:
    """(n,) int64, the row of each word among `items`: as it is written, else in lower case, else -1."""
    place = {item: row for row, item in enumerate(items)}
    return np.array([place.get(word, place.get(word.lower(), -1)) for word in words], np.int64)


def nearest(queries: Array, vectors: Array, k: int, own: Array) -> tuple[Array, Array]:
    """The k rows of `vectors` most similar to each query.

    Args:
        queries: (Q, D) float32, length 1.
        vectors: (V, D) float32, length 1.
        k: at most V - 1.
        own: (Q,) the row of `vectors` that is the query itself, never its own neighbour; -1 for none.

    Returns:
        (Q, k) int64 rows, the most similar first, and (Q, k) float32 cosines.
    """
    found, cosine = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for part, similarity in similarities(queries, vectors):
        named = np.flatnonzero(own[part] >= 0)
        similarity[named, own[part][named]] = -np.inf
        best = np.argpartition(similarity, -k, axis=1)[:, -k:]
        value = np.take_along_axis(similarity, best, axis=1)
        order = np.lexsort((best, -value), axis=1)
        found[part], cosine[part] = np.take_along_axis(best, order, axis=1), np.take_along_axis(value, order, axis=1)
    return found, cosine


def shared(first: Array, second: Array) -> Array:
    """(Q,) float64, the share of the k rows of each line of `first` that its line of `second`, (Q, k) too, holds; no line names a row twice."""
    return (first[:, :, None] == second[:, None, :]).any(axis=1).mean(axis=1)


def similarities(queries: Array, vectors: Array) -> Iterator[tuple[slice, Array]]:
    """(which queries, (those, V) their products with all vectors), at most CELLS products at a time."""
    for part in blocks(len(queries), len(vectors)):
        yield part, queries[part] @ vectors.T


def blocks(n_queries: int, n_vectors: int) -> Iterator[slice]:
    step = max(1, CELLS // n_vectors)
    for start in range(0, n_queries, step):
        yield slice(start, min(start + step, n_queries))
