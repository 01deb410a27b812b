import numpy as np
import pytest

from pipelines.kernels import nearest as kernel
from pipelines.kernels.nearest import nearest, rows_of, shared, unit


def test_unit_rows_have_length_one_and_a_row_of_zeros_stays():
    assert unit(np.array([[3, 4], [0, 0]])).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


def test_a_word_is_found_as_written_else_in_lower_case():
    assert rows_of(["Oslo", "OSLO", "oslo", "Rome"], ["oslo", "Oslo"]).tolist() == [1, 0, 0, -1]


def test_neighbours_are_those_of_the_plain_definition_in_every_block(monkeypatch):
    monkeypatch.setattr(kernel, "CELLS", 300)  # three queries a block
    vectors = unit(np.random.default_rng(0).normal(size=(100, 8)))
    own = np.arange(10)
    own[4] = -1
    found, cosine = nearest(vectors[:10], vectors, 5, own)
    for i in range(10):
        similarity = vectors @ vectors[i]
        similarity[own[i] if own[i] >= 0 else []] = -np.inf
        wanted = np.argsort(-similarity)[:5]
        assert found[i].tolist() == wanted.tolist()
        assert cosine[i] == pytest.approx(similarity[wanted], abs=1e-6)
    assert found[4, 0] == 4  # not told to leave itself out


def test_shared_is_the_share_of_rows_in_common_in_any_order():
    assert shared(np.array([[1, 2, 3, 4], [5, 6, 7, 8]]), np.array([[4, 9, 1, 0], [8, 7, 6, 5]])).tolist() == [0.5, 1]
