"""The binary autoencoder."""

import numpy as np
import pytest
import torch

from pipelines.autoencoder import Autoencoder, Sign
from pipelines.coding import cost, decode
from pipelines.compress import binary
from pipelines.compress.binary import Params, compress, sameness
from pipelines.method import Run
from tests.matrices import vectors_of

RNG = np.random.default_rng(0)


def test_the_sign_goes_forward_and_the_gradient_straight_through_where_the_number_is_small():
    x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
    y = Sign.apply(x)
    y.backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert y.tolist() == [-1, -1, 1, 1, 1]
    assert x.grad.tolist() == [0, 2, 3, 4, 0]


def test_a_coding_is_signs_of_a_linear_map_and_a_bit_each(tmp_path):
    x = RNG.normal(size=(300, 12)).astype(np.float32)
    made = compress(vectors_of(tmp_path / "v", [f"w{i}" for i in range(300)], x), Params(n_bits=24, epochs=3), Run(tmp_path / "c", seed=1))
    weights = made.model()[1]
    score = (x - weights["mean"]) / weights["scale"] @ weights["encoder.0.weight"].T + weights["encoder.0.bias"]
    assert np.array_equal(made.matrix(), np.where(score >= 0, 1, -1))
    assert cost(made)[0] == 3
    off = ((decode(made) - x) ** 2).sum(axis=1)
    assert made.read(columns=["error"]).column("error").to_numpy() == pytest.approx(off, rel=1e-3, abs=1e-4)


def test_corners_of_a_cube_are_told_apart_and_given_back(tmp_path):
    corners = np.where(RNG.random((500, 8)) < 0.5, -1, 1) @ np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(500)], corners.astype(np.float32))
    made = compress(v, Params(n_bits=16, epochs=100, batch_size=50, lr=0.01), Run(tmp_path / "c", seed=1))
    assert ((decode(made) - corners) ** 2).sum() < 0.1 * (corners**2).sum()
    near = corners @ corners.T
    hamming = made.matrix() @ made.matrix().T
    assert np.corrcoef(near.ravel(), hamming.ravel())[0, 1] > 0.85


def test_codings_may_have_more_bits_than_the_vector_has_numbers_and_take_no_more_on_disk_than_they_say(tmp_path):
    x = RNG.normal(size=(2000, 6)).astype(np.float32)
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(2000)], x)
    made = compress(v, Params(n_bits=512, epochs=1), Run(tmp_path / "c", seed=1))
    assert made.size == 512
    assert (made.folder / "codings.parquet").stat().st_size < 2 * 2000 * cost(made)[0]  # Parquet numbers the two values


@pytest.mark.parametrize("n_bits", [0, 12, 8192])
def test_bits_that_are_not_whole_bytes_are_refused(n_bits):
    with pytest.raises(ValueError, match="n_bits"):
        Params(n_bits=n_bits)


def test_the_penalty_by_hand_and_what_it_weighs(tmp_path, monkeypatch):
    assert sameness(torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]])).item() == (1**2 + 3**2) / 4  # W^T W = diag(2, 4)
    v = vectors_of(tmp_path / "v", ["a", "b"], np.float32([[1, 2], [3, -1]]))
    found = []
    monkeypatch.setattr(binary, "train", lambda vectors, params, sizes, run, loss, **more: found.append(loss))
    compress(v, Params(n_bits=8, weight=0.4), Run(tmp_path / "c"))
    model, x = Autoencoder([2, 8], np.zeros(2), 1.0, code="sign"), torch.randn(5, 2)
    model.encoder[0].weight.data.normal_()
    extra = found[0](model, x) - model.lost(x, model.encode(x))
    assert extra.tolist() == pytest.approx([0.2 * sameness(model.encoder[0].weight).item()] * 5, rel=1e-4)
