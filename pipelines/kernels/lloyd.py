"""The levels that stand for numbers with the least squared error, each number for the level next to it.

source  Lloyd 1982 (written in 1957); Max 1960
"""

import numpy as np

Array = np.ndarray


def levels(x: Array, n: int, n_iter: int = 50) -> tuple[Array, float]:
    """n levels, rising, and the mean squared error that is left.

    Levels begin at quantiles; then each is the mean of the numbers that are nearest to it, in turn.

    Args:
        x: (N,) float64, sorted.
    """
    sums = np.concatenate([[0.0], np.cumsum(x)])
    found = np.quantile(x, (np.arange(n) + 0.5) / n)
    for _ in range(n_iter):
        ends = np.concatenate([[0], np.searchsorted(x, borders(found)), [len(x)]])
        count = np.diff(ends)
        found = np.where(count > 0, np.diff(sums[ends]) / np.maximum(count, 1), found)
    return found, float(((found[nearest(x, found)] - x) ** 2).mean())


def borders(levels: Array) -> Array:
    return (levels[1:] + levels[:-1]) / 2


def nearest(x: Array, levels: Array) -> Array:
    """Places of the levels next to each number; `levels` rise."""
    return np.searchsorted(borders(levels), x)
