"""Co-occurrence counted by row: the neighbours of one word are summed at all its places, then the next word's.

There is no list of pairs to sort. Weights are whole numbers of a `unit`, so sums are exact: no order of additions, cut
of the text or number of threads decides a bit of them, and they are rounded once, at the end. Of V types, each row
looks at V / 64 marks of what was seen in it: next to nothing at 100,000 types, seconds in all at a million.
`count_rows` is the fast kernel, `count_plain` says the same in plain Python. A text is one int32 array: token ids
from 0, and END before, between and after its documents. Where chance decides, it is by the seed and the place alone.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import lcm
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.cpython.unsafe.numbers import trailing_zeros
from numba.extending import intrinsic
from scipy.sparse import csr_array

Array = np.ndarray
END = -1  # no window looks past it
CELLS = 2**21  # pairs that a block may have at most, unless one row alone has more: 25 MB
FINEST = 2**32  # the unit where no smaller one divides all weights; 1/d is then right to 1e-7
AHEAD = 8  # so many places ahead the text is asked for; else each waits for memory: 2.4 s for 16 million places, and not 0.9


class Window(NamedTuple):
    """What is seen from a place."""

    weights: Array  # (window,) int64 > 0, what a neighbour 1, 2, ... tokens away adds, in units
    unit: int  # so much is one sighting
    left: bool = True
    right: bool = True
    dynamic: bool = False  # each place sees 1 to window tokens far, as it draws, evenly
    seed: int = 0

    @property
    def reach(self) -> int:
        """Neighbours that one place has at most."""
        return len(self.weights) * (self.left + self.right)


class Block(NamedTuple):
    """Some rows of the matrix, sorted by row, then column."""

    start: int  # the first row
    n_pairs: Array  # (rows,) int64
    col: Array  # (pairs,) int32
    sums: Array  # (pairs,) int64, units

    def pairs(self, unit: int) -> tuple[Array, Array, Array]:
        """(row int32, col int32, count float32)."""
        row = np.repeat(np.arange(self.start, self.start + len(self.n_pairs), dtype=np.int32), self.n_pairs)
        return row, self.col, (self.sums / unit).astype(np.float32)


def weights(window: int, weighting: str) -> tuple[Array, int]:
    """(window,) int64 weights of neighbours 1, 2, ... tokens away, and their unit.

    Args:
        weighting: flat, 1; distance, 1/d; linear, (window - d + 1) / window.
    """
    d = np.arange(1, window + 1)
    if weighting == "flat":
        return np.ones(window, np.int64), 1
    if weighting == "linear":
        return d[::-1].astype(np.int64), window
    unit = min(lcm(*d.tolist()), FINEST)
    return np.rint(unit / d).astype(np.int64), unit


# the text


def join(values: Array, offsets: Array, left_out: int, keep: Array | None = None, seed: int = 0, before: int = 0) -> Array:
    """Documents as a piece of text, END after each; without the tokens `left_out`, and those that chance leaves out.

    Args:
        values: (N,) int32 token ids.
        offsets: (n + 1,) int64; document i is values[offsets[i]:offsets[i + 1]].
        keep: (V,) float64, the chance of each token to stay. None: all do.
        before: tokens of earlier pieces that were not `left_out`; with the seed it decides what is drawn.
    """
    text = np.empty(offsets[-1] - offsets[0] + len(offsets) - 1, np.int32)
    keep = np.empty(0) if keep is None else keep
    return text[: _join(values, offsets, left_out, keep, np.uint64(seed), before, text)].copy()


@numba.njit(cache=True)
def _join(values, offsets, left_out, keep, seed, before, text):
    n = 0
    for i in range(len(offsets) - 1):
        for token in values[offsets[i] : offsets[i + 1]]:
            if token != left_out:
                if not len(keep) or (_drawn(seed, 2 * before) >> np.uint64(11)) * 2.0**-53 < keep[token]:
                    text[n] = token
                    n += 1
                before += 1
        text[n] = END
        n += 1
    return n


def whole(pieces: list[Array]) -> Array:
    return np.concatenate([np.int32([END]), *pieces])


def kept(n_seen: Array, sample: float) -> Array:
    """(V,) float64, the chance of a token to stay when frequent ones are passed over now and then (word2vec.c)."""
    share = np.maximum(n_seen, 1) / max(n_seen.sum(), 1)
    return np.minimum((np.sqrt(share / sample) + 1) * sample / share, 1)


@numba.njit(cache=True)
def sightings(text: Array, n_vocab: int) -> Array:
    """(V,) int64, how often each word stands in the text."""
    n = np.zeros(n_vocab, np.int64)
    for token in text:
        if token != END:
            n[token] += 1
    return n


def places(text: Array, n_seen: Array) -> tuple[Array, Array]:
    """(N,) positions in `text`, word after word, ascending; (V + 1,) int64, where each word's begin."""
    first = np.concatenate([[0], np.cumsum(n_seen)])
    place = np.empty(first[-1], np.int32 if len(text) <= np.iinfo(np.int32).max else np.int64)
    _gather(text, first[:-1].copy(), place)
    return place, first


@numba.njit(cache=True)
def _gather(text, free, place):
    for position in range(len(text)):
        token = text[position]
        if token != END:
            place[free[token]] = position
            free[token] += 1


# rows


def in_threads(n: int, function: Callable[..., Block], items: Iterable[Any], *shared: Any) -> Iterator[Block]:
    """`function(item, *shared)` for each item by `n` threads, in order, few ahead; who asks has time to write meanwhile."""
    with ThreadPoolExecutor(n) as pool:
        ahead: deque = deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item, *shared))
                if len(ahead) > n + 1:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def blocks(first: Array, reach: int, parts: int = 1) -> Iterator[tuple[int, int]]:
    """(start, stop) of blocks of rows: each of at most CELLS pairs and one of `parts` of all work, or of one row.

    Args:
        first: (V + 1,) int64, of `places`, or where each row's pairs begin.
        reach: neighbours that one sighting has at most.
    """
    n_vocab, work = len(first) - 1, first * reach  # additions that the rows before take
    room = np.concatenate([[0], np.cumsum(np.minimum(np.diff(work), n_vocab))])  # pairs that they can have at most
    start = 0
    while start < n_vocab:
        ends = np.searchsorted(room, room[start] + CELLS, side="right"), np.searchsorted(work, work[start] + work[-1] / parts, side="right")
        stop = max(start + 1, int(min(ends)) - 1)
        yield start, stop
        start = stop


def count_rows(rows: tuple[int, int], text: Array, place: Array, first: Array, window: Window, origin: int = 0) -> Block:
    """The sums of some rows of the matrix.

    Args:
        rows: (start, stop).
        text: (N,) int32, END at both ends.
        place, first: of `places`.
        origin: how much text stands before this one; with the seed it decides what a dynamic window draws.
    """
    room = np.minimum(np.diff(first[rows[0] : rows[1] + 1]) * window.reach, len(first) - 1).sum()
    sides = window.left, window.right, window.dynamic
    return _filled(rows, len(first) - 1, room, _count, text, place, first, window.weights, *sides, np.uint64(window.seed), origin)


def merge_rows(start: int, first: Array, col: Array, sums: Array, n_vocab: int) -> Block:
    """Rows that were counted in several parts of a text, added up.

    Args:
        start: the first row.
        first: (parts, rows + 1) int64; row i of a part is col[first[part, i]:first[part, i + 1]].
        col, sums: (pairs,) int32 and int64, of all parts.
    """
    room = np.minimum(np.diff(first).sum(axis=0), n_vocab).sum()
    return _filled((start, start + first.shape[1] - 1), n_vocab, room, _merge, first, col, sums)


Sparse = tuple[Array, Array, Array]  # indptr int64, indices int32, data int32


def bags(x: csr_array) -> tuple[Array, Sparse, Sparse]:
    """What `together_rows` works with, of (documents, V) whole numbers: additions that the rows before take; X as CSR, and as CSC."""
    by_word = x.tocsc()
    length = np.concatenate([[0], np.cumsum(np.diff(x.indptr)[by_word.indices], dtype=np.int64)])
    by_document, by_word = ((m.indptr.astype(np.int64), m.indices.astype(np.int32), m.data.astype(np.int32)) for m in (x, by_word))
    return length[by_word[0]], by_document, by_word


def together_rows(rows: tuple[int, int], work: Array, by_document: Sparse, by_word: Sparse) -> Block:
    """Some rows of X^T X, where X is how often each document has each word.

    Args:
        rows: (start, stop).
        work, by_document, by_word: of `bags`.
    """
    n_vocab = len(work) - 1
    room = np.minimum(np.diff(work[rows[0] : rows[1] + 1]), n_vocab).sum()
    return _filled(rows, n_vocab, room, _together, *by_document, *by_word)


def _filled(rows: tuple[int, int], n_vocab: int, room: int, fill, *arrays) -> Block:
    start, stop = rows
    n_pairs, col, total = np.empty(stop - start, np.int64), np.empty(room, np.int32), np.empty(room, np.int64)
    sums, seen = np.zeros(n_vocab, np.int64), np.zeros(n_vocab // 64 + 1, np.uint64)
    n = fill(start, stop, *arrays, sums, seen, n_pairs, col, total)
    return Block(start, n_pairs, col[:n], total[:n])  # no copy: of the rest no page was ever touched


def row_sums(text: Array, n_vocab: int, window: Window, origin: int = 0) -> Array:
    """(V,) int64, in units: what each row has to sum to, by where its word stands in its documents, and not by who is near it."""
    upto = np.concatenate([[0], np.cumsum(window.weights)])
    return _row_sums(text, n_vocab, upto, window.left, window.right, window.dynamic, np.uint64(window.seed), origin)


@numba.njit(cache=True)
def _row_sums(text, n_vocab, upto, left, right, dynamic, seed, origin):
    sums, far = np.zeros(n_vocab, np.int64), len(upto) - 1
    start = 1
    for end in range(1, len(text)):
        if text[end] == END:
            for position in range(start, end):
                reach = _reach(far, dynamic, seed, origin + position)
                if left:
                    sums[text[position]] += upto[min(reach, position - start)]
                if right:
                    sums[text[position]] += upto[min(reach, end - 1 - position)]
            start = end + 1
    return sums


@numba.njit(cache=True, inline="always")
def _reach(far, dynamic, seed, place):
    """How far a place sees."""
    if dynamic:
        return 1 + np.int64(((_drawn(seed, 2 * place + 1) >> np.uint64(32)) * np.uint64(far)) >> np.uint64(32))
    return far


@numba.njit(cache=True, nogil=True)
def _count(start, stop, text, place, first, weights, left, right, dynamic, seed, origin, sums, seen, n_pairs, col, total):
    n, far = 0, len(weights)
    for row in range(start, stop):
        for i in range(first[row], first[row + 1]):
            position = place[i]
            ahead = place[min(i + AHEAD, len(place) - 1)]
            prefetch(text, ahead - far)
            prefetch(text, ahead + far)
            reach = _reach(far, dynamic, seed, origin + position)
            if left:
                for d in range(reach):
                    token = text[position - 1 - d]
                    if token == END:
                        break
                    _add(token, weights[d], sums, seen)
            if right:
                for d in range(reach):
                    token = text[position + 1 + d]
                    if token == END:
                        break
                    _add(token, weights[d], sums, seen)
        n_pairs[row - start] = _take(sums, seen, col[n:], total[n:])
        n += n_pairs[row - start]
    return n


@numba.njit(cache=True, nogil=True)
def _merge(start, stop, first, col_in, sums_in, sums, seen, n_pairs, col, total):
    n = 0
    for row in range(stop - start):
        for part in range(len(first)):
            for i in range(first[part, row], first[part, row + 1]):
                _add(col_in[i], sums_in[i], sums, seen)
        n_pairs[row] = _take(sums, seen, col[n:], total[n:])
        n += n_pairs[row]
    return n


@numba.njit(cache=True, nogil=True)
def _together(start, stop, bag, word, often, first, document, times, sums, seen, n_pairs, col, total):
    n = 0
    for row in range(start, stop):
        for i in range(first[row], first[row + 1]):
            for j in range(bag[document[i]], bag[document[i] + 1]):
                _add(word[j], np.int64(times[i]) * often[j], sums, seen)
        n_pairs[row - start] = _take(sums, seen, col[n:], total[n:])
        n += n_pairs[row - start]
    return n


@numba.njit(inline="always")
def _add(token, weight, sums, seen):
    """Adds to the sum of a column, and marks in the bits of `seen` that it has one."""
    sums[token] += weight
    seen[token >> 6] |= np.uint64(1) << np.uint64(token & 63)


@numba.njit(cache=True)
def _take(sums, seen, col, total):
    """Moves what was summed to (col, total), ascending, and leaves `sums` and `seen` empty; how many there are."""
    n = 0
    for i in range(len(seen)):
        bits = seen[i]
        seen[i] = 0
        while bits:
            token = i * 64 + np.int64(trailing_zeros(bits))
            bits &= bits - np.uint64(1)
            col[n], total[n] = token, sums[token]
            sums[token] = 0
            n += 1
    return n


@intrinsic
def prefetch(typing, array, index):
    """Asks for the memory of array[index], which may lie outside, and goes on without waiting."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0])
        pointer = builder.bitcast(cgutils.get_item_pointer(context, builder, array, data, [arguments[1]]), cgutils.voidptr_t)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [pointer, number(0), number(3), number(1)])  # to read, to be kept near, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@numba.njit(cache=True)
def _drawn(seed, number):
    return _mix(_mix(seed) + np.uint64(number))


@numba.njit(cache=True)
def _mix(z):
    """64 bits that look drawn, of any 64 (SplitMix64; Steele et al. 2014)."""
    z += np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def count_plain(text: Array, window: Window, origin: int = 0) -> tuple[Array, Array, Array]:
    """What the blocks of all rows hold, as `pairs` gives it: the definition, place after place."""
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for position, row in enumerate(text):
        reach = len(window.weights)
        if window.dynamic:
            reach = 1 + ((_drawn_plain(window.seed, 2 * (origin + position) + 1) >> 32) * reach >> 32)
        for step in ([-1] if window.left else []) + ([1] if window.right else []):
            for d, weight in enumerate(window.weights[:reach].tolist(), 1):
                if row == END or text[position + step * d] == END:
                    break
                sums[int(row), int(text[position + step * d])] += weight
    pairs = np.array(sorted(sums), np.int32).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1], np.array([sums[pair] / window.unit for pair in sorted(sums)], np.float32)


def _drawn_plain(seed: int, number: int) -> int:
    z = seed
    for more in (0, number):
        z = (z + more + 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
    return z
