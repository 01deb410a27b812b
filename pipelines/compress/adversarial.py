"""Adversarial codings: such as new ones can be drawn from, because a judge cannot tell codings of items from draws.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model: encoder,
                  decoder and what draws need; the judge is not kept
source  the game of Goodfellow et al. 2014, eq. 1: min over G, max over J of E ln J(true) + E ln(1 - J(made)).
        form autoencoder: Makhzani et al. 2015; draws from N(0, I) are true, codings are made, and the encoder lowers
        what reconstructions lose, too: L(x, g(f(x))) + weight E ln(1 - J(f(x))).
        form gan: first an autoencoder; then its codings are true, and a generator's of draws from N(0, I) are made.
        Both sides step at once, by a layer that turns the gradient round (Ganin, Lempitsky 2015), with Adam's first
        moment short (Radford et al. 2016); the judge pays penalty / 2 E ||grad ln(J / (1 - J))(true)||^2, without which
        the game goes round in circles (Mescheder, Geiger, Nowozin 2018, R1)
shapes  N items, D = vector_size, sizes = hidden widths, the last of them is K. In memory: form gan the codings
"""

import functools
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipelines import coding
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, DeepKnobs, Layers, batches, rows_of, write
from pipelines.fit import ADAM, apply, fit, prepare
from pipelines.method import Run
from pipelines.prior import Generator
from pipelines.reversal import Reversed

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(DeepKnobs):
    form: Literal["autoencoder", "gan"] = "autoencoder"  # who plays against the judge: the encoder, or a generator of codings
    weight: float = Field(1.0, ge=0)  # of form autoencoder: of the game, beside a loss that is 1 for reconstructions by the mean
    penalty: float = Field(0.3, ge=0)  # of the judge's slope; with 0 a generator soon makes a few kinds of codings alone
    hidden_size: int = Field(128, ge=1)  # of the judge, and of the generator: two hidden layers each
    batch_size: int = Field(64, ge=1)  # vectors a step; the game needs many steps

    def hidden(self) -> list[int]:
        return [self.hidden_size, self.hidden_size]


class Game(nn.Module):
    """Who makes codings, and who judges them. Only the first is kept."""

    def __init__(self, maker: nn.Module, size: int, params: Params):
        super().__init__()
        self.maker, self.penalty = maker, params.penalty
        self.judge = Layers([size, *params.hidden(), 1], "relu", None)

    def lost(self, true: Tensor, made: Tensor, weight: float = 1.0) -> Tensor:
        """(n, K), (n, K) -> (n,): -ln J(true) - ln(1 - J(made)) and the penalty. The judge lowers it, what made the second raises it."""
        true = true.detach().requires_grad_()
        of_true, of_made = self.judge(true).squeeze(1), self.judge(Reversed.apply(made, weight)).squeeze(1)
        (slope,) = torch.autograd.grad(of_true.sum(), true, create_graph=True)
        return functional.softplus(-of_true) + functional.softplus(of_made) + self.penalty / 2 * (slope**2).sum(dim=1)


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    size = params.sizes[-1]
    mean, variance = coding.checked(vectors, size, loss=params.loss)
    x = rows_of(vectors, run)
    prepare(run)
    scale = float(np.sqrt(variance / vectors.size))
    model = Autoencoder([vectors.size, *params.sizes], mean, scale, params.activation, loss=params.loss)
    recipe = params.recipe()
    playing = replace(recipe, optimiser=functools.partial(ADAM, betas=(0.5, 0.999)))

    def rows(x: np.ndarray):
        return lambda rng: batches(x, params.batch_size, rng)

    if params.form == "autoencoder":

        def against_the_prior(game: Game, x: Tensor) -> Tensor:
            z = game.maker.encode(x)
            return game.maker.lost(x, z) + game.lost(torch.randn_like(z), z, params.weight)

        fit(Game(model, size, params), rows(x), against_the_prior, run, playing, n_items=len(x))
        model.settings["prior"] = "normal"
        return write(vectors, model, variance, run, params.bits)

    first, second = run.part("autoencoder"), run.part("generator")
    fit(model, rows(x), lambda model, x: model.lost(x, model.encode(x)), first, recipe, n_items=len(x))
    codings = np.concatenate([rows[:, :-1] for rows in apply(model, ((piece,) for piece in vectors.pieces()), run)])
    prepare(run)  # so that a generator begins the same after a stage that was killed
    generator = Generator([size, *params.hidden(), size], codings.mean(axis=0), codings.std(axis=0) + 1e-6)
    standard = (codings - generator.mean.numpy()) / generator.scale.numpy()

    def against_the_codings(game: Game, z: Tensor) -> Tensor:
        return game.lost(z, game.maker.layers(torch.randn_like(z)))

    fit(Game(generator, size, params), rows(standard), against_the_codings, second, playing, n_items=len(standard))
    run.curve += [{**one, "game_loss": other["loss"]} for one, other in zip(first.curve, second.curve, strict=True)]
    model.generator = generator
    model.settings |= {"prior": "generator", "generator": [size, *params.hidden(), size]}
    return write(vectors, model, variance, run, params.bits)
