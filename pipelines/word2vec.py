"""What word2vec and its kin share: the knobs, the text in pieces, the falling rate, checkpoints; kernels/word2vec.py descends.

Tokens are read from disk piece by piece in every epoch, so memory holds the vectors and one piece. What is drawn
(which sightings are passed over, windows, noise words, the order of chunks within a piece) is drawn from the seed,
the epoch and the piece: a run that was killed goes on from its checkpoint to the same bytes.

Skip-gram and CBOW against noise words train on a GPU where there is one: kernels/word2vec_torch.py. For rows that say
`engine: gensim` gensim takes the descent's place: word2vec_gensim.py.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, NamedTuple, Self, get_args

import numpy as np
from pydantic import Field, field_validator, model_validator

from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, too_few_words
from pipelines.kernels import word2vec as kernel
from pipelines.method import Knobs, Run

PIECE = 2**20  # tokens, about
SAVE_EVERY = 60.0  # seconds between checkpoints; they decide no byte
ROOM = 2**26  # numbers of changes that a batch may leave: 256 MB
LARGEST_SOFTMAX = 10_000  # words
ASKED = 128  # chunks of a text, by which its loss before the first step is known
ON_GPU = 16  # batches of a GPU are so many times as large
AGAINST = {
    "negative": kernel.NEGATIVE, "nce": kernel.NEGATIVE, "softmax": kernel.SOFTMAX, "hierarchical": kernel.TREE,
}  # fmt: skip


class Word2vecKnobs(Knobs):
    elsewhere: ClassVar = {"hs": "loss: hierarchical", "alpha": "lr"}
    vector_size: int = Field(100, ge=1)  # D
    window: int = Field(5, ge=1, le=1000)  # tokens to each side at most; each place draws its own width, from 1 on
    # negative: words drawn as noise; nce: the same, their chances taken into account; hierarchical: a Huffman tree;
    # softmax: all words, the reference for small vocabularies
    loss: Literal["negative", "nce", "hierarchical", "softmax"] = "negative"
    negative: int = Field(5, ge=1)  # noise words per pair; the paper: 5 to 20 for small corpora, 2 to 5 for large ones
    noise: int = Field(16, ge=1, le=4096)  # noise words that 64 tokens share, and that stand for `negative` in each pair
    noise_exponent: float = Field(0.75, ge=-2, le=2)  # a word is drawn as often as its count to this power
    sample: float = Field(1e-3, ge=0, le=1)  # a word above this share of the text is passed over now and then; 0: never
    batch_size: int = Field(0, ge=0)  # tokens that are learned at once; 0: as many as the text allows, on a GPU 16 times that
    epochs: int = Field(5, ge=1)
    lr: float = Field(0.025, gt=0, le=1)  # falls in a straight line to min_lr
    min_lr: float = Field(1e-4, ge=0)
    least_gain: float = Field(0.0, ge=0, lt=1)  # ends when three epochs lower the loss by a smaller share than this; 0: never
    engine: Literal["own", "gensim"] = "own"  # gensim: by gensim 4.4, in one thread, for comparison
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)

    @field_validator("negative", mode="before")
    @classmethod
    def _some_noise(cls, negative: int) -> int:
        if negative == 0:
            free = [loss for loss in get_args(cls.model_fields["loss"].annotation) if AGAINST[loss] != kernel.NEGATIVE]
            raise ValueError(f"should be 1 or more; loss: {' or '.join(free)} needs no noise words")
        return negative

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr ({self.min_lr}) must not be above lr ({self.lr}): the rate falls from lr to min_lr")
        return self


def on_gpu(params: Word2vecKnobs) -> bool:
    return params.engine == "own" and AGAINST[params.loss] == kernel.NEGATIVE


class Words(NamedTuple):
    """The words that are trained: those that the splits hold."""

    ids: np.ndarray  # (V,) their token ids, ascending
    counts: np.ndarray  # (V,) int64
    place: np.ndarray  # token id -> row, or -1

    def n_known(self, piece: "Piece") -> int:
        return int((self.place[piece.values] >= 0).sum())


def words_of(tokens: Tokens, splits: list[str], run: Run) -> Words:
    """Raises Fault where there are not two words to tell apart."""
    counts = tokens.known_counts(splits)
    ids = np.flatnonzero(counts)
    if len(ids) < 2:
        raise too_few_words(f"{tokens.name}: the documents of {', '.join(splits)}", len(ids))
    if len(ids) < len(counts) - 1:
        run.say(f"{len(counts) - 1 - len(ids):,} words of the vocabulary are not in {', '.join(splits)} and get no vector")
    place = np.full(len(counts), -1, np.int32)
    place[ids] = np.arange(len(ids))
    return Words(ids, counts[ids], place)


class Piece(NamedTuple):
    values: np.ndarray
    offsets: np.ndarray
    tags: np.ndarray  # (n,) int32 row of each document in the documents' matrix, or (0,)


def pieces(tokens: Tokens, splits: list[str], tags: np.ndarray | None = None) -> Iterator[Piece]:
    """The documents of the splits, about PIECE tokens at a time.

    Args:
        tags: row of each document of these splits in the documents' matrix.
    """
    held: list[tuple[np.ndarray, np.ndarray]] = []
    n_held = n_documents = 0

    def joined() -> Piece:
        values = np.concatenate([values for values, _ in held])
        lengths = np.concatenate([np.diff(offsets) for _, offsets in held])
        of = tags[n_documents : n_documents + len(lengths)] if tags is not None else np.zeros(0, np.int32)
        return Piece(values, np.concatenate([[0], np.cumsum(lengths)]), of)

    for values, offsets in tokens.documents(splits, rows=1024):
        held.append((values, offsets))
        n_held += len(values)
        if n_held >= PIECE:
            piece = joined()
            yield piece
            n_documents += len(piece.offsets) - 1
            held, n_held = [], 0
    if n_held:
        yield joined()


def begin(n_rows: int, vector_size: int, rng: np.random.Generator) -> np.ndarray:
    """(n_rows, padded) float32 between -0.5 / D and 0.5 / D, as word2vec.c begins, and zeros beyond D."""
    matrix = np.zeros((n_rows, kernel.padded(vector_size)), np.float32)
    matrix[:, :vector_size] = (rng.random((n_rows, vector_size), np.float32) - np.float32(0.5)) / np.float32(vector_size)
    return matrix


def train(
    stream: Callable[[], Iterator[Piece]], words: Words, weights: kernel.Weights, params: Word2vecKnobs, run: Run, hidden: int,
    parts: kernel.Parts = kernel.NO_PARTS, words_too: bool = False,
) -> Any:  # fmt: skip
    """Descends, in place, from a checkpoint where there is one.

    Args:
        stream: gives the text anew for each epoch.
        weights: as they begin; `outputs` has a row per word, or per inner node for the loss `hierarchical`.
        hidden: one of the kernel's forms.

    Returns:
        What `infer` needs besides the weights: gensim's model, where that is the engine.

    Raises:
        Fault: it diverges, or there is no pair to learn from.
    """
    if params.engine == "gensim":
        return _by_gensim(stream, words, weights, params, run, hidden, parts, words_too)
    epoch, n_done, loss, n_pairs, untrained = _resume(weights, run)
    descent = Descent(words, weights, params, run, hidden, parts, words_too)
    untrained = untrained or descent.judged(stream)
    saved = time.monotonic()
    with run.progress(descent.n_tokens * params.epochs, "tokens") as bar:
        bar.begin(descent.n_tokens * epoch)
        while epoch < params.epochs and not run.stalled(params.least_gain):
            passed = 0  # tokens of this epoch
            for place, piece in enumerate(stream()):
                n_here = words.n_known(piece)
                if place >= n_done:
                    rng = np.random.default_rng([run.seed, epoch, place])
                    begun = (descent.n_tokens * epoch + passed) / (descent.n_tokens * params.epochs)
                    more, n_more = descent.step(piece, rng, begun, begun + n_here / (descent.n_tokens * params.epochs))
                    loss, n_pairs = loss + more, n_pairs + n_more
                    at, lr = f"epoch {epoch + 1}, after {passed:,} tokens", descent.lr(begun)
                    last = epoch + 1 == params.epochs and passed + n_here == descent.n_tokens
                    usual = type(params).model_fields["lr"].default
                    run.hold(loss / max(n_pairs, 1) if descent.finite() else math.nan, untrained, at, lr, usual, last)
                    bar.advance(n_here)
                    if time.monotonic() - saved > SAVE_EVERY:
                        _save(descent.fetched(), run, epoch, place + 1, loss, n_pairs, untrained)
                        saved = time.monotonic()
                passed += n_here
            epoch, n_done = epoch + 1, 0
            run.log(epoch=epoch, loss=loss / max(n_pairs, 1))
            loss, n_pairs = 0.0, 0
            _save(descent.fetched(), run, epoch, 0, loss, n_pairs, untrained)
    if not any(point["loss"] for point in run.curve):
        raise _no_pair(run)


def _by_gensim(
    stream: Callable[[], Iterator[Piece]], words: Words, weights: kernel.Weights, params: Word2vecKnobs, run: Run, hidden: int,
    parts: kernel.Parts, words_too: bool,
) -> Any:  # fmt: skip
    """gensim's model. What it has learned after an epoch is judged as ours is before the first step, since its own loss tells little."""
    from pipelines import word2vec_gensim

    word2vec_gensim.check(params, run, hidden)
    descent = Descent(words, weights, params, run, hidden, parts, words_too, device="cpu")
    untrained = descent.judged(stream)
    if not math.isfinite(untrained):
        raise _no_pair(run)

    def after(epoch: int) -> None:
        if params.loss == "negative":
            run.log(epoch=epoch, loss=descent.judged(stream) if descent.finite() else math.nan)

    model = word2vec_gensim.train(stream, words, weights, params, run, hidden, parts, words_too, after)
    if run.curve:
        usual = type(params).model_fields["lr"].default
        run.hold(run.curve[-1]["loss"], untrained, f"epoch {params.epochs}", params.lr, usual, last=True)
    return model


def _no_pair(run: Run) -> Fault:
    return Fault(
        f"{run.name}: there was no pair to learn from: no document has two known words, or `sample` passed over all that are beside others. "
        "Lower min_count of the tokenize row, or say sample: 0"
    )


def infer(
    stream: Callable[[], Iterator[Piece]], words: Words, weights: kernel.Weights, params: Word2vecKnobs, epochs: int, run: Run, hidden: int,
    trained: Any = None,
) -> None:  # fmt: skip
    """Descends in the documents alone, in place; the words stand still.

    Args:
        trained: what `train` returned.
    """
    n_tokens = max(1, sum(words.n_known(piece) for piece in stream()))
    with run.progress(n_tokens * epochs, "tokens", "documents without a vector") as bar:
        if params.engine == "gensim":
            from pipelines import word2vec_gensim

            return word2vec_gensim.infer(trained, stream, words, weights.documents, params, epochs, bar)
        descent = Descent(words, weights, params, run, hidden, kernel.NO_PARTS, False, learn_words=False)
        for epoch in range(epochs):
            passed = 0
            for place, piece in enumerate(stream()):
                n_here = words.n_known(piece)
                begun = (n_tokens * epoch + passed) / (n_tokens * epochs)
                # not the numbers that training drew
                rng = np.random.default_rng([run.seed, params.epochs + epoch, place])
                descent.step(piece, rng, begun, begun + n_here / (n_tokens * epochs))
                bar.advance(n_here)
                passed += n_here


class Descent:
    """What does not change from piece to piece."""

    def __init__(
        self, words: Words, weights: kernel.Weights, params: Word2vecKnobs, run: Run, hidden: int, parts: kernel.Parts, words_too: bool,
        learn_words: bool = True, device: str | None = None,
    ):  # fmt: skip
        against = AGAINST[params.loss]
        if against == kernel.SOFTMAX and len(words.ids) > LARGEST_SOFTMAX:
            raise Fault(
                f"{run.name}: loss softmax scores every pair against all {len(words.ids):,} words; it is the reference for up to "
                f"{LARGEST_SOFTMAX:,}. Say loss: negative, or raise min_count of the tokenize row"
            )
        self.words, self.weights, self.params, self.parts = words, weights, params, parts
        self.n_tokens = int(words.counts.sum())
        self.share = kernel.keep(words.counts, params.sample)
        chances = words.counts.astype(np.float64) ** params.noise_exponent
        chances /= chances.sum()
        self.chances = np.minimum(np.cumsum(chances), 1.0)
        self.shift = np.zeros(len(chances), np.float32)
        if params.loss == "nce":
            self.shift = np.log(params.negative * chances).astype(np.float32)
        self.tree = kernel.huffman(words.counts) if against == kernel.TREE else kernel.NO_TREE
        longest = int(np.diff(self.tree.first).max(initial=0))
        noise = {kernel.NEGATIVE: params.noise, kernel.SOFTMAX: len(words.ids), kernel.TREE: 0}[against]
        chunk, n_chunks = kernel.batch_size(words.counts * self.share)
        self.form = kernel.Form(hidden, against, params.window, params.negative, noise, words_too, learn_words, chunk)
        wide = (chunk * max(longest, 1) + noise) * weights.outputs.shape[1]
        asked = -(-params.batch_size // chunk)
        self.device = None
        if (device or run.device) != "cpu":
            from pipelines.kernels import word2vec_torch  # torch takes seconds to import

            if word2vec_torch.can(self.form, parts):
                n_held, n_against = chunk + 2 * params.window, chunk + noise
                wide = n_held * n_against + (n_held + n_against) * weights.outputs.shape[1]
                n_chunks = max(1, min(asked or n_chunks * ON_GPU, ROOM // wide))
                self.device = word2vec_torch.Descent(weights, self.chances, self.shift, self.form, n_chunks, run.device)
                return
        self.changes = kernel.Changes(max(1, min(asked or n_chunks, ROOM // wide)), self.form, weights, longest)

    def lr(self, share: float) -> float:
        """After this share of the work."""
        return self.params.lr + (self.params.min_lr - self.params.lr) * share

    def judged(self, stream: Callable[[], Iterator[Piece]]) -> float:
        """The loss of a pair as the weights are, by some chunks of the first piece that has one; infinite where none has."""
        for piece in stream():
            loss, n_pairs = self._train(piece, np.random.default_rng(0), 0.0, 0.0, ASKED)
            if n_pairs:
                return loss / n_pairs
        return math.inf

    def step(self, piece: Piece, rng: np.random.Generator, begun: float, done: float) -> tuple[float, int]:
        """A piece, while the share of the work that is done goes from `begun` to `done`: (loss, pairs)."""
        return self._train(piece, rng, self.lr(begun), self.lr(done))

    def _train(self, piece: Piece, rng: np.random.Generator, lr: float, last_lr: float, n_chunks: int | None = None) -> tuple[float, int]:
        text = kernel.Text(*kernel.thin(*piece, self.words.place, self.share, rng.integers(2**63, dtype=np.uint64)))
        order = rng.permutation(-(-len(text.token) // self.form.chunk))[:n_chunks]
        seed = int(rng.integers(2**63))
        if self.device:
            return self.device.train(text, order, lr, last_lr, seed)
        return kernel.train(
            text, order, self.weights, self.parts, self.tree, self.chances, self.shift, self.form, lr, last_lr, seed, self.changes
        )  # fmt: skip

    def fetched(self) -> kernel.Weights:
        """The weights, as NumPy has them."""
        if self.device:
            self.device.fetch(self.weights)
        return self.weights

    def finite(self) -> bool:
        if self.device:
            return self.device.finite()
        return all(math.isfinite(float(matrix.sum(dtype=np.float64))) for matrix in self.weights)


def _save(weights: kernel.Weights, run: Run, epoch: int, n_done: int, loss: float, n_pairs: int, untrained: float) -> None:
    state = {"epoch": epoch, "pieces": n_done, "loss": loss, "pairs": n_pairs, "untrained": untrained, "curve": run.curve}
    run.checkpoint.save(weights._asdict(), state)


def _resume(weights: kernel.Weights, run: Run) -> tuple[int, int, float, int, float]:
    """(epochs done, pieces of the next one done, their loss, their pairs, the loss before the first step), and the weights of then."""
    found = run.checkpoint.load()
    if found is None:
        return 0, 0, 0.0, 0, 0.0
    arrays, kept = found
    for name, matrix in weights._asdict().items():
        matrix[:] = arrays[name]
    run.curve[:] = kept["curve"]
    run.say(f"goes on after epoch {kept['epoch']}, piece {kept['pieces']}")
    return kept["epoch"], kept["pieces"], kept["loss"], kept["pairs"], kept["untrained"]


def outputs(words: Words, params: Word2vecKnobs, width: int) -> np.ndarray:
    """(V, width) float32 zeros, a row per word, or (V - 1, width), one per inner node of the tree."""
    return np.zeros((len(words.ids) - (params.loss == "hierarchical"), width), np.float32)


def with_ngrams(n_ngrams: np.ndarray, row: np.ndarray) -> kernel.Parts:
    """Each word's own row, then those of its n-grams, which come after all words.

    Args:
        n_ngrams: (V,) of each word.
        row: their rows in a table of their own, word after word.
    """
    n_words = len(n_ngrams)
    first = np.concatenate([[0], np.cumsum(n_ngrams + 1)])
    rows = np.empty(first[-1], np.int32)
    rows[first[:-1]] = np.arange(n_words)
    others = np.ones(len(rows), bool)
    others[first[:-1]] = False
    rows[others] = n_words + row
    return kernel.Parts(first, rows)


def words_alone(name: str, tokens: Tokens, params: Word2vecKnobs, run: Run, hidden: int) -> Vectors:
    """All of a method whose words have a vector each, and documents none; the model holds the outputs: `context`, or `nodes` of the tree."""
    words = words_of(tokens, params.splits, run)
    run.say_if_wide(params.vector_size, len(words.ids))
    start = begin(len(words.ids), params.vector_size, run.rng)
    weights = kernel.Weights(start, start[:0], outputs(words, params, start.shape[1]))
    train(lambda: pieces(tokens, params.splits), words, weights, params, run, hidden)
    size = params.vector_size
    with run.open(Vectors) as out:
        out.append(item=tokens.vocab().column("token").take(words.ids), count=words.counts, vector=weights.words[:, :size])
        of = "nodes" if params.loss == "hierarchical" else "context"
        out.model({"model": name, **params.model_dump()}, {of: np.ascontiguousarray(weights.outputs[:, :size])})
    return out.artifact
