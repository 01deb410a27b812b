"""Stability: how many of a word's nearest neighbours another training would have given it, too.

Rows that differ in their seed alone say what of a list of neighbours is chance; rows of two methods, how far the two agree.

reads   vectors   two or more rows
writes  scores    overlap, the share of the k nearest neighbours of a word that two rows have in common; jaccard, that number
                  over all neighbours that either has. Of each row with all others, and of all pairs of rows; means over
                  n_queries words, neighbours sought among the first max_vocab words that all rows know
        beside it pairs.csv: first, second, overlap, jaccard; words.csv: word, overlap, the most stable first
source  Wendlandt, Kummerfeld, Mihalcea 2018 (overlap of the nearest); Antoniak, Mimno 2018 (Jaccard; rows of other seeds)
shapes  V = max_vocab words, Q = n_queries of them, k neighbours, P pairs of rows
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from pydantic import Field

from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.kernels.nearest import nearest, shared, unit
from pipelines.lookup import frequent
from pipelines.method import Knobs, Run

PLOTS = {"pairs": {"template": "bar_horizontal", "x": "overlap", "y": "second", "title": "nearest neighbours in common"}}


class Params(Knobs):
    k: int = Field(10, ge=1, le=1000)  # two less than there are words, at most
    max_vocab: int = Field(10_000, ge=3)  # V: rare words differ most, and would hide the others
    n_queries: int = Field(1000, ge=1)  # Q, drawn by the seed
    n_bootstrap: int = Field(1000, ge=100)  # draws of words for an interval


def evaluate(vectors: list[Vectors], params: Params, run: Run) -> Scores:
    if len(vectors) < 2:
        raise Fault(f"{run.name}: names one row, {vectors[0].name}; it takes two. Name rows that differ in `seed`")
    words, matrices = _common(vectors, params.max_vocab)
    k = min(params.k, len(words) - 2)  # of all other words all rows would agree
    asked = np.sort(np.random.default_rng(run.seed).choice(len(words), min(params.n_queries, len(words)), replace=False))
    found = [nearest(x[asked], x, k, asked)[0] for x in matrices]
    pairs = {(i, j): shared(found[i], found[j]) for i, j in combinations(range(len(vectors)), 2)}  # (Q,) each
    names = [matrix.name for matrix in vectors]
    each = [float(overlap.mean()) for overlap in pairs.values()]
    note = f"the {k} nearest among the {len(words):,} words that all know"
    note += f", too few for the {params.k} of the row" if k < params.k else ""
    with run.open(Scores) as out:
        for i, name in enumerate(names):
            mine = [overlap for pair, overlap in pairs.items() if i in pair]
            out.append(**columns({"of": name, "on": "the other rows", **it} for it in _figures(mine, note, params, run.seed)))
        note += f"; overlap of a pair of rows {min(each):.3f} to {max(each):.3f}, {len(pairs)} pairs"
        figures = list(_figures(list(pairs.values()), note, params, run.seed))
        out.append(**columns({"of": "all rows", "on": "each other", **it} for it in figures))
        out.csv("pairs", [
            {"first": names[i], "second": names[j], "overlap": f"{overlap.mean():.4f}", "jaccard": f"{jaccard(overlap).mean():.4f}"}
            for (i, j), overlap in pairs.items()
        ])  # fmt: skip
        of_word = np.mean(list(pairs.values()), axis=0)
        out.csv("words", [{"word": words[asked[q]], "overlap": f"{of_word[q]:.4f}"} for q in np.argsort(-of_word, kind="stable")])
    run.say(", ".join(f"{figure['metric']} {figure['value']:.3f}" for figure in figures) + f", {note}")
    return out.artifact


def _common(vectors: list[Vectors], max_vocab: int) -> tuple[list[str], list[np.ndarray]]:
    """The words that all have among their first, in the order of the first row; and of each row (V, D) float32 of length 1."""
    all_of = [frequent(matrix, max_vocab) for matrix in vectors]
    rows = [{word: row for row, word in enumerate(words)} for words, _ in all_of]
    common = [word for word in all_of[0][0] if all(word in row for row in rows)]
    if len(common) < 3:
        which = ", ".join(matrix.name for matrix in vectors)
        raise Fault(f"{which} have {len(common)} of their first {max_vocab:,} words in common; it takes three. Name rows of one text")
    return common, [unit(x[[row[word] for word in common]]) for row, (_, x) in zip(rows, all_of, strict=True)]


def jaccard(overlap: np.ndarray) -> np.ndarray:
    """Of two sets of k each that have the share `overlap` of k in common: what both have over what either has."""
    return overlap / (2 - overlap)


def _figures(overlaps: list[np.ndarray], note: str, params: Params, seed: int) -> Iterator[dict]:
    for metric, values in (("overlap", overlaps), ("jaccard", [jaccard(overlap) for overlap in overlaps])):
        of_word = np.mean(values, axis=0)  # (Q,)
        low, high = interval(of_word.mean(), mean_draws(of_word, params.n_bootstrap, np.random.default_rng(seed)), len(of_word))
        yield {"metric": metric, "value": float(of_word.mean()), "low": low, "high": high, "n": len(of_word), "note": note}
