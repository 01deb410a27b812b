"""PCA between two removals: what all words share is taken out, before and after the dimensions are reduced.

Vectors less their mean lose their components along the first d principal directions, are reduced by PCA, and lose the first d
of what is left. The second PCA finds the directions that follow the first d, and what the second removal takes are the first
d of those, so that as many numbers of a coding would be 0 for every item. They are not kept: a coding are the components
2d + 1, ..., 2d + K.

    coding = U (vector - mean)        reconstruction = U^T coding,  U the (K, D) rows of these directions

The reconstruction has neither the mean nor the components that were removed: this is the point of the method, and what it
loses by them is counted in its error.

reads   vectors   one float32 vector of D numbers per item
writes  codings   K numbers per item; the squared error of its reconstruction, the model
source  Raunak, Gupta, Metze 2019; a removal as in Mu, Viswanath 2018
shapes  N items, D = vector_size, K = coding_size, d = remove; K + 2 d at most D
"""

import numpy as np
import torch
from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import write
from pipelines.coding import checked
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.principal import PrincipalKnobs, directions, projection


class Params(PrincipalKnobs):
    remove: int = Field(7, ge=0)  # d, of each removal; D / 100 is usual for the first (Mu, Viswanath 2018)


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    k, without = params.coding_size, 2 * params.remove
    if k + without > vectors.size:
        raise Fault(f"{vectors.name}: of {vectors.size} numbers none are left for {k} after {without} are removed. Lower either knob")
    mean, variance = checked(vectors, k)
    if vectors.n_rows() < k + without:
        raise Fault(
            f"{vectors.name}: {vectors.n_rows()} rows cannot show {k + without} directions. Lower coding_size or remove, or bring more rows"
        )
    along = directions(vectors, mean, without + k, run, params.solver, params.n_iter)[without:]
    model = projection(np.zeros_like(mean), along)
    with torch.no_grad():
        model.encoder[0].bias[:] = torch.from_numpy(-along @ mean)
    return write(vectors, model, variance, run, params.bits)
