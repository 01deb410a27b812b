"""Levels of least squared error."""

import numpy as np
import pytest
from scipy import stats

from pipelines.kernels.lloyd import levels, nearest


@pytest.mark.parametrize(
    ("n", "wanted", "error"),
    [(2, [0.7980], 0.3634), (4, [0.4528, 1.510], 0.1175), (8, [0.2451, 0.7560, 1.344, 2.152], 0.03454)],
)
def test_levels_of_normal_numbers_are_those_of_maxs_table(n, wanted, error):
    """Max 1960, table I: N = 2, 4, 8."""
    x = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    found, left = levels(x, n, n_iter=500)
    assert found == pytest.approx([-level for level in reversed(wanted)] + wanted, abs=2e-3)
    assert left == pytest.approx(error, abs=2e-4)


@pytest.mark.parametrize("n", [32, 64, 256])
def test_many_levels_of_normal_numbers_lose_little_more_than_the_best(n):
    """Panter, Dite 1951, for many levels: (integral of p^(1/3))^3 / (12 n^2), which is sqrt(3) pi / (2 n^2) of normal numbers."""
    x = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    assert levels(x, n)[1] == pytest.approx(np.sqrt(3) * np.pi / (2 * n**2), rel=0.15)


@pytest.mark.parametrize("spread", [0.0, 1e-4])
def test_where_most_numbers_are_about_the_same_the_others_have_levels_too(spread):
    """19 of 20 are about 0, the others from 1 to 2: n - 1 levels of these leave a 20th of 1 / (12 (n - 1)^2)."""
    x = np.sort(np.concatenate([spread * np.linspace(-1, 1, 9500), 1 + np.linspace(0, 1, 500)]))
    for n in (4, 8, 16):
        found, left = levels(x, n)
        assert len(np.unique(found)) == n
        assert left < 2 * 0.05 / (12 * (n - 1) ** 2)


def test_heaps_have_their_means_and_numbers_go_to_the_nearest():
    x = np.array([0.0, 1.0, 10.0, 11.0, 12.0])
    found, left = levels(x, 2)
    assert found.tolist() == [0.5, 11]
    assert left == pytest.approx((0.25 + 0.25 + 1 + 0 + 1) / 5)
    assert nearest(np.array([-5.0, 5.0, 6.0, 99.0]), found).tolist() == [0, 0, 1, 1]


def test_numbers_that_are_all_the_same_lose_nothing():
    found, left = levels(np.full(9, 2.5), 4)
    assert left == 0
    assert (found == 2.5).all()
