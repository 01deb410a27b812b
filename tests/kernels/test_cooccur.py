"""Counting by row: the fast kernel says what the definition says."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels import cooccur

THREADS = [1, min(2, numba.config.NUMBA_NUM_THREADS)]


def text_of(documents, left_out=0):
    offsets = np.concatenate([[0], np.cumsum([len(d) for d in documents])]).astype(np.int64)
    return cooccur.join(np.array([i for d in documents for i in d], np.int32), offsets, left_out)


def whole(blocks):
    blocks = list(blocks)
    return [np.concatenate([block[i] for block in blocks]) for i in range(3)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 150), max_size=30), max_size=6),
    st.integers(1, 12),
    st.sampled_from([(True, True), (True, False), (False, True)]),
    st.sampled_from([1, 40, 10**6]),
    st.booleans(),
)
def test_the_kernel_counts_to_the_bit_what_the_plain_loop_counts(documents, window, sides, cells, flat):
    text = text_of(documents)
    weights = np.ones(window) if flat else 1 / np.arange(1, window + 1)
    expected = cooccur.count_plain(text, 151, weights, *sides)
    for threads in THREADS:
        numba.set_num_threads(threads)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cooccur, "CELLS", cells)
            for found, wanted in zip(whole(cooccur.count(text, 151, weights, *sides)), expected, strict=True):
                assert found.dtype == wanted.dtype
                assert found.tobytes() == wanted.tobytes()


def test_left_out_tokens_are_gone_before_windows_are_laid_and_documents_stay_apart():
    assert text_of([[5, 0, 6], [], [0], [7]]).tolist() == [-1, 5, 6, -1, -1, -1, 7, -1]
    assert text_of([]).tolist() == [-1]


def test_a_block_is_whole_rows_and_no_longer_than_it_may_be(monkeypatch):
    monkeypatch.setattr(cooccur, "CELLS", 500)
    text = text_of(np.random.default_rng(0).integers(1, 80, (20, 50)).tolist())
    blocks = list(cooccur.count(text, 80, np.ones(5), True, True))
    rows = [set(row.tolist()) for row, _, _ in blocks]
    assert len(blocks) > 5
    assert all(len(row) <= 500 for row, _, _ in blocks)
    assert sum(map(len, rows)) == len(set.union(*rows))


def test_a_place_beyond_what_int32_holds_would_be_int64():
    # the places of a text of 2**31 tokens cannot be made in a test; their type is decided by its length alone
    class Long(np.ndarray):
        def __len__(self):
            return 2**31

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccur, "_gather", lambda text, free, place: None)
        place, _ = cooccur.places(text_of([[1]]).view(Long), np.array([0, 1]))
        assert place.dtype == np.int64
        assert cooccur.places(text_of([[1]]), np.array([0, 1]))[0].dtype == np.int32
