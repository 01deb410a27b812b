"""The tied autoencoder."""

import numpy as np
import pytest

from pipelines.coding import decode
from pipelines.compress.tied import Params, compress
from pipelines.method import Run
from tests.matrices import vectors_of


def made(tmp_path, **knobs):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(400, 3)) @ rng.normal(size=(3, 9)) + 2).astype(np.float32)
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(400)], x)
    return x, compress(v, Params(**knobs), Run(tmp_path / "c", seed=1))


def test_the_decoder_has_no_weights_but_the_encoders_and_biases_of_its_own(tmp_path):
    x, codings = made(tmp_path, sizes=[6, 3], activation="tanh", epochs=3)
    weights = codings.model()[1]
    assert {name: array.shape for name, array in weights.items() if name.startswith("decoder")} == {
        "decoder.bias.0": (6,),
        "decoder.bias.1": (9,),
    }
    h = np.tanh(codings.matrix() @ weights["encoder.1.weight"] + weights["decoder.bias.0"])
    by_hand = (h @ weights["encoder.0.weight"] + weights["decoder.bias.1"]) * weights["scale"] + weights["mean"]
    assert decode(codings) == pytest.approx(by_hand, abs=1e-4)
    off = ((decode(codings) - x) ** 2).sum(axis=1)
    assert codings.read(columns=["error"]).column("error").to_numpy() == pytest.approx(off, rel=1e-3, abs=1e-4)


def test_three_directions_are_given_back_by_three_numbers(tmp_path):
    x, codings = made(tmp_path, sizes=[3], epochs=150, batch_size=40, lr=0.01)
    assert decode(codings) == pytest.approx(x, abs=0.1)
