"""Continued: vectors that were trained elsewhere, trained on with skip-gram or CBOW on a text of one's own.

reads   vectors   where it begins: of any method, or pretrained
        tokens    the text that they are adapted to
writes  vectors   one float32 vector per word of the text, in the vocabulary's order; after them, unless `keep` is off, the
                  words that the text does not have, as they were. The model holds the context vectors of the text's words, and
                  the vectors of letter n-grams where `vectors` has some
source  Mikolov, Sutskever, Chen, Corrado, Dean 2013 from a warm start; the use for a domain: Faruqui, Dodge 2014 name it;
        n-grams: Bojanowski, Grave, Joulin, Mikolov 2017
shapes  V words of the text, D numbers as the vectors have. In memory: 8 V D bytes, all the vectors, a piece of text, and
        the changes of a batch (at most 256 MB); of n-grams, three times their vectors

Vectors of `fasttext`, or of `pretrained` from a .bin, are trained on with their n-grams: a word is the mean of its own vector and
theirs, so words that the text does not have go as far as their n-grams went. Context vectors are taken over where the vectors'
model has them, else they begin at 0; new words, and n-grams that are new, begin at random.
"""

from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipelines import word2vec
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels import word2vec as kernel
from pipelines.kernels.letter_ngrams import mean_of_rows, subwords
from pipelines.method import Run

ROWS = 4096  # words that are written at a time
PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(word2vec.Word2vecKnobs):
    vector_size: int = Field(0, ge=0)  # 0: that of the vectors, which it has to be
    loss: Literal["negative", "nce", "softmax"] = "negative"  # a tree of other words would not fit
    engine: Literal["own"] = "own"  # gensim begins with vectors of its own
    form: Literal["skipgram", "cbow"] = "skipgram"
    keep: bool = True  # the words that the text does not have


def embed(vectors: Vectors, tokens: Tokens, params: Params, run: Run) -> Vectors:
    size = vectors.size
    if params.vector_size not in (0, size):
        raise Fault(f"{run.name}: vector_size is {params.vector_size}, and {vectors.name} has {size} numbers a row. Leave vector_size out")
    words = word2vec.words_of(tokens, params.splits, run)
    names = tokens.vocab().column("token").take(words.ids).to_pylist()
    old = {item: row for row, item in enumerate(vectors.items())}
    here = np.array([row for row, name in enumerate(names) if name in old], np.int64)
    there = np.array([old[names[row]] for row in here], np.int64)
    if not len(here):
        raise Fault(f"{run.name}: no word of {tokens.name} has a vector in {vectors.name}. Are both cut and cased alike?")
    run.say(f"{len(here):,} of {len(names):,} words begin where {vectors.name} has them")
    before = vectors.finite(vectors.matrix())
    settings, held = vectors.model() if (vectors.folder / "model.json").exists() else ({}, {})
    grams = Grams(settings, held, names) if settings.get("model") == "fasttext" and len(held["buckets"]) else None
    start = word2vec.begin(len(names) + (len(grams.buckets) if grams else 0), size, run.rng)
    start[here, :size], parts = before[there], kernel.NO_PARTS
    if grams:
        parts = grams.begin(start, here)
        run.say(f"{len(grams.buckets):,} n-grams are trained on with them")
    contexts = word2vec.outputs(words, params, start.shape[1])
    known = held.get("context")
    if known is not None and known.shape == before.shape:
        contexts[here, :size] = vectors.finite(known)[there]
    weights = kernel.Weights(start, start[:0], contexts)
    hidden = kernel.CBOW if params.form == "cbow" else kernel.SKIPGRAM
    word2vec.train(lambda: word2vec.pieces(tokens, params.splits), words, weights, params, run, hidden, parts)
    with run.open(Vectors) as out:
        out.append(item=names, count=words.counts, vector=kernel.means(start, parts)[:, :size] if grams else start[:, :size])
        if params.keep:
            rest, columns, items = np.setdiff1d(np.arange(len(before)), there), vectors.named(), vectors.items()
            for rows in np.split(rest, range(ROWS, len(rest), ROWS)):
                moved = grams.moved(start, [items[row] for row in rows]) if grams else np.float32(0)
                out.append(**{name: values.take(pa.array(rows)) for name, values in columns.items()}, vector=before[rows] + moved)
        more = {**grams.settings, "vector_size": size} if grams else {"model": "continued"}
        trained = {"context": np.ascontiguousarray(contexts[:, :size])}
        if grams:
            trained |= {"words": start[: len(names), :size], "ngrams": start[len(names) :, :size], "buckets": grams.buckets}
        out.model({**params.model_dump(), **more}, {name: np.ascontiguousarray(matrix) for name, matrix in trained.items()})
    return out.artifact


class Grams:
    """The n-grams of a model of fastText, and those that the words of a text have besides: G in all.

    Args:
        settings, held: of the model.
        names: (V,) words of the text; their vectors come first in the table, then those of the n-grams.
    """

    def __init__(self, settings: dict[str, Any], held: dict[str, np.ndarray], names: list[str]):
        self.settings = {name: settings[name] for name in ("model", "n_min", "n_max", "bucket", "encoding") if name in settings}
        self.names, self.old = names, held
        self.buckets = np.union1d(held["buckets"], self._of(names)[0])  # (G,)

    def begin(self, start: np.ndarray, here: np.ndarray) -> kernel.Parts:
        """Puts the n-grams where they were, and the own vectors of words that are `here` to where the mean is what it was."""
        n_words, size = len(self.names), self.old["ngrams"].shape[1]
        start[n_words + np.searchsorted(self.buckets, self.old["buckets"]), :size] = self.old["ngrams"]
        self.first = start[n_words:].copy()
        ids, n_ids = self._of(self.names)
        parts = word2vec.with_ngrams(n_ids, np.searchsorted(self.buckets, ids))
        own, n_parts = start[here].copy(), (n_ids[here] + 1)[:, None]
        start[here] = 0
        start[here] = n_parts * (own - kernel.means(start, parts)[here])
        return parts

    def moved(self, start: np.ndarray, words: list[str]) -> np.ndarray:
        """(n, D) float32, how far words that were not trained went with their n-grams."""
        ids, n_ids = self._of(words)
        known = np.isin(ids, self.buckets)
        n_known = np.bincount(np.repeat(np.arange(len(words)), n_ids)[known], minlength=len(words))
        rows = np.searchsorted(self.buckets, ids[known])
        total = mean_of_rows(start[len(self.names) :], rows, n_known, None) - mean_of_rows(self.first, rows, n_known, None)
        return (total * (n_known / (n_ids + 1))[:, None]).astype(np.float32)[:, : self.old["ngrams"].shape[1]]

    def _of(self, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
        raw = [word.encode(self.settings.get("encoding", "utf-8"), "replace") for word in words]
        return subwords(raw, self.settings["n_min"], self.settings["n_max"], self.settings["bucket"])
