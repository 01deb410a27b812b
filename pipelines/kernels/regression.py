"""How near predicted numbers are to the actual ones, each figure with its interval over documents drawn anew.

source  Efron, Tibshirani 1993, ch. 13 (percentile intervals); Spearman 1904 (ranks)
shapes  n documents
"""

import numpy as np

from pipelines.kernels.classification import Figure
from pipelines.kernels.intervals import draws, interval, mean_draws
from pipelines.kernels.ranks import spearman

Array = np.ndarray
SAME = 1e-12  # of all numbers' variance: draws that have less are of one number


def score(actual: Array, predicted: Array, n_bootstrap: int, seed: int) -> dict[str, Figure]:
    """rmse, mean_absolute_error, r_squared (1 less the squared error over that of always saying the mean), pearson and spearman.

    The last three are 0 where the actual numbers are all the same, and pearson and spearman where the predicted ones are: nothing is
    told then. Draws of which that holds are left out.

    Args:
        actual, predicted: (n,) finite, n > 0.
        seed: the same for two rows, so that both are asked of the same documents.
    """
    found = _errors(actual, predicted, n_bootstrap, seed)
    # about their means, as a variance far from 0 would be lost in rounding; from the first one on, as numbers that are all the same are 0 then
    y, p = (it - it[0] - (it - it[0]).mean() for it in (actual.astype(np.float64), predicted.astype(np.float64)))
    each = np.column_stack([(actual - predicted) ** 2, y, p, y * y, p * p, y * p])
    least = SAME * np.array([(y * y).mean(), (p * p).mean()])

    def of(means: Array) -> dict[str, Array]:
        """(..., 6) -> (...,), NaN where a figure is none."""
        error, y, p, yy, pp, yp = np.moveaxis(means, -1, 0)
        spread_y, spread_p = (np.where(it > most, it, np.nan) for it, most in zip((yy - y * y, pp - p * p), least, strict=True))
        return {"r_squared": 1 - error / spread_y, "pearson": np.clip((yp - y * p) / np.sqrt(spread_y * spread_p), -1, 1)}

    values, drawn = of(each.mean(axis=0)), of(mean_draws(each, n_bootstrap, np.random.default_rng(seed)))
    values["spearman"] = spearman(actual, predicted)[0]
    drawn["spearman"] = np.concatenate(
        [spearman(actual, predicted, times) for times in draws(len(actual), n_bootstrap, np.random.default_rng(seed))]
    )
    return found | {name: _figure(float(np.nan_to_num(value)), drawn[name]) for name, value in values.items()}


def score_mean(actual: Array, n_bootstrap: int, seed: int) -> dict[str, Figure]:
    """The errors of always saying the mean of the actual numbers: rmse_mean and mean_absolute_error_mean. Its r_squared is 0."""
    found = _errors(actual, np.full(len(actual), actual.mean()), n_bootstrap, seed)
    return {f"{name}_mean": figure for name, figure in found.items()}


def _errors(actual: Array, predicted: Array, n_bootstrap: int, seed: int) -> dict[str, Figure]:
    away = actual.astype(np.float64) - predicted
    each = np.column_stack([away**2, np.abs(away)])
    means, samples = each.mean(axis=0), mean_draws(each, n_bootstrap, np.random.default_rng(seed))
    return {
        "rmse": _figure(float(np.sqrt(means[0])), np.sqrt(samples[:, 0])),
        "mean_absolute_error": _figure(float(means[1]), samples[:, 1]),
    }


def _figure(value: float, samples: Array) -> Figure:
    return value, *interval(value, samples)
