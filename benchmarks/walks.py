"""node2vec's walks on a graph of a million edges: ingest/graph and its kernel against NumPy and plain Python.

python -m benchmarks.walks

The graph is made by seed, its degrees follow a power law (preferential attachment: Barabasi, Albert 1999), and its
weights, where it has some, an exponential one. One walk of 80 nodes from each node, p = 0.25, q = 4.
node2vec's own program cannot take part: it keeps an alias table for each edge, with an entry for each edge that can
follow; their number is printed. What it works out beforehand the loop in Python works out when it is there, and keeps
nothing. The NumPy one draws by rejection as the kernel does, a step of all walks at once. Walks are drawn in one
thread, so that steps per second of CPU are those of a core.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

from benchmarks.measure import measure, race
from pipelines.ingest.graph import Params, ingest
from pipelines.kernels.walks import Graph, graph, walk
from pipelines.method import Run

N_NODES, N_LINKS = 100_000, 10  # links that a new node has to those before it
LENGTH, P, Q = 80, 0.25, 4.0
SHARE = 25  # the plain loop's part of the walks: one in so many


def power_law() -> tuple[np.ndarray, np.ndarray]:
    """Two ends of each edge; a new node is linked to ends of edges that there are, so to a node in proportion to its degree."""
    rng = np.random.default_rng(0)
    source = np.repeat(np.arange(N_LINKS, N_NODES), N_LINKS)
    # slot 2 e is an edge's source, slot 2 e + 1 its target: the slot that is copied lies before
    slots = np.empty(2 * len(source), np.int64)
    slots[::2] = source
    slots[1 : 2 * N_LINKS : 2] = np.arange(N_LINKS)
    for node in range(N_LINKS + 1, N_NODES):
        end = 2 * N_LINKS * (node - N_LINKS)
        slots[end + 1 : end + 2 * N_LINKS : 2] = slots[rng.integers(0, end, N_LINKS)]
    ends = np.unique(np.sort(slots.reshape(-1, 2), axis=1), axis=0)
    return ends[:, 0], ends[:, 1]


def made(weighted: bool) -> Graph:
    a, b = power_law()
    weights = np.tile(np.random.default_rng(1).exponential(size=len(a)) + 0.01, 2).astype(np.float32)
    source, target = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.lexsort((target, source))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=N_NODES))])
    return graph(indptr, target[order].astype(np.int32), weights[order] if weighted else None)


def kernel(weighted: bool) -> Iterator[int | None]:
    numba.set_num_threads(1)
    there, starts = made(weighted), np.random.default_rng(2).permutation(N_NODES).astype(np.int32)
    walk(there, starts[:10], 0, LENGTH, P, Q, 1)
    yield None
    _, lengths = walk(there, starts, 0, LENGTH, P, Q, 1)
    yield int(lengths.sum()) - N_NODES


def method(source: Path, out: Path) -> Iterator[int | None]:
    """From a text file to the corpus."""
    numba.set_num_threads(1)
    tiny = source.with_name("tiny.txt")
    tiny.write_text("a b\n")
    ingest(Params(source=str(tiny)), Run(out / "tiny", seed=1))
    yield None
    ingest(Params(source=str(source), walks_per_node=1, walk_length=LENGTH, p=P, q=Q), Run(out / "whole", seed=1))
    yield N_NODES * (LENGTH - 1)


def in_numpy() -> Iterator[int | None]:
    there, rng = made(False), np.random.default_rng(1)
    yield None
    edges = np.repeat(np.arange(N_NODES), np.diff(there.indptr)) * N_NODES + there.indices  # ascending
    degree, top = np.diff(there.indptr), max(1, 1 / P, 1 / Q)

    def proposed(nodes: np.ndarray) -> np.ndarray:
        return there.indices[there.indptr[nodes] + (rng.random(len(nodes)) * degree[nodes]).astype(np.int64)]

    walks = np.empty((LENGTH, N_NODES), np.int32)
    walks[0] = rng.permutation(N_NODES)
    walks[1] = proposed(walks[0])
    for at in range(2, LENGTH):
        waiting = np.arange(N_NODES)
        while len(waiting):
            before, step = walks[at - 2, waiting], proposed(walks[at - 1, waiting])
            key = before.astype(np.int64) * N_NODES + step
            beside = edges[np.minimum(np.searchsorted(edges, key), len(edges) - 1)] == key
            chance = np.where(step == before, 1 / P, np.where(beside, 1, 1 / Q))
            taken = rng.random(len(waiting)) * top < chance
            walks[at, waiting[taken]] = step[taken]
            waiting = waiting[~taken]
    yield N_NODES * (LENGTH - 1)


def in_python() -> Iterator[int | None]:
    import random

    there, rng = made(False), random.Random(1)
    near = [there.indices[begin:end].tolist() for begin, end in zip(there.indptr[:-1], there.indptr[1:], strict=True)]
    edges = [set(nodes) for nodes in near]
    yield None
    n_steps = 0
    for start in rng.sample(range(N_NODES), N_NODES // SHARE):
        nodes = [start, rng.choice(near[start])]
        while len(nodes) < LENGTH:
            before, here = nodes[-2:]
            weights = [1 / P if node == before else 1 if node in edges[before] else 1 / Q for node in near[here]]
            nodes.append(rng.choices(near[here], weights)[0])
        n_steps += LENGTH - 1
    yield n_steps


def main() -> None:
    there = made(False)
    degree = np.diff(there.indptr)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "graph.txt"
        with source.open("w") as file:
            file.writelines(f"n{a} n{b}\n" for a, b in zip(*power_law(), strict=True))
        rows = [
            ("kernel", measure(kernel, False)),
            ("kernel, weights", measure(kernel, True)),
            ("`graph`, a text file read, the corpus written", measure(method, source, Path(scratch))),
            ("NumPy, a step of all walks at once", measure(in_numpy)),
            ("Python, all chances worked out at each step", measure(in_python)),
        ]
    print(f"{N_NODES:,} nodes, {len(there.indices) // 2:,} edges, the largest degree {degree.max():,}; p = {P}, q = {Q}, 1 thread.")
    print(f"Alias tables for each edge would have {(degree.astype(np.int64) ** 2).sum():,} entries.\n")
    per_core = [f"{cost.result / cost.cpu / 1e6:.2f} M" for _, cost in rows]
    print(race("steps", [(name, cost, cost.result) for name, cost in rows], **{"steps/s of CPU": per_core}))


if __name__ == "__main__":
    main()
