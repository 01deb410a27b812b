"""GRU: reads a document word by word, in order; two gates say what of its state is kept and what a word changes.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Cho et al. 2014, with the reset gate behind the matrix as in cuDNN; pipelines/recurrence.py
shapes  V words, D numbers a word, H = hidden_size
"""

import functools

from torch import nn

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run
from pipelines.recurrence import Recurrent, RecurrentKnobs

PLOTS = classifier.PLOTS
make = functools.partial(Recurrent, nn.GRU)


class Params(RecurrentKnobs):
    pass


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    return classifier.classify("gru", make, tokens, params, run, vectors, codings)


probabilities_of = functools.partial(classifier.probabilities_of, make, Params)
