"""Tied autoencoder: the decoder's weights are the encoder's transposed, so that half as many are learned and kept.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model
source  Vincent et al. 2010, section 2.1: h_l = a(W_l h_(l-1) + b_l) down to the coding, g_(l-1) = W_l^T a(g_l) + c_l back
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
    return train(vectors, params, params.sizes, run, activation=params.activation, tied=True)
