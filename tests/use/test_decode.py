"""From codings back to vectors."""

import numpy as np
import pytest

from pipelines.artifacts.codings import Codings
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.use.decode import decode


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
    with pytest.raises(Fault, match="its model is 'wavelet', which this version cannot decode"):
        decode(codings(tmp_path / "c", {"model": "wavelet"}, {"w": np.zeros(1, np.float32)}))
