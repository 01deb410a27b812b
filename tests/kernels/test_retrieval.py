"""BM25 and the goodness of an order, by hand and against scikit-learn."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import ndcg_score

from pipelines.kernels.retrieval import bm25, dcg, in_order, ndcg, recall, reciprocal_rank


def test_bm25_by_hand():
    # three documents of 2, 4 and 3 words; the first word is in two of them: idf = ln(1 + 1.5 / 2.5)
    counts = csr_array(np.array([[1, 1, 0], [2, 0, 2], [0, 0, 3]], np.float32))
    weights = bm25(counts, k1=1.2, b=0.75).toarray()
    assert weights[0, 0] == pytest.approx(np.log(1.6) * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3)))
    assert weights[1, 0] == pytest.approx(np.log(1.6) * 2 * 2.2 / (2 + 1.5))
    assert weights[0, 1] == pytest.approx(np.log(1 + 2.5 / 1.5) * 2.2 / (1 + 0.9))
    assert weights[2, 0] == 0
    query = np.array([[1, 1, 0]])  # both words once: the sums
    assert (csr_array(query) @ csr_array(weights).T).toarray()[0] == pytest.approx([weights[0, 0] + weights[0, 1], weights[1, 0], 0])


def test_with_b_0_the_length_of_a_document_is_nothing_and_with_k1_0_neither_is_how_often_a_word_stands_there():
    counts = csr_array(np.array([[1, 9], [1, 0], [0, 1]], np.float32))
    assert len(set(bm25(counts, 1.2, 0).toarray()[:2, 0].tolist())) == 1
    assert len({*bm25(counts, 0, 0.75).toarray()[[0, 2], 1].tolist()}) == 1


def test_an_order_by_hand():
    scores = np.array([[0.1, 0.9, 0.5, 0.5, -np.inf]])
    gains = np.array([[1.0, 0, 0, 3, 2]])
    found = in_order(scores, gains)
    assert found.tolist() == [[0, 0, 3, 1, 0]]  # of the equal ones the first; the last is not found
    assert dcg(found, 3) == pytest.approx([3 / 2])
    assert ndcg(found, gains, 3) == pytest.approx([1.5 / (3 + 2 / np.log2(3) + 1 / 2)])
    assert reciprocal_rank(found) == pytest.approx([1 / 3])
    assert recall(found, gains, 3) == pytest.approx([1 / 3])


def test_ndcg_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, gains = rng.normal(size=(40, 30)), rng.integers(0, 4, (40, 30)).astype(float)
    for k in (1, 5, 30, 99):
        assert ndcg(in_order(scores, gains), gains, k).mean() == pytest.approx(ndcg_score(gains, scores, k=k))


def test_where_nothing_is_relevant_all_is_0():
    none = np.zeros((1, 4))
    assert [ndcg(none, none, 2), reciprocal_rank(none), recall(none, none, 2)] == [0, 0, 0]
