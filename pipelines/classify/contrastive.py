"""Contrastive: an LSTM first learns which two pieces are of one text, without labels, and then classes.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
        beside it     pretraining.csv: epoch, loss; of the pieces
source  Chen, Kornblith, Norouzi, Hinton 2020 (SimCLR: two views, a projection that is thrown away, NT-Xent). Their views are images;
        here a view is a piece of the text with some of its words unknown
shapes  B documents of a batch, T tokens of the longest, H' numbers of a pooled document, K = projection_size

With `tune: decision` labels train a linear head on what the LSTM says, and leave it alone.
"""

import functools

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines import classifier, pretraining
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.classifier import without
from pipelines.method import Run
from pipelines.recurrence import Recurrent

PLOTS = pretraining.PLOTS


class Params(pretraining.PretrainingKnobs):
    crop: float = Field(0.5, gt=0, le=1)  # length of a view, as a share of the text's
    masked: float = Field(0.2, ge=0, lt=1)  # share of a view's words that are shown as unknown
    temperature: float = Field(0.1, gt=0)  # that cosines are divided by; the paper's value for large batches
    projection_size: int = Field(64, ge=1)  # K


class Matcher(nn.Module):
    """The reader with a projection behind it, in which the two views of a text are to be near each other."""

    def __init__(self, reader: Recurrent, params: Params):
        super().__init__()
        self.reader, self.temperature = reader, params.temperature
        size = reader.decision.in_features
        self.projection = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, params.projection_size))

    def forward(self, ids: Tensor, lengths: Tensor, other_ids: Tensor, other_lengths: Tensor) -> Tensor:
        """(T, B) token ids and (B,) lengths of a view of each document, and of another one -> (B,) losses."""
        views = (ids, lengths), (other_ids, other_lengths)
        return nt_xent(*(self.projection(self.reader.encode(*view)) for view in views), self.temperature)


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Of each view, minus the logarithm of the share that the right partner has among all other views (Chen et al. 2020, eq. 1).

    Args:
        one, other: (B, K), a row of each belongs to one document.

    Returns:
        (B,), the mean of a document's two.
    """
    unit = nn.functional.normalize(torch.cat([one, other]).float(), dim=1)  # (2 B, K)
    cosine = (unit @ unit.T).fill_diagonal_(-torch.inf) / temperature
    partner = torch.arange(2 * len(one), device=one.device).roll(len(one))
    return nn.functional.cross_entropy(cosine, partner, reduction="none").view(2, -1).mean(dim=0)


def view(ids: np.ndarray, lengths: np.ndarray, params: Params, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A piece of each document, (T', B), some of its words unknown; and (B,) how long it is."""
    kept = np.ceil(lengths * params.crop).astype(np.int64)
    start, place = rng.integers(0, lengths - kept + 1), np.arange(kept.max())[:, None]
    piece = np.take_along_axis(ids, np.minimum(start + place, len(ids) - 1), axis=0)
    return without(np.where(place < kept, piece, UNKNOWN_ID).astype(np.int32), params.masked, rng), kept


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    def task(reader: Recurrent) -> nn.Module:
        return Matcher(reader, params)

    def show(ids: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        return *view(ids, lengths, params, rng), *view(ids, lengths, params, rng)

    return pretraining.classify("contrastive", task, show, (1, 0, 1, 0), tokens, params, run, vectors, codings)


probabilities_of = functools.partial(classifier.probabilities_of, pretraining.make, Params)
