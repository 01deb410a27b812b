"""Ridge regression, each case foretold by a model that did not learn from it.

source  Hoerl, Kennard 1970; the sums of products of a part are taken from those of all, so that all parts cost little more than one model
shapes  N cases, D numbers of each
"""

import numpy as np

Array = np.ndarray


def held_out(x: Array, y: Array, fold: Array, l2: float) -> Array:
    """(N,) float64: y of each case by the cases of the other folds.

    Args:
        x: (N, D). y: (N,).
        fold: (N,) int, two different ones at least.
        l2: of the sum of squared errors, over the intercept not; > 0.
    """
    parts = [np.flatnonzero(fold == k) for k in np.unique(fold)]
    products = []
    for rows in parts:
        with_one = np.column_stack([x[rows], np.ones(len(rows))]).astype(np.float64)
        products.append((with_one.T @ with_one, with_one.T @ y[rows]))
    squares, sums = (sum(found) for found in zip(*products, strict=True))
    penalty = np.diag([l2] * x.shape[1] + [0.0])
    told = np.empty(len(y))
    for rows, (square, total) in zip(parts, products, strict=True):
        w = np.linalg.solve(squares - square + penalty, sums - total)
        told[rows] = x[rows] @ w[:-1] + w[-1]
    return told
