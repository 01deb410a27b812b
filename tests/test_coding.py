"""What all codings share."""

import numpy as np
import pytest

from pipelines.artifacts.codings import Codings
from pipelines.coding import cost, decode
from pipelines.errors import Fault
from pipelines.method import Run


def codings(folder, settings=None, weights=None):
    with Run(folder).open(Codings) as out:
        out.append(item=["a", "b"], coding=np.float32([[1, 0], [2, 3]]), error=[0, 0])
        if settings is not None:
            out.model(settings, weights)
    return out.artifact


def test_by_hand(tmp_path):
    # vector = scale * (W coding + bias) + mean
    weights = {
        "encoder.0.weight": np.zeros((2, 3), np.float32), "encoder.0.bias": np.zeros(2, np.float32),
        "decoder.0.weight": np.float32([[1, 0], [0, 1], [1, 1]]), "decoder.0.bias": np.float32([0, 0, 1]),
        "mean": np.float32([10, 20, 30]), "scale": np.float32(2),
    }  # fmt: skip
    made = codings(tmp_path / "c", {"model": "autoencoder", "sizes": [3, 2], "activation": None}, weights)
    assert decode(made).tolist() == [[12, 20, 34], [14, 26, 42]]


def test_codings_without_a_model_are_refused(tmp_path):
    with pytest.raises(Fault, match="codings/c holds no model"):
        decode(codings(tmp_path / "c"))


def test_a_model_of_another_kind_is_refused(tmp_path):
    with pytest.raises(Fault, match="its model is 'wavelet', which has no way back to vectors"):
        decode(codings(tmp_path / "c", {"model": "wavelet"}, {"w": np.zeros(1, np.float32)}))


def test_weights_of_another_shape_are_refused(tmp_path):
    weights = {
        "encoder.0.weight": np.zeros((2, 3), np.float32), "encoder.0.bias": np.zeros(2, np.float32),
        "decoder.0.weight": np.zeros((4, 2), np.float32), "decoder.0.bias": np.zeros(3, np.float32),
        "mean": np.zeros(3, np.float32), "scale": np.float32(2),
    }  # fmt: skip
    settings = {"model": "autoencoder", "sizes": [3, 2], "activation": None}
    with pytest.raises(Fault, match=r"codings/c: its weights are not those of its settings .*\[4, 2\]"):
        decode(codings(tmp_path / "c", settings, weights))
    del weights["decoder.0.weight"]
    with pytest.raises(Fault, match=r"codings/d: its weights are not those of its settings .*decoder.0.weight"):
        decode(codings(tmp_path / "d", settings, weights))


def test_a_tied_decoder_costs_what_its_encoder_does_and_a_bit_an_eighth_of_a_byte(tmp_path):
    weights = {"encoder.0.weight": np.zeros((2, 3), np.float32), "decoder.bias.0": np.zeros(3, np.float32)}
    assert cost(codings(tmp_path / "a", {"model": "autoencoder"}, weights)) == (8, 12)
    assert cost(codings(tmp_path / "b", {"model": "autoencoder", "tied": True, "bits": 2}, weights)) == (0.25, 36)
