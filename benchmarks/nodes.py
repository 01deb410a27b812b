"""A graph from its edges to scores: walks, vectors, and how well these tell the nodes' classes.

python -m benchmarks.nodes

The graph is made by seed, of the size of BlogCatalog (Tang, Liu 2009): 10,312 nodes, 333,983 edges, 39 classes. A node is of one
class, sometimes of two or three; of four edges three join nodes of one class, and how many a node has follows a power law. Walks,
skip-gram and DeepWalk's protocol (nine shares of labelled nodes, ten draws of each) have their defaults, but for vectors of 128
numbers, a window of 10 and one epoch. Each step is a process of its own that reads and writes its artifacts, on two threads.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measure import THREADS, costs, measure, table
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.embed import skipgram
from pipelines.evaluate import node_classification
from pipelines.ingest import graph
from pipelines.method import Run
from pipelines.tokenize import whitespace

N_NODES, N_EDGES, N_CLASSES = 10_312, 333_983, 39
WITHIN = 0.75  # of the edges, between nodes of one class
SPLITS = ["train", "valid", "test", "unlabelled"]


def make(folder: Path) -> None:
    """edges.parquet and labels.parquet"""
    rng = np.random.default_rng(1)
    size = rng.pareto(1.5, N_CLASSES) + 0.5
    first = rng.choice(N_CLASSES, N_NODES, p=size / size.sum())
    degree = rng.pareto(1.5, N_NODES) + 1
    members = [np.flatnonzero(first == c) for c in range(N_CLASSES)]
    edges = np.empty((0, 2), np.int64)
    while len(edges) < N_EDGES:
        source = rng.choice(N_NODES, N_EDGES, p=degree / degree.sum())
        target = rng.choice(N_NODES, N_EDGES, p=degree / degree.sum())
        near = rng.random(N_EDGES) < WITHIN
        for c, nodes in enumerate(members):
            mine = near & (first[source] == c)
            if mine.any():
                target[mine] = rng.choice(nodes, mine.sum(), p=degree[nodes] / degree[nodes].sum())
        more = np.sort(np.stack([source, target], axis=1)[source != target], axis=1)
        edges = np.unique(np.concatenate([edges, more]), axis=0)
    edges = rng.permutation(edges)[:N_EDGES]
    pd.DataFrame(edges.astype(str), columns=["source", "target"]).to_parquet(folder / "edges.parquet")
    others = [[a, *rng.choice(N_CLASSES, rng.choice(3, p=[0.7, 0.2, 0.1]))] for a in first]
    labels = [(str(node), f"c{c}") for node, mine in enumerate(others) for c in sorted(set(mine))]
    pd.DataFrame(labels, columns=["node", "label"]).to_parquet(folder / "labels.parquet")


def walks(folder: Path) -> Iterator[str | None]:
    yield None
    corpus = graph.ingest(graph.Params(source=str(folder / "edges.parquet")), Run(folder / "corpus", seed=1, threads=THREADS))
    tokens = whitespace.tokenize(corpus, whitespace.Params(min_count=1, vocab_splits=SPLITS), Run(folder / "tokens", threads=THREADS))
    yield f"{tokens.n_rows():,} walks"


def vectors(folder: Path) -> Iterator[str | None]:
    params = skipgram.Params(vector_size=128, window=10, epochs=1, splits=SPLITS)
    yield None
    made = skipgram.embed(Tokens(folder / "tokens"), params, Run(folder / "vectors", seed=1, threads=THREADS))
    yield f"{made.n_rows():,} x {made.size}"


def scores(folder: Path) -> Iterator[str | None]:
    params = node_classification.Params(labels=str(folder / "labels.parquet"))
    yield None
    made = node_classification.evaluate([Vectors(folder / "vectors")], params, Run(folder / "scores", seed=1, threads=THREADS))
    frame = made.read().to_pandas().set_index(["metric", "on"])["value"]
    yield ", ".join(f"{metric} {value:.3f} ({on})" for (metric, on), value in frame.items() if "50" in on)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        steps = {"walks and their tokens": walks, "skip-gram": vectors, "`node_classification`": scores}
        found = {name: measure(step, folder) for name, step in steps.items()}
        print(f"{N_NODES:,} nodes, {N_EDGES:,} edges, {N_CLASSES} classes, {THREADS} threads.\n")
        total = [sum(cost.wall for cost in found.values()), sum(cost.cpu for cost in found.values())]
        lines = [["", "wall", "CPU", "peak memory", "made"]]
        lines += [[*costs(name, cost), cost.result] for name, cost in found.items()]
        table([*lines, ["in all", *(f"{seconds:.1f} s" for seconds in total), "", ""]])


if __name__ == "__main__":
    main()
