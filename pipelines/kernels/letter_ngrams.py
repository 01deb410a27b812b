"""Letter n-grams of words as fastText finds and hashes them, and the vectors that words have from theirs.

source  Bojanowski, Grave, Joulin, Mikolov 2017; Facebook's fastText for the hash, FNV-1a over signed bytes
"""

from typing import Any

import numba
import numpy as np

HELD = 2**16  # rows of subwords at a time


def subwords(words: list[bytes], n_min: int, n_max: int, n_buckets: int, bare: bytes | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The buckets of each word's subwords, with < before it and > behind it, as fasttext.cc finds them.

    Args:
        bare: a word that has none.

    Returns:
        int64 buckets of all words end to end, and (n,) int64, how many each word has.
    """
    if not (n_max and n_buckets):
        return np.zeros(0, np.int64), np.zeros(len(words), np.int64)
    framed = [b"" if word == bare else b"<" + word + b">" for word in words]
    ends = np.cumsum([len(word) for word in framed])
    return _hashed(np.frombuffer(b"".join(framed), np.uint8), ends, n_min, n_max, np.uint32(n_buckets))


@numba.njit(cache=True)
def _hashed(letters, ends, n_min, n_max, n_buckets):
    ids, n_ids = [np.int64(0) for _ in range(0)], np.zeros(len(ends), np.int64)
    start = 0
    for word in range(len(ends)):
        end = ends[word]
        for i in range(start, end):
            if letters[i] & 0xC0 == 0x80:  # within a letter of several bytes
                continue
            hashed, j, n = np.uint32(2166136261), i, 1
            while j < end and n <= n_max:
                while True:  # one letter: FNV-1a over its bytes, each as a signed one, a slip of theirs that all models hold
                    hashed = np.uint32((hashed ^ np.uint32(np.int8(letters[j]))) * np.uint32(16777619))
                    j += 1
                    if j >= end or letters[j] & 0xC0 != 0x80:
                        break
                if n >= n_min and not (n == 1 and (i == start or j == end)):
                    ids.append(np.int64(hashed % n_buckets))
                    n_ids[word] += 1
                n += 1
        start = end
    return np.array(ids, np.int64), n_ids


def mean_of_rows(matrix: np.ndarray, ids: np.ndarray, n_ids: np.ndarray, own: np.ndarray | None) -> np.ndarray:
    """(n, D) float32: per word the mean of its rows of `matrix`, and of its own row where it has one; zeros of none."""
    total = np.zeros((len(n_ids), matrix.shape[1]), np.float32) if own is None else own.astype(np.float32)
    ends = np.cumsum(n_ids)
    some = np.flatnonzero(n_ids)
    for part in np.split(some, np.flatnonzero(np.diff(ends[some] // HELD)) + 1) if len(some) else ():
        first = ends[part[0]] - n_ids[part[0]]
        total[part] += np.add.reduceat(matrix[ids[first : ends[part[-1]]]], ends[part] - n_ids[part] - first, axis=0)
    return total / np.maximum(n_ids + (own is not None), 1)[:, None].astype(np.float32)


def unknown(settings: dict[str, Any], weights: dict[str, np.ndarray], words: list[str]) -> np.ndarray:
    """(n, D) float32: vectors of words that had none, the mean of their n-grams' vectors; zeros for one without a known n-gram.

    Args:
        settings, weights: of the model of `embed/fasttext` or `embed/pretrained`: buckets (G,) ascending, ngrams (G, D).
    """
    raw = [word.encode(settings.get("encoding", "utf-8"), "replace") for word in words]
    ids, n_ids = subwords(raw, settings["n_min"], settings["n_max"], settings["bucket"])
    buckets = weights["buckets"]
    row = np.searchsorted(buckets, ids)
    known = (row < len(buckets)) & (buckets[np.minimum(row, len(buckets) - 1)] == ids) if len(buckets) else np.zeros(len(ids), bool)
    n_known = np.bincount(np.repeat(np.arange(len(words)), n_ids)[known], minlength=len(words))
    return mean_of_rows(weights["ngrams"], row[known], n_known, None)
