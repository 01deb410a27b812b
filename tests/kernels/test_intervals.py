import numpy as np
import pytest

from pipelines.kernels import intervals
from pipelines.kernels.intervals import draws, interval, mean_draws, middle, of_columns, of_mean, wilson


def test_wilson_at_8_of_10_is_the_published_interval():
    # Agresti & Coull 1998 and every textbook since: 0.490 to 0.943
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_wilson_at_none_and_at_all_touches_the_share_and_stays_within_0_and_1():
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0
    assert 0 < wilson(0, 5)[1] < 1


def test_every_draw_has_as_many_cases_as_there_are():
    parts = list(draws(7, 50, np.random.default_rng(0)))
    whole = np.concatenate(parts)
    assert whole.shape == (50, 7)
    assert (whole.sum(axis=1) == 7).all()
    assert len(np.unique(whole, axis=0)) > 40


def test_draws_come_in_blocks_that_fit_in_memory(monkeypatch):
    monkeypatch.setattr(intervals, "CELLS", 30)
    assert [len(part) for part in draws(10, 8, np.random.default_rng(0))] == [3, 3, 2]


def test_the_spread_of_bootstrap_means_is_the_standard_error():
    values = np.random.default_rng(1).normal(size=400)
    means = mean_draws(values, 4000, np.random.default_rng(2))
    assert means.std() == pytest.approx(values.std() / np.sqrt(400), rel=0.05)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)


def test_a_95_percent_interval_holds_the_truth_in_about_95_of_100_samples():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        sample = rng.normal(size=60)
        low, high = interval(sample.mean(), mean_draws(sample, 300, rng))
        hits += low <= 0 <= high
    assert 0.90 < hits / 300 < 0.985


def test_an_interval_reaches_to_its_own_figure_and_ignores_draws_without_a_number():
    assert interval(0.9, np.array([0.1, np.nan, 0.1])) == (pytest.approx(0.1), 0.9)
    assert interval(0.9, np.array([np.nan])) == (None, None)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 1000])
def test_cases_that_are_all_right_do_not_claim_certainty(n):
    right = np.ones(n)
    drawn = mean_draws(right, 200, np.random.default_rng(0))
    assert middle(1.0, drawn) == (1.0, 1.0)  # what the draws alone would say
    assert interval(1.0, drawn, n) == wilson(n, n)
    assert interval(0.0, 0 * drawn, n) == wilson(0, n)
    assert wilson(n, n)[0] == pytest.approx(n / (n + 1.959964**2))  # 0.21 of one, 0.57 of five, 0.996 of a thousand
    assert interval(1.0, drawn) == (None, None)  # of what is no share nothing can be said
    assert interval(0.1, 0.1 * drawn, n) == (None, None)
    assert of_columns(right[:, None], 200, np.random.default_rng(0)) == [(1.0, *wilson(n, n))]


def test_two_cases_that_differ_have_an_interval_from_one_to_the_other():
    assert interval(0.5, mean_draws(np.array([0.0, 1.0]), 500, np.random.default_rng(0)), 2) == (0.0, 1.0)


def test_repetitions_that_are_all_the_same_have_no_interval():
    assert of_mean(np.full(3, 0.7)) == (None, None)
    # t of two degrees of freedom is 4.303, and the standard error 0.1 / sqrt 3
    assert of_mean(np.array([0.8, 0.9, 1.0]), 0, 1) == (pytest.approx(0.9 - 4.3027 * 0.1 / 3**0.5, abs=1e-4), 1)
