"""Simple RNN (Elman): reads a document word by word; a state is one layer's sum of the word and the state before it.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Elman 1990; Le, Jaitly, Hinton 2015 (identity, with relu); Saxe, McClelland, Ganguli 2014 (orthogonal);
        pipelines/recurrence.py
shapes  V words, D numbers a word, H = hidden_size

What a state keeps is multiplied by the same matrix at every word. One whose lengths are all 1 neither shrinks nor blows up what it is
given, so training begins with such a matrix.
"""

import functools
from typing import Literal

import numpy as np
from torch import nn

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run
from pipelines.recurrence import Recurrent, RecurrentKnobs

PLOTS = classifier.PLOTS
START = {"orthogonal": nn.init.orthogonal_, "identity": nn.init.eye_, "uniform": lambda matrix: None}  # uniform is torch's own


class Params(RecurrentKnobs):
    activation: Literal["tanh", "relu"] = "tanh"
    start: Literal["orthogonal", "identity", "uniform"] = "orthogonal"  # of the weights between one state and the next


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    return classifier.classify("simple_rnn", make, tokens, params, run, vectors, codings)


def make(vectors: np.ndarray, frozen: bool, n_classes: int, params: Params) -> Recurrent:
    model = Recurrent(functools.partial(nn.RNN, nonlinearity=params.activation), vectors, frozen, n_classes, params)
    for layer in [*model.onward, *model.backward_]:
        START[params.start](layer.weight_hh_l0)
    return model


probabilities_of = functools.partial(classifier.probabilities_of, make, Params)
