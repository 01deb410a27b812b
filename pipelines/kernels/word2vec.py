"""word2vec's descent in batches: small matrix products, no lock, and the same bytes for any number of threads.

A batch is a few thousand tokens, cut into chunks. Every chunk reads the vectors as they were when the batch
began, and leaves its changes in a place of its own; then each row of the matrices has the changes of all chunks
added to it, in the chunks' order, by one thread. So nothing depends on who was faster.

Two things make that work. The noise words of a chunk are shared by its tokens, as Ji, Satish, Li, Dubey 2016 share
them in a window: a hidden vector meets each of them once, weighted by the number of pairs that it is in. And the
changes that meet in one row are a sum of many first-order steps from one point, which for a frequent word can be
too long: a row's sum is divided by its curvature where that is above SLACK. It is lr times the sum over its pairs of the
loss' curvature by the score (of a parabola that is nowhere below the loss) times the squared length of the other vector:
with a slack of 1 no row would go further than where, the others standing still, the loss is sure to be lower. A row that
is in few pairs of the batch moves as in word2vec.c; and where the gradient is zero does not change.

A text is one int32 array as in kernels/cooccur.py: token ids from 0, and END before, between and after its documents.
`train` is the fast kernel, `train_plain` says the same in NumPy, pair after pair.
"""

import heapq
from typing import NamedTuple

import numba
import numpy as np

Array = np.ndarray
END = -1
CHUNK = 64  # tokens that share their noise words, at most
LANES = 64  # parts that the rows of a matrix are dealt out to when changes are added
PAD = 16  # a row is a whole number of a processor's widest registers, so that loops have no rest
OFTEN = 2  # sightings of a word in a batch, on average over the text: rows that many pairs meet in are learned in few steps
SMALLEST = 8  # tokens of a chunk at least
# a step may be so many times as long as what is sure to lower the loss if all vectors of the other side pointed one way,
# which they do not: on Wikipedia MEN is .613 with 5 and .577 with 1, and a text of six words is still learned
SLACK = np.float32(5)
LARGEST = 128  # chunks of a batch at most
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}  # not "nnan" and "ninf": numbers that are none must show

SKIPGRAM, CBOW, DBOW, DM, CONCAT = range(5)  # what the hidden vectors are
NEGATIVE, SOFTMAX, TREE = range(3)  # what they are held against

# of a score: sigma, log(1 + exp), and the curvature of the parabola that touches that from above and is nowhere below it
# (Jaakkola, Jordan 2000), read from a table: from -EDGE to EDGE, STEPS entries per 1
EDGE, STEPS = np.float32(12), np.float32(1024)
SIGMA, SOFTPLUS, BEND = range(3)
_SCORES = np.arange(-12 * 1024, 12 * 1024 + 1) / 1024
TABLE = np.stack(
    [
        1 / (1 + np.exp(-_SCORES)),
        np.log1p(np.exp(_SCORES)),
        np.tanh(np.maximum(np.abs(_SCORES), 1e-6) / 2) / (2 * np.maximum(np.abs(_SCORES), 1e-6)),
    ],
    axis=1,
).astype(np.float32)


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
    chunk: int = CHUNK


def padded(size: int) -> int:
    return -(-size // PAD) * PAD


class Room(NamedTuple):
    """For what the B chunks of a batch leave of one matrix of R rows: n rows a chunk, in order."""

    row: Array  # (B, n) int32, -1 where there is none
    change: Array  # (B, n, width) float32
    curve: Array  # (B, n) float32, curvature
    total: Array  # (R,) float32, a row's curvature over all chunks


class Changes:
    def __init__(self, n_chunks: int, form: Form, weights: Weights, longest_way: int = 0):
        def room(n: int, matrix: Array) -> Room:
            shapes = ((n_chunks, n), np.int32), ((n_chunks, n, matrix.shape[1]), np.float32), ((n_chunks, n), np.float32)
            return Room(*(np.empty(shape, kind) for shape, kind in shapes), np.empty(len(matrix), np.float32))

        self.words = room(form.chunk + 2 * form.window, weights.words)
        self.documents = room(form.chunk if len(weights.documents) else 0, weights.documents)
        self.outputs = room(form.chunk * max(longest_way, 1) + form.noise, weights.outputs)
        self.loss = np.empty((n_chunks, 2))  # summed, and the pairs

    @property
    def n_chunks(self) -> int:
        return len(self.loss)


def batch_size(kept: Array) -> tuple[int, int]:
    """(tokens of a chunk, chunks of a batch).

    Args:
        kept: (V,) sightings that subsampling leaves of each word, on average.
    """
    share = kept / max(kept.sum(), 1e-30)
    tokens = OFTEN / max(float((share**2).sum()), 1e-30)
    chunk = int(np.clip(tokens, SMALLEST, CHUNK))
    return chunk, int(np.clip(tokens / chunk, 1, LARGEST))


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
    form: Form, lr: float, last_lr: float, seed: int, changes: Changes,
) -> tuple[float, int]:  # fmt: skip
    """Batches of `changes.n_chunks` chunks, in place.

    Args:
        chunks: int64, which chunks of the text, in the order in which they come.
        chances: (V,) float64, running sums of the chance that a word is drawn as noise; the last is 1.
        shift: (V,) float32, taken from the score of a pair with this word: 0, or for noise-contrastive estimation
            log(negative times its chance).
        lr, last_lr: learning rate; it goes in a straight line from the one to the other.
        seed: of the windows and noise words.

    Returns:
        The summed loss of the pairs, before their steps, and how many they are.
    """
    # starts the threads: numba leaves that out where a function was compiled with parallel ones from its cache, and crashes
    numba.get_num_threads()
    numbers = np.float32(form.negative), form.hidden, form.against, form.window, form.noise, form.words_too, form.learn_words, form.chunk
    return _train(text, chunks, weights, parts, NO_PARTS, tree, chances, shift, *numbers, lr, last_lr, np.uint64(seed),
                  changes.words, changes.documents, changes.outputs, changes.loss, TABLE)  # fmt: skip


@numba.njit(cache=True)
def _train(
    text, chunks, weights, parts, no_parts, tree, chances, shift, negative, hidden, against, window, n_noise, words_too, learn_words, chunk,
    lr, last_lr, seed, words, documents, outputs, loss, table,
):  # fmt: skip
    total, n_pairs = 0.0, 0
    for at in range(0, len(chunks), len(loss)):
        n = min(len(loss), len(chunks) - at)
        rate = np.float32(lr + (last_lr - lr) * at / len(chunks))
        _batch(text, chunks[at : at + n], weights, parts, tree, chances, shift, negative, hidden, against, window, n_noise, words_too, chunk, rate,
               _drawn(seed, at), words, documents, outputs, loss, table)  # fmt: skip
        if learn_words:
            _add(weights.words, words.total, words.change, words.curve, _deal(words.row, n, parts.first, parts.row))
            _add(weights.outputs, outputs.total, outputs.change, outputs.curve, _deal(outputs.row, n, no_parts.first, no_parts.row))
        if len(weights.documents):
            dealt = _deal(documents.row, n, no_parts.first, no_parts.row)
            _add(weights.documents, documents.total, documents.change, documents.curve, dealt)
        for k in range(n):
            total += loss[k, 0]
            n_pairs += int(loss[k, 1])
    return total, n_pairs


NO_PARTS = Parts(np.zeros(0, np.int64), np.zeros(0, np.int32))
NO_TREE = Tree(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8))


def means(words: Array, parts: Parts) -> Array:
    """(V, D) float32, each word's vector: the mean of its parts."""
    vectors = np.empty((len(parts.first) - 1, words.shape[1]), np.float32)
    _gather(np.arange(len(vectors), dtype=np.int32), words, parts.first, parts.row, vectors)
    return vectors


@numba.njit(cache=True)
def _deal(rows, n_chunks, first, part):
    """The rows that change and the places of their changes, dealt out to LANES lanes, in order within a lane."""
    whole, n_rows = len(first) == 0, rows.shape[1]
    bounds = np.zeros(LANES + 1, np.int64)
    for k in range(n_chunks):
        for row in rows[k]:
            if row >= 0:
                if whole:
                    bounds[row % LANES + 1] += 1
                else:
                    for j in range(first[row], first[row + 1]):
                        bounds[part[j] % LANES + 1] += 1
    bounds = np.cumsum(bounds)
    free = bounds[:-1].copy()
    out, source = np.empty(bounds[-1], np.int32), np.empty(bounds[-1], np.int32)
    for k in range(n_chunks):
        for i in range(n_rows):
            row = rows[k, i]
            if row >= 0:
                for j in range(1 if whole else first[row + 1] - first[row]):
                    to = row if whole else part[first[row] + j]
                    lane = to % LANES
                    out[free[lane]], source[free[lane]] = to, k * n_rows + i
                    free[lane] += 1
    return out, source, bounds


@numba.njit(cache=True, parallel=True)
def _add(matrix, total, change, curve, dealt):
    row, source, bounds = dealt
    changes, curves = change.reshape(-1, change.shape[2]), curve.reshape(-1)
    for lane in numba.prange(LANES):
        for j in range(bounds[lane], bounds[lane + 1]):
            total[row[j]] = 0
        for j in range(bounds[lane], bounds[lane + 1]):
            total[row[j]] += curves[source[j]]
        for j in range(bounds[lane], bounds[lane + 1]):
            to, step = matrix[row[j]], changes[source[j]]
            scale = np.float32(1) / max(np.float32(1), total[row[j]] / SLACK)
            for d in range(len(to)):
                to[d] += scale * step[d]


@numba.njit(cache=True, parallel=True)
def _batch(
    text, chunks, weights, parts, tree, chances, shift, negative, hidden, against, window, n_noise, words_too, chunk, lr, seed,
    of_words, of_documents, of_outputs, loss, table,
):  # fmt: skip
    for k in numba.prange(len(chunks)):
        loss[k, 0], loss[k, 1] = _chunk(
            text.token, text.document, chunks[k] * chunk, chunk, weights.words, weights.documents, weights.outputs, parts.first, parts.row,
            tree.first, tree.node, tree.code, chances, shift, negative, hidden, against, window, n_noise, words_too, lr, seed,
            of_words.change[k], of_words.curve[k], of_words.row[k], of_documents.change[k], of_documents.curve[k], of_documents.row[k],
            of_outputs.change[k], of_outputs.curve[k], of_outputs.row[k], table,
        )  # fmt: skip


@numba.njit(cache=True)
def _chunk(
    token, document, start, chunk, words, documents, outputs, part_first, part_row, tree_first, tree_node, tree_code, chances, shift,
    negative, hidden, against, window, n_noise, words_too, lr, seed,
    d_words, c_words, r_words, d_documents, c_documents, r_documents, d_outputs, c_outputs, r_outputs, table,
):  # fmt: skip
    """One chunk: gathers the hidden vectors, holds them against the outputs, and hands back what they are to change."""
    stop = min(start + chunk, len(token))
    low, high = max(0, start - window), min(len(token), stop + window)
    d_words[:], c_words[:], r_words[:] = 0, 0, -1
    d_documents[:], c_documents[:], r_documents[:] = 0, 0, -1
    d_outputs[:], c_outputs[:], r_outputs[:] = 0, 0, -1
    target = np.full(chunk, np.int32(-1))
    target[: stop - start] = token[start:stop]
    # each centre's window, in places from `low`
    first, last, own = np.zeros(chunk, np.int64), np.zeros(chunk, np.int64), np.full(chunk, -1)
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
            d_words, c_words, d_outputs, c_outputs, r_outputs, table,
        )  # fmt: skip
    if hidden == SKIPGRAM:
        return loss, n_pairs
    # the documents of the chunk, each once
    of = np.full(chunk, -1)
    n_documents = 0
    if len(document):
        for c in range(stop - start):
            if target[c] >= 0:
                if not n_documents or r_documents[n_documents - 1] != document[start + c]:
                    r_documents[n_documents] = document[start + c]
                    n_documents += 1
                of[c] = n_documents - 1
    place, after, nowhere = np.zeros(chunk, np.int64), np.zeros(chunk, np.int64), np.full(chunk, -1)
    if hidden == DBOW:
        held = np.empty((n_documents, documents.shape[1]), np.float32)
        for i in range(n_documents):
            held[i] = documents[r_documents[i]]
        for c in range(chunk):
            place[c], after[c] = max(of[c], 0), of[c] + 1
        more, n_more = _meet(
            held, target, place, after, nowhere, outputs, chosen, tree_first, tree_node, tree_code, shift, negative, against, lr,
            d_documents, c_documents, d_outputs, c_outputs, r_outputs, table,
        )  # fmt: skip
        return loss + more, n_pairs + n_more
    held = np.zeros((chunk, outputs.shape[1]), np.float32)
    back, bend = np.zeros((chunk, outputs.shape[1]), np.float32), np.zeros(chunk, np.float32)
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
        back, bend, d_outputs, c_outputs, r_outputs, table,
    )  # fmt: skip
    for c in range(chunk):
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
    d_held, c_held, d_outputs, c_outputs, r_outputs, table,
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
    h2 = np.zeros(len(held), np.float32)
    for i in range(len(held)):
        h2[i] = _dot(held[i], held[i])
    if against == TREE:
        loss = _tree_pass(
            held, target, first, last, own, outputs, tree_first, tree_node, tree_code, lr, h2, d_held, c_held, d_outputs, c_outputs, r_outputs,
            table,
        )  # fmt: skip
        return loss, n_pairs
    n_noise = len(chosen)
    scores = np.zeros((len(held), n_noise), np.float32)
    rest = np.empty((len(held), n_noise), np.float32)  # pairs of i that noise word n stands against
    for i in range(len(held)):
        rest[i] = pairs[i]
    noise, n2 = np.empty((n_noise, outputs.shape[1]), np.float32), np.empty(n_noise, np.float32)
    for n in range(n_noise):
        noise[n], n2[n] = outputs[chosen[n]], _dot(outputs[chosen[n]], outputs[chosen[n]])
        r_outputs[len(target) + n] = chosen[n]
        if against == NEGATIVE:
            for c in range(len(target)):
                if target[c] == chosen[n]:  # a word is no noise to itself
                    for i in range(first[c], last[c]):
                        if i != own[c]:
                            rest[i, n] -= 1
    _scores(held, noise, pairs, scores)
    if against == SOFTMAX:
        loss = _softmax(scores, pairs, lr, h2, n2, c_held, c_outputs[len(target) :])
    else:
        loss = _sigmoid(scores, rest, chosen, shift, negative / np.float32(n_noise), lr, h2, n2, c_held, c_outputs[len(target) :], table)
    _times(scores, noise, pairs, d_held)
    _times_t(scores, held, d_outputs[len(target) :])
    loss += _pair_pass(held, target, first, last, own, outputs, shift, against, lr, h2, d_held, c_held, d_outputs, c_outputs, table)
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
def _sigmoid(scores, rest, chosen, shift, share, lr, h2, n2, c_held, c_noise, table):
    """Scores become steps; gives the loss."""
    loss = 0.0
    for i in range(len(scores)):
        for n in range(len(chosen)):
            at = _entry(scores[i, n] - shift[chosen[n]])
            weight = share * rest[i, n]
            loss += weight * table[at, SOFTPLUS]
            step = lr * weight * table[at, SIGMA]
            curve = lr * weight * table[at, BEND]
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
def _pair_pass(held, target, first, last, own, outputs, shift, against, lr, h2, d_held, c_held, d_outputs, c_outputs, table):
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
                loss += table[len(table) - 1 - at, SOFTPLUS]
                step[j] = lr * (np.float32(1) - table[at, SIGMA])
                curve = lr * table[at, BEND]
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
    held, target, first, last, own, outputs, tree_first, node, code, lr, h2, d_held, c_held, d_outputs, c_outputs, r_outputs, table
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
                    loss += table[at if code[j] else len(table) - 1 - at, SOFTPLUS]
                    step = lr * (np.float32(1 - code[j]) - table[at, SIGMA])
                    curve = lr * table[at, BEND]
                    c_held[i] += curve * o2
                    c_outputs[slot] += curve * h2[i]
                    for d in range(len(o)):
                        back[d] += step * o[d]
                    for d in range(len(o)):
                        to[d] += step * h[d]
    return loss


def train_plain(
    text: Text, chunks: Array, weights: Weights, parts: Parts, tree: Tree, chances: Array, shift: Array,
    form: Form, lr: float, last_lr: float, seed: int, n_chunks: int,
) -> tuple[float, int]:  # fmt: skip
    """What `train` does, in batches of `n_chunks`."""
    loss, n_pairs = 0.0, 0
    for at in range(0, len(chunks), n_chunks):
        rate, drawn = lr + (last_lr - lr) * at / len(chunks), int(_drawn(np.uint64(seed), at))
        more, n_more = _batch_plain(text, chunks[at : at + n_chunks], weights, parts, tree, chances, shift, form, rate, drawn)
        loss, n_pairs = loss + more, n_pairs + n_more
    return loss, n_pairs


def _batch_plain(
    text: Text, chunks: Array, weights: Weights, parts: Parts, tree: Tree, chances: Array, shift: Array, form: Form, lr: float, seed: int
) -> tuple[float, int]:
    """All pairs of a batch, each step from the vectors as they were, then the sums."""
    steps = {name: np.zeros(matrix.shape) for name, matrix in weights._asdict().items()}
    bends = {name: np.zeros(len(matrix)) for name, matrix in weights._asdict().items()}
    loss, n_pairs = 0.0, 0
    for chunk in chunks:
        start = chunk * form.chunk
        chosen = _choose(np.uint64(seed), start, form.noise, chances, form.against)
        for p in range(start, min(start + form.chunk, len(text.token))):
            if text.token[p] == END:
                continue
            target = int(text.token[p])
            for sources in _hidden_plain(text, p, parts, form, seed):
                held = _held_plain(sources, weights, form)
                n_pairs += 1
                for row, label, weight, wanted in _against_plain(target, chosen, held, weights, tree, shift, form):
                    loss += weight * (np.logaddexp(0, wanted) - (wanted if label else 0)) if form.against != SOFTMAX else 0
                    chance = 1 / (1 + np.exp(-wanted)) if form.against != SOFTMAX else wanted
                    step, bend = lr * weight * (label - chance), lr * weight * _bend_plain(wanted, form)
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
            matrix += (steps[name] / np.maximum(1, bends[name] / SLACK)[:, None]).astype(np.float32)
    return loss, n_pairs


def _bend_plain(score: float, form: Form) -> float:
    """Of SOFTMAX, whose score is the word's chance, the second derivative."""
    if form.against == SOFTMAX:
        return score * (1 - score)
    return float(np.tanh(abs(score) / 2) / (2 * abs(score))) if score else 0.25


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
