"""Probing: what a linear model reads off the vectors of words: how frequent a word is, and tags of a list, such as parts of speech.

reads   vectors, codings   one row of float32 numbers per word
        words              a table with columns word and tag; each word once
writes  scores    r_squared of the logarithm of a word's count, by ridge regression; of tags, by logistic regression: accuracy;
                  accuracy_control, of the same model on tags that were dealt out to the words at random, by how frequent each tag is;
                  selectivity, the first less the second; accuracy_majority, of always telling the most frequent tag; coverage, the
                  share of the list's words that have a vector. All of words that were held out; accuracy_control also of
                  words that were learned from: what this probe can learn by heart
        beside it probing.csv: of, set, tag, n, accuracy, control
source  Hewitt, Liang 2019, Designing and interpreting probes with control tasks; Alain, Bengio 2016
shapes  N words, D = vector_size; n_folds parts, each told by a model of the others

A word stands in a list once, and random tags of other words say nothing of it: held out, the control is no better than chance. Where the
probe learns random tags by heart, its accuracy says the less of what lies open in the vectors: raise l2.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines import told_rows
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import UNKNOWN
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.bags import class_scores, fit_logistic
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.kernels.ridge import held_out
from pipelines.lookup import lookup
from pipelines.method import Knobs, Run
from pipelines.named_sets import once, title_of
from pipelines.sources import paths

TOL, MAX_ITER = 1e-4, 1000  # of L-BFGS


class Params(Knobs):
    # tables of words and tags, each a path or data:NAME; none: frequency alone
    words: Annotated[list[str], once("a table", title_of)] = Field([])
    max_vocab: int = Field(50_000, ge=3)  # frequency is asked of the first so many
    n_folds: int = Field(5, ge=2, le=100)
    l2: float = Field(1.0, gt=0)  # of both models, on rows whose mean squared distance from their mean is made 1
    n_bootstrap: int = Field(1000, ge=100)  # draws of words for an interval


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return paths(params.words)


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    tables = _read_all(params.words)
    lines = []
    with run.open(Scores) as out:
        for matrix in [*vectors, *codings]:
            figures = list(_frequency(matrix, params, run)) if isinstance(matrix, Vectors) else []
            for name, (words, tags) in tables.items():
                found, by_tag = _tags(matrix, name, words, tags, params, run)
                figures += found
                lines += by_tag
            if not figures:
                raise Fault(
                    f"{matrix.name} has no counts of three words or more, and no table of words is named, so there is nothing to ask. "
                    "Name one under `words`: lines of word, tag"
                )
            out.append(**columns({"of": matrix.name, **figure} for figure in figures))
            run.say(f"{matrix.name}: " + ", ".join(f"{f['metric']} {f['value']:.4f} on {f['on']}" for f in figures))
        out.csv("probing", lines or [dict.fromkeys(("of", "set", "tag", "n", "accuracy", "control"), "")])
    return out.artifact


def _read_all(names: Sequence[str]) -> dict[str, tuple[list[str], np.ndarray]]:
    """title -> words, their tags. Raises Fault with the faults of all tables."""
    tables, faults = {}, []
    for name in names:
        try:
            tables[Path(name).stem] = _read(name)
        except Fault as fault:
            faults += fault.faults
    if faults:
        raise Fault(faults)
    return tables


def _read(source: str) -> tuple[list[str], np.ndarray]:
    tag_of: dict[str, str] = {}
    faults = []
    for where, (word, tag) in told_rows.read(source, ["word", "tag"]):
        if tag_of.setdefault(word, tag) != tag:
            faults.append(f"{where}: {word!r} is {tag}, and was {tag_of[word]} before. Leave one out")
    told_rows.refuse(faults, source)
    if len(set(tag_of.values())) < 2:
        raise Fault(f"{source}: all {len(tag_of):,} words have the tag {next(iter(tag_of.values()))!r}. A probe needs two tags or more")
    return list(tag_of), np.array(list(tag_of.values()))


def _frequency(matrix: Vectors, params: Params, run: Run) -> Iterator[dict]:
    """Nothing of vectors without counts, as those of others often are."""
    table = matrix.read(columns=["item", "count"]).slice(0, params.max_vocab)
    count = table["count"].to_numpy()
    rows = np.flatnonzero((count > 0) & (table["item"].to_numpy() != UNKNOWN))
    y = np.log(count[rows])
    if len(rows) < max(3, params.n_folds) or y.std() == 0:
        run.say(f"{matrix.name}: {len(rows):,} words have a count, or all the same one; frequency is left out")
        return
    x = _scaled(matrix.finite(matrix.memmap()[rows], table["item"].take(rows).to_pylist()))
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        told = held_out(x, y, _folds(len(y), params, run), params.l2)
    away = y - y.mean()  # the figure is the same, and its squares keep their digits
    each = np.column_stack([(y - told) ** 2, away, away**2])

    def r_squared(means: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):  # a draw of one word alone has no variance, and is left out
            return 1 - means[..., 0] / (means[..., 2] - means[..., 1] ** 2)

    value = float(r_squared(each.mean(axis=0)))
    low, high = interval(value, r_squared(mean_draws(each, params.n_bootstrap, np.random.default_rng(run.seed))))
    note = f"of the first {len(rows):,} words, by ridge regression, {params.n_folds} folds"
    yield {"metric": "r_squared", "on": "log count", "value": value, "low": low, "high": high, "n": len(rows), "note": note}


def _scaled(x: np.ndarray) -> np.ndarray:
    """One factor for all numbers, so that one l2 serves vectors of any length."""
    x = x - x.mean(axis=0, dtype=np.float64)
    return x / max(np.sqrt((x**2).sum(axis=1).mean()), 1e-30)


def _folds(n: int, params: Params, run: Run) -> np.ndarray:
    return np.random.default_rng(run.seed).permutation(n) % params.n_folds


def _tags(matrix: Matrix, title: str, words: list[str], tags: np.ndarray, params: Params, run: Run) -> tuple[list[dict], list[dict]]:
    """Figures, and a line for each tag; the coverage alone where too little is known to be asked."""
    row = lookup(matrix, words, compose=False).row
    first = np.sort(np.unique(row, return_index=True)[1])  # words that differ by their capitals may have one vector: one of them is asked
    asked = first[row[first] >= 0]
    classes, y = np.unique(tags[asked], return_inverse=True)
    known = int((row >= 0).sum())
    coverage = {"metric": "coverage", "on": title, "value": known / len(words), "n": len(words)}
    if len(classes) < 2 or len(asked) < 2 * params.n_folds:
        return [{**coverage, "note": f"no accuracy: {len(asked):,} words of {len(classes)} tags are too few to be asked"}], []
    x = _scaled(matrix.finite(matrix.memmap()[row[asked]], [words[i] for i in asked]))
    fold = _folds(len(y), params, run)
    control = y[np.random.default_rng([run.seed, 1]).integers(len(y), size=len(y))]
    (right, _), (by_chance, by_heart) = (_right(x, labels, fold, params.l2) for labels in (y, control))
    each = np.column_stack([right, by_chance, right - by_chance, by_heart])
    means, samples = each.mean(axis=0), mean_draws(each, params.n_bootstrap, np.random.default_rng(run.seed))
    note = f"{len(asked):,} words of {len(classes)} tags, by logistic regression, {params.n_folds} folds"
    what = [("accuracy", title), ("accuracy_control", title), ("selectivity", title), ("accuracy_control", f"{title}, words learned from")]
    figures = []
    for (metric, on), value, drawn in zip(what, means.tolist(), samples.T, strict=True):
        low, high = interval(value, drawn, None if metric == "selectivity" else len(y))
        figures.append({"metric": metric, "on": on, "value": value, "low": low, "high": high, "n": len(y), "note": note})
    most = np.bincount(y)
    majority = {"metric": "accuracy_majority", "on": title, "value": most.max() / len(y), "n": len(y)}
    return [*figures, {**majority, "note": f"of always telling {classes[most.argmax()]}"}, coverage], [
        {
            "of": matrix.name, "set": title, "tag": tag, "n": int(most[k]),
            "accuracy": f"{right[y == k].mean():.4f}", "control": f"{by_chance[y == k].mean():.4f}",
        }
        for k, tag in enumerate(classes)
    ]  # fmt: skip


def _right(x: np.ndarray, y: np.ndarray, fold: np.ndarray, l2: float) -> tuple[np.ndarray, np.ndarray]:
    """((N,) 1 where the tag of a word is told rightly when it is held out; (N,) the share of the other folds' models that tell it rightly)."""
    right, by_heart = np.zeros(len(y)), np.zeros(len(y))
    parts = np.unique(fold)
    for k in parts:
        learned = fold != k
        classes = np.unique(y[learned])
        if len(classes) > 1:
            with threadpool_limits(1, "blas"):
                weights, _ = fit_logistic(x[learned], y[learned], l2, TOL, MAX_ITER)
                told = classes[class_scores(x, weights).argmax(axis=1)]
        else:
            told = np.full(len(y), classes[0])
        right[~learned] = told[~learned] == y[~learned]
        by_heart[learned] += told[learned] == y[learned]
    return right, by_heart / (len(parts) - 1)
