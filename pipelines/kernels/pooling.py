"""One row of numbers for each document, from the vectors of its words: means, largest and smallest numbers, principal components.

A word of zeros is one without a vector; it counts for nothing.

source  Arora, Liang, Ma 2017 for the weighted mean
shapes  N documents, V words, D numbers of a word; document i is values[offsets[i]:offsets[i + 1]]
"""

import itertools

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array

Array = np.ndarray
ROWS = 4096  # documents at a time


def means(values: Array, offsets: Array, word: Array, weight: Array) -> Array:
    """(N, D) float64: 1/n sum of weight * word over the n words of a document that have a vector; zeros where none has.

    Args:
        word: (V, D) float32. weight: (V,) float64.
    """
    known = word.any(axis=1)
    bags = csr_array((known[values].astype(np.float64), values, offsets), shape=(len(offsets) - 1, len(word)))
    return (bags @ (word * weight[:, None])) / np.maximum(bags.sum(axis=1), 1)[:, None]


def extremes(values: Array, offsets: Array, word: Array) -> Array:
    """(N, 2 D) float32: the largest number in each coordinate, then the smallest, of the words that have a vector."""
    known = word.any(axis=1)[values]
    values, offsets = values[known], np.concatenate([[0], np.cumsum(known)])[offsets]
    result = np.zeros((len(offsets) - 1, 2 * word.shape[1]), np.float32)
    for i, (start, end) in enumerate(itertools.pairwise(offsets)):
        if start < end:
            mine = word[values[start:end]]
            result[i] = np.concatenate([mine.max(axis=0), mine.min(axis=0)])
    return result


def components(values: Array, offsets: Array, word: Array, weight: Array, k: int) -> Array:
    """(N, k D) float32: the first k right singular vectors of a document's matrix of words, about 0, each times its singular
    value over the square root of n, pointing where the mean does; zeros beyond the number of words.
    """
    known = word.any(axis=1)[values]
    values, offsets = values[known], np.concatenate([[0], np.cumsum(known)])[offsets]
    size = word.shape[1]
    word = word * weight[:, None]  # float64
    result = np.zeros((len(offsets) - 1, k, size), np.float32)
    for i, (start, end) in enumerate(itertools.pairwise(offsets)):
        mine = word[values[start:end]]
        if len(mine):
            squares, along = eigh(mine.T @ mine / len(mine), subset_by_index=[max(size - k, 0), size - 1], check_finite=False)
            along = along * np.where(mine.mean(axis=0) @ along < 0, -1, 1) * np.sqrt(np.maximum(squares, 0))
            result[i, : along.shape[1]] = along.T[::-1]
    return result.reshape(len(result), k * size)


def leading(x: Array, k: int) -> Array:
    """(k, D) float64: the first k right singular vectors of x, (N, D), about 0."""
    return np.linalg.eigh(x.T @ x)[1][:, ::-1][:, :k].T
