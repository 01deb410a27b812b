"""Stacked autoencoder: several layers down to the coding and as many back, trained as one.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model
source  Hinton, Salakhutdinov 2006; Klambauer et al. 2017 for selu, which trains deep stacks without layers
        that normalise
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K
"""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import train
from pipelines.fit import Recipe
from pipelines.method import Knobs, Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(Knobs):
    sizes: list[Annotated[int, Field(ge=1)]] = Field([64, 32], min_length=1)  # widths down to the coding
    activation: Literal["selu", "relu", "tanh"] = "selu"  # between layers; coding and reconstruction are linear
    epochs: int = Field(100, ge=1)
    batch_size: int = Field(256, ge=1)  # vectors a step
    lr: float = Field(0.003, gt=0)  # Adam, falling to 0 over the epochs along a half cosine


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    recipe = Recipe(epochs=params.epochs, lr=params.lr, decay="cosine", clip=1.0)
    return train(vectors, params.sizes, params.activation, recipe, params.batch_size, run)
