"""Skip-gram with negative sampling: vectors from which a word tells the words around it. Trained by gensim.

reads   tokens    documents as token ids; the unknown token is taken out before windows are laid
writes  vectors   one float32 vector per word that was seen, in the vocabulary's order; the model holds
                  the context vectors of the same rows
source  Mikolov, Sutskever, Chen, Corrado, Dean 2013; gensim 4.4 (Word2Vec, sg=1, corpus_file)
shapes  V words, D = vector_size. In memory: 8 V D bytes and a batch of documents; the text goes by disk

gensim works with one thread here, whatever the row's `threads` says: with more, races decide the numbers
and no two runs agree. It reads lines of 10,000 tokens at most, so no window reaches over the end of each
10,000 of a document. There is no training curve: gensim sums the loss of all epochs in one float32, which
stands still from about 3e7 on.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from gensim.models.callbacks import CallbackAny2Vec
from gensim.models.word2vec import Word2Vec
from pydantic import Field, model_validator

from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.method import Knobs, Progress, Run

LINE = 10_000  # tokens


class Params(Knobs):
    vector_size: int = Field(100, ge=1)  # D
    window: int = Field(5, ge=1)  # tokens to each side at most; each place draws its own width from 1 on
    negative: int = Field(5, ge=1)  # noise words per pair; the paper: 5 to 20 for small corpora
    sample: float = Field(1e-3, ge=0, le=1)  # a word above this share of the text is passed over now and then; 0: never
    epochs: int = Field(5, ge=1)
    lr: float = Field(0.025, gt=0)  # gensim calls it alpha; falls in a straight line to min_lr
    min_lr: float = Field(1e-4, ge=0)
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)

    @model_validator(mode="after")
    def _falls(self) -> "Params":
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr ({self.min_lr}) must not be above lr ({self.lr}): the rate falls from lr to min_lr")
        return self


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    with run.scratch() as folder:
        counts = write_lines(tokens, params.splits, folder / "lines.txt")
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
        model.build_vocab_from_freq({str(word_id): int(counts[word_id]) for word_id in word_ids})
        with run.progress(n_tokens * params.epochs, "tokens") as bar:
            seen = _EpochEnds(bar, n_tokens)
            model.train(corpus_file=str(folder / "lines.txt"), total_words=n_tokens, epochs=params.epochs, callbacks=[seen])
    return _write(tokens, word_ids, counts, model, params, run)


def write_lines(tokens: Tokens, splits: list[str], path: Path) -> np.ndarray:
    """Writes the documents as gensim reads them: known token ids as decimal numbers, LINE a line at most.

    Returns:
        (V,) int64, how often each token id was written.
    """
    counts = np.zeros(tokens.n_rows("vocab"), np.int64)
    with path.open("wb") as file:
        for values, offsets in tokens.documents(splits, rows=4096):
            known = values != UNKNOWN_ID
            ends = np.concatenate([[0], np.cumsum(known)])[offsets]  # of documents, counted in known tokens
            cuts = [np.arange(start, stop, LINE) for start, stop in zip(ends, ends[1:], strict=False)]
            starts = np.unique(np.concatenate([*cuts, ends[-1:]]))
            numbers = pa.array(values[known]).cast(pa.string())
            lines = pc.binary_join(pa.ListArray.from_arrays(pa.array(starts, pa.int32()), numbers), " ").to_pylist()
            # a line end after the last line too: gensim drops a last line that has none
            file.writelines(f"{line}\n".encode() for line in lines)
            counts += np.bincount(values[known], minlength=len(counts))
    return counts


class _EpochEnds(CallbackAny2Vec):
    def __init__(self, bar: Progress, n_tokens: int):
        self.bar, self.n_tokens = bar, n_tokens

    def on_epoch_end(self, model: Word2Vec) -> None:
        self.bar.advance(self.n_tokens)


def _write(tokens: Tokens, word_ids: np.ndarray, counts: np.ndarray, model: Word2Vec, params: Params, run: Run) -> Vectors:
    vector = model.wv.vectors
    if not np.isfinite(vector).all():
        n_bad = int((~np.isfinite(vector).all(axis=1)).sum())
        raise Fault(f"{run.name}: {n_bad} of {len(vector)} vectors hold numbers that are not finite, with lr {params.lr:.4g}. Lower lr")
    words = tokens.vocab().column("token").take(word_ids)
    if len(words) < len(counts) - 1:
        run.say(f"{len(counts) - 1 - len(words):,} words of the vocabulary are not in {', '.join(params.splits)} and get no vector")
    with run.open(Vectors) as out:
        out.append(item=words, count=counts[word_ids], vector=vector)
        out.model({"model": "skipgram", **params.model_dump()}, {"context": model.syn1neg})
    return out.artifact
