"""Finding documents: BM25, and how good an order of documents is.

source  Robertson, Zaragoza 2009, The probabilistic relevance framework, eq. 3.15, with the idf of Lucene, which is never below 0;
        Järvelin, Kekäläinen 2002 (nDCG), gains and logarithm as trec_eval takes them
shapes  Q queries, N documents, V words; found: (Q, N) gains in the order of finding, gains: (Q, N) of all documents in any order
"""

import numpy as np
from scipy.sparse import csr_array

Array = np.ndarray


def bm25(counts: csr_array, k1: float, b: float) -> csr_array:
    """(N, V) float32: what each sighting of a word in a query adds to a document's score.

    Args:
        counts: (N, V), how often each document has each word.
        k1: how slowly further sightings cease to count, >= 0.
        b: how much less a long document's sightings are worth, 0 to 1.
    """
    n = counts.shape[0]
    length = counts.sum(axis=1, dtype=np.float64)
    df = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log1p((n - df + 0.5) / (df + 0.5))
    softened = k1 * (1 - b + b * length / max(length.mean(), 1e-30))
    row = np.repeat(np.arange(n), np.diff(counts.indptr))
    weight = idf[counts.indices] * counts.data * (k1 + 1) / (counts.data + softened[row])
    return csr_array((weight.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)


def in_order(scores: Array, gains: Array) -> Array:
    """(Q, N) gains, that of the highest score first, of equal ones the first document; 0 of what is not found, whose score is -inf."""
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(np.where(scores > -np.inf, gains, 0), order, axis=1)


def dcg(found: Array, k: int) -> Array:
    """(Q,) sum of the first k gains, each over the logarithm to base 2 of its place + 1."""
    found = found[:, :k]
    return found @ (1 / np.log2(np.arange(2, found.shape[1] + 2)))


def ndcg(found: Array, gains: Array, k: int) -> Array:
    """(Q,) the DCG over that of the best order; 0 where no document is relevant."""
    ideal = dcg(-np.sort(-gains, axis=1), k)
    return dcg(found, k) / np.where(ideal > 0, ideal, 1)


def reciprocal_rank(found: Array) -> Array:
    """(Q,) one over the place of the first relevant document; 0 where none is found."""
    first = (found > 0).argmax(axis=1)
    return np.where((found > 0).any(axis=1), 1 / (first + 1), 0.0)


def recall(found: Array, gains: Array, k: int) -> Array:
    """(Q,) share of the relevant documents that is among the first k; 0 where none is relevant."""
    return (found[:, :k] > 0).sum(axis=1) / np.maximum((gains > 0).sum(axis=1), 1)
