"""The stacked autoencoder."""

import numpy as np
import pytest
import torch

from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import batches
from pipelines.coding import decode
from pipelines.compress import linear
from pipelines.compress.stacked import Params, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.kill import check_goes_on


def vectors(folder, matrix):
    with Run(folder).open(Vectors) as out:
        out.append(item=[f"w{i}" for i in range(len(matrix))], count=np.ones(len(matrix)), vector=matrix)
    return out.artifact


def curve(n=300):
    """A bent line in three dimensions: one number says where on it a point is, no straight line does."""
    t = np.random.default_rng(0).uniform(-3, 3, n)
    return np.stack([t, np.sin(2 * t), np.cos(2 * t)], axis=1).astype(np.float32)


def lost(codings):
    return float(codings.read(columns=["error"]).column("error").to_numpy().sum())


@pytest.mark.parametrize("activation", ["selu", "relu", "tanh"])
def test_one_number_follows_a_bent_line_better_than_a_straight_one(tmp_path, activation):
    v = vectors(tmp_path / "v", curve())
    params = Params(sizes=[16, 1], activation=activation, epochs=80, batch_size=32, lr=0.01)
    bent = compress(v, params, Run(tmp_path / "c", seed=1))
    straight = linear.compress(v, linear.Params(coding_size=1, epochs=40, batch_size=32), Run(tmp_path / "d", seed=1))
    assert lost(bent) < 0.6 * lost(straight)


def test_the_error_of_an_item_is_what_its_decoded_coding_is_off(tmp_path):
    matrix = curve()
    codings = compress(vectors(tmp_path / "v", matrix), Params(sizes=[8, 5, 2], epochs=3), Run(tmp_path / "c", seed=1))
    off = ((decode(codings) - matrix) ** 2).sum(axis=1)
    assert codings.read(columns=["error"]).column("error").to_numpy() == pytest.approx(off, rel=1e-3, abs=1e-5)
    assert codings.model()[0]["sizes"] == [3, 8, 5, 2]


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    v = vectors(tmp_path / "v", curve())
    made = [compress(v, Params(sizes=[4, 2], epochs=2), Run(tmp_path / name, seed=1)) for name in ("a", "b")]
    for name in ("codings.parquet", "model.safetensors", "model.json"):
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()


def test_a_stage_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    v, params = vectors(tmp_path / "v", curve()), Params(sizes=[4, 2], epochs=3)
    check_goes_on(lambda run: compress(v, params, run), tmp_path, monkeypatch)


def test_mixed_training_ends_near_where_the_exact_one_does(tmp_path):
    v = vectors(tmp_path / "v", curve())
    params = {"sizes": [8, 2], "epochs": 20, "batch_size": 32, "lr": 0.01}
    exact, mixed = (lost(compress(v, Params(**params, mixed=mixed), Run(tmp_path / f"{mixed}", seed=1))) for mixed in (False, True))
    assert mixed != exact
    assert mixed == pytest.approx(exact, rel=0.2)


def test_a_coding_no_shorter_than_the_vector_is_refused(tmp_path):
    with pytest.raises(Fault, match="have 3 numbers, a coding of 3 is not shorter"):
        compress(vectors(tmp_path / "v", curve()), Params(sizes=[8, 3]), Run(tmp_path / "c"))


@pytest.mark.parametrize("knobs", [{"sizes": []}, {"sizes": [4, 0]}, {"activation": "softmax"}, {"size": 3}])
def test_knobs_out_of_range_are_refused(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        Params(**knobs)


@pytest.mark.parametrize("activation", ["selu", "relu", "tanh"])
def test_codings_are_those_of_the_layers_and_the_activation_that_were_asked_for(tmp_path, activation):
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    made = compress(vectors(tmp_path / "v", x), Params(sizes=[4, 3, 2], activation=activation, epochs=1), Run(tmp_path / "c", seed=1))
    weights = made.model()[1]
    h = torch.from_numpy((x - weights["mean"]) / weights["scale"])
    for i in range(3):
        h = torch.nn.functional.linear(h, *(torch.from_numpy(weights[f"encoder.{i}.{part}"]) for part in ("weight", "bias")))
        h = getattr(torch, activation)(h) if i < 2 else h
    assert made.matrix() == pytest.approx(h.numpy(), abs=1e-5)


@pytest.mark.parametrize(("n", "sizes"), [(64, [32, 32]), (65, [32, 33]), (66, [32, 32, 2]), (1, [1]), (33, [33])])
def test_all_rows_are_in_a_batch_and_so_few_are_left_for_none_of_their_own(n, sizes):
    x = np.arange(n, dtype=np.float32)[:, None]
    made = [batch for (batch,) in batches(x, 32, np.random.default_rng(0))]
    assert [len(batch) for batch in made] == sizes
    assert np.sort(np.concatenate(made)[:, 0]).tolist() == x[:, 0].tolist()
