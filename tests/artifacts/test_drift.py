"""How far distributions are apart, by values worked out by hand."""

import numpy as np
import pytest

from pipelines.artifacts import drift


def test_psi_is_nothing_for_the_same_shares_and_what_the_formula_says_for_others():
    assert drift.psi(np.array([500, 500]), np.array([500, 500])) == 0
    # (0.8 - 0.5) ln(0.8 / 0.5) + (0.2 - 0.5) ln(0.2 / 0.5)
    assert drift.psi(np.array([50_000, 50_000]), np.array([80_000, 20_000])) == pytest.approx(0.4159, abs=1e-3)


def test_an_empty_bin_leaves_psi_finite():
    assert 1 < drift.psi(np.array([100, 0]), np.array([0, 100])) < 20


def test_the_distance_is_one_for_nothing_in_common_and_nothing_for_the_same_shares():
    assert drift.distance_of({"a": 3}, {"b": 5})[0] == 1
    assert drift.distance_of({"a": 1, "b": 3}, {"a": 10, "b": 30})[0] == 0


def test_the_distance_of_half_in_common_is_known():
    # mean (3/4, 1/4): JS = (log2(4/3) + 1/2 log2(2/3) + 1/2 log2(2)) / 2 = 0.3113 bits
    far, most = drift.distance_of({"a": 2}, {"a": 1, "b": 1})
    assert far == pytest.approx(np.sqrt(0.3113), abs=1e-4)
    assert most == "a"


def test_bins_hold_as_many_values_each():
    values = np.arange(1000.0)
    assert drift.binned(values, drift.edges(values)).tolist() == [100] * 10


def test_values_that_repeat_have_fewer_bins_and_lose_none():
    values = np.array([0.0] * 90 + [1.0] * 10)
    counts = drift.binned(values, drift.edges(values))
    assert counts.tolist() == [90, 10]
    assert drift.binned(np.array([]), drift.edges(np.array([]))).tolist() == [0]
