"""PMI and its kin: printed values, the plain definitions, and one pass that does not hang on the blocks."""

import math

import numpy as np
import pytest

from pipelines.kernels.association import MEASURES, associate, associate_plain, associated, chance, sums

# Jurafsky, Martin, Speech and Language Processing, 3rd edition draft, chapter on vector semantics: four words in five contexts of
# Wikipedia, and their PPMI to base 2
COUNTS = np.array([
    [2, 8, 9, 442, 25],           # cherry, beside computer, data, result, pie, sugar
    [0, 0, 1, 60, 19],            # strawberry
    [1670, 1683, 85, 5, 4],       # digital
    [3325, 3982, 378, 5, 13],     # information
], np.float32)  # fmt: skip
PRINTED = [[0, 0, 0, 4.38, 3.30], [0, 0, 0, 4.10, 5.51], [0.18, 0.01, 0, 0, 0], [0.02, 0.09, 0.28, 0, 0]]


def pairs(dense):
    row, col = np.nonzero(dense)
    return row.astype(np.int32), col.astype(np.int32), dense[row, col].astype(np.float32)


def fast(dense, measure, smoothing=1.0, shift=1.0):
    row, col, count = pairs(dense)
    found = np.zeros(dense.shape, np.float32)
    found[row, col] = associate(row, col, count, chance(sums([(row, col, count)], *dense.shape), smoothing), measure, shift)
    return found


def test_ppmi_is_the_textbooks_table():
    assert (np.abs(fast(COUNTS, "ppmi") / math.log(2) - PRINTED) <= 0.00501).all()


def test_pmi_of_information_and_data_is_that_of_the_shares_the_textbook_prints():
    # P(information, data) = 3982/11716 = .3399, P(information) = .6575, P(data) = .4842
    assert fast(COUNTS, "pmi")[3, 1] / math.log(2) == pytest.approx(math.log2(0.3399 / (0.6575 * 0.4842)), abs=2e-4)


# rows sum to 4 and 4, columns to 6 and 2, all to 8
TWO = np.array([[4.0, 0.0], [2.0, 2.0]])


def test_ratio_is_how_many_times_more_often_than_chance():
    assert fast(TWO, "ratio").ravel() == pytest.approx([4 / 3, 0, 2 / 3, 2])


def test_pmi_has_signs_and_ppmi_has_none():
    assert fast(TWO, "pmi").ravel() == pytest.approx(np.log([4 / 3, 1, 2 / 3, 2]))
    assert fast(TWO, "ppmi").ravel() == pytest.approx(np.log([4 / 3, 1, 1, 2]))


def test_a_shift_of_k_takes_log_k_away():
    assert fast(TWO, "shifted_ppmi", shift=1.5).ravel() == pytest.approx([0, 0, 0, math.log(2 / 1.5)])
    assert (fast(TWO, "shifted_ppmi", shift=1) == fast(TWO, "ppmi")).all()


def test_log_is_of_one_more_than_the_count():
    assert fast(TWO, "log").ravel() == pytest.approx(np.log([5, 1, 3, 3]))


def test_smoothing_to_the_power_of_one_half_takes_the_roots_of_the_contexts():
    contexts = np.array([[9, 0], [0, 16]])  # roots 3 and 4: shares 3/7 and 4/7
    expected = [(9 / 25) / ((9 / 25) * (3 / 7)), 0, 0, (16 / 25) / ((16 / 25) * (4 / 7))]
    assert fast(contexts, "ratio", smoothing=0.5).ravel() == pytest.approx(expected)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("smoothing", [1.0, 0.75])
def test_the_fast_kernel_is_the_plain_definition(measure, smoothing):
    rng = np.random.default_rng(0)
    dense = rng.poisson(0.7, (40, 30)) * rng.uniform(0.1, 5, (40, 30))
    dense[7], dense[:, 3] = 0, 0  # a word that was not seen, and a context
    dense = dense.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(fast(dense, measure, smoothing, 2.0), associate_plain(dense, measure, smoothing, 2.0), rtol=1e-6, atol=1e-7)


def test_blocks_of_any_length_give_the_same_numbers():
    row, col, count = pairs(np.random.default_rng(1).poisson(2, (60, 60)).astype(float))
    whole, found = [(row, col, count)], []
    for n in (1, 2, 7):
        blocks = list(zip(*(np.array_split(part, n) for part in (row, col, count)), strict=True))
        assert all((a == b).all() for a, b in zip(sums(blocks, 60, 60)[:2], sums(whole, 60, 60)[:2], strict=True))
        found.append([np.concatenate(part) for part in zip(*associated(blocks, chance(sums(whole, 60, 60), 1.0), "ppmi"), strict=True)])
        assert (found[-1][2] > 0).all()
        assert len(found[-1][0]) < len(row)
    assert all((a == b).all() for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_counts_that_are_no_number_above_0_are_told_and_are_in_no_sum():
    count = np.array([1, np.nan, -2, 0, np.inf, 3], np.float32)
    of = sums([(np.arange(6), np.arange(6), count)], 6, 6)
    assert of.wrong == 4
    assert of.first[:2] == (1, 1)
    assert math.isnan(of.first[2])
    assert of.row.tolist() == of.col.tolist() == [1, 0, 0, 0, 0, 3]
