"""GloVe's descent in strata: no lock, and the same bytes for any number of threads.

Words are dealt out to B blocks, BLOCKS where nothing else is said, and so the pairs to B x B squares (block of the row,
block of the column). The squares of a diagonal share no row and no column: they are trained side by
side, and leave the same numbers in whichever order they end (Gemulla, Nijkamp, Haas, Sismanis 2011).
`train` is the fast kernel, `train_plain` says the same in NumPy, pair after pair.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np

Array = np.ndarray
BLOCKS = 16
CLIP = np.float32(100)  # of each number of a gradient, as in the authors' glove.c
# not "nnan" and "ninf": a loss that is not a number any more must show
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}


class Pairs(NamedTuple):
    """P pairs, square after square, in random order within a square; 12 bytes a pair."""

    row: Array  # (P,) int32, places of words
    col: Array  # (P,) int32
    count: Array  # (P,) float32, above 0
    first: Array  # (B * B + 1,) int64; square s has the pairs first[s]:first[s + 1]

    @property
    def n_blocks(self) -> int:
        return math.isqrt(len(self.first) - 1)


class State(NamedTuple):
    """All that descent changes; row `places(V, B)[w]` belongs to word w."""

    word: Array  # (V, D) float32
    context: Array  # (V, D)
    word_bias: Array  # (V,)
    context_bias: Array  # (V,)
    # AdaGrad's sums of squared steps, 1 at first, so that the first step is lr times the gradient
    word_squares: Array
    context_squares: Array
    word_bias_squares: Array
    context_bias_squares: Array


def places(n_vocab: int, n_blocks: int = BLOCKS) -> Array:
    """(V,) int32, each word's row in `State`: the words of a block, w % B, lie together.

    Neighbours in a vocabulary are about as frequent: dealt out in turn they make blocks of equal work.
    Rows that lie together cost fewer cache and page misses: a quarter more pairs a second at D = 100.
    """
    place = np.empty(n_vocab, np.int32)
    place[np.argsort(np.arange(n_vocab) % n_blocks, kind="stable")] = np.arange(n_vocab)
    return place


def begin(n_vocab: int, vector_size: int, rng: np.random.Generator) -> State:
    """Everything between -0.5 / D and 0.5 / D, as glove.c begins."""
    shapes = [(n_vocab, vector_size), (n_vocab, vector_size), (n_vocab,), (n_vocab,)]
    numbers = [(rng.random(shape, np.float32) - np.float32(0.5)) / np.float32(vector_size) for shape in shapes]
    return State(*numbers, *(np.ones(shape, np.float32) for shape in shapes))


def deal(
    blocks: Callable[[], Iterator[tuple[Array, Array, Array]]], n_vocab: int, seed: int, folder: Path | None = None, n_blocks: int = BLOCKS
) -> Pairs:
    """Deals pairs out to their squares, and shuffles each.

    Args:
        blocks: gives (row, col, count) in pieces; called twice, so that no pair is held twice.
        folder: where the pairs lie on disk, mapped into memory: squares are written and read from end to end, and one is shuffled
            at a time in each thread. None: in memory.
    """
    place = places(n_vocab, n_blocks)
    n = np.zeros(n_blocks * n_blocks, np.int64)
    for row, col, _ in blocks():
        n += np.bincount(_square(row, col, n_blocks), minlength=len(n))
    first = np.concatenate([[0], np.cumsum(n)])
    kinds = {"row": np.int32, "col": np.int32, "count": np.float32}
    pairs = Pairs(*(_room(int(first[-1]), kind, folder and folder / name) for name, kind in kinds.items()), first)
    free = first[:-1].copy()
    for row, col, count in blocks():
        _fill(_square(row, col, n_blocks), place[row], place[col], np.require(count, requirements="W"), free, pairs)
    _shuffle(pairs, np.uint64(seed))
    return pairs


def _room(size: int, kind: type, path: Path | None) -> Array:
    return np.empty(size, kind) if path is None else np.asarray(np.memmap(path, kind, "w+", shape=size))


def met(pairs: Pairs, n_vocab: int) -> Array:
    """(V,) bool of each row of `State`, whether it is in a pair."""
    found = np.zeros(n_vocab, bool)
    for side in (pairs.row, pairs.col):
        for start in range(0, len(side), 2**20):
            found[side[start : start + 2**20]] = True
    return found


def untrained(pairs: Pairs, x_max: float, alpha: float) -> float:
    """The mean loss of a pair whose product is 0, of at most 2 ** 20 pairs; a miss of 1 is added to each, since the products of counts of 1 are
    about as far from 0 at first."""
    count = pairs.count[:: len(pairs.count) // 2**20 + 1]
    return float((0.5 * weighting(count, x_max, alpha) * (1 + np.log(count) ** 2)).mean())


def _square(row: Array, col: Array, n_blocks: int) -> Array:
    return (row % n_blocks) * n_blocks + col % n_blocks


@numba.njit(cache=True)
def _fill(square, row, col, count, free, pairs):
    for i in range(len(square)):
        at = free[square[i]]
        pairs.row[at], pairs.col[at], pairs.count[at] = row[i], col[i], count[i]
        free[square[i]] += 1


@numba.njit(cache=True, parallel=True)
def _shuffle(pairs, seed):
    """Fisher-Yates in every square, each with its own stream of numbers (SplitMix64: Steele, Lea, Flood 2014)."""
    row, col, count, first = pairs
    for square in numba.prange(len(first) - 1):
        state = (seed + np.uint64(square + 1)) * np.uint64(0xD1342543DE82EF95)
        for i in range(first[square + 1] - 1, first[square], -1):
            state += np.uint64(0x9E3779B97F4A7C15)
            z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            j = first[square] + np.int64((z ^ (z >> np.uint64(31))) % np.uint64(i - first[square] + 1))
            row[i], row[j] = row[j], row[i]
            col[i], col[j] = col[j], col[i]
            count[i], count[j] = count[j], count[i]


@numba.njit(cache=True)
def weighting(count: Array, x_max: float, alpha: float) -> Array:
    """How hard a pair that was seen `count` times pulls on its two vectors (eq. 9).

    Args:
        count: float32, weighted sightings, > 0; a number or an array.
        x_max: from this count on the weight is 1.
        alpha: exponent in (0, 1].

    Returns:
        As `count`, in (0, 1].
    """
    return np.minimum(count / x_max, np.float32(1)) ** alpha


def train(pairs: Pairs, diagonal: int, state: State, x_max: float, alpha: float, lr: float) -> float:
    """One step for each pair of a diagonal, in place.

    Args:
        diagonal: 0 ... B - 1; all of them are one epoch.

    Returns:
        The summed loss of the pairs (eq. 8, halved as in glove.c), each as it was before its step.
    """
    return float(_train(*pairs, pairs.n_blocks, diagonal, *state, np.float32(x_max), np.float32(alpha), np.float32(lr)).sum())


@numba.njit(cache=True, parallel=True, fastmath=FAST)
def _train(row, col, count, first, n_blocks, diagonal, word, context, bw, bc, sw, sc, sbw, sbc, x_max, alpha, lr):
    loss = np.zeros(n_blocks)
    for block in numba.prange(n_blocks):
        square = block * n_blocks + (block + diagonal) % n_blocks
        loss_here = 0.0
        for pair in range(first[square], first[square + 1]):
            r, k = row[pair], col[pair]
            w, c, w_squares, c_squares = word[r], context[k], sw[r], sc[k]
            dot = np.float32(0)
            for d in range(len(w)):
                dot += w[d] * c[d]
            miss = dot + bw[r] + bc[k] - np.log(count[pair])
            pull = weighting(count[pair], x_max, alpha) * miss
            loss_here += 0.5 * pull * miss
            for d in range(len(w)):
                step_w = min(max(pull * c[d], -CLIP), CLIP) * lr
                step_c = min(max(pull * w[d], -CLIP), CLIP) * lr
                w[d] -= step_w / np.sqrt(w_squares[d])
                c[d] -= step_c / np.sqrt(c_squares[d])
                w_squares[d] += step_w * step_w
                c_squares[d] += step_c * step_c
            step = min(max(pull, -CLIP), CLIP) * lr
            bw[r] -= step / np.sqrt(sbw[r])
            bc[k] -= step / np.sqrt(sbc[k])
            sbw[r] += step * step
            sbc[k] += step * step
        loss[block] = loss_here
    return loss


def train_plain(pairs: Pairs, diagonal: int, state: State, x_max: float, alpha: float, lr: float) -> float:
    """What `train` does, pair after pair."""
    loss = 0.0
    for block in range(pairs.n_blocks):
        square = block * pairs.n_blocks + (block + diagonal) % pairs.n_blocks
        for pair in range(pairs.first[square], pairs.first[square + 1]):
            r, k, count = pairs.row[pair], pairs.col[pair], float(pairs.count[pair])
            w, c = state.word[r].copy(), state.context[k].copy()
            miss = float(w @ c) + state.word_bias[r] + state.context_bias[k] - np.log(count)
            pull = min(count / x_max, 1.0) ** alpha * miss
            loss += 0.5 * pull * miss
            for numbers, squares, at, gradient in (
                (state.word, state.word_squares, r, pull * c),
                (state.context, state.context_squares, k, pull * w),
                (state.word_bias, state.word_bias_squares, r, pull),
                (state.context_bias, state.context_bias_squares, k, pull),
            ):
                step = np.clip(gradient, -CLIP, CLIP) * lr
                numbers[at] -= step / np.sqrt(squares[at])
                squares[at] += step**2
    return loss
