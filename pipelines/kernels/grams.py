"""N-grams of token ids: which are frequent, and how often each document has them.

An n-gram's key is the place of the n-gram without its last word in the list of frequent ones, times n_vocab, plus
the last word; of a single word it is the word. So keys of any length fit int64, and an n-gram need not be kept
as text.

shapes  N documents, F n-grams
"""

import numpy as np
from scipy.sparse import csr_array

Grams = list[np.ndarray]  # for n = 1, 2, ...: (F_n,) int64 keys, sorted
UNKNOWN = 0  # the token that stands for all others; no n-gram has it


def frequent(values: np.ndarray, offsets: np.ndarray, n_vocab: int, longest: int, min_df: int) -> Grams:
    """The n-grams of known words that are in at least min_df documents.

    Grown word by word: an n-gram can only be frequent when the n - 1 words that it begins with are.

    Args:
        values, offsets: token ids end to end; document i is values[offsets[i]:offsets[i + 1]].
        longest: words of the longest n-grams; the shorter ones are there, too.
    """
    document = _document(offsets)
    grams: Grams = []
    for _ in range(longest):
        place, key = _keys(values, document, n_vocab, grams)
        order = np.argsort(key, kind="stable")  # equal ones stay in the documents' order
        key, home = key[order], document[place[order]]
        new = (np.diff(key, prepend=-1) != 0) | (np.diff(home, prepend=-1) != 0)  # each n-gram once a document
        found, df = np.unique(key[new], return_counts=True)
        grams.append(found[df >= min_df])
    return grams


def count(values: np.ndarray, offsets: np.ndarray, n_vocab: int, grams: Grams) -> csr_array:
    """(N, F) float32: how often each document has each n-gram."""
    document = _document(offsets)
    rows, columns, before = [], [], 0
    for n, keys in enumerate(grams):
        place, key = _keys(values, document, n_vocab, grams[:n])
        column, known = _lookup(keys, key)
        rows.append(document[place[known]])
        columns.append(before + column[known])
        before += len(keys)
    row, column = (np.concatenate(parts).astype(np.int32) for parts in (rows, columns))  # half the memory, and what liblinear takes
    counts = csr_array((np.ones(len(row), np.float32), (row, column)), shape=(len(offsets) - 1, before))
    counts.sum_duplicates()
    return counts


def _keys(values: np.ndarray, document: np.ndarray, n_vocab: int, grams: Grams) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams of a text, one longer than the longest of `grams`: (where each begins, its key), int64.

    int64, since the product outgrows int32 from about 46,341 words on.
    """
    known = values != UNKNOWN
    place, key = np.flatnonzero(known), values[known].astype(np.int64)
    for n, keys in enumerate(grams, 1):
        prefix, frequent = _lookup(keys, key)
        # ends within the text, in the same document, and not with an unknown word
        frequent &= place + n < len(values)
        place, prefix = place[frequent], prefix[frequent]
        whole = (document[place] == document[place + n]) & known[place + n]
        place, prefix = place[whole], prefix[whole]
        key = prefix * n_vocab + values[place + n]
    return place, key


def _lookup(keys: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each key is in the sorted `keys`, and whether it is there at all."""
    if not len(keys):
        return np.zeros(len(key), np.int64), np.zeros(len(key), bool)
    column = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    return column, keys[column] == key


def _document(offsets: np.ndarray) -> np.ndarray:
    """The document that each token is in."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
