"""Character CNN: layers of filters over a document's characters, each on what the layer before it found.

reads   tokens        documents as ids of characters (tokenize's method characters), with labels and splits
        vectors       optional: vectors of the characters to begin with
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Zhang, Zhao, LeCun 2015: theirs has six layers and a text of exactly 1,014 characters, whose places two dense layers know.
        Here the strongest answer of a filter counts, wherever it is, so a text may have any length (as in Kim 2014)
shapes  B documents of a batch, T characters of the longest, V characters, D numbers a character, F = n_filters, C classes

A filter reaches over the ends into zeros, and after each layer what lies behind a text's end is zeros again: the padding of a batch
changes nothing.
"""

import functools
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.classifier import ReaderKnobs
from pipelines.errors import Fault
from pipelines.method import Run

PLOTS = classifier.PLOTS


class Params(ReaderKnobs):
    characters: Literal["learned", "one_hot"] = "learned"  # one_hot, as in the paper: each its own dimension
    vector_size: int = Field(16, ge=1)  # D, of learned ones
    n_filters: int = Field(64, ge=1)  # F, of each layer
    widths: list[int] = Field([7, 7, 3, 3], min_length=1)  # places that a filter looks at, layer by layer, odd
    pools: list[int] = Field([3, 3, 1, 1])  # neighbours of which the strongest goes on to the next layer
    max_tokens: int = Field(1014, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)  # of what the decision is made from

    @model_validator(mode="after")
    def _layers(self) -> Self:
        if len(self.pools) != len(self.widths) or min(self.pools) < 1:
            raise ValueError(f"pools is {self.pools}; each of the {len(self.widths)} layers of widths needs one, 1 or more")
        if any(width < 1 or width % 2 == 0 for width in self.widths):
            raise ValueError(f"widths is {self.widths}; they must be odd, so that a filter has a middle")
        return self


class Convolutional(nn.Module):
    def __init__(self, vectors: np.ndarray, frozen: bool, n_classes: int, params: Params):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=frozen)
        sizes = [vectors.shape[1]] + [params.n_filters] * len(params.widths)
        self.layers = nn.ModuleList(
            nn.Conv1d(size, params.n_filters, width, padding=width // 2) for size, width in zip(sizes, params.widths, strict=False)
        )
        self.pools = params.pools
        self.dropout = nn.Dropout(params.dropout)
        self.decision = nn.Linear(params.n_filters, n_classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B) ids and (B,) lengths -> (B, C) scores."""
        x = inside(self.embedding(ids).permute(1, 2, 0), lengths)  # (B, D, T)
        for layer, pool in zip(self.layers, self.pools, strict=True):
            x = inside(layer(x).relu(), lengths)  # (B, F, T)
            x = nn.functional.max_pool1d(x, pool, ceil_mode=True)  # (B, F, T / pool)
            lengths = (lengths + pool - 1) // pool
        return self.decision(self.dropout(x.amax(dim=2)))  # no answer is below 0, so the zeros of padding are never the strongest


def inside(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, F, T), zeros from a document's end on."""
    return x * (torch.arange(x.shape[2], device=x.device) < lengths[:, None])[:, None]


def make(vectors: np.ndarray, frozen: bool, n_classes: int, params: Params) -> Convolutional:
    if params.characters == "one_hot":
        vectors, frozen = np.eye(len(vectors), dtype=np.float32), True
        vectors[UNKNOWN_ID] = 0
    return Convolutional(vectors, frozen, n_classes, params)


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    given = vectors or codings
    if given and params.characters == "one_hot":
        raise Fault(f"{run.name}: characters are one_hot, so {given.name} would not be used. Take it away, or say characters: learned")
    return classifier.classify("char_cnn", make, tokens, params, run, vectors, codings)


probabilities_of = functools.partial(classifier.probabilities_of, make, Params)
