"""Counting by row: the fast kernel says what the definition says, to the bit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels import cooccur
from pipelines.kernels.cooccur import Window

DOCUMENTS = st.lists(st.lists(st.integers(0, 150), max_size=30), max_size=6)
SIDES = st.sampled_from([(True, True), (True, False), (False, True)])
WEIGHTING = st.sampled_from(["distance", "flat", "linear"])


def text_of(documents, left_out=0, **more):
    offsets = np.concatenate([[0], np.cumsum([len(d) for d in documents])]).astype(np.int64)
    return cooccur.whole([cooccur.join(np.array([i for d in documents for i in d], np.int32), offsets, left_out, **more)])


def window_of(size, weighting="distance", left=True, right=True, **more):
    return Window(*cooccur.weights(size, weighting), left, right, **more)


def counted(text, n_vocab, window, origin=0, parts=1):
    """(row, col, count) of all rows, and the blocks that they came in."""
    place, first = cooccur.places(text, cooccur.sightings(text, n_vocab))
    blocks = [cooccur.count_rows(rows, text, place, first, window, origin) for rows in cooccur.blocks(first, window.reach, parts)]
    return [np.concatenate(part) for part in zip(*(block.pairs(window.unit) for block in blocks), strict=True)], blocks


def same(found, expected):
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(found, expected, strict=True))


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, st.integers(1, 12), WEIGHTING, SIDES, st.booleans(), st.sampled_from([1, 40, 10**6]), st.integers(0, 2**40))
def test_the_kernel_counts_to_the_bit_what_the_plain_loop_counts(documents, size, weighting, sides, dynamic, cells, origin):
    text, window = text_of(documents), window_of(size, weighting, *sides, dynamic=dynamic, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccur, "CELLS", cells)
        found, _ = counted(text, 151, window, origin)
    assert same(found, cooccur.count_plain(text, window, origin))


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, st.integers(1, 12), WEIGHTING, SIDES, st.booleans(), st.integers(0, 2**40))
def test_rows_sum_to_what_the_places_of_their_words_imply(documents, size, weighting, sides, dynamic, origin):
    text, window = text_of(documents), window_of(size, weighting, *sides, dynamic=dynamic, seed=3)
    _, blocks = counted(text, 151, window, origin)
    sums = [
        int(block.sums[end - n : end].sum()) for block in blocks for n, end in zip(block.n_pairs, np.cumsum(block.n_pairs), strict=True)
    ]
    assert cooccur.row_sums(text, 151, window, origin).tolist() == sums


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, st.lists(st.integers(1, 6), max_size=4), WEIGHTING, SIDES, st.booleans())
def test_any_cut_of_the_text_merged_is_to_the_bit_the_whole(documents, cuts, weighting, sides, dynamic):
    window = window_of(7, weighting, *sides, dynamic=dynamic, seed=5)
    expected, _ = counted(text_of(documents), 151, window)
    ends = sorted({min(cut, len(documents)) for cut in cuts} | {len(documents)})
    parts, origin, start = [], 0, 0
    for end in ends:
        text = text_of(documents[start:end])
        parts.append(counted(text, 151, window, origin)[1])
        origin, start = origin + len(text) - 1, end
    n_pairs = np.stack([np.concatenate([block.n_pairs for block in blocks]) for blocks in parts])
    col, sums = (np.concatenate([getattr(block, name) for blocks in parts for block in blocks]) for name in ("col", "sums"))
    begins = np.concatenate([[0], np.cumsum(n_pairs.sum(axis=1))[:-1]])
    first = np.concatenate([begins[:, None], begins[:, None] + np.cumsum(n_pairs, axis=1)], axis=1)
    assert same(cooccur.merge_rows(0, first, col, sums, 151).pairs(window.unit), expected)


@pytest.mark.parametrize("size", [1, 10, 22, 23, 1000])
def test_weights_in_units_are_one_part_in_d_within_the_rounding_of_float32(size):
    weights, unit = cooccur.weights(size, "distance")
    for d, weight in enumerate(weights.tolist(), 1):
        assert abs(Fraction(weight, unit) * d - 1) <= (0 if size <= 22 else Fraction(1, 2**23))
    assert cooccur.weights(10, "distance")[1] == 2520


def test_linear_weights_fall_evenly_to_one_part_in_window():
    weights, unit = cooccur.weights(4, "linear")
    assert (weights / unit).tolist() == [1, 0.75, 0.5, 0.25]


def test_dynamic_windows_add_on_average_what_linear_weights_add():
    text = text_of([[1, 2, 3, 4, 5, 6] * 20_000])
    drawn, mean = (counted(text, 7, window)[0] for window in (window_of(5, "flat", dynamic=True, seed=1), window_of(5, "linear")))
    assert (drawn[0] == mean[0]).all()
    assert (drawn[1] == mean[1]).all()
    assert drawn[2] == pytest.approx(mean[2], rel=0.03)  # 20,000 draws a cell: 3 % is 5 standard deviations or more


def test_sampling_keeps_a_word_as_often_as_word2vec_says():
    n_seen = np.array([0, 900_000, 90_000, 10_000])
    keep = cooccur.kept(n_seen, 1e-2)
    share = n_seen / n_seen.sum()
    assert keep[1:3] == pytest.approx([(np.sqrt(f / 1e-2) + 1) * 1e-2 / f for f in share[1:3]])
    assert keep[3] == 1
    text = text_of([[1] * 900_000, [2] * 90_000, [3] * 10_000], keep=keep, seed=7)
    assert cooccur.sightings(text, 4)[1:] / n_seen[1:] == pytest.approx(keep[1:], abs=0.005)


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(0, 60), st.integers(0, 9))
def test_what_sampling_leaves_out_depends_on_seed_and_place_not_on_the_pieces(ids, cut, seed):
    keep, cut = np.array([0, 0.2, 0.5, 0.5, 0.9, 1]), min(cut, len(ids))
    whole = text_of([ids[:cut], ids[cut:]], keep=keep, seed=seed)
    before = sum(i != 0 for i in ids[:cut])
    pieces = [text_of([ids[:cut]], keep=keep, seed=seed), text_of([ids[cut:]], keep=keep, seed=seed, before=before)]
    assert whole.tolist() == [*pieces[0].tolist(), *pieces[1].tolist()[1:]]


def test_left_out_tokens_are_gone_before_windows_are_laid_and_documents_stay_apart():
    assert text_of([[5, 0, 6], [], [0], [7]]).tolist() == [-1, 5, 6, -1, -1, -1, 7, -1]
    assert text_of([]).tolist() == [-1]


def test_a_block_is_whole_rows_and_no_longer_than_it_may_be(monkeypatch):
    monkeypatch.setattr(cooccur, "CELLS", 500)
    text = text_of(np.random.default_rng(0).integers(1, 80, (20, 50)).tolist())
    (row, _, _), blocks = counted(text, 80, window_of(5, "flat"))
    assert len(blocks) > 5
    assert all(len(block.col) <= 500 for block in blocks)
    assert sum((block.n_pairs > 0).sum() for block in blocks) == len(set(row.tolist()))


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


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=12), min_size=1, max_size=8), st.booleans())
def test_words_of_the_same_documents_are_x_transposed_times_x(documents, binary):
    from scipy.sparse import csr_array

    row = [i for i, document in enumerate(documents) for _ in document]
    x = csr_array((np.ones(len(row), np.int32), (row, [i for d in documents for i in d])), shape=(len(documents), 31), dtype=np.int32)
    if binary:
        x.data[:] = 1
    block = cooccur.together_rows((0, 31), *cooccur.bags(x))
    i, j, count = block.pairs(1)
    expected = (x.T @ x).toarray()
    assert np.array_equal(csr_array((count, (i, j)), shape=(31, 31)).toarray(), expected)
    assert len(i) == np.count_nonzero(expected)
    assert (np.diff(i.astype(np.int64) * 31 + j) > 0).all()
