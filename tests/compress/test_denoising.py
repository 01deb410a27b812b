"""The denoising autoencoder."""

import numpy as np
import pytest
import torch

from pipelines.coding import decode
from pipelines.compress import stacked
from pipelines.compress.denoising import Params, compress, spoiled
from pipelines.method import Run
from tests.matrices import vectors_of

MEAN, SCALE = torch.tensor([1.0, 5.0]), torch.tensor(2.0)


def drawn(noise, level):
    torch.manual_seed(0)
    return spoiled(torch.tensor([[3.0, 9.0]]).repeat(20_000, 1), MEAN, SCALE, noise, level)


def test_gaussian_noise_has_the_share_of_the_vectors_own_deviation():
    made = drawn("gaussian", 0.5)
    assert made.mean(0).tolist() == pytest.approx([3, 9], abs=0.03)
    assert made.std(0).tolist() == pytest.approx([1, 1], abs=0.03)  # 0.5 of scale 2


def test_masking_sets_a_share_to_the_mean_and_leaves_the_rest():
    made = drawn("masking", 0.25)
    assert set(made[:, 0].tolist()) == {1.0, 3.0}
    assert (made == MEAN).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_dropout_leaves_the_expectation_as_it_was():
    made = drawn("dropout", 0.5)
    assert set(made[:, 1].tolist()) == {5.0, 13.0}  # 5 + 0, or 5 + 4 / 0.5
    assert made.mean(0).tolist() == pytest.approx([3, 9], abs=0.1)


def test_it_cleans_what_the_plain_one_copies(tmp_path):
    """Points on a plane, seen with noise across it: the reconstruction of a noisy point lies nearer to the plane."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 12))
    clean = (rng.normal(size=(600, 2)) @ plane).astype(np.float32)
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(600)], clean)
    knobs = {"sizes": [8], "activation": "tanh", "epochs": 60, "batch_size": 64, "lr": 0.01}
    noisy = torch.from_numpy(clean + rng.normal(size=clean.shape).astype(np.float32) * 0.5)

    def off(codings):
        from pipelines.autoencoder import rebuild

        model = rebuild(*codings.model())
        with torch.no_grad():
            return float(((model.decode(model.encode(noisy)) - torch.from_numpy(clean)) ** 2).sum(1).mean())

    cleaning = compress(v, Params(**knobs, level=0.5), Run(tmp_path / "d", seed=1))
    copying = stacked.compress(v, stacked.Params(**knobs), Run(tmp_path / "s", seed=1))
    assert off(cleaning) < 0.7 * off(copying)
    assert decode(cleaning).shape == clean.shape
