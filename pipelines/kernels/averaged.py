"""Averaged vectors: a document is the weighted mean of its words' and n-grams' vectors, and a softmax says its class.

Stochastic gradient descent, one document a step, in one thread: five passes over 20,000 reviews take 3 s, and the bytes
depend on no number of threads. `train` is the fast kernel, `train_plain` says the same in NumPy.

source  Joulin, Grave, Bojanowski, Mikolov 2017, Bag of tricks for efficient text classification
shapes  N documents, V words, R rows: V + buckets, or those of them that are kept; D numbers of a vector, C classes
"""

import itertools

import numba
import numpy as np

Array = np.ndarray
UNKNOWN = 0  # the token that stands for all others; it and n-grams with it are left out
FAST = {"reassoc", "contract", "arcp", "nsz"}  # not "nnan" and "ninf": numbers that are none must show


def features(values: Array, offsets: Array, n_vocab: int, ngrams: int, buckets: int) -> tuple[Array, Array]:
    """The rows of each document's words and n-grams, each once: (int32 rows end to end, (N + 1,) int64 offsets).

    A word's row is its token id, that of a longer n-gram V + a hash of its tokens modulo `buckets`. The unknown word has none.

    Args:
        values, offsets: token ids end to end; document i is values[offsets[i]:offsets[i + 1]].
    """
    starts = np.concatenate([[0], np.cumsum(ngrams * np.diff(offsets))])  # room for all n-grams of each document
    found, n_found = np.empty(starts[-1], np.int32), np.empty(len(offsets) - 1, np.int64)
    _features(np.ascontiguousarray(values), offsets, n_vocab, ngrams, buckets, starts, found, n_found)
    inside = np.arange(len(found)) - np.repeat(starts[:-1], np.diff(starts)) < np.repeat(n_found, np.diff(starts))
    return found[inside], np.concatenate([[0], np.cumsum(n_found)])


def only(rows: Array, offsets: Array, kept: Array, n_rows: int) -> tuple[Array, Array]:
    """The same without the rows that are not in the sorted `kept`; a row is its place in `kept` from here on."""
    place = np.full(n_rows, -1, np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    found = place[rows]
    ends = np.concatenate([[0], np.cumsum(found >= 0)])
    return found[found >= 0], ends[offsets]


@numba.njit(cache=True)
def _features(values, offsets, n_vocab, ngrams, buckets, starts, found, n_found):
    for i in range(len(offsets) - 1):
        n = starts[i]
        for first in range(offsets[i], offsets[i + 1]):
            key = np.uint64(0)
            for at in range(first, min(first + ngrams, offsets[i + 1])):
                if values[at] == UNKNOWN:
                    break
                key = _mixed(key + np.uint64(values[at]) * np.uint64(0x9E3779B97F4A7C15))
                found[n] = values[at] if at == first else n_vocab + np.int64(key % np.uint64(buckets))
                n += 1
        mine = found[starts[i] : n]
        mine.sort()
        k = 0
        for j in range(len(mine)):
            if j == 0 or mine[j] != mine[j - 1]:
                mine[k] = mine[j]
                k += 1
        n_found[i] = k


@numba.njit(inline="always")
def _mixed(z):
    """The finaliser of SplitMix64 (Steele et al. 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, fastmath=FAST)
def train(rows, offsets, class_ids, weigh, order, dropout, seed, lr, last_lr, share, vectors, outputs):
    """One pass over the documents, in place.

    Args:
        rows, offsets: as `features` gives them.
        class_ids: (N,) int64.
        weigh: (C,) float32, what a document of each class weighs.
        order: (N,) int64, documents in the order in which they are learned from.
        dropout: share of a document's rows that a step does not look at.
        seed: of what is dropped.
        lr, last_lr: learning rates of the first document and after the last; falls in a line.
        share: (R,) float32, what each row weighs in the mean.
        vectors: (R, D) float32. outputs: (C, D) float32.

    Returns:
        The sum of the losses, nats.
    """
    loss, size, state = 0.0, vectors.shape[1], np.uint64(seed)
    kept, chance = np.empty(np.diff(offsets).max(), np.int32), np.empty(len(outputs), np.float32)
    mean, pull = np.empty(size, np.float32), np.empty(size, np.float32)
    for step in range(len(order)):
        i = order[step]
        rate = np.float32(lr + (last_lr - lr) * step / len(order)) * weigh[class_ids[i]]
        n, total = 0, np.float32(0)
        mean[:] = 0
        for at in range(offsets[i], offsets[i + 1]):
            row = rows[at]
            w = share[row]
            state += np.uint64(0x9E3779B97F4A7C15)
            if dropout > 0 and (_mixed(state) >> np.uint64(11)) * 2.0**-53 < dropout:
                continue
            kept[n] = row
            n += 1
            total += w
            vector = vectors[row]
            for d in range(size):
                mean[d] += w * vector[d]
        if n == 0:
            continue
        inverse = np.float32(1) / total
        for d in range(size):
            mean[d] *= inverse
        loss += weigh[class_ids[i]] * _softmax(mean, outputs, class_ids[i], chance)
        pull[:] = 0
        for c in range(len(outputs)):
            pace = rate * (np.float32(c == class_ids[i]) - chance[c])
            output = outputs[c]
            for d in range(size):
                pull[d] += pace * output[d]
                output[d] += pace * mean[d]
        for k in range(n):
            vector, part = vectors[kept[k]], share[kept[k]] * inverse
            for d in range(size):
                vector[d] += part * pull[d]
    return loss


@numba.njit(cache=True, fastmath=FAST)
def _softmax(mean, outputs, class_id, chance):
    """Fills `chance` with the probabilities of the classes; gives the loss."""
    for c in range(len(outputs)):
        score = np.float32(0)
        for d in range(len(mean)):
            score += mean[d] * outputs[c, d]
        chance[c] = score
    top = chance.max()
    total = np.float32(0)
    for c in range(len(outputs)):
        chance[c] = np.exp(chance[c] - top)
        total += chance[c]
    for c in range(len(outputs)):
        chance[c] /= total
    return -np.log(max(chance[class_id], np.float32(1e-30)))


@numba.njit(cache=True, fastmath=FAST)
def means(rows, offsets, share, vectors):
    """(N, D) float32, the weighted mean of each document; zeros of one without rows that weigh."""
    out = np.zeros((len(offsets) - 1, vectors.shape[1]), np.float32)
    for i in range(len(out)):
        total = np.float32(0)
        for at in range(offsets[i], offsets[i + 1]):
            w = share[rows[at]]
            total += w
            for d in range(vectors.shape[1]):
                out[i, d] += w * vectors[rows[at], d]
        if total > 0:
            out[i] /= total
    return out


def features_plain(values: Array, offsets: Array, n_vocab: int, ngrams: int, buckets: int) -> list[list[int]]:
    """The rows that `features` gives, a list a document."""
    found = []
    for start, end in itertools.pairwise(offsets):
        ids, rows = values[start:end].tolist(), set()
        for first in range(len(ids)):
            key = 0
            for at in range(first, min(first + ngrams, len(ids))):
                if ids[at] == UNKNOWN:
                    break
                key = _mixed_plain((key + ids[at] * 0x9E3779B97F4A7C15) % 2**64)
                rows.add(ids[at] if at == first else n_vocab + key % buckets)
        found.append(sorted(rows))
    return found


def _mixed_plain(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def train_plain(rows, offsets, class_ids, weigh, order, dropout, seed, lr, last_lr, share, vectors, outputs) -> float:
    """What `train` does."""
    loss, state = 0.0, seed
    for step, i in enumerate(order):
        rate = (lr + (last_lr - lr) * step / len(order)) * weigh[class_ids[i]]
        kept = []
        for row in rows[offsets[i] : offsets[i + 1]]:
            state = (state + 0x9E3779B97F4A7C15) % 2**64
            if not dropout or (_mixed_plain(state) >> 11) * 2.0**-53 >= dropout:
                kept.append(row)
        if not kept:
            continue
        part = share[kept] / share[kept].sum()
        mean = part @ vectors[kept]
        scores = outputs @ mean
        chance = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        loss -= weigh[class_ids[i]] * np.log(chance[class_ids[i]])
        pace = rate * ((np.arange(len(outputs)) == class_ids[i]) - chance)
        pull = pace @ outputs
        outputs += np.outer(pace, mean)
        vectors[kept] += np.outer(part, pull)
    return loss
