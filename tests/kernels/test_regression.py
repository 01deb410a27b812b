"""Errors and correlations of numbers."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from pipelines.kernels.regression import score, score_mean


def told(n=200, seed=0, mean=0.0):
    rng = np.random.default_rng(seed)
    actual = mean + rng.integers(0, 9, n).astype(np.float64)  # ties among them
    return actual, actual / 2 + mean / 2 + rng.normal(0, 1, n)


def test_three_numbers_by_hand():
    # off by 1, 0 and 2; about their mean 2 the actual ones have 2, of which the errors are 5
    found = {name: value for name, (value, _, _) in score(np.array([1.0, 2, 3]), np.array([2.0, 2, 5]), 100, seed=1).items()}
    assert found["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert found["mean_absolute_error"] == pytest.approx(1)
    assert found["r_squared"] == pytest.approx(1 - 5 / 2)
    assert found["pearson"] == pytest.approx(3 / (2 * 6) ** 0.5)  # -1 -1, 0 -1, 1 2
    assert found["spearman"] == pytest.approx(3**0.5 / 2)  # 1.5, 1.5, 3
    of_mean = {name: value for name, (value, _, _) in score_mean(np.array([1.0, 2, 3]), 100, seed=1).items()}
    assert of_mean == {"rmse_mean": pytest.approx((2 / 3) ** 0.5), "mean_absolute_error_mean": pytest.approx(2 / 3)}


@pytest.mark.parametrize("mean", [0.0, 1e7])
def test_figures_are_those_of_scikit_learn_and_scipy(mean):
    actual, predicted = told(mean=mean)
    found = {name: value for name, (value, _, _) in score(actual, predicted, 100, seed=1).items()}
    assert found == {
        "rmse": pytest.approx(root_mean_squared_error(actual, predicted)),
        "mean_absolute_error": pytest.approx(mean_absolute_error(actual, predicted)),
        "r_squared": pytest.approx(r2_score(actual, predicted)),
        "pearson": pytest.approx(pearsonr(actual, predicted).statistic),
        "spearman": pytest.approx(spearmanr(actual, predicted).statistic),
    }


def test_intervals_are_those_of_figures_of_documents_drawn_anew():
    actual, predicted = told(40)
    found = score(actual, predicted, 500, seed=3)
    drawn = np.random.default_rng(3).integers(0, 40, (500, 40))
    plain = {
        "rmse": root_mean_squared_error, "mean_absolute_error": mean_absolute_error, "r_squared": r2_score,
        "pearson": lambda y, p: pearsonr(y, p).statistic, "spearman": lambda y, p: spearmanr(y, p).statistic,
    }  # fmt: skip
    for name, of in plain.items():
        low, high = np.quantile([of(actual[rows], predicted[rows]) for rows in drawn], [0.025, 0.975])
        assert found[name][1:] == (pytest.approx(low), pytest.approx(high)), name


def test_numbers_that_are_all_the_same_tell_nothing():
    same, other = np.full(5, 0.1), np.array([1.0, 2, 3, 4, 5])
    found = score(other, same, 100, seed=1)
    assert (found["pearson"], found["spearman"]) == ((0, None, None), (0, None, None))
    assert found["r_squared"][0] < 0
    assert score(same, other, 100, seed=1)["r_squared"] == (0, None, None)


def test_draws_of_one_number_alone_do_not_stretch_an_interval():
    """Of two documents half of the draws are one of them twice, whose mean foretells it: r squared is of the other half."""
    value, low, high = score(np.array([1.0, 2]), np.array([1.5, 2]), 500, seed=1)["r_squared"]
    assert (value, low, high) == (pytest.approx(0.5), None, None)
