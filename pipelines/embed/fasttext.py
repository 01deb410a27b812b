"""fastText: skip-gram or CBOW whose words are the mean of their own vector and those of their letter n-grams.

reads   tokens    documents as token ids; the unknown token is taken out before windows are laid
writes  vectors   one float32 vector per word that was seen, in the vocabulary's order; the model holds the words' own
                  vectors, the context vectors, and those of the n-grams: kernels/letter_ngrams.py makes a vector of them for any word
source  Bojanowski, Grave, Joulin, Mikolov 2017; the hash is that of Facebook's fastText (FNV-1a over signed bytes)
shapes  V words, G n-grams of them, D = vector_size. In memory: 4 D (2 V + G) bytes, a piece of text, and the changes of
        a batch (at most 256 MB). n-grams that no word of the vocabulary has are not there, and say nothing of a new word

The bytes are the same for any number of threads. `engine: gensim` trains with gensim 4.4 instead, in one thread. A new word
has a vector of known n-grams with either engine; gensim itself counts the others in, with the numbers that they began with.
"""

from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pipelines import word2vec
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.kernels import word2vec as kernel
from pipelines.kernels.letter_ngrams import subwords
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(word2vec.Word2vecKnobs):
    form: Literal["skipgram", "cbow"] = "skipgram"
    n_min: int = Field(3, ge=1)  # letters of an n-gram, the marks of a word's begin and end included
    n_max: int = Field(6, ge=0)  # 0: no n-grams
    bucket: int = Field(2_000_000, ge=1, lt=2**31)  # n-grams are told apart by their hash modulo this
    lr: float = Field(0.05, gt=0, le=1)  # falls in a straight line to min_lr; fastText's own

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if 0 < self.n_max < self.n_min:
            raise ValueError(f"n_max ({self.n_max}) must not be below n_min ({self.n_min}), or 0 for no n-grams")
        return self


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    words = word2vec.words_of(tokens, params.splits, run)
    run.say_if_wide(params.vector_size, len(words.ids))
    column = tokens.vocab().column("token").take(words.ids)
    ids, n_ids = subwords([word.encode() for word in column.to_pylist()], params.n_min, params.n_max, params.bucket)
    buckets, row = np.unique(ids, return_inverse=True)
    parts = word2vec.with_ngrams(n_ids, row)
    run.say(f"{len(buckets):,} n-grams of {len(column):,} words")
    start = word2vec.begin(len(column) + len(buckets), params.vector_size, run.rng)
    weights = kernel.Weights(start, start[:0], word2vec.outputs(words, params, start.shape[1]))
    hidden = kernel.CBOW if params.form == "cbow" else kernel.SKIPGRAM
    word2vec.train(lambda: word2vec.pieces(tokens, params.splits), words, weights, params, run, hidden, parts)
    size, n_words = params.vector_size, len(column)
    with run.open(Vectors) as out:
        out.append(item=column, count=words.counts, vector=kernel.means(start, parts)[:, :size])
        out.model(
            {"model": "fasttext", **params.model_dump()},
            {
                "words": start[:n_words, :size], "ngrams": start[n_words:, :size], "buckets": buckets,
                "nodes" if params.loss == "hierarchical" else "context": weights.outputs[:, :size],
            },
        )  # fmt: skip
    return out.artifact
