"""Flat network: the vectors of the first or the last few words of a document side by side, and a decision on them.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Chollet 2018, Deep Learning with Python, 6.1: 10,000 words of 8 numbers each, the last 20 of a document, for that is what
        Keras' pad_sequences keeps; Bengio et al. 2003 for words' vectors side by side; training in pipelines/classifier.py
shapes  B documents of a batch, T tokens of the longest, M = max_tokens, D numbers a word, C classes
"""

import functools
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
from pipelines.method import Run

PLOTS = classifier.PLOTS


class Params(classifier.ReaderKnobs):
    max_tokens: int = Field(20, ge=1)  # M, words that are looked at
    keep: Literal["head", "tail", "both"] = "tail"  # which words of a longer document; of a shorter one the end or the beginning is padded
    vector_size: int = Field(8, ge=1)  # D when neither vectors nor codings are given; theirs otherwise
    hidden_size: int = Field(0, ge=0)  # of a layer before the decision; 0 for none, as in the book
    batch_size: int = Field(32, ge=1)  # documents a step; the book's
    epochs: int = Field(15, ge=1)  # at most
    lr: float = Field(0.003, gt=0)  # Adam; on IMDb, one seed, the last 20 of 40,000 words: 75.4 % of valid


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    return classifier.classify("flat_mlp", Flat, tokens, params, run, vectors, codings)


class Flat(nn.Module):
    """(T, B) token ids and (B,) lengths -> (B, C) scores. Each place has weights of its own; words are put where the kept end is fixed."""

    def __init__(self, vectors: np.ndarray, frozen: bool, n_classes: int, params: Params):
        super().__init__()
        self.max_tokens, self.tail = params.max_tokens, params.keep == "tail"
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=frozen)
        self.dropout = nn.Dropout(params.dropout)
        width = params.max_tokens * vectors.shape[1]
        self.hidden = nn.Linear(width, params.hidden_size) if params.hidden_size else None
        self.decision = nn.Linear(params.hidden_size or width, n_classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        place = torch.arange(self.max_tokens, device=ids.device)[:, None]  # (M, 1)
        place = place - (self.max_tokens - lengths) * self.tail  # (M, B), of the word that stands there
        inside = (place >= 0) & (place < lengths)
        words = ids.gather(0, place.clamp(0, len(ids) - 1).expand(-1, ids.shape[1]))
        x = self.embedding(words) * inside[:, :, None]  # (M, B, D)
        x = self.dropout(x.transpose(0, 1).flatten(1))  # (B, M D)
        if self.hidden is not None:
            x = self.dropout(self.hidden(x).relu())
        return self.decision(x)


probabilities_of = functools.partial(classifier.probabilities_of, Flat, Params)
