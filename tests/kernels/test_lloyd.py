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
