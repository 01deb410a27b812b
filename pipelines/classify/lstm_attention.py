"""LSTM with attention: a document is the mean of a BiLSTM's states, weighed by how much each word bears on the decision.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
        beside it     attention.csv: doc_id, place, token, weight; of the first documents of valid
source  Bahdanau, Cho, Bengio 2015 (additive attention); Yang et al. 2016, eqs. 5 to 7 (of one document's words, with a learned
        query); pipelines/recurrence.py
shapes  B documents of a batch, T tokens of the longest, H' numbers of a state, A = attention_size
"""

import functools
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.fit import apply
from pipelines.labels import read
from pipelines.method import Run
from pipelines.reading import Documents, by_length, padded
from pipelines.recurrence import Recurrent, RecurrentKnobs

SHOWN = 20  # documents of attention.csv
PLOTS = classifier.PLOTS


class Params(RecurrentKnobs):
    bidirectional: bool = True
    pooling: Literal["attention"] = "attention"
    attention_size: int = Field(100, ge=1)  # A


class Attentive(Recurrent):
    def __init__(self, vectors: np.ndarray, frozen: bool, n_classes: int, params: Params):
        super().__init__(nn.LSTM, vectors, frozen, n_classes, params)
        self.key = nn.Linear(self.decision.in_features, params.attention_size)
        self.query = nn.Linear(params.attention_size, 1, bias=False)

    def pool(self, states: Tensor, inside: Tensor, lengths: Tensor) -> Tensor:
        return (self.weigh(states, inside)[:, :, None] * states).sum(dim=0)

    def weigh(self, states: Tensor, inside: Tensor) -> Tensor:
        """(T, B, H') -> (T, B), which sum to 1 over a document's words, and are 0 for padding."""
        scores = self.query(self.key(states).tanh())[:, :, 0]
        return scores.masked_fill(~inside, -torch.inf).softmax(dim=0)

    def attention(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B), (B,) -> (B, T)"""
        inside = torch.arange(len(ids), device=ids.device)[:, None] < lengths
        return self.weigh(self.states(self.words(ids), lengths), inside).T


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    made = classifier.classify("lstm_attention", Attentive, tokens, params, run, vectors, codings)
    settings, weights = made.model()
    valid = read(tokens, "valid", settings["classes"], params.target)
    offsets = valid.offsets[: SHOWN + 1]
    rows = [
        {"doc_id": doc_id, "place": place, "token": settings["words"][valid.values[start + place]], "weight": round(float(weight), 6)}
        for doc_id, start, of_words in zip(
            valid.doc_ids.to_pylist(), offsets, explain(valid.values[: offsets[-1]], offsets, settings, weights, run), strict=False
        )
        for place, weight in enumerate(of_words)
    ]
    run.open(Predictions).csv("attention", rows)
    return made


def explain(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> list[np.ndarray]:
    """How much each word bears on what is said of its document.

    Returns:
        (n_tokens,) float32 of each document values[offsets[i]:offsets[i + 1]], summing to 1 over the words that are read;
        0 for those that max_tokens cuts away.
    """
    params = Params(**settings["params"])
    model = Asked(classifier.rebuild(Attentive, Params, settings, weights))
    # padded like the words, so that their places are where the words are
    documents, places = Documents(values, offsets), Documents(np.arange(len(values), dtype=np.int32), offsets)
    parts = by_length(documents, params.batch_size)
    blocks = (padded(documents, rows, params.max_tokens, params.keep) for rows in parts)
    found = np.zeros(len(values), np.float32)
    for rows, attention in zip(parts, apply(model, blocks, run, item_axis=(1, 0)), strict=True):
        place, lengths = padded(places, rows, params.max_tokens, params.keep)  # (T, B)
        words = np.arange(len(place))[:, None] < np.minimum(lengths, np.diff(offsets)[rows])
        found[place[words]] = attention.T[words]
    return [found[start:end] for start, end in pairwise(offsets)]


class Asked(nn.Module):
    """A network that says what it attends to, and not what it decides."""

    def __init__(self, model: Attentive):
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        return self.model.attention(ids, lengths)


probabilities_of = functools.partial(classifier.probabilities_of, Attentive, Params)
