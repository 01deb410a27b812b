"""Isotropy: whether vectors use all directions alike, or crowd into a cone.

reads   vectors, codings   one row of float32 numbers per word, the most frequent words first
writes  scores    isotropy, the least over the greatest partition function Z(c) = sum over words w of exp(c . w), over the
                  eigenvectors c of the vectors' products and their opposites, near 1 where no direction is favoured;
                  mean_cosine of random pairs, 0 where they point anywhere; top_variance, the share of the variance about the
                  mean that the first n_components principal components hold
        beside it components.csv: of, component, share, cumulative
source  Mu, Viswanath 2018, eq. 4 and 2.2 (isotropy; top components); Arora et al. 2016 (Z); Ethayarajh 2019 (cosine of random pairs)
shapes  V = max_vocab words, D = vector_size. In memory: V x D

Z is of the vectors as they are, with their lengths: long vectors make it uneven. A part of the figure is chance: of few words,
Z differs by direction even where the vectors were drawn evenly.
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.kernels.nearest import unit
from pipelines.lookup import frequent
from pipelines.method import Knobs, Run

PLOTS = {"components": {"x": "component", "y": ["cumulative"]}}
ROWS = 4096  # words at a time


class Params(Knobs):
    max_vocab: int = Field(100_000, ge=3)  # V: the first so many
    n_pairs: int = Field(10_000, ge=100)  # drawn by the seed
    n_components: int = Field(3, ge=1)  # the paper takes away D / 100 of them
    n_bootstrap: int = Field(1000, ge=100)  # draws of pairs for an interval


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    table = []
    with run.open(Scores) as out, threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        for matrix in [*vectors, *codings]:
            figures, share = _figures(matrix, params, run.seed)
            out.append(**columns({"of": matrix.name, "on": "vocab", **figure} for figure in figures))
            table += _components(matrix.name, share)
            run.say(f"{matrix.name}: " + ", ".join(f"{figure['metric']} {figure['value']:.3f}" for figure in figures))
        out.csv("components", table)
    return out.artifact


def _figures(matrix: Matrix, params: Params, seed: int) -> tuple[list[dict], np.ndarray]:
    words, x = frequent(matrix, params.max_vocab)
    cosine = random_cosines(x, params.n_pairs, np.random.default_rng(seed))
    low, high = interval(cosine.mean(), mean_draws(cosine, params.n_bootstrap, np.random.default_rng(seed)))
    share, n = shares(x), len(words)
    top = min(params.n_components, len(share))
    among = f"the first {n:,} words"
    return [
        {"metric": "isotropy", "value": isotropy(x), "n": n, "note": f"{among}, vectors with their lengths"},
        {"metric": "mean_cosine", "value": cosine.mean(), "low": low, "high": high, "n": len(cosine), "note": f"random pairs of {among}"},
        {"metric": "top_variance", "value": share[:top].sum(), "n": n, "note": f"{top} of {len(share)} components, {among}"},
    ], share


def isotropy(x: np.ndarray) -> float:
    """Of (V, D) vectors: min over max of Z, over the D eigenvectors and their opposites, since the sign of one means nothing."""
    products = sum(piece.T @ piece for piece in _pieces(x))
    directions = np.linalg.eigh(products)[1]
    log_z = np.full(2 * x.shape[1], -np.inf)
    for piece in _pieces(x):  # exp of a product may be more than a number holds
        along = piece @ directions
        log_z = np.logaddexp(log_z, np.logaddexp.reduce(np.concatenate([along, -along], axis=1), axis=0))
    return float(np.exp(log_z.min() - log_z.max()))


def _pieces(x: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(x), ROWS):
        yield x[start : start + ROWS].astype(np.float64)


def random_cosines(x: np.ndarray, n_pairs: int, rng: np.random.Generator) -> np.ndarray:
    """(n_pairs,) of two rows each, never of one with itself."""
    first = rng.integers(len(x), size=n_pairs)
    second = (first + rng.integers(1, len(x), size=n_pairs)) % len(x)
    return np.einsum("pd,pd->p", unit(x[first]), unit(x[second]), dtype=np.float64)


def shares(x: np.ndarray) -> np.ndarray:
    """(D,) the share of the variance about the mean of each principal component, the greatest first; zeros where there is none."""
    mean = x.mean(axis=0, dtype=np.float64)
    values = np.linalg.eigvalsh(sum((piece - mean).T @ (piece - mean) for piece in _pieces(x)))[::-1].clip(0)
    return values / values.sum() if values.sum() > 0 else values


def _components(of: str, share: np.ndarray) -> list[dict]:
    return [
        {"of": of, "component": i, "share": f"{one:.6f}", "cumulative": f"{so_far:.6f}"}
        for i, (one, so_far) in enumerate(zip(share, share.cumsum(), strict=True), 1)
    ]
