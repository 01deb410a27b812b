"""Node classification: how well vectors tell what classes a node is of, when a share of the nodes is labelled.

DeepWalk's protocol: the labelled nodes are drawn into two parts, one logistic regression for each class against the rest learns
from the first, and of each node in the second the likeliest classes are told, as many as it has: that number is given.

reads   vectors   of nodes, or of any items
        labels    a table with columns node and label: a row for each class of a node, or its classes with `|` between;
                  without one the vectors' own labels
writes  scores    micro_f1, macro_f1: the means over draws at each share of labelled nodes. Macro F1 is over all classes of the
                  table, one that is neither there nor told counting as 0: so published figures have it
        beside it node_classification.csv: of, share, draw, labelled, micro_f1, macro_f1
source  Tang, Liu 2009; Perozzi, Al-Rfou, Skiena 2014 (DeepWalk), section 5; Student 1908 for intervals of few draws
shapes  N labelled nodes that all vectors have, C classes, D = vector_size. In memory: 8 N (D + C) bytes a thread

Nodes are drawn from all that the table labels, and splits of a corpus play no part: leave nodes that are kept for later out of the table.
"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines import told_rows
from pipelines.artifacts.predictions import names_of
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.bags import fit_several
from pipelines.kernels.classification import likeliest, precision_recall_f1, ratio
from pipelines.kernels.intervals import of_mean
from pipelines.method import Knobs, Run
from pipelines.named_sets import once
from pipelines.sources import paths

PLOTS = {"node_classification": {"template": "scatter", "x": "share", "y": "micro_f1", "title": "micro F1 by share of labelled nodes"}}


class Params(Knobs):
    labels: str | None = None  # a path or data:NAME; CSV, TSV, Parquet, or columns of text. None: the labels that come with the vectors
    # of the labelled nodes, to learn from; the others are scored
    shares: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], once("a share")] = Field(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], min_length=1
    )
    n_draws: int = Field(10, ge=2, le=1000)  # of each share; the paper's value
    l2: float = Field(1.0, gt=0)  # on vectors as they are; the paper's classifier has 1
    tol: float = Field(1e-4, gt=0)
    max_iter: int = Field(1000, ge=1)


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return paths(params.labels) if params.labels else []


def evaluate(vectors: list[Vectors], params: Params, run: Run) -> Scores:
    told = _read(params.labels) if params.labels else _own(vectors)
    nodes, truth = _known_to_all(told, vectors, params)
    left_out = f"; {len(told) - len(nodes):,} labelled ones have no vector" if len(told) > len(nodes) else ""
    lines = []
    with run.open(Scores) as out:
        for artifact in vectors:
            place = {item: row for row, item in enumerate(artifact.items())}
            x = artifact.finite(artifact.matrix()[[place[node] for node in nodes]], nodes)
            found, settled = [], True
            with run.progress(params.n_draws * len(params.shares), "draws", artifact.row) as bar:
                for part, quiet in run.map(_draw, range(1, params.n_draws + 1), x, truth, params, run.seed):
                    found += [{"of": artifact.name, **line} for line in part]
                    settled &= quiet
                    bar.advance(len(part))
            if not settled:
                run.say(f"{artifact.name}: the solver did not settle within max_iter {params.max_iter}. Raise it, or l2")
            figures = list(_figures(found, len(nodes), truth.shape[1], left_out))
            out.append(**columns({"of": artifact.name, **figure} for figure in figures))
            run.say(f"{artifact.name}: " + "; ".join(f"{f['metric']} {f['value']:.4f} with {f['on']}" for f in figures[-2:]))
            lines += found
        out.csv("node_classification", [line | {name: f"{line[name]:.4f}" for name in ("micro_f1", "macro_f1")} for line in lines])
    return out.artifact


def _read(source: str) -> dict[str, set[str]]:
    """node -> its classes; a node without one is left out. Raises Fault for a table that is none."""
    told: dict[str, set[str]] = {}
    faults = []
    for where, (node, label) in told_rows.read(source, ["node", "label"], blank=True):
        if not node:
            faults.append(f"{where} has no node")
        told.setdefault(node, set()).update(names_of(label))
    told_rows.refuse(faults, source)
    return {node: names for node, names in told.items() if names}


def _own(vectors: list[Vectors]) -> dict[str, set[str]]:
    """Of the first vectors, which all others have to share."""
    table = vectors[0].read(columns=["item", "label"])
    return {
        item: found
        for item, label in zip(*(column.to_pylist() for column in table.columns), strict=True)
        if (found := set(names_of(label or "")))
    }


def _known_to_all(told: dict[str, set[str]], vectors: list[Vectors], params: Params) -> tuple[list[str], np.ndarray]:
    """(N,) labelled nodes that all vectors have, sorted; (N, C) bool, the classes of each. Raises Fault where there is nothing to learn."""
    shared = set(told)
    for artifact in vectors:
        shared &= set(artifact.items())
    source = params.labels or f"{vectors[0].name}, whose own labels are read,"
    names = ", ".join(artifact.name for artifact in vectors)
    if len(shared) < 2:
        known = ", ".join(map(repr, sorted(told)[:3])) or "none"
        raise Fault(
            f"{source} labels {len(told):,} nodes, first {known}; {len(shared)} of them have a vector in {names}, whose first items are "
            f"{', '.join(map(repr, vectors[0].items()[:3]))}. Name labels of these nodes, spelled the same way"
        )
    nodes = sorted(shared)
    classes = sorted({name for node in nodes for name in told[node]})
    if len(classes) < 2:
        raise Fault(f"{source} says of all {len(nodes):,} nodes that they are {classes[0]!r}. A classifier needs two classes or more")
    place = {name: i for i, name in enumerate(classes)}
    truth = np.zeros((len(nodes), len(classes)), bool)
    for row, node in enumerate(nodes):
        truth[row, [place[name] for name in told[node]]] = True
    return nodes, truth


def _draw(number: int, x: np.ndarray, truth: np.ndarray, params: Params, seed: int) -> tuple[list[dict], bool]:
    """A line for each share of one shuffle of the nodes, as the authors' code takes them; and whether the solver settled each time."""
    order = np.random.default_rng([seed, number]).permutation(len(x))
    lines, settled = [], True
    for share in params.shares:
        n = min(max(round(share * len(x)), 1), len(x) - 1)
        learned, scored = order[:n], order[n:]
        with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
            weights, quiet = fit_several(x[learned], truth[learned], params.l2, params.tol, params.max_iter)
            scores = x[scored] @ weights["coefficients"].T + weights["intercept"]
        told = likeliest(scores, truth[scored].sum(axis=1))
        lines.append({"share": share, "draw": number, "labelled": n, **_f1(truth[scored], told)})
        settled &= quiet
    return lines, settled


def _f1(truth: np.ndarray, told: np.ndarray) -> dict[str, float]:
    hit, taken, there = (truth & told).sum(axis=0), told.sum(axis=0), truth.sum(axis=0)
    micro = ratio(2 * hit.sum(), taken.sum() + there.sum())
    return {"micro_f1": float(micro), "macro_f1": float(precision_recall_f1(hit, taken, there)["f1"].mean())}


def _figures(found: list[dict], n_nodes: int, n_classes: int, left_out: str) -> Iterator[dict]:
    for share in dict.fromkeys(line["share"] for line in found):
        mine = [line for line in found if line["share"] == share]
        n = mine[0]["labelled"]
        for metric in ("micro_f1", "macro_f1"):
            values = np.array([line[metric] for line in mine])
            low, high = of_mean(values, 0.0, 1.0)
            yield {
                "metric": metric, "on": f"{100 * share:.4g} % of labels", "value": values.mean(),
                "low": low, "high": high, "n": n_nodes - n,
                "note": f"{n:,} nodes learned from, drawn {len(values)} times, the interval over draws; {n_classes} classes, "
                f"how many of them a node has is given{left_out}",
            }  # fmt: skip
