"""The autoencoder that is trained layer by layer."""

import numpy as np
import pytest
import torch

from pipelines import autoencoder
from pipelines.coding import decode
from pipelines.compress import greedy, linear
from pipelines.compress.greedy import Params, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.matrices import files, vectors_of


def bent(tmp_path, n=300):
    """Points of a bent sheet, in six dimensions."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, (n, 2))
    x = np.concatenate([t, np.sin(2 * t), np.cos(2 * t)], axis=1).astype(np.float32)
    return vectors_of(tmp_path / "v", [f"w{i}" for i in range(n)], x)


def lost(codings):
    return float(codings.read(columns=["error"]).column("error").to_numpy().sum())


SMALL = Params(sizes=[8, 5, 2], activation="tanh", layer_epochs=3, epochs=3, batch_size=50)


def test_its_first_layer_alone_is_the_autoencoder_of_one_layer(tmp_path):
    v = bent(tmp_path)
    alone = Params(sizes=[5, 2], activation="tanh", layer_epochs=4, epochs=0)
    one = autoencoder.train(v, alone.model_copy(update={"epochs": 4}), [5], Run(tmp_path / "a", seed=1), code="tanh").model()[1]
    both = compress(v, alone, Run(tmp_path / "b", seed=1)).model()[1]
    for name in ("encoder.0.weight", "encoder.0.bias"):
        assert np.array_equal(both[name], one[name])
    assert np.array_equal(both["decoder.1.weight"], one["decoder.0.weight"])


def test_of_one_layer_it_is_the_linear_autoencoder(tmp_path):
    v = bent(tmp_path)
    ours = compress(v, Params(sizes=[2], layer_epochs=5, epochs=0), Run(tmp_path / "a", seed=1))
    theirs = linear.compress(
        v, linear.Params(coding_size=2, epochs=5, batch_size=Params().batch_size, lr=Params().lr), Run(tmp_path / "b", seed=1)
    )
    assert files(ours)["codings.parquet"] == files(theirs)["codings.parquet"]


def test_the_second_layer_gives_back_what_the_first_gives(tmp_path):
    """The reconstruction of the whole is the first layer's, of what the second gives back."""
    v = bent(tmp_path)
    made = compress(v, Params(sizes=[5, 2], activation="tanh", layer_epochs=200, epochs=0, lr=0.01), Run(tmp_path / "c", seed=1))
    model = autoencoder.rebuild(*made.model())
    x = torch.from_numpy(v.matrix())
    with torch.no_grad():
        h = model.encoder((x - model.mean) / model.scale, last=1)
        back = torch.tanh(model.decoder[0](model.encode(x)))
    assert ((back - h) ** 2).sum() < 0.5 * ((h - h.mean(dim=0)) ** 2).sum()
    assert decode(made) == pytest.approx((model.decoder[1](back) * model.scale + model.mean).detach().numpy(), abs=1e-4)


def test_training_all_together_lowers_what_the_layers_alone_lose(tmp_path):
    v, params = bent(tmp_path), Params(sizes=[16, 2], activation="tanh", layer_epochs=40, epochs=0, batch_size=50, lr=0.01)
    alone = compress(v, params, Run(tmp_path / "a", seed=1))
    tuned = compress(v, params.model_copy(update={"epochs": 40}), Run(tmp_path / "b", seed=1))
    assert lost(tuned) < 0.8 * lost(alone)


@pytest.mark.parametrize("n", [2, 4, 5, 8, 11], ids=lambda n: f"epoch {n}")
def test_killed_in_any_phase_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch, n):
    v = bent(tmp_path)
    again, _ = check_goes_on(lambda run: compress(v, SMALL, run), tmp_path, monkeypatch, n)
    assert [point["epoch"] for point in again.curve] == list(range(1, 13))  # three layers and the whole, three epochs each


def test_numbers_from_0_to_1_are_given_back_as_such(tmp_path):
    x = (np.random.default_rng(0).random((200, 6)) > 0.5).astype(np.float32)
    x[:, 3:] = x[:, :3]
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(200)], x)
    made = compress(v, Params(sizes=[5, 3], loss="cross_entropy", layer_epochs=60, epochs=60, lr=0.01), Run(tmp_path / "c", seed=1))
    back = decode(made)
    assert 0 <= back.min() <= back.max() <= 1
    assert np.array_equal(back > 0.5, x > 0.5)


def test_what_cannot_be_coded_is_refused(tmp_path):
    with pytest.raises(Fault, match="have 6 numbers, a coding of 6 is not shorter"):
        compress(bent(tmp_path), Params(sizes=[8, 6]), Run(tmp_path / "c"))
    with pytest.raises(ValueError, match="layer_epochs"):
        greedy.Params(layer_epochs=0)
