"""Neighbours: the words that lie closest to a word, for a person to judge, and what of it can be counted.

reads   vectors, codings   one row of float32 numbers per word, the most frequent words first
writes  scores    nearest_cosine, mean cosine of a word and its nearest neighbour; hubness, how unevenly
                  words are chosen as neighbours, by n_queries words; words_known, the share of the named words found
        beside it neighbours.csv: of, word, rank, neighbour, similarity
source  Radovanovic, Nanopoulos, Ivanovic 2010: hubness is the skewness of N_k, the number of words that
        have a word among their k nearest; 0 is even, above 1 a few words are everybody's neighbours
shapes  V = max_vocab words, Q = n_queries of them, and words asked for, k neighbours, D = vector_size
"""

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import UNKNOWN
from pipelines.artifacts.vectors import Vectors
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.kernels.nearest import nearest, unit
from pipelines.lookup import Found, lookup
from pipelines.method import Knobs, Run


class Params(Knobs):
    words: list[str] = Field([])  # whose neighbours are listed; none: n_words of the vocabulary
    n_words: int = Field(10, ge=1, le=1000)
    k: int = Field(10, ge=1, le=1000)
    max_vocab: int = Field(10_000, ge=3)  # V: neighbours are sought among so many; rare words would crowd the lists
    n_queries: int = Field(10_000, ge=1)  # words whose neighbours are counted, drawn by the seed where V is more
    n_bootstrap: int = Field(1000, ge=100)  # draws of words for an interval
    compose: bool = False  # list named words that are unknown, too, made of their letter n-grams: of fasttext, or a pretrained .bin


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    listed = []
    with run.open(Scores) as out:
        for matrix in [*vectors, *codings]:
            # the token for unknown words has a vector, and is no word
            candidates = [row for row, item in enumerate(matrix.items()[: params.max_vocab]) if item != UNKNOWN]
            items, numbers = matrix.items(), matrix.finite(matrix.memmap())
            words = params.words or _chosen([items[row] for row in candidates], params.n_words)
            found = lookup(matrix, words, params.compose)
            table = _list(matrix.name, words, found, items, numbers, candidates, params.k)
            figures = [*_figures(unit(numbers[candidates]), params, run), _known(words, found)]
            out.append(**columns({"of": matrix.name, "on": "vocab", **figure} for figure in figures))
            run.say(f"{matrix.name}: " + "; ".join(f"{row['word']}: {row['neighbour']}" for row in table if row["rank"] == 1))
            listed += table
        out.csv("neighbours", listed)
    return out.artifact


def _chosen(items: Sequence[str], n_words: int) -> list[str]:
    """Words spread evenly over the logarithm of their rank, from the 100th on: before it stand `the`, `of`, `and`."""
    ranks = np.geomspace(min(100, (len(items) + 1) // 2), len(items), n_words).astype(int) - 1
    return [items[rank] for rank in np.unique(ranks)]


def _list(
    name: str, words: Sequence[str], asked: Found, items: list[str], numbers: np.ndarray, candidates: list[int], k: int
) -> list[dict]:
    """A row per word that has a vector and neighbour."""
    known = np.flatnonzero(asked.there)
    place = {row: i for i, row in enumerate(candidates)}
    own = np.array([place.get(row, -1) for row in asked.row[known].tolist()], np.int64)
    found, cosine = nearest(unit(asked.vector[known]), unit(numbers[candidates]), min(k, len(candidates) - 1), own)
    return [
        {
            "of": name,
            "word": words[i],
            "rank": rank + 1,
            "neighbour": items[candidates[found[q, rank]]],
            "similarity": f"{cosine[q, rank]:.4f}",
        }
        for q, i in enumerate(known.tolist())
        for rank in range(found.shape[1])
    ]


def _figures(directions: np.ndarray, params: Params, run: Run) -> Iterator[dict]:
    """Of n_queries candidates, neighbours sought among all."""
    n = len(directions)
    k = min(params.k, n - 1)
    asked = np.sort(np.random.default_rng(run.seed).choice(n, min(params.n_queries, n), replace=False))
    found, cosine = nearest(directions[asked], directions, k, asked)
    closest = cosine[:, 0].astype(np.float64)
    low, high = interval(closest.mean(), mean_draws(closest, params.n_bootstrap, np.random.default_rng(run.seed)))
    note = f"among the first {n:,} words" + (f", of {len(asked):,} drawn ones" if len(asked) < n else "")
    yield {"metric": "nearest_cosine", "value": closest.mean(), "low": low, "high": high, "n": len(asked), "note": note}
    chosen = np.bincount(found.ravel(), minlength=n)
    yield {"metric": "hubness", "value": skewness(chosen), "n": len(asked), "note": f"k = {k}, {note}"}


def skewness(values: np.ndarray) -> float:
    """Third central moment over the cubed standard deviation; 0 when all values are the same."""
    away = values - values.mean()
    spread = away.std()
    return float((away**3).mean() / spread**3) if spread > 0 else 0.0


def _known(words: Sequence[str], asked: Found) -> dict:
    unknown = [word for word, row in zip(words, asked.row.tolist(), strict=True) if row < 0]
    made = [word for word, composed in zip(words, asked.composed.tolist(), strict=True) if composed]
    note = f"not in the vocabulary: {', '.join(unknown)}" if unknown else ""
    note += f"; made of their letter n-grams: {', '.join(made)}" if made else ""
    return {"metric": "words_known", "value": 1 - len(unknown) / len(words), "n": len(words), "note": note}
