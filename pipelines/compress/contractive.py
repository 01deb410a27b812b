"""Contractive autoencoder: codings change little where a vector changes a little.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model
source  Rifai et al. 2011, eq. 5: L(x, g(f(x))) + weight ||J_f(x)||^2, J_f the (K, D) derivatives of the coding by the
        vector; exact, through all layers
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, DeepKnobs, Layers, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}
# activation -> its derivative by what it gives
SLOPES = {"tanh": lambda h: 1 - h**2, "sigmoid": lambda h: h * (1 - h)}


class Params(DeepKnobs):
    sizes: list[Annotated[int, Field(ge=1)]] = Field([32], min_length=1)
    activation: Literal["tanh", "sigmoid"] = "sigmoid"  # of hidden layers and of the coding; the penalty flattens them
    weight: float = Field(0.1, ge=0)  # of the penalty, whose derivatives are by vectors of variance 1 a number


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    def loss(model: Autoencoder, x: Tensor) -> Tensor:
        return model.lost(x, model.encode(x)) + params.weight * contraction(model.encoder, model.standard(x))

    return train(vectors, params, params.sizes, run, loss, activation=params.activation, code=params.activation)


def contraction(encoder: Layers, x: Tensor) -> Tensor:
    """(n, D) -> (n,) the squared norm of the Jacobian of the encoder at x."""
    h, jacobian = x, None  # (n, width, D); of one layer it need not be written out: its rows are those of the weights, times slopes
    for layer, activation in zip(encoder, encoder.activations, strict=True):
        h = layer(h)
        h = torch.tanh(h) if activation == "tanh" else torch.sigmoid(h)
        slope = SLOPES[activation](h)
        if len(encoder) == 1:
            return slope**2 @ (layer.weight**2).sum(dim=1)
        jacobian = slope.unsqueeze(2) * (layer.weight if jacobian is None else layer.weight @ jacobian)
    return (jacobian**2).sum(dim=(1, 2))
