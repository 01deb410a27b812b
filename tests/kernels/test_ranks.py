import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from pipelines.kernels.ranks import ranks, spearman


def test_ties_share_their_mean_rank_by_hand():
    assert ranks(np.array([10, 20, 20, 5]), np.ones((1, 4))).tolist() == [[2, 3.5, 3.5, 1]]


def test_rho_is_that_of_scipy_with_ties_and_without():
    rng = np.random.default_rng(0)
    for x, y in ((rng.normal(size=50), rng.normal(size=50)), (rng.integers(0, 6, 80), rng.integers(0, 6, 80))):
        assert spearman(x, y)[0] == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


def test_a_weight_of_two_is_the_case_written_twice():
    rng = np.random.default_rng(1)
    x, y, times = rng.integers(0, 9, 30), rng.normal(size=30), rng.integers(0, 4, 30)
    again = np.repeat(np.arange(30), times)
    assert spearman(x, y, times[None].astype(float))[0] == pytest.approx(spearmanr(x[again], y[again]).statistic, abs=1e-12)
    drawn = ranks(x, times[None].astype(float))[0]
    assert drawn[again] == pytest.approx(rankdata(x[again]))


def test_one_value_on_one_side_has_no_rho():
    assert np.isnan(spearman(np.ones(5), np.arange(5.0))[0])
