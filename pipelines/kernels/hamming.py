"""Which bits differ: the nearest of packed binary codes by Hamming distance, exactly, by going through all of them.

A word of 64 bits costs an exclusive or and one instruction that counts bits. Codes are gone through in blocks that stay in
the processor's cache for all queries: first the distances of a block and the smallest of them, loops without branches; only
a block with one below the k-th best so far is looked through, which soon is rare.
"""

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

Array = np.ndarray
BLOCK = 1024  # codes; of 256 bits they take 32 kB
MANY = np.int32(2**31 - 1)


def pack(signs: Array) -> Array:
    """(n, K) numbers -> (W, n) uint64, W = ceil(K / 64): a bit is set where the number is above 0, and none beyond K is."""
    bits = np.packbits(np.asarray(signs) > 0, axis=1)
    words = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)
    return np.ascontiguousarray(words.T)  # one word of all codes side by side: eight at a time


def nearest(queries: Array, codes: Array, k: int, own: Array) -> tuple[Array, Array]:
    """The k codes with the fewest bits other than the query's; of two at the same distance the one of the lower row.

    Args:
        queries: (W, Q) uint64, of `pack`.
        codes: (W, V) uint64.
        k: at most V - 1.
        own: (Q,) the row of `codes` that is the query itself, never its own neighbour; -1 for none.

    Returns:
        (Q, k) int64 rows, the nearest first, and (Q, k) int32 distances.
    """
    return _nearest(queries, codes, k, own)


@intrinsic
def _count(typing, word):
    """How many bits of a uint64 are set: the processor's own instruction, for which numba has no name."""
    return types.uint64(types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])


@numba.njit(cache=True, nogil=True)
def _nearest(queries, codes, k, own):
    n, n_queries = codes.shape[1], queries.shape[1]
    row, distance = np.full((n_queries, k), -1, np.int64), np.full((n_queries, k), MANY)
    block = np.empty(BLOCK, np.int32)
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        for q in range(n_queries):
            away = block[:size]
            away[:] = 0
            for w in range(len(codes)):
                word, column = queries[w, q], codes[w, start : start + size]
                for i in range(size):
                    away[i] += np.int32(_count(word ^ column[i]))
            best, found, least = distance[q], row[q], MANY
            for i in range(size):
                least = min(least, away[i])
            if least >= best[k - 1]:
                continue
            for i in range(size):
                if away[i] < best[k - 1] and start + i != own[q]:
                    at = k - 1
                    while at > 0 and best[at - 1] > away[i]:
                        best[at], found[at] = best[at - 1], found[at - 1]
                        at -= 1
                    best[at], found[at] = away[i], start + i
    return row, distance
