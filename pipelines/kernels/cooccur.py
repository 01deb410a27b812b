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
    place, first = places(text, sightings(text, n_vocab))
    for rows in blocks(first, len(weights) * (left + right)):
        yield count_rows(rows, text, place, first, weights, left, right, numba.get_num_threads())


def blocks(first: Array, reach: int, parts: int = 1) -> Iterator[tuple[int, int]]:
    """(start, stop) of blocks of rows: each of at most CELLS pairs and one of `parts` of all work, or of one row.

    Args:
        first: (V + 1,) int64, of `places`.
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


def count_rows(
    rows: tuple[int, int], text: Array, place: Array, first: Array, weights: Array, left: bool, right: bool, lanes: int = 1
) -> tuple[Array, Array, Array]:
    """What `count` yields, for some rows.

    Args:
        rows: (start, stop).
        place, first: of `places`.
        lanes: threads; one works without numba's own, so that several calls can be under way in one process.
    """
    (start, stop), n_vocab = rows, len(first) - 1
    work = np.diff(first[start : stop + 1]) * (len(weights) * (left + right))
    cell = np.concatenate([[0], np.cumsum(np.minimum(work, n_vocab))])  # where each row's pairs go, with gaps between rows
    sums, seen = np.zeros((lanes, n_vocab)), np.zeros((lanes, n_vocab // 64 + 1), np.uint64)
    n_pairs, col, total = np.empty(stop - start, np.int64), np.empty(cell[-1], np.int32), np.empty(cell[-1], np.float32)
    if lanes == 1:
        _count_lane(text, place, first, weights, left, right, start, start, stop, cell, sums[0], seen[0], n_pairs, col, total)
    else:
        done = np.cumsum(work + n_vocab // 64)
        share = start + np.searchsorted(done, done[-1] * np.arange(lanes + 1) / lanes)  # rows of equal work a lane
        share[-1] = stop
        _count(text, place, first, weights, left, right, start, share, cell, sums, seen, n_pairs, col, total)
    n = _close_up(cell, n_pairs, col, total)
    return np.repeat(np.arange(start, stop, dtype=np.int32), n_pairs), col[:n], total[:n]


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


@numba.njit(cache=True, parallel=True)
def _count(text, place, first, weights, left, right, start, share, cell, sums, seen, n_pairs, col, total):
    for lane in numba.prange(len(sums)):
        begin, end = share[lane], share[lane + 1]
        _count_lane(text, place, first, weights, left, right, start, begin, end, cell, sums[lane], seen[lane], n_pairs, col, total)


@numba.njit(cache=True, nogil=True)
def _count_lane(text, place, first, weights, left, right, start, begin, end, cell, sums, seen, n_pairs, col, total):
    for row in range(begin, end):
        _add(text, place[first[row] : first[row + 1]], weights, left, right, sums, seen)
        at = cell[row - start]
        n_pairs[row - start] = _take(sums, seen, col[at:], total[at:])


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
