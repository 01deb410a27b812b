"""How much more often two things were seen together than chance would have it: PMI and its kin, block by block.

A first pass sums the rows and columns of a matrix of counts, a second turns each count into its measure:
the matrix is never held. `associate` is the fast kernel, `associate_plain` says the same by the definitions,
of a dense matrix. All inside is float64.

source  Church, Hanks 1990 (PMI); Levy, Goldberg, Dagan 2015: PPMI, its shift (3.2), smoothed contexts (3.1); Levy,
        Goldberg 2014: skip-gram with k noise words factorises PMI - log k
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Block = tuple[Array, Array, Array]  # row, col, count
MEASURES = ("ppmi", "pmi", "shifted_ppmi", "log", "ratio")


def check_shift(measure: str, shift: float) -> None:
    """Raises ValueError where a shift is given that the measure does not know."""
    if shift != 1 and measure != "shifted_ppmi":
        raise ValueError(f"shift is of shifted_ppmi alone, and measure is {measure}. Say measure: shifted_ppmi, or leave shift out")


class Sums(NamedTuple):
    row: Array  # (R,) float64
    col: Array  # (C,) float64
    wrong: int  # counts that are no finite number above 0; they are in no sum
    first: tuple[int, int, float] | None  # row, col, count of the first of these


def sums(blocks: Iterable[Block], n_rows: int, n_columns: int) -> Sums:
    """The sum of each row and column, by which chance is known."""
    along, across, wrong, first = np.zeros(n_rows), np.zeros(n_columns), 0, None
    for row, col, count in blocks:
        good = (count > 0) & (count < np.inf)
        if not good.all():
            at = int(np.argmin(good))
            first = first or (int(row[at]), int(col[at]), float(count[at]))
            wrong += int((~good).sum())
            row, col, count = row[good], col[good], count[good]
        along += np.bincount(row, weights=count, minlength=n_rows)
        across += np.bincount(col, weights=count, minlength=n_columns)
    return Sums(along, across, wrong, first)


class Chance(NamedTuple):
    """What chance alone would give: a pair is seen exp(row[i] + col[j]) times, if its two have nothing to do with each other."""

    row: Array  # (R,) float64
    col: Array  # (C,) float64


def chance(of: Sums, smoothing: float = 1.0) -> Chance:
    """By the sums of rows and columns.

    Args:
        smoothing: a column's share is its sum to the power of `smoothing`, beside all these; .75 makes rare contexts likelier, and
            so their PMI smaller. 1 leaves them as they were seen.
    """
    powers = np.where(of.col > 0, of.col, 1.0) ** smoothing  # a sum of 0 is of a row, or a column, that no pair asks for
    return Chance(np.log(np.where(of.row > 0, of.row, 1.0)), np.log(powers) - math.log(powers[of.col > 0].sum() or 1.0))


def associate(row: Array, col: Array, count: Array, by: Chance, measure: str, shift: float = 1.0) -> Array:
    """The measure of each pair.

    With p(i, j), p(i) and p(j) for the shares of a pair, a row and a column in the sum of all counts:
    `ratio` is p(i, j) / (p(i) p(j)); `pmi` its natural logarithm; `ppmi` that, where it is above 0, else 0;
    `shifted_ppmi` is max(pmi - log(shift), 0); `log` is log(1 + count), which knows no chance.

    Args:
        row, col, count: (P,) of a block; counts above 0.
        measure: one of MEASURES.
        shift: k, above 0; of `shifted_ppmi` alone.

    Returns:
        (P,) float32.
    """
    if measure == "log":
        return np.log1p(count, dtype=np.float64).astype(np.float32)
    pmi = np.log(count, dtype=np.float64) - by.row[row] - by.col[col]
    if measure == "ratio":
        return np.exp(pmi).astype(np.float32)
    if measure == "shifted_ppmi":
        pmi -= math.log(shift)
    return (pmi if measure == "pmi" else np.maximum(pmi, 0)).astype(np.float32)


def associated(blocks: Iterable[Block], by: Chance, measure: str, shift: float = 1.0) -> Iterator[Block]:
    """The pairs of each block whose measure is other than 0, with it."""
    for row, col, count in blocks:
        value = associate(row, col, count, by, measure, shift)
        kept = value != 0
        yield row[kept], col[kept], value[kept]


def associate_plain(counts: Array, measure: str, smoothing: float = 1.0, shift: float = 1.0) -> Array:
    """What `associate` gives of every pair, by the definitions, cell after cell.

    Args:
        counts: (R, C), 0 for a pair that was not seen, of which nothing is said: it stays 0.
    """
    total, contexts = counts.sum(), (counts.sum(axis=0, dtype=np.float64) ** smoothing).sum()
    found = np.zeros(counts.shape)
    for i, j in np.argwhere(counts > 0):
        if measure == "log":
            found[i, j] = math.log(1 + counts[i, j])
            continue
        p_i, p_j = counts[i].sum() / total, counts[:, j].sum() ** smoothing / contexts
        ratio = counts[i, j] / total / (p_i * p_j)
        found[i, j] = {
            "ratio": ratio, "pmi": math.log(ratio), "ppmi": max(math.log(ratio), 0), "shifted_ppmi": max(math.log(ratio) - math.log(shift), 0),
        }[measure]  # fmt: skip
    return found.astype(np.float32)
