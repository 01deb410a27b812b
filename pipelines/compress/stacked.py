"""Stacked autoencoder: several layers down to the coding and as many back, trained as one.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model
source  Hinton, Salakhutdinov 2006; Klambauer et al. 2017 for selu, which trains deep stacks without layers
        that normalise
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K
"""

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import DeepKnobs, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(DeepKnobs):
    pass


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    return train(vectors, params, params.sizes, run, activation=params.activation)
