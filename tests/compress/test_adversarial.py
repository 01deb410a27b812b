"""The adversarial autoencoder, and the GAN on codings."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch.nn import functional

from pipelines.autoencoder import Layers
from pipelines.coding import cost, decoder
from pipelines.compress.adversarial import Game, Params, compress
from pipelines.method import Run
from pipelines.prior import draws
from tests.kill import check_goes_on
from tests.matrices import vectors_of


def game(penalty=0.0, weights=(0.0, 0.0), bias=0.0):
    """Whose judge is linear."""
    made = Game(torch.nn.Identity(), 2, Params(penalty=penalty))
    made.judge = Layers([2, 1], None, None)
    with torch.no_grad():
        made.judge[0].weight[:] = torch.tensor([weights])
        made.judge[0].bias[:] = bias
    return made


def test_the_loss_by_hand():
    true, made = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert game().lost(true, made).tolist() == pytest.approx([2 * math.log(2)] * 2)  # a judge that knows nothing: J = 1/2
    j = 1 / (1 + math.exp(-1))  # J of a coding that it gives 1
    assert game(weights=(1.0, -1.0)).lost(true, made).tolist() == pytest.approx([-2 * math.log(j), 2 * math.log(2)])
    # the slope of a linear judge is its weights: 0.5 / 2 * (3^2 + 4^2)
    slope = game(0.5, (3.0, -4.0)).lost(true, made) - game(0.0, (3.0, -4.0)).lost(true, made)
    assert slope.tolist() == pytest.approx([6.25, 6.25])


def test_the_judge_goes_down_the_slope_that_the_maker_goes_up():
    torch.manual_seed(0)
    it, true, made = Game(torch.nn.Identity(), 3, Params(penalty=0.0)), torch.randn(5, 3), torch.randn(5, 3, requires_grad=True)
    plain = torch.autograd.grad(functional.softplus(it.judge(made)).sum(), [made, *it.judge.parameters()])
    of_true = torch.autograd.grad(functional.softplus(-it.judge(true)).sum(), list(it.judge.parameters()))
    turned = torch.autograd.grad(it.lost(true, made, weight=0.3).sum(), [made, *it.judge.parameters()])
    assert turned[0].numpy() == pytest.approx(-0.3 * plain[0].numpy(), abs=1e-6)
    for both, one, other in zip(turned[1:], plain[1:], of_true, strict=True):
        assert both.numpy() == pytest.approx((one + other).numpy(), abs=1e-5)


def heaps(n=600):
    """Two heaps far from each other, a third of the points in one of them; and what says in which a point is."""
    rng = np.random.default_rng(0)
    first = rng.random(n) < 1 / 3
    return (rng.normal(size=(n, 5)) * 0.3 + np.where(first, 3, -3)[:, None]).astype(np.float32), lambda x: (x > 0).mean(axis=1)


def corner(n=600):
    """Points of a plane that crowd in a corner and thin out along its two sides."""
    rng = np.random.default_rng(0)
    return (rng.exponential(size=(n, 2)) @ rng.normal(size=(2, 5)) + 1).astype(np.float32)


def trained(tmp_path, x=None, **knobs):
    x = heaps()[0] if x is None else x
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(len(x))], x)
    return compress(v, Params(**{"sizes": [16, 2], "epochs": 60, "hidden_size": 32, "lr": 0.005, **knobs}), Run(tmp_path / "c", seed=1))


def test_codings_lie_as_a_normal_law_and_give_vectors_back_all_the_same(tmp_path):
    """Where no game is played they lie as the vectors do."""
    played, plain = (trained(tmp_path / str(weight), corner(), weight=weight, epochs=100) for weight in (1.0, 0.0))
    off = [max(kstest(column, "norm").statistic for column in made.matrix().T) for made in (played, plain)]
    assert off[0] < 0.14 < 0.2 < off[1]
    assert abs(np.corrcoef(played.matrix().T)[0, 1]) < 0.2
    lost = played.read(columns=["error"]).column("error").to_numpy().sum() / corner().var(axis=0).sum() / 600
    assert lost < 0.03


@pytest.mark.parametrize("form", ["autoencoder", "gan"])
def test_draws_are_of_both_heaps_as_often_as_items_are(tmp_path, form):
    made = trained(tmp_path, form=form)
    share = heaps()[1](decoder(made)(draws(made, 1000, seed=3)))
    assert np.mean(np.isin(share, [0, 1])) > 0.85  # few between the heaps
    assert (share == 1).mean() == pytest.approx(1 / 3, abs=0.13)


@pytest.mark.parametrize("form", ["autoencoder", "gan"])
def test_the_judge_is_not_kept_and_a_generator_is_no_part_of_the_way_back(tmp_path, form):
    made = trained(tmp_path, form=form, epochs=1)
    names = set(made.model()[1])
    assert not [name for name in names if "judge" in name]
    assert any(name.startswith("generator.") for name in names) == (form == "gan")
    assert cost(made) == (8, 4 * ((2 + 1) * 16 + (16 + 1) * 5 + 5 + 1))  # two layers, mean, scale


@pytest.mark.parametrize("at", [2, 4, 5])
def test_a_stage_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch, at):
    """In the autoencoder's training, in the generator's first epoch, and later."""
    x, _ = heaps(100)
    v, params = vectors_of(tmp_path / "v", [f"w{i}" for i in range(100)], x), Params(sizes=[2], form="gan", epochs=3)
    again, _ = check_goes_on(lambda run: compress(v, params, run), tmp_path, monkeypatch, at)
    assert [sorted(point) for point in again.curve] == [["epoch", "game_loss", "loss"]] * 3
