"""How far two distributions are apart; arrays in, numbers out.

source  PSI: the population stability index of credit scoring, the symmetric Kullback-Leibler divergence of binned
        numbers; below 0.1 stable, from 0.25 on a major shift. Jensen-Shannon distance: Endres, Schindelin 2003
"""

import numpy as np

BINS = 10
FEWEST = 200  # rows on either side; of fewer, PSI is mostly chance: 0.09 between two draws of 200
FEWEST_WORDS = 20_000  # sightings on either side


def edges(values: np.ndarray) -> np.ndarray:
    """The inner borders of about BINS bins that hold as many of `values` each; fewer where values repeat."""
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="lower")) if len(values) else np.empty(0)


def binned(values: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """(len(borders) + 1,) int64: how many values lie in each bin; a value on a border lies below it."""
    return np.bincount(np.searchsorted(borders, values), minlength=len(borders) + 1)


def psi(expected: np.ndarray, seen: np.ndarray) -> float:
    """Population stability index of two histograms with the same bins; half a sighting is added to each bin."""
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (expected.astype(float), seen.astype(float)))
    return float(((p - q) * np.log(p / q)).sum())


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Jensen-Shannon distance, base 2, of two arrays of counts of the same names: 0 for the same shares, 1 for none in common."""
    p, q = one / one.sum(), other / other.sum()
    mean = (p + q) / 2

    def bits(shares: np.ndarray) -> float:
        there = shares > 0
        return float((shares[there] * np.log2(shares[there] / mean[there])).sum())

    return float(np.sqrt(max(0.0, (bits(p) + bits(q)) / 2)))


def distance_of(one: dict[str, int], other: dict[str, int]) -> tuple[float, str]:
    """As `distance`, of counts by name; and the name whose share differs most."""
    names = sorted({*one, *other})
    a, b = (np.array([counts.get(name, 0) for name in names], float) for counts in (one, other))
    most = int(np.abs(a / a.sum() - b / b.sum()).argmax())
    return distance(a, b), names[most]
