"""CBOW, the continuous bag of words: vectors whose mean over a window tells the word in its middle.

reads   tokens    documents as token ids; the unknown token is taken out before windows are laid
writes  vectors   one float32 vector per word that was seen, in the vocabulary's order; the model holds the
                  context vectors of the same rows, or for the loss `hierarchical` those of the tree's inner nodes
source  Mikolov, Chen, Corrado, Dean 2013; each word of a window takes the whole step, as in word2vec.c
shapes  V words, D = vector_size. In memory: 8 V D bytes, a piece of text, and the changes of a batch (at most 256 MB)

gensim trains it, unless a row says `engine: own`: our kernel is the faster of the two on two threads, and its noise words, shared by a
chunk, cost CBOW five points of analogies (docs/benchmarks.md). Either way the bytes are the same for any number of threads.
"""

from typing import Literal

from pydantic import Field

from pipelines import word2vec
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.kernels.word2vec import CBOW
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}
on_gpu = word2vec.on_gpu


class Params(word2vec.Word2vecKnobs):
    noise: int = Field(8, ge=1, le=4096)  # noise words that 64 tokens share, and that stand for `negative` in each window
    engine: Literal["own", "gensim"] = "gensim"  # own: other losses, a GPU, a checkpoint, a curve, threads
    lr: float = Field(0.05, gt=0, le=1)  # falls in a straight line to min_lr; word2vec.c's for CBOW


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    return word2vec.words_alone("cbow", tokens, params, run, CBOW)
