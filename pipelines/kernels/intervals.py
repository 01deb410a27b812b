"""How far a figure can be trusted: 95 % intervals, by bootstrap (Efron 1979) or in closed form (Student 1908, Wilson 1927).

low, high = interval(value, [mean(draw) for draw in draws(n, 1000, rng)])
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import t as student

Array = np.ndarray

LEVEL = 0.95
Z = 1.959964  # the normal distribution leaves 2.5 % above it
CELLS = 4_000_000  # numbers held at once: 32 MB
ROUNDING = 1e-12  # of a figure; draws that differ by less do not differ
Ends = tuple[float, float] | tuple[None, None]  # of an interval, where there is one


def draws(n: int, n_bootstrap: int, rng: np.random.Generator) -> Iterator[Array]:
    """How often each of `n` cases comes up when `n` are drawn with replacement.

    Yields:
        (b, n) float64 whole numbers, every row summing to n; the b add up to n_bootstrap.
    """
    for b in blocks(n, n_bootstrap):
        drawn = rng.integers(0, n, (b, n)) + np.arange(0, b * n, n)[:, None]
        yield np.bincount(drawn.ravel(), minlength=b * n).reshape(b, n).astype(np.float64)


def blocks(size: int, n: int) -> Iterator[int]:
    """Parts of `n` rows of `size` numbers that fit in memory."""
    most = max(1, CELLS // max(size, 1))
    for start in range(0, n, most):
        yield min(most, n - start)


def mean_draws(values: Array, n_bootstrap: int, rng: np.random.Generator) -> Array:
    """Means of bootstrap draws.

    Args:
        values: (n,) or (n, m), one or more numbers per case; the cases are drawn whole.

    Returns:
        (n_bootstrap,) or (n_bootstrap, m).
    """
    return np.concatenate([weights @ values / len(values) for weights in draws(len(values), n_bootstrap, rng)])


def interval(value: float, samples: Array, share_of: int | None = None) -> Ends:
    """The middle 95 % of the draws' figures, widened to hold the figure itself.

    A statistic that draws can only push one way (a mean over rare classes) may lie beyond all its draws;
    an interval without its own figure would be read as a fault. Draws that gave no number are left out.

    Where all draws give the figure itself, one document or a thousand that are all right, they tell nothing of how far it can be
    trusted, and an interval of no width would claim certainty: then it is Wilson's where the figure is a share of 0 or 1, else none.

    Args:
        share_of: n, of a figure that is the mean of n numbers from 0 to 1, or 0 or 1 only where such a mean is.
    """
    low, high = middle(value, samples)
    if high - low > ROUNDING * max(abs(low), abs(high)):
        return low, high
    share = round(value)
    return wilson(share * share_of, share_of) if share_of and share in (0, 1) and abs(value - share) < ROUNDING else (None, None)


def middle(value: float, samples: Array) -> tuple[float, float]:
    """The middle 95 % of numbers, widened to hold the value; the value itself where none of them is finite."""
    samples = samples[np.isfinite(samples)]
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(samples) else (value, value)
    return min(float(low), float(value)), max(float(high), float(value))


def of_columns(values: Array, n_bootstrap: int, rng: np.random.Generator) -> list[tuple[float, float | None, float | None]]:
    """Of each column of (n, m) numbers from 0 to 1, a row a case, the mean and the ends of its interval; the cases are drawn whole."""
    samples = mean_draws(values, n_bootstrap, rng)
    return [(mean, *interval(mean, drawn, len(values))) for mean, drawn in zip(values.mean(axis=0).tolist(), samples.T, strict=True)]


def of_mean(values: Array, least: float = -np.inf, most: float = np.inf) -> Ends:
    """Of the mean of numbers from `least` to `most`, by Student's t: for repetitions, two at least, that are too few to be drawn again.

    None where they are all the same: so few cannot tell how far they would differ.
    """
    half = student.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    if half <= ROUNDING * abs(values.mean()):
        return None, None
    return max(float(values.mean() - half), least), min(float(values.mean() + half), most)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The interval of a share of `n` cases, n > 0; unlike the normal one it stays within 0 and 1."""
    share = successes / n
    middle = share + Z**2 / (2 * n)
    spread = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    # at 0 and n of n the end is the share itself, but for the last digit
    return max(min(float((middle - spread) / scale), share), 0.0), min(max(float((middle + spread) / scale), share), 1.0)
