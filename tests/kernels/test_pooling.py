"""Rows of numbers for documents, from the vectors of their words."""

import numpy as np
import pytest

from pipelines.kernels.pooling import components, extremes, leading, means
from tests.kernels.test_grams import flat

WORD = np.float32([[0, 0], [2, 0], [0, 4], [-1, 1]])  # the first has no vector
DOCUMENTS = [[1, 2], [1, 0, 1, 3], [0], []]
ONES = np.ones(4)


def test_means_by_hand():
    weight = np.array([5.0, 1, 0.5, 2])
    # (2 + 0, 0 + 4 / 2) / 2 and (2 + 2 - 2, 2) / 3
    assert means(*flat(DOCUMENTS), WORD, weight) == pytest.approx(np.array([[1, 1], [2 / 3, 2 / 3], [0, 0], [0, 0]]))


def test_extremes_by_hand():
    assert extremes(*flat(DOCUMENTS), WORD).tolist() == [[2, 4, 0, 0], [2, 1, -1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_components_are_the_right_singular_vectors_times_their_values_towards_the_mean():
    rng = np.random.default_rng(0)
    word, weight = rng.normal(size=(9, 5)).astype(np.float32) + np.float32(0.5), rng.random(9) + 0.5
    word[0] = 0
    documents = [rng.integers(0, 9, n) for n in (12, 30, 2)]
    found = components(*flat(documents), word, weight, 3).reshape(3, 3, 5)
    for ids, mine in zip(documents, found, strict=True):
        matrix = (word * weight[:, None])[ids[ids > 0]]
        _, s, vt = np.linalg.svd(matrix, full_matrices=True)
        for k in range(3):
            expected = (s[k] if k < len(s) else 0) / np.sqrt(len(matrix)) * vt[k]
            assert np.abs(mine[k]) == pytest.approx(np.abs(expected), abs=1e-4)
            assert mine[k] @ matrix.mean(axis=0) >= -1e-6


def test_a_document_of_fewer_words_than_components_has_zeros_and_one_without_words_only_zeros():
    found = components(*flat([[1], []]), WORD, ONES, 2)
    assert found == pytest.approx(np.array([[2, 0, 0, 0], [0, 0, 0, 0]]), abs=1e-6)


def test_no_documents_are_no_rows_of_as_many_numbers():
    none = np.empty(0, np.int32), np.zeros(1, np.int64)
    assert components(*none, WORD, ONES, 2).shape == (0, 4)
    assert extremes(*none, WORD).shape == (0, 4)
    assert means(*none, WORD, ONES).shape == (0, 2)


def test_leading_directions_are_the_first_right_singular_vectors():
    x = np.random.default_rng(1).normal(size=(20, 4)) * [1, 5, 2, 1]
    assert np.abs(leading(x, 2)) == pytest.approx(np.abs(np.linalg.svd(x)[2][:2]), abs=1e-8)
