"""The sparse autoencoder with a target activity."""

import math

import numpy as np
import pytest
import torch

from pipelines.compress.sparse_kl import Params, compress, divergence
from pipelines.method import Run
from tests.matrices import vectors_of


def test_the_divergence_by_hand():
    by_hand = 0.1 * math.log(0.1 / 0.5) + 0.9 * math.log(0.9 / 0.5)
    assert divergence(0.1, torch.tensor([0.1, 0.5])).tolist() == pytest.approx([0, by_hand], abs=1e-6)
    assert divergence(0.1, torch.tensor([0.0, 1.0])).isfinite().all()


def test_units_become_as_active_as_they_should_be_and_codings_may_be_wide(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 6)).astype(np.float32)
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(500)], x)
    made = compress(
        v, Params(sizes=[20], activity=0.1, weight=1.0, epochs=60, batch_size=100, lr=0.01), Run(tmp_path / "c", seed=1, show=True)
    )
    activity = made.matrix().mean(axis=0)
    assert made.size == 20
    assert activity.mean() == pytest.approx(0.1, abs=0.02)
    assert (made.matrix() >= 0).all()
    assert (made.matrix() <= 1).all()
    assert f"mean activity {activity.mean():.4f}" in capsys.readouterr().out


def test_one_row_more_than_whole_batches_is_no_step_of_its_own(tmp_path):
    x = np.random.default_rng(0).normal(size=(129, 6)).astype(np.float32)
    kept = []
    for n in (128, 129):
        v = vectors_of(tmp_path / f"v{n}", [f"w{i}" for i in range(n)], x[:n])
        codings = compress(v, Params(sizes=[12], weight=0.3, epochs=60, batch_size=64, lr=0.01), Run(tmp_path / f"c{n}", seed=1))
        kept.append(1 - codings.read(columns=["error"]).column("error").to_numpy().sum() / ((x[:n] - x[:n].mean(axis=0)) ** 2).sum())
    assert kept[1] == pytest.approx(kept[0], abs=0.02)


@pytest.mark.parametrize("bits", [2, 4])
def test_in_few_bits_none_falls_below_0(tmp_path, bits):
    x = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(300)], x)
    codings = compress(v, Params(sizes=[12], epochs=3, bits=bits), Run(tmp_path / "c", seed=1)).matrix()
    assert codings.min() == 0
