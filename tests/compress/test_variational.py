"""The variational autoencoder."""

import math

import numpy as np
import pytest
import torch

from pipelines.compress import variational
from pipelines.compress.variational import Params, Variational, compress, latent
from pipelines.method import Run
from tests.matrices import vectors_of


def test_the_latent_loss_by_hand():
    """One number of mean 1 and variance e: -1/2 (1 + 1 - e - 1)."""
    mu, gamma = torch.tensor([[1.0], [0.0]]), torch.tensor([[1.0], [0.0]])
    assert latent(mu, gamma).tolist() == pytest.approx([(math.e - 1) / 2, 0])


def test_it_is_the_divergence_of_two_normal_laws():
    mu, gamma = torch.tensor([[0.3, -1.2]]), torch.tensor([[0.5, -0.7]])
    law = torch.distributions.Normal(mu, torch.exp(gamma / 2))
    wanted = torch.distributions.kl_divergence(law, torch.distributions.Normal(0.0, 1.0)).sum()
    assert latent(mu, gamma).item() == pytest.approx(wanted.item())


def plane(tmp_path):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(800, 2)) @ rng.normal(size=(2, 10)) * 3 + 1).astype(np.float32)
    return vectors_of(tmp_path / "v", [f"w{i}" for i in range(800)], x)


def test_means_spread_as_the_prior_where_the_data_say_much_and_vanish_where_they_say_nothing(tmp_path):
    made = compress(plane(tmp_path), Params(sizes=[4], beta=0.2, epochs=300, batch_size=100, lr=0.01), Run(tmp_path / "c", seed=1)).matrix()
    spread = np.sort(made.std(axis=0))
    assert spread[:2] == pytest.approx([0, 0], abs=0.15)  # a plane has two directions
    assert spread[2:] == pytest.approx([1, 1], abs=0.15)
    assert made.mean(axis=0) == pytest.approx(np.zeros(4), abs=0.1)


def test_a_heavy_beta_leaves_nothing(tmp_path):
    made = compress(plane(tmp_path), Params(sizes=[4], beta=100, epochs=30, batch_size=100, lr=0.01), Run(tmp_path / "c", seed=1))
    assert made.matrix().std(axis=0).max() < 0.1


@pytest.mark.parametrize(("loss", "share"), [("squared", 2), ("cross_entropy", 1)])
def test_its_loss_is_the_negative_bound_by_number(tmp_path, monkeypatch, loss, share):
    """Kingma, Welling 2014, eq. 10, over D / 2 of numbers whose errors are normal with variance 1, over D of ones that are 0 or 1."""
    found = []
    monkeypatch.setattr(variational, "train", lambda vectors, params, sizes, run, loss, **more: found.append(loss))
    x = np.random.default_rng(0).random((6, 5)).astype(np.float32)
    compress(vectors_of(tmp_path / "v", list("abcdef"), x), Params(sizes=[4, 2], beta=0.5, loss=loss), Run(tmp_path / "c"))
    torch.manual_seed(0)
    model, given = Variational([5, 4, 2], x.mean(axis=0), 1.0, loss=loss), torch.from_numpy(x)
    model.encoder_gamma.weight.data.normal_()
    mu, gamma = model.law(given)
    torch.manual_seed(1)
    whole = found[0](model, given)
    torch.manual_seed(1)
    z = mu + torch.exp(gamma / 2) * torch.randn_like(mu)
    expected = model.lost(given, z) + 0.5 * share / 5 * latent(mu, gamma)
    assert whole.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
