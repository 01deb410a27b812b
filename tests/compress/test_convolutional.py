"""The convolutional autoencoder."""

import numpy as np
import pytest
import torch

from pipelines.coding import decode
from pipelines.compress.convolutional import Params, compress
from pipelines.convolution import Convolutional
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import vectors_of


def network(shape, channels, kernel_size=3, size=4):
    torch.manual_seed(0)
    return Convolutional([int(np.prod(shape)), size], np.zeros(np.prod(shape)), 1.0, shape, channels, kernel_size, "tanh")


@pytest.mark.parametrize(("shape", "kernel_size"), [((8, 8, 1), 3), ((5, 7, 3), 3), ((6, 5, 2), 5)])
def test_a_layer_is_the_sum_that_its_equation_says(shape, kernel_size):
    """By a plain loop, of vectors whose numbers lie pixel after pixel, channels last."""
    model, (height, width, colours) = network(shape, [4], kernel_size), shape
    x = np.random.default_rng(0).normal(size=(height, width, colours)).astype(np.float32)
    with torch.no_grad():
        (made,) = model.encoder[:2](torch.from_numpy(x.reshape(1, -1)))
    w, b, p = model.encoder[1].weight.detach().numpy(), model.encoder[1].bias.detach().numpy(), kernel_size // 2
    by_hand = np.zeros((4, -(-height // 2), -(-width // 2)))
    for c, i, j in np.ndindex(by_hand.shape):
        by_hand[c, i, j] = b[c]
        for k, u, v in np.ndindex(colours, kernel_size, kernel_size):
            row, column = 2 * i + u - p, 2 * j + v - p
            if 0 <= row < height and 0 <= column < width:
                by_hand[c, i, j] += w[c, k, u, v] * x[row, column, k]
    assert made.numpy() == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3), (6, 5, 2)])
def test_a_layer_of_the_decoder_is_the_adjoint_of_the_encoders_with_the_same_weights(shape):
    """<A x, y> = <x, A^T y>, for sides that are even and odd."""
    model = network(shape, [4])
    down, up = model.encoder[1], next(layer for layer in model.decoder if isinstance(layer, torch.nn.ConvTranspose2d))
    with torch.no_grad():
        up.weight[:] = down.weight
        down.bias.zero_()
        up.bias.zero_()
        x, y = torch.randn(1, shape[2], *shape[:2]), torch.randn(1, 4, -(-shape[0] // 2), -(-shape[1] // 2))
        assert (down(x) * y).sum().item() == pytest.approx((x * up(y)).sum().item(), rel=1e-4)


def test_what_comes_back_lies_as_what_went_in():
    first, last = network((5, 7, 3), [4]).encoder[0], network((5, 7, 3), [4]).decoder[-1]
    x = torch.arange(2 * 105.0).reshape(2, 105)
    assert first(x).shape == (2, 3, 5, 7)
    assert torch.equal(last(first(x)), x)
    assert network((5, 7, 3), [4, 8])(x).shape == (2, 5)  # coding, error


def strokes(n=400, side=7):
    """An image of one bright line: where it lies and whether it stands say all."""
    rng = np.random.default_rng(0)
    x = np.zeros((n, side, side), np.float32)
    for image, upright, place in zip(x, rng.random(n) < 0.5, rng.integers(side, size=n), strict=True):
        (image.T if upright else image)[place] = 1
    return x.reshape(n, -1)


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_codings_give_lines_back_and_their_error_is_what_is_off(tmp_path, loss):
    x = strokes()
    v = vectors_of(tmp_path / "v", [f"i{i}" for i in range(len(x))], x)
    knobs = Params(shape=[7, 7], coding_size=8, channels=[8, 16], epochs=60, batch_size=50, loss=loss)
    made = compress(v, knobs, Run(tmp_path / "c", seed=1))
    back = decode(made)
    assert np.mean((back > 0.5) == (x > 0.5)) > 0.97
    off = made.read(columns=["error"]).column("error").to_numpy()
    assert off == pytest.approx(((back - x) ** 2).sum(axis=1), rel=1e-3, abs=1e-5)


def test_a_shape_that_vectors_do_not_have_is_refused_and_one_that_they_name_is_taken(tmp_path):
    v = vectors_of(tmp_path / "v", [f"i{i}" for i in range(60)], strokes(60))
    with pytest.raises(Fault, match="vectors/v: its vectors have 49 numbers, images of 8 x 8 have 64. Set shape"):
        compress(v, Params(shape=[8, 8], coding_size=2), Run(tmp_path / "c"))
    with pytest.raises(Fault, match="vectors/v does not say that its vectors are images"):
        compress(v, Params(coding_size=2), Run(tmp_path / "c"))
    (v.folder / "image.csv").write_text("height,width,channels\n7,7,1\n")
    made = compress(v, Params(coding_size=2, channels=[2], epochs=1), Run(tmp_path / "c", seed=1))
    assert made.model()[0]["shape"] == [7, 7, 1]


def test_a_model_of_another_shape_is_refused(tmp_path):
    v = vectors_of(tmp_path / "v", [f"i{i}" for i in range(60)], strokes(60))
    made = compress(v, Params(shape=[7, 7], coding_size=2, channels=[2], epochs=1), Run(tmp_path / "c", seed=1))
    path = made.folder / "model.json"
    path.write_text(path.read_text().replace('"kernel_size": 3', '"kernel_size": 5'))
    with pytest.raises(Fault, match="codings/c: its weights are not those of its settings"):
        decode(made)


@pytest.mark.parametrize("knobs", [{"shape": [8]}, {"shape": [0, 8]}, {"channels": []}, {"kernel_size": 4}])
def test_knobs_out_of_range_are_refused(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        Params(**knobs)
