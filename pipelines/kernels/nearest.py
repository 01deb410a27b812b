"""Who lies in which direction: cosine neighbours and analogies, by products of blocks of matrices."""

from collections.abc import Iterator, Sequence

import numpy as np

Array = np.ndarray

CELLS = 8_000_000  # similarities held at once: 32 MB


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


def analogies(vectors: Array, a: Array, b: Array, c: Array) -> Array:
    """a is to b as c is to which? 3CosAdd: the row closest to b - a + c that is none of the three.

    Args:
        vectors: (V, D) float32, length 1.
        a, b, c: (Q,) int64 rows of `vectors`.

    Returns:
        (Q,) int64 rows of `vectors`.
    """
    answer = np.empty(len(a), np.int64)
    for part, similarity in similarities(vectors[b] - vectors[a] + vectors[c], vectors):
        for asked in (a, b, c):
            similarity[np.arange(len(similarity)), asked[part]] = -np.inf
        answer[part] = similarity.argmax(axis=1)
    return answer


def similarities(queries: Array, vectors: Array) -> Iterator[tuple[slice, Array]]:
    """(which queries, (those, V) their products with all vectors), at most CELLS products at a time."""
    step = max(1, CELLS // len(vectors))
    for start in range(0, len(queries), step):
        part = slice(start, min(start + step, len(queries)))
        yield part, queries[part] @ vectors.T
