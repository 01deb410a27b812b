"""Averaged vectors."""

import itertools

import numpy as np
import pytest

from pipelines.kernels.averaged import features, features_plain, means, only, train, train_plain
from tests.kernels.test_grams import flat

DOCUMENTS = [[1, 2, 3, 1, 2], [], [0], [4, 0, 4], [2], [5, 4, 3, 2, 1, 5, 4, 3]]


@pytest.mark.parametrize("ngrams", [1, 2, 3])
@pytest.mark.parametrize("buckets", [3, 10_000])
def test_the_rows_of_a_document_are_those_found_one_by_one(ngrams, buckets):
    values, offsets = flat(DOCUMENTS)
    rows, ends = features(values, offsets, 6, ngrams, buckets)
    assert [rows[a:b].tolist() for a, b in itertools.pairwise(ends)] == features_plain(values, offsets, 6, ngrams, buckets)


def test_an_ngram_has_the_order_of_its_words_and_none_that_is_unknown():
    rows, ends = features(*flat([[1, 2], [2, 1], [1, 0, 2]]), 6, 2, 2**20)
    forth, back, apart = (set(rows[a:b].tolist()) for a, b in itertools.pairwise(ends))
    assert apart == {1, 2}
    assert len(forth - apart) == len(back - apart) == 1
    assert forth != back


def test_rows_that_are_not_kept_are_gone():
    rows, ends = only(np.int32([0, 3, 5, 3, 0]), np.array([0, 3, 4, 5]), np.array([3, 5]), 6)
    assert rows.tolist() == [0, 1, 0]
    assert ends.tolist() == [0, 2, 3, 3]


def test_the_mean_by_hand():
    share, vectors = np.float32([1, 3]), np.float32([[4, 0], [0, 8]])
    found = means(np.int32([0, 1, 1]), np.array([0, 2, 2, 3]), share, vectors)
    assert found == pytest.approx(np.array([[1, 6], [0, 0], [0, 8]]))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_kernel_does_what_plain_numpy_does(dropout):
    rng = np.random.default_rng(0)
    rows, offsets = features(*flat(DOCUMENTS * 5), 6, 2, 20)
    class_ids, order = rng.integers(0, 3, 30), rng.permutation(30)
    share, weigh = rng.random(26, np.float32) + np.float32(0.5), np.float32([1, 0.5, 2])
    found = []
    for one in (train, train_plain):
        vectors, outputs = (np.random.default_rng(1).normal(size=(n, 4)).astype(np.float32) for n in (26, 3))
        loss = one(rows, offsets, class_ids, weigh, order, dropout, 2**62 + 5, 0.5, 0.1, share, vectors, outputs)
        found.append((loss, vectors, outputs))
    for fast, plain in zip(*found, strict=True):
        assert fast == pytest.approx(plain, rel=1e-4, abs=1e-5)


def test_a_step_by_hand():
    # one document of one word, two classes alike: p = 1/2 each, so outputs move by lr (y - p) v
    vectors, outputs = np.float32([[2.0]]), np.float32([[0.0], [0.0]])
    loss = train(
        np.int32([0]),
        np.array([0, 1]),
        np.array([1]),
        np.ones(2, np.float32),
        np.array([0]),
        0.0,
        1,
        0.1,
        0.1,
        np.float32([7]),
        vectors,
        outputs,
    )
    assert loss == pytest.approx(np.log(2))
    assert outputs.ravel() == pytest.approx([-0.1, 0.1])
    assert vectors.ravel() == pytest.approx([2.0])  # both outputs were 0
