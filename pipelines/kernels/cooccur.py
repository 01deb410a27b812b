"""Co-occurrence counted by row: the neighbours of one word are summed at all its places, then the next word's.

There is no list of pairs to sort or merge, and one thread alone works on a row, so the sums do not
depend on how many threads there are. Of V types, each row looks at V / 64 marks of what was seen in it:
next to nothing at 100,000 types, seconds in all at a million. `count` is the fast kernel, `count_plain`
says the same in plain Python. A text is one int32 array: token ids from 0, and END before, between and
after its documents.
"""

from collections import defaultdict
from collections.abc import Iterator

import numba
import numpy as np

Array = np.ndarray
END = -1  # no window looks past it
CELLS = 2**22  # pairs that a block may have at most, unless one row alone has more: 32 MB


def join(values: Array, offsets: Array, left_out: int) -> Array:
    """Documents as one text: END, and after each document END again; without the tokens `left_out`.

    Args:
        values: (N,) int32 token ids.
        offsets: (n + 1,) int64; document i is values[offsets[i]:offsets[i + 1]].
    """
    text = np.empty(offsets[-1] - offsets[0] + len(offsets), np.int32)
    return text[: _join(values, offsets, left_out, text)].copy()


@numba.njit(cache=True)
def _join(values, offsets, left_out, text):
    text[0], n = END, 1
    for i in range(len(offsets) - 1):
        for token in values[offsets[i] : offsets[i + 1]]:
            if token != left_out:
                text[n] = token
                n += 1
        text[n] = END
        n += 1
    return n


def count(text: Array, n_vocab: int, weights: Array, left: bool, right: bool) -> Iterator[tuple[Array, Array, Array]]:
    """The matrix of counts in blocks of whole rows, sorted by row, then column.

    Args:
        text: (N,) int32, END at both ends.
        n_vocab: V; token ids are below it.
        weights: (window,) float64 > 0, what a neighbour 1, 2, ... tokens away adds.
        left, right: which neighbours count.

    Yields:
        (row int32, col int32, count float32), summed in float64 and rounded once.
    """
    n_seen = sightings(text, n_vocab)
    place, first = _places(text, n_seen)
    work = n_seen * (len(weights) * (left + right))  # additions that a row takes
    room = np.concatenate([[0], np.cumsum(np.minimum(work, n_vocab))])  # pairs that the rows before can have at most
    lanes = numba.get_num_threads()
    sums, seen = np.zeros((lanes, n_vocab)), np.zeros((lanes, n_vocab // 64 + 1), np.uint64)
    start = 0
    while start < n_vocab:
        stop = max(start + 1, int(np.searchsorted(room, room[start] + CELLS, side="right")) - 1)
        cell = room[start : stop + 1] - room[start]  # where each row's pairs go, with gaps between rows
        done = np.cumsum(work[start:stop] + n_vocab // 64)
        share = start + np.searchsorted(done, done[-1] * np.arange(lanes + 1) / lanes)  # rows of equal work a lane
        share[-1] = stop
        n_pairs, col, total = np.empty(stop - start, np.int64), np.empty(cell[-1], np.int32), np.empty(cell[-1], np.float32)
        _count(text, place, first, weights, left, right, start, share, cell, sums, seen, n_pairs, col, total)
        n = _close_up(cell, n_pairs, col, total)
        yield np.repeat(np.arange(start, stop, dtype=np.int32), n_pairs), col[:n], total[:n]
        start = stop


@numba.njit(cache=True)
def sightings(text: Array, n_vocab: int) -> Array:
    """(V,) int64, how often each word stands in the text."""
    n = np.zeros(n_vocab, np.int64)
    for token in text:
        if token != END:
            n[token] += 1
    return n


def _places(text: Array, n_seen: Array) -> tuple[Array, Array]:
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


@numba.njit(cache=True, parallel=True)
def _count(text, place, first, weights, left, right, start, share, cell, sums, seen, n_pairs, col, total):
    for lane in numba.prange(len(sums)):
        for row in range(share[lane], share[lane + 1]):
            _add(text, place[first[row] : first[row + 1]], weights, left, right, sums[lane], seen[lane])
            begin = cell[row - start]
            n_pairs[row - start] = _take(sums[lane], seen[lane], col[begin:], total[begin:])


@numba.njit(cache=True)
def _add(text, place, weights, left, right, sums, seen):
    """Adds the neighbours of one word to `sums`, and marks in the bits of `seen` which they are."""
    for position in place:
        if left:
            for d in range(len(weights)):
                token = text[position - 1 - d]
                if token == END:
                    break
                sums[token] += weights[d]
                seen[token >> 6] |= np.uint64(1) << np.uint64(token & 63)
        if right:
            for d in range(len(weights)):
                token = text[position + 1 + d]
                if token == END:
                    break
                sums[token] += weights[d]
                seen[token >> 6] |= np.uint64(1) << np.uint64(token & 63)


@numba.njit(cache=True)
def _take(sums, seen, col, total):
    """Moves what was summed to (col, total), ascending, and leaves `sums` and `seen` empty."""
    n = 0
    for i in range(len(seen)):
        bits = seen[i]
        if bits:
            seen[i] = 0
            for token in range(i * 64, min(i * 64 + 64, len(sums))):
                if (bits >> np.uint64(token & 63)) & np.uint64(1):
                    col[n], total[n] = token, sums[token]
                    sums[token] = 0.0
                    n += 1
    return n


@numba.njit(cache=True)
def _close_up(cell, n_pairs, col, total):
    """Moves the rows' pairs together, to the front; how many there are."""
    n = 0
    for i in range(len(n_pairs)):
        for at in range(cell[i], cell[i] + n_pairs[i]):
            col[n], total[n] = col[at], total[at]
            n += 1
    return n


def count_plain(text: Array, n_vocab: int, weights: Array, left: bool, right: bool) -> tuple[Array, Array, Array]:
    """What `count` yields, in one piece: the definition, place after place."""
    sums: dict[tuple[int, int], float] = defaultdict(float)
    for position, row in enumerate(text):
        for step in ([-1] if left else []) + ([1] if right else []):
            for d, weight in enumerate(weights, 1):
                if row == END or text[position + step * d] == END:
                    break
                sums[int(row), int(text[position + step * d])] += weight
    pairs = np.array(sorted(sums), np.int32).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1], np.array([sums[pair] for pair in sorted(sums)], np.float32)
