"""The levels that stand for numbers with the least squared error, each number for the level next to it.

source  Lloyd 1982 (written in 1957); Max 1960
"""

import numpy as np

Array = np.ndarray


def levels(x: Array, n: int, n_iter: int = 50) -> tuple[Array, float]:
    """n levels, rising, and the mean squared error that is left.

    Each level is the mean of the numbers that are nearest to it, in turn.

    Args:
        x: (N,) float64, sorted.
    """
    sums = np.concatenate([[0.0], np.cumsum(x)])
    found = _begin(x, n)
    for _ in range(n_iter):
        ends = np.concatenate([[0], np.searchsorted(x, borders(found)), [len(x)]])
        count = np.diff(ends)
        found = np.where(count > 0, np.diff(sums[ends]) / np.maximum(count, 1), found)
    return found, float(((found[nearest(x, found)] - x) ** 2).mean())


def _begin(x: Array, n: int) -> Array:
    """(n,) rising, of the numbers themselves: as dense as the cube root of their density, which is best for many levels (Panter, Dite 1951).

    From quantiles, as dense as the numbers, rounds without end would be needed to reach the rare ones.
    """
    distinct, counts = np.unique(x, return_counts=True)
    if len(distinct) <= n:
        return np.pad(distinct, (0, n - len(distinct)), mode="edge")
    # from one number to the next lies 1 / N of them: density^(1/3) times the gap is gap^(2/3), but for a factor
    share = np.concatenate([[0.0], np.cumsum(np.cbrt(counts[1:]) * np.diff(distinct) ** (2 / 3))])
    places = np.interp((np.arange(n) + 0.5) / n * share[-1], share, np.arange(len(distinct)))
    found = np.unique(distinct[np.rint(places).astype(np.intp)])
    while len(found) < n:  # two levels at one number would stay together: the rest go, one by one, where most is lost
        lost = counts * (found[nearest(distinct, found)] - distinct) ** 2
        found = np.sort(np.append(found, distinct[lost.argmax()]))
    return found


def borders(levels: Array) -> Array:
    return (levels[1:] + levels[:-1]) / 2


def nearest(x: Array, levels: Array) -> Array:
    """Places of the levels next to each number; `levels` rise."""
    return np.searchsorted(borders(levels), x)
