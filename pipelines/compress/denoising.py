"""Denoising autoencoder: learns to give vectors back from vectors that were spoiled, so that no coding is a mere copy.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per clean item, the squared error of its reconstruction, the model
source  Vincent et al. 2008: the loss is L(x, g(f(x'))), x' ~ q(x' | x); q adds Gaussian noise, or sets a share of
        the numbers to their mean (masking), or sets it so and makes the others larger by 1 / (1 - share) (dropout)
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, DeepKnobs, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(DeepKnobs):
    noise: Literal["gaussian", "masking", "dropout"] = "gaussian"
    level: float = Field(0.3, gt=0, lt=1)  # gaussian: standard deviation, in units of the vectors' own; else the share that is spoiled


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    def loss(model: Autoencoder, x: Tensor) -> Tensor:
        return model.lost(x, model.encode(spoiled(x, model.mean, model.scale, params.noise, params.level)))

    return train(vectors, params, params.sizes, run, loss, activation=params.activation)


def spoiled(x: Tensor, mean: Tensor, scale: Tensor, noise: str, level: float) -> Tensor:
    """(n, D) -> (n, D), x' ~ q(x' | x)."""
    if noise == "gaussian":
        return x + level * scale * torch.randn_like(x)
    if noise == "dropout":
        return mean + functional.dropout(x - mean, level)
    return torch.where(torch.rand_like(x) < level, mean, x)
