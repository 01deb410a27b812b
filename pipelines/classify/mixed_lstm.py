"""Mixed objective: a BiLSTM that learns from labels and from texts without, by what small changes of the word vectors do to its answer.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with; the paper's are word2vec's of train and unlabelled texts
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Sachan, Zaheer, Salakhutdinov 2019; the loss is that of pipelines/mixed.py
"""

import functools
from typing import Literal

import torch
from pydantic import Field

from pipelines import classifier, mixed
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run

PLOTS = classifier.PLOTS
ADAM = functools.partial(torch.optim.Adam, betas=(0.0, 0.98), fused=True)  # the paper's


class Params(mixed.MixedKnobs):
    hidden_size: int = Field(512, ge=1)  # H, a direction; the paper's
    bidirectional: bool = True
    max_tokens: int = Field(400, ge=1)  # of a document; the paper's 1,000 cost two and a half times as much
    lr: float = Field(0.001, gt=0)
    decay: Literal["none", "cosine", "linear", "plateau"] = "plateau"


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    return mixed.classify("mixed_lstm", tokens, params, run, vectors, codings, ADAM)


probabilities_of = functools.partial(classifier.probabilities_of, mixed.Reader, Params)
