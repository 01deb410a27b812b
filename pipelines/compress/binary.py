"""Binary autoencoder: a coding of K bits.

reads   vectors   one float32 vector of D numbers per item
writes  codings   K numbers -1 or 1 per item, each one bit; the squared error of its reconstruction, the model
source  Tissier, Gravier, Habrard 2019: codes are the signs of W x, reconstructions are linear in them, and a penalty
        weight / 2 ||W^T W - I||^2, by number of the D x D as the error is by number of the D, keeps the bits from saying the same; the sign's gradient straight through
        (Bengio et al. 2013), where Tissier et al. take the decoder's alone
shapes  N items, D = vector_size, K = n_bits
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, TrainingKnobs, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(TrainingKnobs):
    n_bits: int = Field(128, ge=8, le=4096, multiple_of=8)
    bits: Literal[1] = 1  # of a number
    weight: float = Field(0.01, ge=0)  # of the penalty


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    def loss(model: Autoencoder, x: Tensor) -> Tensor:
        return model.lost(x, model.encode(x)) + params.weight / 2 * sameness(model.encoder[0].weight)

    return train(vectors, params, [params.n_bits], run, loss, wide=True, code="sign")


def sameness(w: Tensor) -> Tensor:
    """(K, D) -> mean square of the numbers of W^T W - I."""
    return ((w.T @ w - torch.eye(w.shape[1], device=w.device)) ** 2).mean()
