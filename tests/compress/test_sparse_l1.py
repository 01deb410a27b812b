"""The sparse autoencoder with an L1 penalty."""

import numpy as np
import pytest
import torch

from pipelines.compress.sparse_l1 import ACTIVE, Params, activity, compress
from pipelines.method import Run
from tests.matrices import vectors_of


def made(tmp_path, weight, **knobs):
    rng = np.random.default_rng(0)
    causes = (rng.random((600, 12)) < 0.15) * rng.uniform(1, 2, (600, 12))  # few at a time, of more causes than there are numbers
    x = (causes @ rng.normal(size=(12, 8))).astype(np.float32)
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(600)], x)
    return compress(
        v,
        Params(**{"sizes": [24], "weight": weight, "epochs": 60, "batch_size": 100, "lr": 0.01} | knobs),
        Run(tmp_path / "c", seed=1, show=True),
    )


def test_the_heavier_the_penalty_the_fewer_units_are_active_and_none_below_zero(tmp_path, capsys):
    active = {}
    for weight in (0.0, 2.0):
        codings = made(tmp_path / str(weight), weight).matrix()
        assert (codings >= 0).all()
        active[weight] = (codings > ACTIVE).mean()
        assert f"{active[weight]:.1%} of the units are active" in capsys.readouterr().out
    assert active[2.0] < 0.6 * active[0.0]


def test_the_penalty_cannot_be_escaped_by_small_codings_and_large_weights(tmp_path):
    """What a unit adds to the reconstruction is what is penalised: to make codings small buys nothing, and the error grows instead."""
    errors = [made(tmp_path / str(w), w).read(columns=["error"]).column("error").to_numpy().sum() for w in (0.0, 3.0)]
    assert errors[1] > 3 * errors[0]


def test_codings_may_be_wider_than_the_vector_and_deep(tmp_path):
    assert made(tmp_path, 0.1, sizes=[16, 40], epochs=2).size == 40


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="weight"):
        Params(weight=-1)


def test_the_penalty_by_hand():
    h, weight = torch.tensor([[1.0, -2.0], [0.0, 3.0]]), torch.tensor([[3.0, 0.0], [4.0, 1.0]])  # columns of lengths 5 and 1
    assert activity(h, weight).tolist() == [(1 * 5 + 2 * 1) / 2, (0 * 5 + 3 * 1) / 2]


@pytest.mark.parametrize("bits", [1, 4])
def test_units_that_are_0_are_0_in_few_bits_too(tmp_path, bits):
    exact, rounded = (made(tmp_path / str(it), 2.0, bits=it).matrix() for it in (32, bits))
    assert ((exact == 0) <= (rounded == 0)).all()
    assert (rounded > 0).any()
