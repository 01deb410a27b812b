"""Skip-gram with negative sampling: vectors from which a word tells the words around it. Trained by gensim.

reads   tokens    documents as token ids; the unknown token is taken out before windows are laid
writes  vectors   one float32 vector per word that was seen, in the vocabulary's order; the model holds
                  the context vectors of the same rows
source  Mikolov, Sutskever, Chen, Corrado, Dean 2013; gensim 4.4 (Word2Vec, sg=1)
shapes  V words, D = vector_size. In memory: 8 V D bytes and a batch of documents, which are read in every epoch

gensim trains in one thread, whatever the row's `threads` says: with more, races decide the numbers and no
two runs agree. It is given documents, not a corpus_file, since from a file it takes batches longer than the
10,000 tokens that it has room for, and drops the rest. No window reaches over a cut of 10,000 tokens.
There is no training curve: gensim sums the loss of all epochs in one float32, which stands still from about
3e7 on, and leaves out the pairs that it is most wrong about.
"""

import itertools
from collections.abc import Iterator
from typing import Literal

import numpy as np
from gensim.models.word2vec import Word2Vec
from pydantic import Field, model_validator

from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.method import Knobs, Progress, Run

LONGEST = 10_000  # tokens of a document at a time; gensim has room for no more
ROWS = 1024  # documents that are read at a time


class Params(Knobs):
    vector_size: int = Field(100, ge=1)  # D
    window: int = Field(5, ge=1)  # tokens to each side at most; each place draws its own width, from 1 on
    negative: int = Field(5, ge=1)  # noise words per pair; the paper: 5 to 20 for small corpora, 2 to 5 for large ones
    sample: float = Field(1e-3, ge=0, le=1)  # a word above this share of the text is passed over now and then; 0: never
    epochs: int = Field(5, ge=1)
    lr: float = Field(0.025, gt=0, le=1)  # gensim calls it alpha; falls in a straight line to min_lr
    min_lr: float = Field(1e-4, ge=0)
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)

    @model_validator(mode="after")
    def _falls(self) -> "Params":
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr ({self.min_lr}) must not be above lr ({self.lr}): the rate falls from lr to min_lr")
        return self


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    counts = count(tokens, params.splits)
    word_ids, n_tokens = np.flatnonzero(counts), int(counts.sum())
    if not n_tokens:
        raise Fault(
            f"{tokens.name}: no document of {', '.join(params.splits)} holds a known token, so there is nothing to train on. "
            "Lower min_count of the tokenize row, or name other splits"
        )
    model = Word2Vec(
        sg=1, hs=0, vector_size=params.vector_size, window=params.window, negative=params.negative, sample=params.sample,
        alpha=params.lr, min_alpha=params.min_lr, epochs=params.epochs, seed=run.seed, workers=1, min_count=1, sorted_vocab=0,
    )  # fmt: skip
    # the "words" are token ids: gensim takes anything that can be a key of a dict, and keeps the order it is given
    model.build_vocab_from_freq({word_id: int(counts[word_id]) for word_id in word_ids.tolist()})
    with run.progress(n_tokens * params.epochs, "tokens") as bar:
        model.train(Documents(tokens, params.splits, bar), total_words=n_tokens, epochs=params.epochs)
    return _write(tokens, word_ids, counts, model, params, run)


def count(tokens: Tokens, splits: list[str]) -> np.ndarray:
    """(V,) int64, how often each token id stands in the splits; 0 for the unknown one."""
    counts = np.zeros(tokens.n_rows("vocab"), np.int64)
    for values, _ in tokens.documents(splits, ROWS):
        counts += np.bincount(values, minlength=len(counts))
    counts[UNKNOWN_ID] = 0
    return counts


class Documents:
    """The documents as gensim wants them: lists of known token ids, at most LONGEST each, as often as it asks."""

    def __init__(self, tokens: Tokens, splits: list[str], bar: Progress):
        self.tokens, self.splits, self.bar = tokens, splits, bar

    def __iter__(self) -> Iterator[list[int]]:
        for values, offsets in self.tokens.documents(self.splits, ROWS):
            for start, stop in itertools.pairwise(offsets):
                document = values[start:stop]
                known = document[document != UNKNOWN_ID].tolist()
                for at in range(0, len(known), LONGEST):
                    yield known[at : at + LONGEST]
                self.bar.advance(len(known))


def _write(tokens: Tokens, word_ids: np.ndarray, counts: np.ndarray, model: Word2Vec, params: Params, run: Run) -> Vectors:
    words = tokens.vocab().column("token").take(word_ids)
    if len(words) < len(counts) - 1:
        run.say(f"{len(counts) - 1 - len(words):,} words of the vocabulary are not in {', '.join(params.splits)} and get no vector")
    with run.open(Vectors) as out:
        out.append(item=words, count=counts[word_ids], vector=model.wv.vectors)
        out.model({"model": "skipgram", **params.model_dump()}, {"context": model.syn1neg})
    return out.artifact
