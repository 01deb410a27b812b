"""Weights in few bytes."""

import numpy as np
import pytest

from pipelines.compact import CODES, LOW, STEP, TABLE, compact, whole

RNG = np.random.default_rng(0)
WEIGHTS = {
    TABLE: (RNG.normal(size=(50, 7)) * RNG.uniform(0.1, 5, (50, 1))).astype(np.float32),
    "onward.0.weight_hh_l0": RNG.normal(size=(8, 2)).astype(np.float32),
    "decision.bias": RNG.normal(size=3).astype(np.float32),
    "share": np.float32([1e-9, 0.5]),
}


@pytest.mark.parametrize(("bits", "row"), [(8, 7), (4, 4)])
def test_a_number_of_the_table_is_no_further_off_than_half_a_step_of_its_row(bits, row):
    kept = compact(WEIGHTS, bits)
    assert kept[CODES].nbytes == 50 * row
    assert kept[LOW].nbytes + kept[STEP].nbytes == 50 * 4
    again = whole(kept, 7)
    assert again.keys() == WEIGHTS.keys()
    width = np.ptp(WEIGHTS[TABLE], axis=1)
    off = np.abs(again[TABLE] - WEIGHTS[TABLE]).max(axis=1)
    assert (off <= 0.51 * width / (2**bits - 1) + 2e-3 * np.abs(WEIGHTS[TABLE]).max(axis=1)).all()  # and half precision of its ends
    assert all(it.dtype == np.float32 for it in again.values())


def test_small_vectors_are_kept_as_they_are_and_matrices_in_half_precision():
    again = whole(compact(WEIGHTS, 8), 7)
    assert np.array_equal(again["share"], WEIGHTS["share"])
    assert np.array_equal(again["decision.bias"], WEIGHTS["decision.bias"])
    assert again["onward.0.weight_hh_l0"] == pytest.approx(WEIGHTS["onward.0.weight_hh_l0"], rel=1e-3)


def test_a_row_of_one_number_is_given_back_and_32_bits_are_as_they_were():
    weights = {TABLE: np.full((2, 3), 0.5, np.float32)}
    assert whole(compact(weights, 4), 3)[TABLE] == pytest.approx(weights[TABLE], abs=1e-3)
    assert compact(WEIGHTS, 32) is WEIGHTS
    assert whole(WEIGHTS, 7) is WEIGHTS
