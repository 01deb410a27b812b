"""The contractive autoencoder."""

import numpy as np
import pytest
import torch

from pipelines.autoencoder import Layers
from pipelines.compress.contractive import Params, compress, contraction
from pipelines.method import Run
from tests.matrices import vectors_of


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("widths", [[5, 3], [5, 4, 3]])
def test_the_penalty_is_the_squared_norm_of_the_jacobian_that_autograd_finds(activation, widths):
    torch.manual_seed(0)
    encoder, x = Layers(widths, activation, activation), torch.randn(4, 5)
    jacobians = torch.stack([torch.autograd.functional.jacobian(encoder, row) for row in x])
    assert contraction(encoder, x).tolist() == pytest.approx((jacobians**2).sum(dim=(1, 2)).tolist(), rel=1e-5)


def test_one_sigmoid_unit_by_hand():
    """h = sigmoid(2 x) at x = 0: dh/dx = 2 * 1/4."""
    encoder = Layers([1, 1], None, "sigmoid")
    with torch.no_grad():
        encoder[0].weight[:] = 2
    assert contraction(encoder, torch.zeros(1, 1)).item() == pytest.approx(0.25)


def test_the_heavier_the_penalty_the_less_codings_move_with_the_vector(tmp_path):
    rng = np.random.default_rng(0)
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(300)], rng.normal(size=(300, 6)).astype(np.float32))
    spread = [
        compress(v, Params(sizes=[3], weight=weight, epochs=30, batch_size=50, lr=0.01), Run(tmp_path / str(weight), seed=1)).matrix().std()
        for weight in (0.0, 3.0)
    ]
    assert spread[1] < 0.5 * spread[0]


@pytest.mark.parametrize("sizes", [[0], [-3], [2.5], ["a"], []])
def test_widths_that_are_none_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes"):
        Params(sizes=sizes)
