"""Draws of codings that no item has."""

import json

import numpy as np
import pytest

from pipelines.artifacts.codings import Codings
from pipelines.compress import adversarial
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.prior import draws
from tests.matrices import vectors_of


def codings(folder, settings, weights=None):
    with Run(folder).open(Codings) as out:
        out.append(item=["a", "b"], coding=np.float32([[1, 0], [2, 3]]), error=[0, 0])
        out.model(settings, weights or {"w": np.zeros(1, np.float32)})
    return out.artifact


def test_a_normal_law_gives_the_same_draws_for_the_same_seed_however_many_are_asked(tmp_path):
    it = codings(tmp_path / "c", {"prior": "normal"})
    many = draws(it, 4000, seed=2)
    assert many.shape == (4000, 2)
    assert (many.mean(), many.std()) == (pytest.approx(0, abs=0.05), pytest.approx(1, abs=0.05))
    assert (draws(it, 3, seed=2) == many[:3]).all()
    assert (draws(it, 3, seed=3) != many[:3]).any()


def test_a_generator_makes_its_own_of_these(tmp_path):
    weights = {
        "generator.layers.0.weight": np.float32([[1, 0], [0, -1]]), "generator.layers.0.bias": np.float32([0, 1]),
        "generator.layers.1.weight": np.float32([[2, 0], [1, 1]]), "generator.layers.1.bias": np.float32([0, 0]),
        "generator.mean": np.float32([10, 20]), "generator.scale": np.float32([1, 3]), "encoder.0.weight": np.zeros(1, np.float32),
    }  # fmt: skip
    it = codings(tmp_path / "g", {"prior": "generator", "generator": [2, 2, 2]}, weights)
    plain = codings(tmp_path / "n", {"prior": "normal"})
    e = draws(plain, 50, seed=1)
    h = np.maximum(e * [1, -1] + [0, 1], 0)  # relu
    by_hand = np.stack([2 * h[:, 0] + 10, 3 * (h[:, 0] + h[:, 1]) + 20], axis=1)
    assert draws(it, 50, seed=1) == pytest.approx(by_hand, abs=1e-5)


def test_codings_that_follow_no_law_are_refused_and_those_that_do_are_named(tmp_path):
    with pytest.raises(Fault, match="codings/c follows no law .* those of variational and adversarial do"):
        draws(codings(tmp_path / "c", {"model": "autoencoder"}), 3, seed=1)


def test_a_generator_of_other_weights_is_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(40)], x)
    made = adversarial.compress(v, adversarial.Params(form="gan", sizes=[2], epochs=1), Run(tmp_path / "c", seed=1))
    settings = made.settings()
    for changed in ({"generator": [2, 3, 2]}, {"generator": [3, 128, 128, 3]}):
        (made.folder / "model.json").write_text(json.dumps(settings | changed))
        with pytest.raises(Fault, match=r"codings/c: the weights of its generator are not those of its settings"):
            draws(made, 2, 1)
