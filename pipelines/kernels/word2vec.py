"""word2vec's descent in batches: small matrix products, no lock, and the same bytes for any number of threads.

A batch is a few thousand tokens, cut into chunks. Every chunk reads the vectors as they were when the batch
began, and leaves its changes in a place of its own; then each row of the matrices has the changes of all chunks
added to it, in the chunks' order, by one thread. So nothing depends on who was faster.

Two things make that work. The noise words of a chunk are shared by its tokens, as Ji, Satish, Li, Dubey 2016 share
them in a window: a hidden vector meets each of them once, weighted by the number of pairs that it is in. And the
changes that meet in one row are a sum of many first-order steps from one point, which for a frequent word can be
too long: a row's sum is divided by its curvature, lr times the sum of sigma'(score) times the squared length of the
other vector, where that is above 1. So no row goes further than Newton's step would take it, and a row that is in
few pairs of the batch moves as in word2vec.c. Rows of one gradient are scaled alike: where it is zero does not move.

A text is one int32 array as in kernels/cooccur.py: token ids from 0, and END before, between and after its documents.
`train` is the fast kernel, `train_plain` says the same in NumPy, pair after pair.
"""

import heapq
from typing import NamedTuple

import numba
import numpy as np

Array = np.ndarray
END = -1
CHUNK = 64  # tokens that share their noise words
LANES = 64  # parts that the rows of a matrix are dealt out to when changes are added
PAD = 16  # a row is a whole number of a processor's widest registers, so that loops have no rest
OFTEN = 8  # sightings of the most frequent word in a batch, about; with 32 a text of ten words swings, and does not learn
LARGEST = 128  # chunks of a batch at most
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}  # not "nnan" and "ninf": numbers that are none must show

SKIPGRAM, CBOW, DBOW, DM, CONCAT = range(5)  # what the hidden vectors are
NEGATIVE, SOFTMAX, TREE = range(3)  # what they are held against

EDGE, STEPS = np.float32(12), np.float32(1024)  # sigma and its logarithm are read from tables: -EDGE to EDGE, STEPS entries per 1
_SCORES = np.arange(-12 * 1024, 12 * 1024 + 1) / 1024
SIGMA = (1 / (1 + np.exp(-_SCORES))).astype(np.float32)
SOFTPLUS = np.log1p(np.exp(_SCORES)).astype(np.float32)


class Text(NamedTuple):
    """A piece of text, subsampled, END at both ends."""

    token: Array  # (N,) int32
    document: Array  # (N,) int32, row of `Weights.documents`; (0,) where the form has no documents


class Weights(NamedTuple):
    """All that descent changes; D and H are multiples of PAD, the numbers beyond the vectors' size are 0."""

    words: Array  # (R, D) float32, one row per word, or per word and n-gram
    documents: Array  # (T, D); (0, D) where the form has no documents
    outputs: Array  # (V, H); of the inner nodes for TREE; H is D, or for CONCAT the hidden vector's


class Parts(NamedTuple):
    """The rows of `Weights.words` whose mean is a word's vector; row w alone where `first` is empty."""

    first: Array  # (V + 1,) int64
    row: Array  # (M,) int32


class Tree(NamedTuple):
    """The way from the root to each word; empty but for TREE."""

    first: Array  # (V + 1,) int64
    node: Array  # (M,) int32, rows of `outputs`
    code: Array  # (M,) int8, 0 or 1: which way it goes on from there


class Form(NamedTuple):
    hidden: int  # SKIPGRAM ...
    against: int  # NEGATIVE ...
    window: int  # tokens to each side at most; each place draws its own, from 1 on
    negative: float  # noise words that a pair counts for
    noise: int  # noise words that a chunk shares; for SOFTMAX the vocabulary, for TREE 0
    words_too: bool  # DBOW: with the pairs of SKIPGRAM
    learn_words: bool  # or the documents alone


def padded(size: int) -> int:
    return -(-size // PAD) * PAD


class Changes:
    """Room for what the chunks of a batch leave: each chunk's rows in order, -1 where there is none.

    Attributes:
        words, documents, outputs: (rows (B, n) int32, changes (B, n, width) float32, curvatures (B, n) float32).
    """

    def __init__(self, n_chunks: int, form: Form, weights: Weights, longest_way: int = 0):
        width, reach = weights.words.shape[1], CHUNK + 2 * form.window
        of_text = CHUNK * max(longest_way, 1)
        n_outputs = of_text + form.noise if form.against != SOFTMAX else CHUNK + form.noise

        def room(n: int, width: int) -> tuple[Array, Array, Array]:
            return np.empty((n_chunks, n), np.int32), np.empty((n_chunks, n, width), np.float32), np.empty((n_chunks, n), np.float32)

        self.words = room(reach, width)
        self.documents = room(CHUNK if len(weights.documents) else 0, width)
        self.outputs = room(n_outputs, weights.outputs.shape[1])
        self.loss = np.empty((n_chunks, 2))  # summed, and the pairs


def batch_size(kept: Array) -> int:
    """Chunks of a batch.

    Args:
        kept: (V,) sightings that subsampling leaves of each word, on average.
    """
    most = float(kept.max() / max(kept.sum(), 1e-30))
    return int(np.clip(OFTEN / max(most, 1e-30) / CHUNK, 1, LARGEST))


def keep(counts: Array, sample: float) -> Array:
    """(V,) float64, the share of a word's sightings that subsampling keeps, as word2vec.c has it; 0: all."""
    if not sample:
        return (counts > 0).astype(np.float64)
    share = np.maximum(counts / (sample * max(counts.sum(), 1)), 1e-30)
    return np.where(counts > 0, np.minimum(1, (np.sqrt(share) + 1) / share), 0)


def huffman(counts: Array) -> Tree:
    """The tree in which frequent words have short ways (Huffman 1952); node 0 is the root.

    Args:
        counts: (V,) int64, V >= 2.
    """
    heap = [(int(count), word) for word, count in enumerate(counts)]
    heapq.heapify(heap)
    above, bit = np.zeros(2 * len(counts) - 1, np.int64), np.zeros(2 * len(counts) - 1, np.int8)
    for inner in range(len(counts), 2 * len(counts) - 1):
        (few, left), (more, right) = heapq.heappop(heap), heapq.heappop(heap)
        above[[left, right]], bit[right] = inner, 1
        heapq.heappush(heap, (few + more, inner))
    root, nodes, codes, lengths = 2 * len(counts) - 2, [], [], []
    for word in range(len(counts)):
        way, at = [], word
        while at != root:
            way.append((root - above[at], bit[at]))
            at = above[at]
        lengths.append(len(way))
        nodes += [node for node, _ in reversed(way)]
        codes += [code for _, code in reversed(way)]
    return Tree(np.concatenate([[0], np.cumsum(lengths)]), np.array(nodes, np.int32), np.array(codes, np.int8))


@numba.njit(inline="always")
def _mix(x):
    """SplitMix64's output function (Steele, Lea, Flood 2014): a number's hash."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(inline="always")
def _drawn(seed, place):
    """uint64, of a place's own."""
    return _mix(seed + np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15))


@numba.njit(inline="always")
def _unit(drawn):
    """[0, 1)"""
    return np.float64(drawn >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@numba.njit(cache=True)
def thin(values: Array, offsets: Array, tags: Array, word: Array, share: Array, seed: int) -> tuple[Array, Array]:
    """Documents as a piece of text, without what subsampling passes over: (token, document) of `Text`.

    Args:
        values, offsets: document i is values[offsets[i]:offsets[i + 1]].
        tags: (n,) int32, a document's row in `Weights.documents`; (0,) without documents.
        word: token id -> its row here, or -1 for one to leave out.
        share: (V,) of `keep`, by row.
        seed: uint64, of this piece in this epoch.
    """
    token = np.empty(offsets[-1] - offsets[0] + len(offsets), np.int32)
    document = np.empty(len(token) if len(tags) else 0, np.int32)
    token[0], n = END, 1
    for i in range(len(offsets) - 1):
        for at in range(offsets[i], offsets[i + 1]):
            row = word[values[at]]
            if row >= 0 and _unit(_drawn(seed, at)) < share[row]:
                token[n] = row
                if len(tags):
                    document[n] = tags[i]
                n += 1
        token[n] = END
        n += 1
    return token[:n].copy(), document[:n].copy()


def train(
    text: Text, chunks: Array, weights: Weights, parts: Parts, tree: Tree, chances: Array, shift: Array,
    form: Form, lr: float, seed: int, changes: Changes,
) -> tuple[float, int]:  # fmt: skip
    """One batch, in place.

    Args:
        chunks: (B,) int64, which CHUNKs of the text, at most as many as `changes` has room for.
        chances: (V,) float64, running sums of the chance that a word is drawn as noise; the last is 1.
        shift: (V,) float32, taken from the score of a pair with this word: 0, or for noise-contrastive estimation
            log(negative times its chance).
        lr: learning rate.
        seed: uint64, of this batch's windows and noise words.

    Returns:
        The summed loss of the pairs, before their steps, and how many they are.
    """
    n = len(chunks)
    words, documents, outputs = ([part[:n] for part in parts_] for parts_ in (changes.words, changes.documents, changes.outputs))
    numbers = (np.float32(form.negative), form.hidden, form.against, form.window, form.noise, form.words_too)
    _batch(text, chunks, weights, parts, tree, chances, shift, *numbers, np.float32(lr), np.uint64(seed), words[1], words[2], words[0],
           documents[1], documents[2], documents[0], outputs[1], outputs[2], outputs[0], changes.loss, SIGMA, SOFTPLUS)  # fmt: skip
    if form.learn_words:
        _add_to(weights.words, *words, parts)
        _add_to(weights.outputs, *outputs, NO_PARTS)
    if documents[0].size:
        _add_to(weights.documents, *documents, NO_PARTS)
    return float(changes.loss[:n, 0].sum()), int(changes.loss[:n, 1].sum())


NO_PARTS = Parts(np.zeros(0, np.int64), np.zeros(0, np.int32))
NO_TREE = Tree(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8))


def means(words: Array, parts: Parts) -> Array:
    """(V, D) float32, each word's vector: the mean of its parts."""
    vectors = np.empty((len(parts.first) - 1, words.shape[1]), np.float32)
    _gather(np.arange(len(vectors), dtype=np.int32), words, parts.first, parts.row, vectors)
    return vectors


def _add_to(matrix: Array, rows: Array, change: Array, curve: Array, parts: Parts) -> None:
    row, source, bounds = _deal(rows.reshape(-1), parts.first, parts.row)
    _add(matrix, row, source, bounds, change.reshape(-1, change.shape[-1]), curve.reshape(-1))


@numba.njit(cache=True)
def _deal(rows, first, part):
    """The rows that change and the places of their changes, dealt out to LANES lanes, in order within a lane."""
    whole = len(first) == 0
    bounds = np.zeros(LANES + 1, np.int64)
    for row in rows:
        if row >= 0:
            if whole:
                bounds[row % LANES + 1] += 1
            else:
                for j in range(first[row], first[row + 1]):
                    bounds[part[j] % LANES + 1] += 1
    bounds = np.cumsum(bounds)
    free = bounds[:-1].copy()
    out, source = np.empty(bounds[-1], np.int32), np.empty(bounds[-1], np.int32)
    for at in range(len(rows)):
        row = rows[at]
        if row >= 0:
            for j in range(1 if whole else first[row + 1] - first[row]):
                to = row if whole else part[first[row] + j]
                lane = to % LANES
                out[free[lane]], source[free[lane]] = to, at
                free[lane] += 1
    return out, source, bounds


@numba.njit(cache=True, parallel=True)
def _add(matrix, row, source, bounds, change, curve):
    total = np.empty(len(matrix), np.float32)
    for lane in numba.prange(LANES):
        for j in range(bounds[lane], bounds[lane + 1]):
            total[row[j]] = 0
        for j in range(bounds[lane], bounds[lane + 1]):
            total[row[j]] += curve[source[j]]
        for j in range(bounds[lane], bounds[lane + 1]):
            to, step = matrix[row[j]], change[source[j]]
            scale = np.float32(1) / max(np.float32(1), total[row[j]])
            for d in range(len(to)):
                to[d] += scale * step[d]


@numba.njit(cache=True, parallel=True)
def _batch(
    text, chunks, weights, parts, tree, chances, shift, negative, hidden, against, window, n_noise, words_too, lr, seed,
    d_words, c_words, r_words, d_documents, c_documents, r_documents, d_outputs, c_outputs, r_outputs, loss, sigma, softplus,
):  # fmt: skip
    for k in numba.prange(len(chunks)):
        loss[k, 0], loss[k, 1] = _chunk(
            text.token, text.document, chunks[k] * CHUNK, weights.words, weights.documents, weights.outputs, parts.first, parts.row,
            tree.first, tree.node, tree.code, chances, shift, negative, hidden, against, window, n_noise, words_too, lr, seed,
            d_words[k], c_words[k], r_words[k], d_documents[k], c_documents[k], r_documents[k], d_outputs[k], c_outputs[k], r_outputs[k],
            sigma, softplus,
        )  # fmt: skip


@numba.njit(cache=True)
def _chunk(
    token, document, start, words, documents, outputs, part_first, part_row, tree_first, tree_node, tree_code, chances, shift,
    negative, hidden, against, window, n_noise, words_too, lr, seed,
    d_words, c_words, r_words, d_documents, c_documents, r_documents, d_outputs, c_outputs, r_outputs, sigma, softplus,
):  # fmt: skip
    """One chunk: gathers the hidden vectors, holds them against the outputs, and hands back what they are to change."""
    stop = min(start + CHUNK, len(token))
    low, high = max(0, start - window), min(len(token), stop + window)
    d_words[:], c_words[:], r_words[:] = 0, 0, -1
    d_documents[:], c_documents[:], r_documents[:] = 0, 0, -1
    d_outputs[:], c_outputs[:], r_outputs[:] = 0, 0, -1
    target = np.full(CHUNK, np.int32(-1))
    target[: stop - start] = token[start:stop]
    # each centre's window, in places from `low`
    first, last, own = np.zeros(CHUNK, np.int64), np.zeros(CHUNK, np.int64), np.full(CHUNK, -1)
    for c in range(stop - start):
        if target[c] >= 0:
            p = start + c
            reach = window if hidden == CONCAT else 1 + np.int64(_drawn(seed, p) % np.uint64(window))
            a = b = p
            while a > p - reach and token[a - 1] >= 0:
                a -= 1
            while b < p + reach and token[b + 1] >= 0:
                b += 1
            first[c], last[c], own[c] = a - low, b + 1 - low, p - low
    chosen = _choose(seed, start, n_noise, chances, against)
    vectors = np.empty((high - low, words.shape[1]), np.float32)
    if hidden != DBOW or words_too:
        _gather(token[low:high], words, part_first, part_row, vectors)
        r_words[: high - low] = token[low:high]
    loss, n_pairs = 0.0, 0
    if hidden == SKIPGRAM or words_too:
        loss, n_pairs = _meet(
            vectors, target, first, last, own, outputs, chosen, tree_first, tree_node, tree_code, shift, negative, against, lr,
            d_words, c_words, d_outputs, c_outputs, r_outputs, sigma, softplus,
        )  # fmt: skip
    if hidden == SKIPGRAM:
        return loss, n_pairs
    # the documents of the chunk, each once
    of = np.full(CHUNK, -1)
    n_documents = 0
    if len(document):
        for c in range(stop - start):
            if target[c] >= 0:
                if not n_documents or r_documents[n_documents - 1] != document[start + c]:
                    r_documents[n_documents] = document[start + c]
                    n_documents += 1
                of[c] = n_documents - 1
    place, after, nowhere = np.zeros(CHUNK, np.int64), np.zeros(CHUNK, np.int64), np.full(CHUNK, -1)
    if hidden == DBOW:
        held = np.empty((n_documents, documents.shape[1]), np.float32)
        for i in range(n_documents):
            held[i] = documents[r_documents[i]]
        for c in range(CHUNK):
            place[c], after[c] = max(of[c], 0), of[c] + 1
        more, n_more = _meet(
            held, target, place, after, nowhere, outputs, chosen, tree_first, tree_node, tree_code, shift, negative, against, lr,
            d_documents, c_documents, d_outputs, c_outputs, r_outputs, sigma, softplus,
        )  # fmt: skip
        return loss + more, n_pairs + n_more
    held = np.zeros((CHUNK, outputs.shape[1]), np.float32)
    back, bend = np.zeros((CHUNK, outputs.shape[1]), np.float32), np.zeros(CHUNK, np.float32)
    width = words.shape[1]
    for c in range(stop - start):
        n_parts = last[c] - first[c] - 1 + (of[c] >= 0)
        if target[c] < 0 or n_parts <= 0:
            continue
        place[c], after[c] = c, c + 1
        if hidden == CONCAT:
            held[c, :width] = documents[r_documents[of[c]]]
            for i in range(first[c], last[c]):
                if i != own[c]:
                    at = _slot(i - own[c], window) * width
                    held[c, at : at + width] = vectors[i]
        else:
            to = held[c]
            for i in range(first[c], last[c]):
                if i != own[c]:
                    for d in range(width):
                        to[d] += vectors[i, d]
            if of[c] >= 0:
                for d in range(width):
                    to[d] += documents[r_documents[of[c]], d]
            for d in range(width):
                to[d] *= np.float32(1) / np.float32(n_parts)
    loss, n_pairs = _meet(
        held, target, place, after, nowhere, outputs, chosen, tree_first, tree_node, tree_code, shift, negative, against, lr,
        back, bend, d_outputs, c_outputs, r_outputs, sigma, softplus,
    )  # fmt: skip
    for c in range(CHUNK):
        if after[c]:  # each part takes the whole step, as in word2vec.c
            for i in range(first[c], last[c]):
                if i != own[c]:
                    at = _slot(i - own[c], window) * width if hidden == CONCAT else 0
                    _plus(d_words[i], back[c, at : at + width])
                    c_words[i] += bend[c]
            if of[c] >= 0:
                _plus(d_documents[of[c]], back[c, :width])
                c_documents[of[c]] += bend[c]
    return loss, n_pairs


@numba.njit(inline="always")
def _slot(distance, window):
    """Where a neighbour's vector stands in a hidden vector that is put together; the document's is slot 0."""
    return distance + window + (1 if distance < 0 else 0)


@numba.njit(cache=True, fastmath=FAST)
def _plus(to, what):
    for d in range(len(to)):
        to[d] += what[d]


@numba.njit(cache=True)
def _choose(seed, start, n_noise, chances, against):
    """The noise words of a chunk."""
    chosen = np.empty(n_noise, np.int32)
    for n in range(n_noise):
        if against == SOFTMAX:
            chosen[n] = n
        else:
            # not the stream that the windows come from
            drawn = _unit(_drawn(~seed, start * 64 + n))
            chosen[n] = min(np.searchsorted(chances, drawn, side="right"), len(chances) - 1)
    return chosen


@numba.njit(cache=True)
def _gather(token, words, first, row, vectors):
    """Each place's word vector; the mean of its parts where it has several."""
    for i in range(len(token)):
        if token[i] < 0:
            vectors[i] = 0
        elif len(first) == 0:
            vectors[i] = words[token[i]]
        else:
            vectors[i] = 0
            for j in range(first[token[i]], first[token[i] + 1]):
                _plus(vectors[i], words[row[j]])
            vectors[i] *= np.float32(1) / np.float32(first[token[i] + 1] - first[token[i]])


@numba.njit(cache=True)
def _meet(
    held, target, first, last, own, outputs, chosen, tree_first, tree_node, tree_code, shift, negative, against, lr,
    d_held, c_held, d_outputs, c_outputs, r_outputs, sigma, softplus,
):  # fmt: skip
    """Each centre and the hidden vectors first:last without `own`: against what is asked; (loss, pairs)."""
    n_pairs = 0
    pairs = np.zeros(len(held), np.int32)
    for c in range(len(target)):
        if target[c] >= 0:
            for i in range(first[c], last[c]):
                if i != own[c]:
                    pairs[i] += 1
                    n_pairs += 1
    if against == TREE:
        loss = _tree_pass(
            held, target, first, last, own, outputs, tree_first, tree_node, tree_code, lr, d_held, c_held, d_outputs, c_outputs, r_outputs,
            sigma, softplus,
        )  # fmt: skip
        return loss, n_pairs
    n_noise = len(chosen)
    h2 = np.zeros(len(held), np.float32)
    for i in range(len(held)):
        h2[i] = _dot(held[i], held[i])
    scores = np.zeros((len(held), n_noise), np.float32)
    rest = np.empty((len(held), n_noise), np.float32)  # pairs of i that noise word n stands against
    for i in range(len(held)):
        rest[i] = pairs[i]
    noise, n2 = np.empty((n_noise, outputs.shape[1]), np.float32), np.empty(n_noise, np.float32)
    for n in range(n_noise):
        noise[n], n2[n] = outputs[chosen[n]], _dot(outputs[chosen[n]], outputs[chosen[n]])
        r_outputs[CHUNK + n] = chosen[n]
        if against == NEGATIVE:
            for c in range(len(target)):
                if target[c] == chosen[n]:  # a word is no noise to itself
                    for i in range(first[c], last[c]):
                        if i != own[c]:
                            rest[i, n] -= 1
    _scores(held, noise, pairs, scores)
    if against == SOFTMAX:
        loss = _softmax(scores, pairs, lr, h2, n2, c_held, c_outputs[CHUNK:])
    else:
        loss = _sigmoid(scores, rest, chosen, shift, negative / np.float32(n_noise), lr, h2, n2, c_held, c_outputs[CHUNK:], sigma, softplus)
    _times(scores, noise, pairs, d_held)
    _times_t(scores, held, d_outputs[CHUNK:])
    loss += _pair_pass(
        held, target, first, last, own, outputs, shift, against, lr, h2, d_held, c_held, d_outputs, c_outputs, sigma, softplus
    )
    for c in range(len(target)):
        r_outputs[c] = target[c]
    return loss, n_pairs


@numba.njit(cache=True, fastmath=FAST)
def _dot(a, b):
    total = np.float32(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@numba.njit(inline="always")
def _entry(score):
    """A score's entry in the tables; of no number the first."""
    if not score > -EDGE:
        return 0
    return np.int64((min(score, EDGE) + EDGE) * STEPS + np.float32(0.5))


@numba.njit(cache=True, fastmath=FAST)
def _scores(held, noise, pairs, scores):
    """scores = held noise^T, where a hidden vector is in any pair; four noise words at a time, so that it is read once for them."""
    for i in range(len(held)):
        if pairs[i]:
            h = held[i]
            for n in range(len(noise) // 4 * 4, len(noise)):
                scores[i, n] = _dot(h, noise[n])
            for n in range(0, len(noise) // 4 * 4, 4):
                a, b, c, e = noise[n], noise[n + 1], noise[n + 2], noise[n + 3]
                sa = sb = sc = se = np.float32(0)
                for d in range(len(h)):
                    sa += h[d] * a[d]
                    sb += h[d] * b[d]
                    sc += h[d] * c[d]
                    se += h[d] * e[d]
                scores[i, n], scores[i, n + 1], scores[i, n + 2], scores[i, n + 3] = sa, sb, sc, se


@numba.njit(cache=True, fastmath=FAST)
def _sigmoid(scores, rest, chosen, shift, share, lr, h2, n2, c_held, c_noise, sigma, softplus):
    """Scores become steps; gives the loss."""
    loss = 0.0
    for i in range(len(scores)):
        for n in range(len(chosen)):
            at = _entry(scores[i, n] - shift[chosen[n]])
            weight = share * rest[i, n]
            loss += weight * softplus[at]
            step = lr * weight * sigma[at]
            curve = step * (np.float32(1) - sigma[at])
            c_held[i] += curve * n2[n]
            c_noise[n] += curve * h2[i]
            scores[i, n] = -step
    return loss


@numba.njit(cache=True, fastmath=FAST)
def _softmax(scores, pairs, lr, h2, n2, c_held, c_noise):
    """The same for the whole vocabulary: a pair's loss is log sum exp, less the score of its word, which `_pair_pass` takes."""
    loss = 0.0
    for i in range(len(scores)):
        if pairs[i]:
            top = scores[i].max()
            total = 0.0
            for n in range(scores.shape[1]):
                scores[i, n] = np.exp(scores[i, n] - top)
                total += scores[i, n]
            loss += pairs[i] * (np.log(total) + top)
            for n in range(scores.shape[1]):
                chance = np.float32(scores[i, n] / total)
                curve = lr * pairs[i] * chance * (np.float32(1) - chance)
                c_held[i] += curve * n2[n]
                c_noise[n] += curve * h2[i]
                scores[i, n] = -lr * pairs[i] * chance
        else:
            scores[i] = 0
    return loss


@numba.njit(cache=True, fastmath=FAST)
def _times(steps, noise, pairs, d_held):
    """d_held += steps noise."""
    for i in range(len(steps)):
        if pairs[i]:
            to = d_held[i]
            for n in range(len(noise) // 4 * 4, len(noise)):
                for d in range(len(to)):
                    to[d] += steps[i, n] * noise[n, d]
            for n in range(0, len(noise) // 4 * 4, 4):
                a, b, c, e = noise[n], noise[n + 1], noise[n + 2], noise[n + 3]
                sa, sb, sc, se = steps[i, n], steps[i, n + 1], steps[i, n + 2], steps[i, n + 3]
                for d in range(len(to)):
                    to[d] += sa * a[d] + sb * b[d] + sc * c[d] + se * e[d]


@numba.njit(cache=True, fastmath=FAST)
def _times_t(steps, held, d_noise):
    """d_noise += steps^T held."""
    for n in range(steps.shape[1]):
        to = d_noise[n]
        i = 0
        while i + 4 <= len(held):
            a, b, c, e = held[i], held[i + 1], held[i + 2], held[i + 3]
            sa, sb, sc, se = steps[i, n], steps[i + 1, n], steps[i + 2, n], steps[i + 3, n]
            for d in range(len(to)):
                to[d] += sa * a[d] + sb * b[d] + sc * c[d] + se * e[d]
            i += 4
        while i < len(held):
            a, sa = held[i], steps[i, n]
            for d in range(len(to)):
                to[d] += sa * a[d]
            i += 1


@numba.njit(cache=True, fastmath=FAST)
def _pair_pass(held, target, first, last, own, outputs, shift, against, lr, h2, d_held, c_held, d_outputs, c_outputs, sigma, softplus):
    """Each centre's own word against its hidden vectors, four of them at a time, so that the word's is read once for them."""
    loss = 0.0
    met, step = np.empty(len(held) + 3, np.int64), np.empty(len(held) + 3, np.float32)
    for c in range(len(target)):
        if target[c] < 0 or first[c] >= last[c]:
            continue
        o, to, n = outputs[target[c]], d_outputs[c], 0
        for i in range(first[c], last[c]):
            if i != own[c]:
                met[n] = i
                n += 1
        met[n : n + 3] = first[c]  # of no weight: the fours have no rest
        for j in range(0, n, 4):
            h0, h1, h2_, h3 = held[met[j]], held[met[j + 1]], held[met[j + 2]], held[met[j + 3]]
            s0 = s1 = s2 = s3 = np.float32(0)
            for d in range(len(o)):
                s0 += h0[d] * o[d]
                s1 += h1[d] * o[d]
                s2 += h2_[d] * o[d]
                s3 += h3[d] * o[d]
            step[j], step[j + 1], step[j + 2], step[j + 3] = s0, s1, s2, s3
        o2 = _dot(o, o)
        for j in range(n):
            i, score = met[j], step[j]
            step[j] = lr
            if against == SOFTMAX:
                loss -= score
            else:
                at = _entry(score - shift[target[c]])
                loss += softplus[len(softplus) - 1 - at]
                step[j] = lr * (np.float32(1) - sigma[at])
                curve = step[j] * sigma[at]
                c_held[i] += curve * o2
                c_outputs[c] += curve * h2[i]
            back = d_held[i]
            for d in range(len(o)):
                back[d] += step[j] * o[d]
        step[n : n + 3] = 0
        for j in range(0, n, 4):
            h0, h1, h2_, h3 = held[met[j]], held[met[j + 1]], held[met[j + 2]], held[met[j + 3]]
            s0, s1, s2, s3 = step[j], step[j + 1], step[j + 2], step[j + 3]
            for d in range(len(to)):
                to[d] += s0 * h0[d] + s1 * h1[d] + s2 * h2_[d] + s3 * h3[d]
    return loss


@numba.njit(cache=True, fastmath=FAST)
def _tree_pass(
    held, target, first, last, own, outputs, tree_first, node, code, lr, d_held, c_held, d_outputs, c_outputs, r_outputs, sigma, softplus
):
    """Each centre's way down the tree against its hidden vectors."""
    loss = 0.0
    longest = len(r_outputs) // len(target)
    for c in range(len(target)):
        if target[c] < 0 or first[c] >= last[c]:
            continue
        for j in range(tree_first[target[c]], tree_first[target[c] + 1]):
            slot = c * longest + j - tree_first[target[c]]
            r_outputs[slot] = node[j]
            o, to = outputs[node[j]], d_outputs[slot]
            o2 = _dot(o, o)
            for i in range(first[c], last[c]):
                if i != own[c]:
                    h, back = held[i], d_held[i]
                    score = np.float32(0)
                    for d in range(len(o)):
                        score += h[d] * o[d]
                    at = _entry(score)
                    loss += softplus[at] if code[j] else softplus[len(softplus) - 1 - at]
                    step = lr * (np.float32(1 - code[j]) - sigma[at])
                    curve = lr * sigma[at] * (np.float32(1) - sigma[at])
                    c_held[i] += curve * o2
                    c_outputs[slot] += curve * _dot(h, h)
                    for d in range(len(o)):
                        back[d] += step * o[d]
                    for d in range(len(o)):
                        to[d] += step * h[d]
    return loss


def train_plain(
    text: Text, chunks: Array, weights: Weights, parts: Parts, tree: Tree, chances: Array, shift: Array, form: Form, lr: float, seed: int
) -> tuple[float, int]:
    """What `train` does: all pairs of the batch, each step from the vectors as they were, then the sums."""
    steps = {name: np.zeros(matrix.shape) for name, matrix in weights._asdict().items()}
    bends = {name: np.zeros(len(matrix)) for name, matrix in weights._asdict().items()}
    loss, n_pairs = 0.0, 0
    for chunk in chunks:
        chosen = _choose(np.uint64(seed), chunk * CHUNK, form.noise, chances, form.against)
        for p in range(chunk * CHUNK, min(chunk * CHUNK + CHUNK, len(text.token))):
            if text.token[p] == END:
                continue
            target = int(text.token[p])
            for sources in _hidden_plain(text, p, parts, form, seed):
                held = _held_plain(sources, weights, form)
                n_pairs += 1
                for row, label, weight, wanted in _against_plain(target, chosen, held, weights, tree, shift, form):
                    loss += weight * (np.logaddexp(0, wanted) - (wanted if label else 0)) if form.against != SOFTMAX else 0
                    chance = 1 / (1 + np.exp(-wanted)) if form.against != SOFTMAX else wanted
                    step, bend = lr * weight * (label - chance), lr * weight * chance * (1 - chance)
                    steps["outputs"][row] += step * held
                    bends["outputs"][row] += bend * (held @ held)
                    for name, at, slot, _ in sources:
                        width = steps[name].shape[1]
                        steps[name][at] += step * weights.outputs[row, slot * width : (slot + 1) * width].astype(np.float64)
                        bends[name][at] += bend * float(weights.outputs[row].astype(np.float64) @ weights.outputs[row])
                if form.against == SOFTMAX:
                    scores = weights.outputs.astype(np.float64) @ held
                    loss += np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[target]
    for name, matrix in weights._asdict().items():
        if name == "documents" or form.learn_words:
            matrix += (steps[name] / np.maximum(1, bends[name])[:, None]).astype(np.float32)
    return loss, n_pairs


Source = tuple[str, int, int, float]  # matrix, row, slot of the hidden vector, and the share that it has in it


def _hidden_plain(text: Text, p: int, parts: Parts, form: Form, seed: int) -> list[list[Source]]:
    """The hidden vectors that the word at p is to be told from."""
    reach = form.window if form.hidden == CONCAT else 1 + int(_drawn(np.uint64(seed), p) % np.uint64(form.window))
    around = []
    for way in (-1, 1):
        for d in range(1, reach + 1):
            if text.token[p + way * d] == END:
                break
            around.append((way * d, int(text.token[p + way * d])))

    def rows(word: int) -> list[int]:
        return parts.row[parts.first[word] : parts.first[word + 1]].tolist() if len(parts.first) else [word]

    alone = [[("words", row, 0, 1 / len(rows(word))) for row in rows(word)] for _, word in around]
    if form.hidden == SKIPGRAM:
        return alone
    document: list[Source] = [("documents", int(text.document[p]), 0, 1.0)] if len(text.document) else []
    if form.hidden == DBOW:
        return [document] + (alone if form.words_too else [])
    if form.hidden == CONCAT:
        return [document + [("words", word, d + form.window + (d < 0), 1.0) for d, word in around]]
    n = len(around) + len(document)
    both = [(name, at, 0, share / n) for one in [*alone, document] for name, at, _, share in one]
    return [both] if both else []


def _held_plain(sources: list[Source], weights: Weights, form: Form) -> Array:
    held = np.zeros(weights.outputs.shape[1])
    for name, row, slot, share in sources:
        vector = getattr(weights, name)[row].astype(np.float64)
        held[slot * len(vector) : (slot + 1) * len(vector)] += share * vector
    return held


def _against_plain(
    target: int, chosen: Array, held: Array, weights: Weights, tree: Tree, shift: Array, form: Form
) -> list[tuple[int, int, float, float]]:
    """(row of outputs, label, weight, score); for SOFTMAX the word's chance in the place of the score."""
    scores = weights.outputs.astype(np.float64) @ held
    if form.against == TREE:
        way = range(tree.first[target], tree.first[target + 1])
        return [(int(tree.node[j]), 1 - int(tree.code[j]), 1.0, scores[tree.node[j]]) for j in way]
    if form.against == SOFTMAX:
        chances = np.exp(scores - scores.max())
        return [(row, int(row == target), 1.0, chance) for row, chance in enumerate(chances / chances.sum())]
    noise = [(int(word), 0, form.negative / form.noise, scores[word] - shift[word]) for word in chosen if word != target]
    return [(target, 1, 1.0, scores[target] - shift[target]), *noise]
