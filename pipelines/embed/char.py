"""Characters: vectors of words and of the characters they are written with, learned jointly, as CWE does.

reads   tokens    documents as token ids; the unknown token is taken out before windows are laid
writes  vectors   one float32 vector per word that was seen, in the vocabulary's order, or per character, in Unicode's; the
                  model holds the words' own vectors, the characters', and the context vectors
source  Chen, Xu, Liu, Sun, Luan 2015, "Joint Learning of Character and Word Embeddings": a word is half its own vector and
        half the mean of its characters', and the mean of the words around foretells the word between them (CBOW); `positions`
        is their CWE+P. Negative sampling: Mikolov, Sutskever, Chen, Corrado, Dean 2013; as in their word2vec.c each word around
        is moved by the whole error, as if it were alone
shapes  V words, C characters, L characters of a word at most, D = vector_size. In memory: 8 V D bytes, 4 V L, and a batch of documents

One step follows another, so it works in one thread, and writes the same bytes whatever `threads` says. The curve is of some text
after each epoch, with the tables standing still. The loss of each word just before its step, which ends a training that
diverges, says less: at a high rate the tables follow the document at hand, and it rises as the rate falls and they no longer do.
"""

import math
from typing import Literal, NamedTuple, Self

import numba
import numpy as np
from pydantic import Field, model_validator

from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, too_few_words
from pipelines.method import Knobs, Run

ROWS = 256  # documents that are read at a time
ASKED = 2**15  # tokens of them, about, that the curve is of
WRITTEN = 4096  # words at a time
LONGEST = 64  # characters of a word that count; few words have more, and the table has a place for each
NOISE = 2**22  # places of the table that noise words are drawn from
PLACES = ("begin", "inside", "end")  # of a character in its word
FAST = {"reassoc", "contract", "nsz"}  # sums in lanes; not nnan: a rate that is too high has to show
PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(Knobs):
    vector_size: int = Field(100, ge=1)  # D
    window: int = Field(5, ge=1)  # tokens to each side at most; each place draws its own width, from 1 on
    negative: int = Field(5, ge=1)  # noise words per word
    noise_exponent: float = Field(0.75, ge=0, le=1)  # of a word's count, in how often it is drawn as noise
    sample: float = Field(1e-3, ge=0, le=1)  # a word above this share of the text is passed over now and then; 0: never
    positions: bool = False  # a character has three vectors: at the beginning of a word, inside, at the end
    # what the rows are: words as they are composed, the words' own vectors without their characters, or the characters. Letters
    # say little: on Wikipedia, three epochs, one seed, MEN is .384 for composed words and .544 for their own vectors
    of: Literal["words", "own", "characters"] = "words"
    epochs: int = Field(5, ge=1)
    lr: float = Field(0.05, gt=0)  # falls in a straight line to min_lr
    min_lr: float = Field(1e-4, ge=0)
    least_gain: float = Field(0.0, ge=0, lt=1)  # ends when three epochs lower the loss by a smaller share than this; 0: never
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr ({self.min_lr}) must not be above lr ({self.lr}): the rate falls from lr to min_lr")
        return self


class Tables(NamedTuple):
    word: np.ndarray  # (V, D) float32
    character: np.ndarray  # (C, D) float32
    context: np.ndarray  # (V, D) float32


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    counts = tokens.known_counts(params.splits)
    if np.count_nonzero(counts) < 2:
        raise too_few_words(f"{tokens.name}: the documents of {', '.join(params.splits)}", np.count_nonzero(counts))
    run.say_if_wide(params.vector_size, np.count_nonzero(counts))
    words = tokens.words()
    characters, spelled, n_spelled = spelling(words, params.positions)
    kept, noise, n_tokens = keep_share(counts, params.sample), noise_table(counts, params.noise_exponent), int(counts.sum())
    tables, epoch = _begin_or_resume(len(words), len(characters), params, run)
    total, untrained = n_tokens * params.epochs, (1 + params.negative) * math.log(2)  # contexts are 0 at first, and so all scores

    def lr_after(done: int) -> float:
        return params.lr + (params.min_lr - params.lr) * done / total

    def judged(otherwise: float) -> float:
        """The loss of a word as the tables are, in the first documents where one is kept to be told."""
        for values, offsets in tokens.documents(params.splits, ROWS):
            some = offsets[: np.searchsorted(offsets, ASKED) + 1]
            loss, n = train(
                values, some, spelled, n_spelled, kept, noise, *tables, params.window, params.negative, 0.0, 0.0, np.uint64(run.seed)
            )
            if n:
                return loss / n
        return otherwise

    with run.progress(total, "tokens") as bar:
        bar.begin(n_tokens * epoch)
        while epoch < params.epochs and not run.stalled(params.least_gain):
            epoch += 1
            done, loss, n_trained = n_tokens * (epoch - 1), 0.0, 0
            for i, (values, offsets) in enumerate(tokens.documents(params.splits, ROWS)):
                seed = np.random.default_rng([run.seed, epoch, i]).integers(2**63)
                n = int(np.count_nonzero(values != UNKNOWN_ID))
                part, n_part = train(
                    values, offsets, spelled, n_spelled, kept, noise, *tables, params.window, params.negative,
                    lr_after(done), lr_after(done + n), np.uint64(seed),
                )  # fmt: skip
                loss, n_trained = loss + part, n_trained + n_part
                run.hold(loss / max(n_trained, 1), untrained, f"epoch {epoch}, after {done:,} tokens", lr_after(done), 0.05)
                done += n
                bar.advance(n)
            if not n_trained:
                raise Fault(
                    f"{tokens.name}: no document has two known words beside each other, so there is nothing to learn from. Lower min_count"
                )
            loss = judged(loss / n_trained)
            run.hold(loss, untrained, f"epoch {epoch}, at its end", lr_after(done), 0.05, last=epoch == params.epochs)
            run.log(epoch=epoch, loss=loss)
            run.checkpoint.save(tables._asdict(), {"epoch": epoch, "curve": run.curve})
    return _write(counts, words, characters, spelled, n_spelled, tables, params, run)


def spelling(words: list[str], positions: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """How words are written.

    Returns:
        What each row of the characters' table stands for; (V, L) int32, those rows for each word, in its
        order; and (V,) int64, how many they are, 0 for the unknown token.
    """
    written = ["" if row == UNKNOWN_ID else word[:LONGEST] for row, word in enumerate(words)]
    letters = sorted(set().union(*written))
    n_spelled = np.array([len(word) for word in written])
    spelled = np.zeros((len(words), n_spelled.max()), np.int32)
    code_of = {letter: i * (len(PLACES) if positions else 1) for i, letter in enumerate(letters)}
    for row, word in enumerate(written):
        spelled[row, : len(word)] = [code_of[letter] for letter in word]
    if not positions:
        return letters, spelled, n_spelled
    place = np.arange(spelled.shape[1])
    spelled += np.where(place == 0, 0, np.where(place == n_spelled[:, None] - 1, 2, 1)).astype(np.int32)
    return [f"{letter}/{where}" for letter in letters for where in PLACES], spelled, n_spelled


def keep_share(counts: np.ndarray, sample: float) -> np.ndarray:
    """(V,) in [0, 1]: how often a place of this word is kept, as word2vec.c has it."""
    if sample == 0:
        return np.ones(len(counts))
    ratio = sample * counts.sum() / np.maximum(counts, 1)
    return np.minimum(np.sqrt(ratio) + ratio, 1)


def noise_table(counts: np.ndarray, exponent: float) -> np.ndarray:
    """(NOISE,) int32 words, each as often as it shall be drawn."""
    weight = np.where(counts > 0, counts.astype(np.float64) ** exponent, 0)
    ends = np.cumsum(weight) / weight.sum()
    return np.minimum(np.searchsorted(ends, (np.arange(NOISE) + 0.5) / NOISE), len(counts) - 1).astype(np.int32)


def _begin_or_resume(n_words: int, n_characters: int, params: Params, run: Run) -> tuple[Tables, int]:
    """(tables, epochs done) of the last checkpoint, or of a fresh start, as word2vec.c makes it."""
    found = run.checkpoint.load()
    if found is not None:
        arrays, state = found
        run.curve[:] = state["curve"]
        run.say(f"goes on after epoch {state['epoch']}")
        return Tables(**arrays), state["epoch"]
    shapes = (n_words, params.vector_size), (n_characters, params.vector_size)
    word, character = (((run.rng.random(shape, np.float32) - 0.5) / params.vector_size) for shape in shapes)
    return Tables(word, character, np.zeros_like(word)), 0


@numba.njit(cache=True)
def _drawn(state):
    """splitmix64: (next state, 64 bits of chance)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, z ^ (z >> np.uint64(31))


@numba.njit(cache=True, fastmath=FAST)
def compose(out, scale, row, word, character, spelled, n_spelled):
    """Adds to `out` (D,) `scale` times a word's vector: half its own, half the mean of its characters'."""
    half = np.float32(0.5) * scale
    own = word[row]
    for d in range(len(out)):
        out[d] += half * own[d]
    half /= np.float32(n_spelled[row])
    for k in range(n_spelled[row]):
        letter = character[spelled[row, k]]
        for d in range(len(out)):
            out[d] += half * letter[d]


@numba.njit(cache=True, fastmath=FAST)
def spread(error, row, word, character, spelled, n_spelled):
    """Adds `error` (D,) to a word's own vector, and each of its characters' share of it to theirs."""
    own = word[row]
    for d in range(len(error)):
        own[d] += error[d]
    share = np.float32(1) / np.float32(n_spelled[row])
    for k in range(n_spelled[row]):
        letter = character[spelled[row, k]]
        for d in range(len(error)):
            letter[d] += share * error[d]


@numba.njit(cache=True, fastmath=FAST)
def step(around, n_around, target, noise_words, n_noise, lr, tables, spelling, mean, error):
    """One descent: the words around, their mean, tell `target` from noise words. Gives the loss before it."""
    word, character, context = tables
    spelled, n_spelled = spelling
    share, loss = np.float32(1) / np.float32(n_around), 0.0
    mean[:], error[:] = 0, 0
    for j in range(n_around):
        compose(mean, share, around[j], word, character, spelled, n_spelled)
    for k in range(n_noise + 1):
        row = target if k == 0 else noise_words[k - 1]
        if k and row == target:
            continue  # such noise says nothing
        other = context[row]
        score = np.float32(0)
        for d in range(len(mean)):
            score += other[d] * mean[d]
        wrong = score if k else -score
        # log(1 + exp(wrong)), without an overflow
        loss += max(wrong, np.float32(0)) + np.log1p(np.exp(-abs(wrong)))
        pull = lr * ((np.float32(0) if k else np.float32(1)) - np.float32(1) / (np.float32(1) + np.exp(-score)))
        for d in range(len(mean)):
            error[d] += pull * other[d]
            other[d] += pull * mean[d]
    for j in range(n_around):
        spread(error, around[j], word, character, spelled, n_spelled)
    return loss


@numba.njit(cache=True)
def train(values, offsets, spelled, n_spelled, kept, noise, word, character, context, window, negative, lr, lr_end, seed):
    """One pass over some documents, their words in order. Changes the tables.

    Returns:
        The sum of the losses, and of how many words.
    """
    size = word.shape[1]
    mean, error = np.empty(size, np.float32), np.empty(size, np.float32)
    around, drawn = np.empty(2 * window, np.int64), np.empty(negative, np.int64)
    stays = np.empty(max(len(values), 1), np.int64)
    state, loss, n_trained = seed, 0.0, 0
    for document in range(len(offsets) - 1):
        n = 0
        for i in range(offsets[document], offsets[document + 1]):
            state, chance = _drawn(state)
            if values[i] != 0 and (chance >> np.uint64(11)) * 2.0**-53 < kept[values[i]]:  # 0 is the unknown token
                stays[n] = values[i]
                n += 1
        rate = np.float32(lr + (lr_end - lr) * (offsets[document] / max(len(values), 1)))
        for i in range(n):
            state, chance = _drawn(state)
            width = 1 + np.int64(chance % np.uint64(window))
            n_around = 0
            for j in range(max(i - width, 0), min(i + width + 1, n)):
                if j != i:
                    around[n_around] = stays[j]
                    n_around += 1
            if n_around:
                for k in range(negative):
                    state, chance = _drawn(state)
                    drawn[k] = noise[chance % np.uint64(len(noise))]
                loss += step(
                    around, n_around, stays[i], drawn, negative, rate, (word, character, context), (spelled, n_spelled), mean, error
                )
                n_trained += 1
    return loss, n_trained


def _write(
    counts: np.ndarray,
    words: list[str],
    characters: list[str],
    spelled: np.ndarray,
    n_spelled: np.ndarray,
    tables: Tables,
    params: Params,
    run: Run,
) -> Vectors:
    inside = np.arange(spelled.shape[1]) < n_spelled[:, None]
    sightings = np.bincount(spelled[inside], np.repeat(counts, n_spelled), len(characters)).astype(np.int64)
    with run.open(Vectors) as out:
        if params.of == "characters":
            seen = np.flatnonzero(sightings)
            out.append(item=[characters[i] for i in seen], count=sightings[seen], vector=tables.character[seen])
        else:
            seen = np.flatnonzero(counts)
            for rows in np.split(seen, range(WRITTEN, len(seen), WRITTEN)):
                vector = tables.word[rows] if params.of == "own" else composed(rows, tables, spelled, n_spelled)
                out.append(item=[words[i] for i in rows], count=counts[rows], vector=vector)
        settings = {"model": "char", "words": words, "characters": characters, "params": params.model_dump()}
        out.model(settings, tables._asdict())
    return out.artifact


def composed(rows: np.ndarray, tables: Tables, spelled: np.ndarray, n_spelled: np.ndarray) -> np.ndarray:
    """(n, D) float32, the vectors of some words."""
    found = np.zeros((len(rows), tables.word.shape[1]), np.float32)
    for i, row in enumerate(rows):
        compose(found[i], np.float32(1), row, tables.word, tables.character, spelled, n_spelled)
    return found
