"""Masked words: an LSTM first learns to guess words that it is not shown, in texts without labels, and then classes.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
        beside it     pretraining.csv: epoch, loss; of the guesses
source  Devlin et al. 2019 (the task; a masked word is always shown as unknown here, which word_dropout shows later, too); Dai, Le
        2015 (an LSTM that begins with what texts without labels taught it). Adaptive softmax: Grave et al. 2017
shapes  B documents of a batch, T tokens of the longest, V words, H' numbers of a state
"""

import functools

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from pipelines import classifier, pretraining
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run
from pipelines.recurrence import Recurrent
from pipelines.softmax import softmax_over, surprise

FULL = 10_000  # words up to which the softmax is over all of them at once
CUTOFFS = (2_000, 10_000, 50_000)  # of the adaptive one, for which the vocabulary's first words have to be its most frequent
PLOTS = pretraining.PLOTS


class Params(pretraining.PretrainingKnobs):
    masked: float = Field(0.15, gt=0, lt=1)  # share of the known words that are to be guessed


class Guesser(nn.Module):
    """The reader with a softmax over the words behind its states."""

    def __init__(self, reader: Recurrent, n_words: int):
        super().__init__()
        self.reader = reader
        size = reader.decision.in_features
        self.softmax = softmax_over(n_words, size, n_words >= FULL, CUTOFFS)

    def forward(self, ids: Tensor, lengths: Tensor, hidden: Tensor) -> Tensor:
        """(T, B) token ids, (B,) lengths, (T, B) the words that are not shown, UNKNOWN_ID elsewhere -> (B,) losses."""
        states = self.reader.states(self.reader.words(ids), lengths)  # (T, B, H')
        asked = hidden != UNKNOWN_ID
        nats = states.new_zeros(hidden.shape)
        nats[asked] = surprise(self.softmax, self.reader.dropout(states[asked]), hidden[asked].long()).to(nats.dtype)
        # so that their mean over the batch is that over its guesses
        return nats.sum(dim=0) * hidden.shape[1] / asked.sum().clamp(min=1)


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    def task(reader: Recurrent) -> nn.Module:
        return Guesser(reader, tokens.n_rows("vocab"))

    def show(ids: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        asked = (rng.random(ids.shape) < params.masked) & (ids != UNKNOWN_ID)
        return np.where(asked, UNKNOWN_ID, ids).astype(np.int32), lengths, np.where(asked, ids, UNKNOWN_ID).astype(np.int32)

    return pretraining.classify("masked", task, show, (1, 0, 1), tokens, params, run, vectors, codings)


probabilities_of = functools.partial(classifier.probabilities_of, pretraining.make, Params)
