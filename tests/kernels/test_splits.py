"""Dividing, by hand-worked cases and as properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels import splits

VALID, TEST = 1, 2
SHARES = {VALID: 0.2, TEST: 0.1}


def key(n, seed=0):
    return splits.keys(np.arange(n, dtype=np.uint64), seed)


def test_the_split_of_a_document_does_not_depend_on_the_order_of_the_rows():
    ids, labels = [f"d{i}" for i in range(50)], ["ab"[i % 2] for i in range(50)]
    one = splits.stratified(ids, labels, {"valid": 0.2}, np.random.default_rng(3))
    assert splits.stratified(ids[::-1], labels[::-1], {"valid": 0.2}, np.random.default_rng(3)) == one


def test_keys_are_those_of_splitmix64():
    # the first numbers of the reference generator, seeded with 0: it adds the golden ratio before it mixes
    assert splits.keys(np.zeros(1, np.uint64), 0)[0] == 0xE220A8397B1DCDAF
    assert splits.keys(np.zeros(1, np.uint64), 1)[0] == 0x6E789E6AA1B965F4


def test_keys_of_two_seeds_order_the_same_items_differently():
    one, other = np.argsort(key(1000, 1)), np.argsort(key(1000, 2))
    assert (one == other).mean() < 0.02
    assert len(np.unique(key(100_000))) == 100_000


def test_equal_keys_are_ranked_by_what_breaks_the_tie():
    assert splits.ranks(np.array([5, 1, 5, 5], np.uint64), np.array([2, 9, 1, 3], np.uint64)).tolist() == [2, 0, 1, 3]


def test_equal_hashes_have_the_same_number_and_others_another():
    hashed = np.array([[1, 2], [1, 3], [1, 2], [0, 9], [1, 3], [2, 0]], np.uint64)
    number = splits.same(hashed)
    assert [(number == it).tolist() for it in number[:2]] == [
        [True, False, True, False, False, False],
        [False, True, False, False, True, False],
    ]
    assert len(set(number.tolist())) == 4
    assert splits.first(number).tolist() == [True, True, False, True, False, True]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_same_is_equality_even_where_half_a_hash_is_shared(pairs):
    number = splits.same(np.array(pairs, np.uint64))
    assert all((number[i] == number[j]) == (pairs[i] == pairs[j]) for i in range(len(pairs)) for j in range(len(pairs)))


def test_each_stratum_gets_its_shares():
    strata = np.array([0] * 50 + [1] * 100)
    part = splits.drawn(key(150), strata, SHARES)
    assert [np.bincount(part[strata == it]).tolist() for it in (0, 1)] == [[35, 10, 5], [70, 20, 10]]


def test_a_small_stratum_has_one_in_each_part():
    assert sorted(splits.drawn(key(3), np.zeros(3, int), SHARES).tolist()) == [0, VALID, TEST]
    assert splits.drawn(key(2), np.zeros(2, int), SHARES).tolist() == [0, 0]


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(0, 9))
def test_groups_stay_whole_and_train_is_never_empty(sizes, seed):
    group = np.repeat(key(len(sizes), seed), sizes)
    part = splits.grouped(group, SHARES)
    assert all(len(set(part[group == it])) == 1 for it in group)
    assert (part == 0).any()
    if len(sizes) >= 3:
        assert {VALID, TEST} <= set(part.tolist())


def test_groups_fill_a_part_to_within_half_a_group():
    part = splits.grouped(np.repeat(key(100), 10), SHARES)
    assert np.bincount(part).tolist() == [700, 200, 100]


def test_a_group_too_large_for_a_part_stays_in_train():
    group = np.repeat(key(11), [100] + [10] * 10)
    part = splits.grouped(group, {VALID: 0.1, TEST: 0.1})
    assert (part[:100] == 0).all()
    assert np.bincount(part).tolist() == [160, 20, 20]


def test_the_latest_are_test_and_those_before_them_valid():
    time = np.array([5.0, 1, 9, 3, 7, 2, 8, 4, 6, 0])
    assert splits.latest(time, key(10), SHARES).tolist() == [0, 0, TEST, 0, VALID, 0, VALID, 0, 0, 0]


def test_at_the_same_time_the_key_decides():
    part = splits.latest(np.zeros(100), key(100), SHARES)
    assert set(np.flatnonzero(part == TEST)) == set(np.argsort(key(100))[-10:])


@pytest.mark.parametrize("seed", range(5))
def test_blocks_are_unbroken_in_a_ring(seed):
    part = splits.blocks(50, seed, SHARES)
    assert np.bincount(part).tolist() == [35, 10, 5]
    assert (part != np.roll(part, 1)).sum() == 3


def test_beyond_a_limit_lie_those_of_the_highest_keys_of_their_stratum():
    found = splits.beyond(2, np.array([5, 1, 3, 9, 7, 2], np.uint64), np.array([0, 0, 0, 0, -1, -1]))
    assert found.tolist() == [True, False, False, True, False, False]


def test_what_stands_in_test_is_held_out_from_all_and_what_stands_in_valid_from_train():
    same = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    split = np.array([0, VALID, TEST, 0, VALID, 0, 3, 0])
    assert splits.held_out(same, split, TEST, VALID).tolist() == [True, True, False, True, False, False, False, False]
