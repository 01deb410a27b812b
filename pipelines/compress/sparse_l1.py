"""Sparse autoencoder by an L1 penalty: many units, of which few are active for an item.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, most of them 0; the squared error of its reconstruction, the model
source  Ng 2011, with the absolute value for the penalty: L(x, g(h)) + weight / K sum_j |h_j| ||d_j||, d_j what unit j adds
        to the reconstruction per activity; without its length small codings and large weights would escape the penalty,
        for which Olshausen and Field 1996 hold the length fixed
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K, which may be above D
"""

from pydantic import Field
from torch import Tensor

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, DeepKnobs, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}
ACTIVE = 1e-6  # a unit above this is active


class Params(DeepKnobs):
    weight: float = Field(0.1, ge=0)  # of the penalty, beside a loss that is 1 for reconstructions by the mean


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    def loss(model: Autoencoder, x: Tensor) -> Tensor:
        h = model.encode(x)
        return model.lost(x, h) + params.weight * activity(h, model.decoder[0].weight)

    made = train(vectors, params, params.sizes, run, loss, wide=True, activation=params.activation, code="relu")
    active = sum(int((piece > ACTIVE).sum()) for piece in made.pieces()) / (made.n_rows() * made.size)
    run.say(f"{active:.1%} of the units are active for an item, on the average")
    return made


def activity(h: Tensor, weight: Tensor) -> Tensor:
    """(n, K) units and (D, K), the decoder's first weights -> (n,): the mean of |h_j| times the length of column j, what h_j adds to what is decoded."""
    return (h.abs() * weight.norm(dim=0)).mean(dim=1)
