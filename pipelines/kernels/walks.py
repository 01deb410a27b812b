"""Random walks on a graph: DeepWalk's, and node2vec's, whose next step depends on where the last one came from.

At node v, come from t, a walk goes to the neighbour x with a chance in proportion to w(v, x) a(t, x), where a is
1/p for x = t, 1 where t has an edge to x, and 1/q for all others (Grover, Leskovec 2016, eq. 2). The first step, and
all steps at p = q = 1, are by weight alone: DeepWalk (Perozzi, Al-Rfou, Skiena 2014).

No table of chances is kept for each edge, which would take as many numbers as there are pairs of edges in a row:
a step is proposed by weight (Walker's alias tables, built as Vose 1991 does), and a(t, x) decides whether it is taken
(rejection sampling; Yang, Zhang, Chen, Xiong, Lv, Qin 2019, section 4). Each walk has its own stream of numbers, from
the seed and the walk's number, so threads and batches decide nothing. `walk` is the fast kernel, `walk_plain` says
the same in plain Python.
"""

from typing import NamedTuple

import numba
import numpy as np

Array = np.ndarray
END = -1  # fills up a walk that ended early
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Graph(NamedTuple):
    """N nodes, E edges that lead out of them (an undirected edge leads out of both ends). `graph` makes one."""

    indptr: Array  # (N + 1,) int64; the neighbours of v are indices[indptr[v]:indptr[v + 1]]
    indices: Array  # (E,) int32, ascending for each node, none twice
    weights: Array  # (E,) float32 > 0; of no length where all edges weigh the same, and so are the next two
    keep: Array  # (E,) float32, alias table: the chance that a column drawn for v stands for its own neighbour
    other: Array  # (E,) int32, and the column that it stands for otherwise, from 0 for each node
    total: Array  # (N,) float64, summed weight of what leads out; the number of neighbours where all weigh the same


def graph(indptr: Array, indices: Array, weights: Array | None = None) -> Graph:
    """The graph with its alias tables; arguments as in `Graph`, no weights for edges that weigh the same."""
    if weights is None:
        none = np.empty(0, np.float32)
        return Graph(indptr, indices, none, none, np.empty(0, np.int32), np.diff(indptr).astype(np.float64))
    keep, other, total = _alias(indptr, weights)
    return Graph(indptr, indices, weights, keep, other, total)


@numba.njit(cache=True)
def _alias(indptr, weights):
    keep, other, total = np.ones(len(weights), np.float32), np.zeros(len(weights), np.int32), np.zeros(len(indptr) - 1)
    most = 0
    for node in range(len(total)):
        most = max(most, indptr[node + 1] - indptr[node])
    height, poor, rich = np.empty(most), np.empty(most, np.int32), np.empty(most, np.int32)
    for node in range(len(total)):
        begin, degree = indptr[node], indptr[node + 1] - indptr[node]
        for i in range(degree):
            total[node] += weights[begin + i]
        n_poor = n_rich = 0
        for i in range(degree):
            height[i], other[begin + i] = weights[begin + i] * (degree / total[node]), i
            if height[i] < 1:
                poor[n_poor] = i
                n_poor += 1
            else:
                rich[n_rich] = i
                n_rich += 1
        while n_poor and n_rich:  # the poor column is filled up to 1 from a rich one; what is left over then is rounding
            low, high = poor[n_poor - 1], rich[n_rich - 1]
            keep[begin + low], other[begin + low] = height[low], high
            height[high] -= 1 - height[low]
            n_poor -= 1
            if height[high] < 1:
                poor[n_poor] = high
                n_poor += 1
                n_rich -= 1
    return keep, other, total


def walk(graph: Graph, starts: Array, first: int, walk_length: int, p: float, q: float, seed: int) -> tuple[Array, Array]:
    """One walk from each of some nodes. A walk ends early where no edge leads on.

    Args:
        starts: (W,) int32 nodes.
        first: number of the first walk; walk number n of a seed is the same, whatever it is drawn together with.
        walk_length: L >= 1, nodes.
        p, q: > 0; a step takes max(1, 1/q) / min(1, 1/p, 1/q) proposals at most, on average.

    Returns:
        (W, L) int32 nodes, END after the last, and (W,) int64, how many nodes each walk has.
    """
    walks, lengths = np.full((len(starts), walk_length), END, np.int32), np.empty(len(starts), np.int64)
    _walk(*graph, starts, np.uint64(first), 1 / p, 1 / q, np.uint64(seed), walks, lengths)
    return walks, lengths


@numba.njit(cache=True, parallel=True)
def _walk(indptr, indices, weights, keep, other, total, starts, first, back, away, seed, walks, lengths):
    for i in numba.prange(len(starts)):
        state = _mix(_mix(seed) + first + np.uint64(i))
        lengths[i] = _walk_one(indptr, indices, weights, keep, other, total, starts[i], back, away, state, walks[i])


@numba.njit(cache=True)
def _walk_one(indptr, indices, weights, keep, other, total, node, back, away, state, walk):
    low, top = min(1.0, back, away), max(1.0, away)
    above = max(0.0, back - top)  # going back may be likelier than all else: that part is a column of its own
    walk[0], before = node, END
    for at in range(1, len(walk)):
        begin, degree = indptr[node], indptr[node + 1] - indptr[node]
        if degree == 0:
            return at
        area, column = top * total[node], 0.0
        if before != END and above > 0:
            edge = _find(indices, begin, begin + degree, before)
            if edge >= 0:
                column = above * (weights[edge] if len(weights) else 1.0)
        while True:
            state += GOLDEN
            dart = (_mix(state) >> np.uint64(11)) * 2.0**-53 * (area + column)
            if dart >= area and column > 0:
                step = before
                break
            state += GOLDEN
            bits = _mix(state)
            i = np.int64(((bits >> np.uint64(32)) * np.uint64(degree)) >> np.uint64(32))
            if len(keep) and (bits & np.uint64(0xFFFFFFFF)) * 2.0**-32 >= keep[begin + i]:
                i = other[begin + i]
            step = indices[begin + i]
            height = dart / total[node]  # even in [0, top)
            if before == END or height < low:  # taken, whatever a(t, x) is
                break
            if step == before:
                chance = back
            elif _find(indices, indptr[before], indptr[before + 1], step) >= 0:
                chance = 1.0
            else:
                chance = away
            if height < chance:
                break
        walk[at], before, node = step, node, step
    return len(walk)


@numba.njit(cache=True)
def _find(indices, begin, end, node):
    """Where `node` stands in indices[begin:end], which ascends; -1 where it does not."""
    while begin < end:
        middle = (begin + end) >> 1
        if indices[middle] < node:
            begin = middle + 1
        elif indices[middle] > node:
            end = middle
        else:
            return middle
    return -1


@numba.njit(cache=True)
def _mix(z):
    """SplitMix64's (Steele, Lea, Flood 2014): 64 bits that look random, of any that are not the same."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def walk_plain(graph: Graph, starts: Array, first: int, walk_length: int, p: float, q: float, seed: int) -> tuple[Array, Array]:
    """What `walk` gives."""
    walks, lengths = np.full((len(starts), walk_length), END, np.int32), np.empty(len(starts), np.int64)
    for i, start in enumerate(starts.tolist()):
        nodes, numbers = [start], _Numbers(seed, first + i)
        while len(nodes) < walk_length and graph.indptr[nodes[-1]] < graph.indptr[nodes[-1] + 1]:
            nodes.append(_step_plain(graph, nodes[-2] if len(nodes) > 1 else END, nodes[-1], 1 / p, 1 / q, numbers))
        walks[i, : len(nodes)], lengths[i] = nodes, len(nodes)
    return walks, lengths


def _step_plain(graph: Graph, before: int, node: int, back: float, away: float, numbers: "_Numbers") -> int:
    def neighbours(of: int) -> list[int]:
        return graph.indices[graph.indptr[of] : graph.indptr[of + 1]].tolist()

    def of_node(values: Array) -> Array:
        return values[graph.indptr[node] : graph.indptr[node + 1]]

    near, weights = neighbours(node), of_node(graph.weights) if len(graph.weights) else None
    low, top = min(1.0, back, away), max(1.0, away)
    area, column = top * float(graph.total[node]), 0.0
    if before in near and back > top:
        column = (back - top) * (1.0 if weights is None else float(weights[near.index(before)]))
    while True:
        dart = (numbers.draw() >> 11) * 2.0**-53 * (area + column)
        if dart >= area and column > 0:
            return before
        bits = numbers.draw()
        i = ((bits >> 32) * len(near)) >> 32
        if weights is not None and (bits & 0xFFFFFFFF) * 2.0**-32 >= of_node(graph.keep)[i]:
            i = int(of_node(graph.other)[i])
        height = dart / float(graph.total[node])
        if before == END or height < low:
            return near[i]
        if height < (back if near[i] == before else 1.0 if near[i] in neighbours(before) else away):
            return near[i]


class _Numbers:
    """A walk's stream of 64-bit numbers."""

    def __init__(self, seed: int, number: int):
        self.state = self.mix((self.mix(seed) + number) % 2**64)

    def draw(self) -> int:
        self.state = (self.state + int(GOLDEN)) % 2**64
        return self.mix(self.state)

    @staticmethod
    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)
