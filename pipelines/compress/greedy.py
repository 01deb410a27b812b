"""Greedy autoencoder: one layer at a time, each an autoencoder of what the layers below give; then all are trained together.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model
source  Bengio, Lamblin, Popovici, Larochelle 2007; Hinton, Salakhutdinov 2006, whose layers are Boltzmann machines: layer l
        lowers L(h_(l-1), g_l(f_l(h_(l-1)))), h_l = f_l(h_(l-1)), h_0 the vector; f_1 ... f_L, then g_L ... g_1 are where the
        whole begins
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K
"""

from itertools import pairwise

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, DeepKnobs, batches, rows_of, write
from pipelines.coding import checked
from pipelines.fit import fit, prepare
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(DeepKnobs):
    layer_epochs: int = Field(50, ge=1)  # of each layer by itself
    epochs: int = Field(100, ge=0)  # of all together; 0 leaves the layers as they are


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    mean, variance = checked(vectors, params.sizes[-1], loss=params.loss)
    sizes, scale = [vectors.size, *params.sizes], float(np.sqrt(variance / vectors.size))
    x = rows_of(vectors, run)
    whole = Autoencoder(sizes, mean, scale, params.activation, loss=params.loss)

    def trained(name: str, model: Autoencoder, epochs: int, below: int) -> None:
        """Trains a model of what `below` layers give."""
        whole.to(run.device)

        def loss(model: Autoencoder, x: Tensor) -> Tensor:
            if below:
                with torch.no_grad():
                    x = whole.encoder(whole.standard(x), last=below)
            return model.lost(x, model.encode(x))

        part = run.part(name)
        fit(model, lambda rng: batches(x, params.batch_size, rng), loss, part, params.recipe(epochs), n_items=len(x))
        done = run.curve[-1]["epoch"] if run.curve else 0
        run.curve += [{**point, "epoch": done + point["epoch"]} for point in part.curve]

    for i, (wide, narrow) in enumerate(pairwise(sizes)):
        prepare(run)  # the chance that a layer begins with is the same, whether those below were trained or taken from a checkpoint
        code = params.activation if i + 2 < len(sizes) else None
        if i == 0:
            one = Autoencoder([wide, narrow], mean, scale, code=code, loss=params.loss)
        else:
            one = Autoencoder([wide, narrow], np.zeros(wide), 1.0, code=code)
            one.decoder.activations = [params.activation]  # as the numbers that it gives back are made
        trained(f"layer-{i + 1}", one, params.layer_epochs, below=i)
        whole.encoder[i].load_state_dict(one.encoder[0].state_dict())
        whole.decoder[-1 - i].load_state_dict(one.decoder[0].state_dict())
    if params.epochs:
        trained("together", whole, params.epochs, below=0)
    return write(vectors, whole, variance, run, params.bits)
