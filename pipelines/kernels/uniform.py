"""Uniform quantisers: a range in cells of one width, each number for the middle of its cell.

source  Max 1960 for the range that loses least; May, Zhang, Dao, Ré 2019 for its worth to word vectors
shapes  n items of K numbers; low and step are (K,), a range for each column, or (1,), one for all
"""

from collections.abc import Iterable

import numpy as np

Array = np.ndarray
HALVES = np.geomspace(
    0.5, 30, 60
)  # half-widths that are tried, in standard deviations; the best for normal numbers is 1.6 at 1 bit, 3.9 at 8
SAME = 1e-12  # range of a column whose numbers are all the same: it is given back as it is


def codes(x: Array, low: Array, step: Array, n_levels: int) -> Array:
    """(n, K) whole numbers from 0 to n_levels - 1: the cell, or the outermost one for what lies beyond."""
    return np.clip(np.floor((x - low) / step), 0, n_levels - 1)


def middles(cells: Array, low: Array, step: Array) -> Array:
    """(n, K) what `codes` stand for."""
    return low + (cells + np.float32(0.5)) * step


def clipped(x: Array, n_levels: int, symmetric: bool = False) -> tuple[Array, Array]:
    """low and step, (K,) each, of the ranges that lose least of x, squared: about the mean, or that of all of x; symmetric: about 0."""
    middle = np.zeros(x.shape[1]) if symmetric else x.mean(axis=0)
    spread = _spread(x - middle)
    ranges = [(middle - share * spread, 2 * share * spread / n_levels) for share in HALVES]
    return _least(x, n_levels, [*ranges, outermost(x.min(axis=0), x.max(axis=0), n_levels, symmetric)])


def outermost(low: Array, high: Array, n_levels: int, symmetric: bool = False) -> tuple[Array, Array]:
    """low and step of the range from the smallest number, low, to the largest; symmetric: about 0."""
    if symmetric:
        high = np.maximum(-low, high) * n_levels / (n_levels - 1)  # the outermost levels, not their cells' ends, are the extremes
        low = -high
    return low, np.where(high > low, high - low, SAME) / n_levels


def from_zero(x: Array, n_levels: int) -> tuple[Array, Array]:
    """As `clipped`, of numbers of which none is below 0 and most are 0: the lowest cell has its middle there."""
    steps = [share * _spread(x) / (n_levels - 1) for share in HALVES]
    return _least(x, n_levels, ((-step / 2, step) for step in steps))


def _spread(x: Array) -> Array:
    """(K,) root of the mean square of each column."""
    spread = np.sqrt((x**2).mean(axis=0))
    return np.where(spread > 0, spread, SAME)


def _least(x: Array, n_levels: int, ranges: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Of each column the low and the step that lose least of it."""
    least, best = np.full(x.shape[1], np.inf), np.zeros((2, x.shape[1]))
    for low, step in ranges:
        lost = ((middles(codes(x, low, step, n_levels), low, step) - x) ** 2).mean(axis=0)
        best = np.where(lost < least, [low, step], best)
        least = np.minimum(least, lost)
    return best[0], best[1]
