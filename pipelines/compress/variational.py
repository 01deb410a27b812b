"""Variational autoencoder: codings are drawn about a mean, near a normal law, so that new ones can be drawn from it.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 mean of K numbers per item, the squared error of its reconstruction, the model
source  Kingma, Welling 2014: L(x, g(z)) + beta latent, z = mu + exp(gamma / 2) e, e ~ N(0, I), gamma = ln sigma^2,
        latent = -1/2 sum_j (1 + gamma_j - exp(gamma_j) - mu_j^2); Higgins et al. 2017 for beta
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, DeepKnobs, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(DeepKnobs):
    beta: float = Field(1.0, ge=0)  # of the latent loss; 1 is Kingma and Welling's for noise of the vectors' own variance


class Variational(Autoencoder):
    """The encoder's last layer gives mu; a layer beside it, of the same hidden numbers, gives gamma."""

    def __init__(self, sizes, *args, **network):
        super().__init__(sizes, *args, **network)
        self.settings["prior"] = "normal"
        self.encoder_gamma = nn.Linear(*sizes[-2:])
        nn.init.zeros_(self.encoder_gamma.weight)  # all codings begin with variance 1
        nn.init.zeros_(self.encoder_gamma.bias)

    def law(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """(n, D) -> mu (n, K), gamma (n, K)"""
        h = self.encoder(self.standard(vectors), last=-1)
        return self.encoder(h, first=-1), self.encoder_gamma(h)


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    # the likelihood of D numbers, of variance 1 or of being 1, beside the latent loss, all by number: so a lr serves any D
    share = (2 if params.loss == "squared" else 1) / vectors.size

    def loss(model: Variational, x: Tensor) -> Tensor:
        mu, gamma = model.law(x)
        z = mu + torch.exp(gamma / 2) * torch.randn_like(mu)
        return model.lost(x, z) + params.beta * share * latent(mu, gamma)

    return train(vectors, params, params.sizes, run, loss, make=Variational, activation=params.activation)


def latent(mu: Tensor, gamma: Tensor) -> Tensor:
    """(n, K), (n, K) -> (n,): the divergence of N(mu, exp(gamma)) from N(0, 1)."""
    return -0.5 * (1 + gamma - torch.exp(gamma) - mu**2).sum(dim=1)
