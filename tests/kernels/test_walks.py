"""Random walks: chances worked out by hand, the kernel beside the plain loop, and the same bytes for any number of threads."""

import os
import subprocess
import sys
from itertools import pairwise

import numba
import numpy as np
import pytest
from scipy.stats import chisquare

from pipelines.kernels import walks
from tests.support import HOME

THREADS = [1, min(2, numba.config.NUMBA_NUM_THREADS)]


def made(edges, directed=False, n_nodes=None):
    """A graph of (source, target) or (source, target, weight)."""
    weighted = len(edges[0]) == 3
    pairs = [(a, b, *w) for a, b, *w in edges] + ([] if directed else [(b, a, *w) for a, b, *w in edges])
    pairs.sort()
    source, target = np.array([p[0] for p in pairs]), np.int32([p[1] for p in pairs])
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n_nodes or max(source.max(), target.max()) + 1))])
    return walks.graph(indptr, target, np.float32([p[2] for p in pairs]) if weighted else None)


def drawn(n_nodes=60, n_edges=200, weighted=False, seed=0):
    rng = np.random.default_rng(seed)
    pairs = sorted({tuple(sorted(rng.choice(n_nodes, 2, replace=False).tolist())) for _ in range(n_edges)})
    return made([(*pair, rng.gamma(1) + 0.01) if weighted else pair for pair in pairs], n_nodes=n_nodes)


def steps(graph, start, p, q, n=40_000, walk_length=3, seed=5):
    return walks.walk(graph, np.full(n, start, np.int32), 0, walk_length, p, q, seed)[0]


def agrees(seen, chances):
    """Chi-square: how often each node was stepped to, against chances worked out by hand; a fixed seed, so it holds or does not."""
    nodes, wanted = list(chances), np.array(list(chances.values()), float)
    assert set(np.unique(seen)) == set(nodes)
    n = np.array([(seen == node).sum() for node in nodes])
    return chisquare(n, n.sum() * wanted / wanted.sum()).pvalue > 0.01


# 1 - 0, 1 - 2, 1 - 3, 1 - 4, 0 - 2: from 0 by way of 1, going back to 0 weighs 1/p, to 2, a neighbour of 0, 1, to 3 and 4 1/q
FAN = [(0, 1), (1, 2), (1, 3), (1, 4), (0, 2)]


@pytest.mark.parametrize(("p", "q"), [(1, 1), (4, 0.25), (0.25, 4), (0.5, 0.5), (2, 2), (0.01, 100), (100, 0.01)])
def test_the_second_step_goes_back_by_1_p_beside_by_1_and_away_by_1_q(p, q):
    seen = steps(made(FAN), 0, p, q, n=120_000)
    seen = seen[seen[:, 1] == 1][:, 2]
    assert len(seen) > 50_000
    assert agrees(seen, {0: 1 / p, 2: 1, 3: 1 / q, 4: 1 / q})


@pytest.mark.parametrize(("p", "q"), [(1, 1), (4, 0.25), (0.25, 4), (0.02, 3)])
def test_a_weight_multiplies_the_chance_of_the_first_and_the_second_step(p, q):
    seen = steps(made([(0, 1, 3), (1, 2, 0.5), (1, 3, 2), (1, 4, 5), (0, 2, 1)]), 0, p, q, n=60_000)
    assert agrees(seen[:, 1], {1: 3, 2: 1})
    assert agrees(seen[seen[:, 1] == 1][:, 2], {0: 3 / p, 2: 0.5, 3: 2 / q, 4: 5 / q})


def test_in_a_directed_graph_beside_means_that_the_last_node_has_an_edge_there():
    # 0 -> 1 -> {2, 3}, 0 -> 2, and 3 -> 0, which does not make 3 a neighbour that 0 leads to; 1 does not lead back to 0
    seen = steps(made([(0, 1), (1, 2), (1, 3), (0, 2), (3, 0)], directed=True), 0, 0.05, 4)
    assert agrees(seen[seen[:, 1] == 1][:, 2], {2: 1, 3: 1 / 4})


def test_the_first_step_does_not_know_p_and_q():
    assert agrees(steps(made(FAN), 1, 0.01, 100)[:, 1], {0: 1, 2: 1, 3: 1, 4: 1})


def test_a_step_depends_on_the_last_two_nodes_and_not_on_those_before():
    seen = steps(made(FAN), 3, 4, 0.25, walk_length=5)  # 3 1 0 ...: from 1 by way of 0
    after = seen[(seen[:, 2] == 0) & (seen[:, 3] == 1)]
    assert len(after) > 1000
    assert agrees(after[:, 4], {0: 1 / 4, 2: 1, 3: 4, 4: 4})
    after = seen[(seen[:, 2] == 0) & (seen[:, 3] == 2)]  # 2 has 0 and 1, and 1 is a neighbour of 0
    assert len(after) > 1000
    assert agrees(after[:, 4], {0: 1 / 4, 1: 1})


def test_at_p_and_q_1_every_step_is_deepwalks():
    seen = steps(made([(0, 1, 3), (1, 2, 0.5), (1, 3, 2), (1, 4, 5), (0, 2, 1)]), 0, 1, 1, walk_length=40, n=2000)
    before, after = seen[:, :-1].ravel(), seen[:, 1:].ravel()
    assert agrees(after[before == 1], {0: 3, 2: 0.5, 3: 2, 4: 5})
    assert agrees(after[before == 2], {0: 1, 1: 0.5})


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("p", "q"), [(1, 1), (0.25, 4), (4, 0.25), (0.02, 50), (3, 3)])
def test_the_kernel_walks_as_the_plain_loop_does(weighted, p, q):
    graph, starts = drawn(weighted=weighted), np.arange(60, dtype=np.int32)
    fast, plain = walks.walk(graph, starts, 7, 20, p, q, 3), walks.walk_plain(graph, starts, 7, 20, p, q, 3)
    assert (fast[0] == plain[0]).all()
    assert (fast[1] == plain[1]).all()


def test_a_walk_is_the_same_whatever_it_is_drawn_together_with():
    graph, starts = drawn(weighted=True), np.arange(60, dtype=np.int32)
    whole = walks.walk(graph, starts, 100, 20, 0.5, 2, 3)[0]
    parts = [walks.walk(graph, starts[i : i + 7], 100 + i, 20, 0.5, 2, 3)[0] for i in range(0, 60, 7)]
    assert (np.concatenate(parts) == whole).all()
    assert (walks.walk(graph, starts, 100, 20, 0.5, 2, 4)[0] != whole).any()
    assert (walks.walk(graph, starts, 101, 20, 0.5, 2, 3)[0] != whole).any()


HASH = """
import hashlib, numba, numpy as np
from tests.kernels.test_walks import drawn
from pipelines.kernels.walks import walk
graph = drawn(500, 3000, weighted=True)
for threads in (1, 2, 4):
    numba.set_num_threads(threads)
    made = walk(graph, np.arange(500, dtype=np.int32), 0, 40, 0.25, 4, 1)
    print(threads, hashlib.sha256(made[0].tobytes() + made[1].tobytes()).hexdigest())
"""


def test_one_two_and_four_threads_give_the_same_bytes():
    # numba has no more threads than it was started with, and by default no more than there are cores
    env = {**os.environ, "NUMBA_NUM_THREADS": "4"}
    said = subprocess.run([sys.executable, "-c", HASH], cwd=HOME, env=env, capture_output=True, text=True, check=True).stdout.split()
    assert said[::2] == ["1", "2", "4"]
    assert len(set(said[1::2])) == 1


@pytest.mark.parametrize("threads", THREADS)
def test_every_step_is_an_edge_and_a_walk_ends_only_where_none_leads_on(threads):
    numba.set_num_threads(threads)
    rng = np.random.default_rng(2)
    pairs = sorted({(a, b) for a, b in rng.integers(0, 50, (90, 2)).tolist() if a != b})
    graph = made(pairs, directed=True, n_nodes=50)
    found, lengths = walks.walk(graph, np.arange(50, dtype=np.int32), 0, 30, 0.5, 2, 1)
    assert len(set(lengths.tolist())) > 3
    for nodes, n in zip(found.tolist(), lengths.tolist(), strict=True):
        assert set(pairwise(nodes[:n])) <= set(pairs)
        assert nodes[n:] == [walks.END] * (30 - n)
        assert n == 30 or not any(a == nodes[n - 1] for a, _ in pairs)


def test_a_node_without_edges_is_a_walk_of_itself():
    found, lengths = walks.walk(made([(0, 1)], n_nodes=3), np.int32([2, 0]), 0, 4, 1, 1, 1)
    assert found.tolist() == [[2, walks.END, walks.END, walks.END], [0, 1, 0, 1]]
    assert lengths.tolist() == [1, 4]


def test_an_alias_table_holds_the_chances_that_the_weights_say():
    graph = drawn(weighted=True)
    for node in range(60):
        part = slice(graph.indptr[node], graph.indptr[node + 1])
        degree = part.stop - part.start
        chance = graph.keep[part].astype(np.float64) / max(1, degree)
        np.add.at(chance, graph.other[part], (1 - graph.keep[part].astype(np.float64)) / max(1, degree))
        assert chance == pytest.approx(graph.weights[part] / max(graph.total[node], 1e-30), rel=1e-5)
        assert graph.total[node] == pytest.approx(graph.weights[part].sum(dtype=np.float64))


def test_a_weight_a_million_times_the_others_leaves_them_their_share():
    seen = steps(made([(0, 1, 1e6), (0, 2, 1), (0, 3, 1e6)]), 0, 1, 1, n=200_000)[:, 1]
    assert 0 <= (seen == 2).sum() < 5
    assert agrees(seen[seen != 2], {1: 1, 3: 1})
