"""Sparse autoencoder by a target: each unit is to be active for a given share of the items, on the average.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers from 0 to 1 (but for rounding, where they have few bits) per item, the squared error
                  of its reconstruction, the model
source  Ng 2011: L(x, g(h)) + weight sum_j D_KL(p || p_j), D_KL(p || q) = p ln(p / q) + (1 - p) ln((1 - p) / (1 - q));
        p_j is the mean activity of unit j over a batch
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K, which may be above D
"""

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, DeepKnobs, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}
TINY = 1e-6  # no unit is taken for all active or never, where the divergence is infinite


class Params(DeepKnobs):
    activity: float = Field(0.05, gt=0, lt=1)  # p
    weight: float = Field(0.1, ge=0)  # of the penalty, beside a loss that is 1 for reconstructions by the mean
    batch_size: int = Field(256, ge=2)  # vectors a step, over which the activity is measured


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    whole = min(params.batch_size, vectors.n_rows())

    def loss(model: Autoencoder, x: Tensor) -> Tensor:
        h = model.encode(x)
        weight = params.weight * min(1.0, len(x) / whole)  # the last batch of an epoch may be of so few that their mean says little
        return model.lost(x, h) + weight * divergence(params.activity, h.mean(dim=0)).sum()

    def make(*args: Any, **network: Any) -> Autoencoder:
        model = Autoencoder(*args, **network)
        model.settings["activity"] = params.activity
        nn.init.constant_(model.encoder[-1].bias, math.log(params.activity / (1 - params.activity)))  # begins at the target
        return model

    made = train(vectors, params, params.sizes, run, loss, wide=True, make=make, activation=params.activation, code="sigmoid")
    activity = sum(piece.sum(axis=0, dtype=float) for piece in made.pieces()) / made.n_rows()  # (K,)
    run.say(f"mean activity {activity.mean():.4f}, from {activity.min():.4f} to {activity.max():.4f}; the target is {params.activity:g}")
    return made


def divergence(p: float, q: Tensor) -> Tensor:
    """(K,) D_KL(p || q_j)"""
    q = q.clamp(TINY, 1 - TINY)
    return p * torch.log(p / q) + (1 - p) * torch.log((1 - p) / (1 - q))
