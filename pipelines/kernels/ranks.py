"""Rank correlation, of cases that may each have been drawn several times: so one call serves a whole bootstrap."""

import numpy as np

Array = np.ndarray


def spearman(x: Array, y: Array, weights: Array | None = None) -> Array:
    """Spearman's rho: the correlation of the ranks, where equal values share their mean rank.

    Args:
        x, y: (n,) values.
        weights: (b, n) how often each case is there; once, when None.

    Returns:
        (b,) in [-1, 1]; NaN where all ranks of one side are the same.
    """
    weights = np.ones((1, len(x))) if weights is None else weights
    n = weights.sum(axis=1, keepdims=True)
    middle = (n + 1) / 2  # the mean of all ranks
    rank_x, rank_y = ranks(x, weights) - middle, ranks(y, weights) - middle
    covariance = (weights * rank_x * rank_y).sum(axis=1)
    spread = np.sqrt((weights * rank_x**2).sum(axis=1) * (weights * rank_y**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(np.where(spread > 0, covariance / spread, np.nan), -1, 1)


def ranks(values: Array, weights: Array) -> Array:
    """(b, n) ranks from 1: the mean place of each value among all that were drawn."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    drawn = np.add.reduceat(weights[:, order], starts, axis=1)  # (b, distinct values)
    rank = np.cumsum(drawn, axis=1) - (drawn - 1) / 2
    return rank[:, place]
