"""CNN for sentences: filters look at a few words in a row, and of each filter the strongest answer of a document counts.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Kim 2014; Hinton et al. 2012 (dropout with a largest norm)
shapes  B documents of a batch, T tokens of the longest, D numbers a word, F = n_filters of each width, W widths, C classes

A filter begins with its last word on a document's first, and ends with its first word on the document's last: what it reaches over
the ends is zeros. So a document that is shorter than a filter is read, too, and the padding of a batch changes nothing.
"""

import functools
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.classifier import ReaderKnobs
from pipelines.method import Run

PLOTS = classifier.PLOTS


class Params(ReaderKnobs):
    n_filters: int = Field(100, ge=1)  # F
    widths: list[Annotated[int, Field(ge=1)]] = Field([3, 4, 5], min_length=1)  # words that a filter looks at
    max_norm: float = Field(0.0, ge=0)  # of the weights that decide for a class; longer ones are cut to it. The paper: 3; 0: any


class Convolutional(nn.Module):
    def __init__(self, vectors: np.ndarray, frozen: bool, n_classes: int, params: Params):
        super().__init__()
        self.max_norm = params.max_norm
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=frozen)
        self.filters = nn.ModuleList(nn.Conv1d(vectors.shape[1], params.n_filters, width, padding=width - 1) for width in params.widths)
        self.dropout = nn.Dropout(params.dropout)
        self.decision = nn.Linear(params.n_filters * len(params.widths), n_classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B) token ids and (B,) lengths -> (B, C) scores."""
        x = self.dropout(self.embedding(ids)) * before(lengths, len(ids)).T[:, :, None]  # (T, B, D), zeros for padding
        x = x.permute(1, 2, 0).contiguous()  # (B, D, T)
        found = torch.cat([self.strongest(filters, x, lengths) for filters in self.filters], dim=1)  # (B, W F)
        weight = self.decision.weight.renorm(2, 0, self.max_norm) if self.max_norm else self.decision.weight
        return nn.functional.linear(self.dropout(found), weight, self.decision.bias)

    def strongest(self, filters: nn.Conv1d, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, D, T) -> (B, F), over the places where a filter sees a word."""
        answers = filters(x).relu()  # (B, F, T + width - 1)
        seen = before(lengths + filters.kernel_size[0] - 1, answers.shape[2])
        return (answers * seen[:, None]).amax(dim=2)  # no answer is below 0


def before(ends: Tensor, n: int) -> Tensor:
    """(B,) -> (B, n), whether a place is before the end."""
    return torch.arange(n, device=ends.device) < ends[:, None]


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    return classifier.classify("cnn", Convolutional, tokens, params, run, vectors, codings)


probabilities_of = functools.partial(classifier.probabilities_of, Convolutional, Params)
