"""Uniform quantisers."""

import numpy as np
import pytest

from pipelines.kernels.uniform import SAME, clipped, codes, from_zero, middles, outermost


@pytest.mark.parametrize(
    ("n_levels", "step", "lost"), [(2, 1.596, 0.3634), (4, 0.9957, 0.1188), (8, 0.5860, 0.03744), (16, 0.3352, 0.01154)]
)
def test_ranges_for_normal_numbers_are_those_of_maxs_table(n_levels, step, lost):
    """Max 1960, table II: equally spaced levels for numbers of variance 1."""
    x = np.random.default_rng(0).normal(size=(200_000, 1))
    low, found = clipped(x, n_levels, symmetric=True)
    assert found[0] == pytest.approx(step, rel=0.05)  # of the half-widths that are tried
    assert ((middles(codes(x, low, found, n_levels), low, found) - x) ** 2).mean() == pytest.approx(lost, rel=0.02)


def test_what_is_0_stays_0_where_a_range_begins_there():
    rng = np.random.default_rng(0)
    x = (rng.random((5000, 3)) < 0.1) * rng.uniform(1, 2, (5000, 3))
    for n_levels in (2, 4, 16):
        low, step = (it.astype(np.float32) for it in from_zero(x, n_levels))
        back = middles(codes(x, low, step, n_levels), low, step)
        assert (back[x == 0] == 0).all()
        assert (back > 0).sum() >= 0.99 * (x > 0).sum()
    assert abs(back - x).max() < 0.2


def test_no_range_loses_more_than_that_from_the_smallest_number_to_the_largest():
    """Three of 600 numbers are a thousand times as wide: what cuts them loses nearly all."""
    x = np.random.default_rng(0).normal(size=(600, 4))
    x[:3] *= 1000
    for symmetric in (False, True):
        lost = []
        for low, step in (clipped(x, 16, symmetric), outermost(x.min(axis=0), x.max(axis=0), 16, symmetric)):
            lost.append(((middles(codes(x, low, step, 16), low, step) - x) ** 2).sum(axis=0))
        assert (lost[0] <= lost[1]).all()


def test_columns_that_do_not_vary_are_given_back():
    x = np.array([[0.0, 2.0]] * 9)
    low, step = clipped(x, 4)
    assert middles(codes(x, low, step, 4), low, step) == pytest.approx(x, abs=100 * SAME)
