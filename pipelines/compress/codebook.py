"""Compositional codes: a network that chooses one entry from each of M codebooks, trained with its choices left soft.

    alpha = softplus(V tanh(U x + b) + c)                        (M, K)
    d_m = softmax_k((ln alpha_m + G) / tau),   G = -ln(-ln u)    a choice, with Gumbel noise, of which the gradient is known
    back: sum_m C_m^T d_m,    loss: ||x - back||^2

When it is trained, code_m is the largest of alpha_m, without noise. `n_refine` then goes on where the network ends: codebooks
by least squares for the codes as they are, and each code anew, one part after the other, for these codebooks.

reads   vectors   one float32 vector of D numbers per item
writes  codings   M whole numbers per item, each of so many bits; the squared error of its reconstruction, the codebooks
source  Shu, Nakayama 2018; Jang, Gu, Poole 2017 for the Gumbel softmax; refined as Babenko, Lempitsky 2014 and Martinez et al. 2018
shapes  N items, D = vector_size, M = n_parts, K = 2^bits. In memory, refined: the vectors, and 4 N M K bytes
"""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipelines import codebooks
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import batches, rows_of
from pipelines.codebooks import CodeKnobs
from pipelines.fit import Recipe, apply, fit, prepare
from pipelines.kernels.sums import refined
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(CodeKnobs):
    n_parts: int = Field(32, ge=1, le=512)  # M
    bits: int = Field(4, ge=1, le=12)  # K = 2^bits
    tau: float = Field(1.0, gt=0)  # the lower, the harder a choice, and the noisier its gradient
    n_refine: int = Field(20, ge=0)  # turns of codebooks and codes after the network; 0 leaves its own
    epochs: int = Field(30, ge=1)
    batch_size: int = Field(128, ge=1)  # vectors a step
    lr: float = Field(0.01, gt=0)  # Adam, falling to 0 over the epochs along a half cosine
    mixed: bool = False  # products of matrices in bfloat16: for a GPU, where they are several times as fast


class Composer(nn.Module):
    """Sees (vector - mean) / scale, so that one learning rate serves vectors of any size."""

    def __init__(self, mean: np.ndarray, scale: float, params: Params):
        super().__init__()
        size, n_parts, n_entries = len(mean), params.n_parts, 2**params.bits
        hidden = max(n_parts * n_entries // 2, 1)
        self.hidden, self.chosen = nn.Linear(size, hidden), nn.Linear(hidden, n_parts * n_entries)
        self.codebooks = nn.Parameter(torch.randn(n_parts, n_entries, size) * 0.1)
        self.tau = params.tau
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def logits(self, x: Tensor) -> Tensor:
        """(n, D), centred -> (n, M, K) ln alpha"""
        alpha = functional.softplus(self.chosen(torch.tanh(self.hidden(x))))
        return torch.log(alpha + 1e-8).view(-1, *self.codebooks.shape[:2])

    def loss(self, vectors: Tensor) -> Tensor:
        x = (vectors - self.mean) / self.scale
        choices = functional.gumbel_softmax(self.logits(x), tau=self.tau)
        return ((choices.flatten(1) @ self.codebooks.flatten(0, 1) - x) ** 2).mean(dim=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, D) -> (n, M) codes"""
        return self.logits((vectors - self.mean) / self.scale).argmax(dim=2)


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    mean, variance = codebooks.checked(vectors, params)
    x = rows_of(vectors, run)
    prepare(run)
    model = Composer(mean, float(np.sqrt(variance / vectors.size)), params)
    recipe = Recipe(epochs=params.epochs, lr=params.lr, decay="cosine", clip=1.0, mixed=params.mixed)
    fit(model, lambda rng: batches(x, params.batch_size, rng), Composer.loss, run, recipe, n_items=len(x))
    codes = np.concatenate(list(apply(model, ((piece,) for piece in vectors.pieces()), run)))
    books = (model.codebooks * model.scale).detach().cpu().numpy()
    if params.n_refine:
        books, codes = refined((vectors.matrix() - mean).astype(np.float32), books, codes, params.n_refine)
    return codebooks.write(vectors, params, "sum", codes, variance, run, codebooks=codebooks.about(mean, books))
