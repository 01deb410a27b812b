"""What all codings share."""

import numpy as np
import pytest

from pipelines.artifacts.codings import Codings
from pipelines.coding import checked, cost, decode, decoder
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import vectors_of


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


@pytest.mark.parametrize(
    ("settings", "weights", "said"),
    [
        ({"model": "autoencoder", "sizes": [3, 1], "activation": None}, {
            "encoder.0.weight": np.zeros((1, 3), np.float32), "encoder.0.bias": np.zeros(1, np.float32),
            "decoder.0.weight": np.zeros((3, 1), np.float32), "decoder.0.bias": np.zeros(3, np.float32),
            "mean": np.zeros(3, np.float32), "scale": np.float32(2)}, "takes 1 numbers, and these have 2"),
        ({"model": "codebooks", "form": "sum", "size": 3, "bits": 4}, {"codebooks": np.zeros((5, 4, 3), np.float32)}, "takes 5 numbers"),
        ({"model": "codebooks", "form": "sum", "size": 3, "bits": 2}, {"codebooks": np.zeros((2, 2, 3), np.float32)}, "no codes of its model, which are whole, from 0 to 1"),
        ({"model": "scalar", "bits": 2, "levels": 2}, {"low": np.zeros(2), "step": np.ones(2)}, "no codes of its model, which are whole, from 0 to 1"),
        ({"model": "scalar", "bits": 8, "levels": 16}, {"low": np.zeros(3), "step": np.ones(3)}, "low and step are 3 and 3 numbers"),
        ({"model": "transform", "bits": 3}, {
            "levels": np.zeros(6, np.float32), "bits": np.array([2, 1]), "directions": np.zeros((2, 3), np.float32),
            "mean": np.zeros(3, np.float32)}, "no codes of its model, which are whole, from 0 to 3"),
        ({"model": "transform", "bits": 3}, {
            "levels": np.zeros(5, np.float32), "bits": np.array([2, 1]), "directions": np.zeros((2, 3), np.float32),
            "mean": np.zeros(3, np.float32)}, r"for 2 numbers of 6 levels"),
        ({"model": "codebooks", "form": "concatenate", "size": 4, "bits": 4, "rotated": True}, {
            "codebooks": np.zeros((2, 4, 2), np.float32), "mean": np.zeros(4, np.float32), "rotation": np.zeros((4, 3), np.float32)}, r"a rotation of shape \(4, 3\)"),
        ({"model": "codebooks", "form": "concatenate", "size": 4, "bits": 4, "rotated": True}, {
            "codebooks": np.zeros((2, 4, 2), np.float32), "mean": np.zeros(4, np.float32)}, "not those of its settings .*rotation"),
        ({"model": "codebooks", "form": "sum", "size": 2, "bits": 4}, {"codebooks": np.zeros((2, 4, 3), np.float32)}, "for vectors of 2 numbers"),
        ({"model": "autoencoder", "sizes": [3, 2], "code": "signum"}, {}, r"unknown activations \['signum'\]"),
        ({"model": "autoencoder", "sizes": [3, 2], "activation": None, "levels": 4}, {
            "encoder.0.weight": np.zeros((2, 3), np.float32), "encoder.0.bias": np.zeros(2, np.float32),
            "decoder.0.weight": np.zeros((3, 2), np.float32), "decoder.0.bias": np.zeros(3, np.float32),
            "mean": np.zeros(3, np.float32), "scale": np.float32(2), "low": np.zeros(1, np.float32), "step": np.ones(1, np.float32)},
            r"low and step of shapes \(1,\), \(1,\)"),
        ({"model": "codebooks", "form": "sum", "size": 3, "bits": 4}, {"codebooks": np.full((2, 4, 3), np.nan, np.float32)},
            "codebooks hold numbers that are not finite"),
        ({"model": "autoencoder", "sizes": []}, {}, r"sizes \[\]"),
        ({"model": "autoencoder", "sizes": [3, 2], "activation": "softsign"}, {}, r"unknown activations \['softsign'\]"),
        ({"model": "autoencoder", "sizes": [3, 2]}, {"mean": np.zeros(1, np.float32), "scale": np.float32(1)}, r"a mean of shape \(1,\)"),
    ],
)  # fmt: skip
def test_a_model_of_other_codings_is_refused(tmp_path, settings, weights, said):
    given = codings(tmp_path / "c", settings, weights)  # [1, 0] and [2, 3]
    with pytest.raises(Fault, match=said):
        decode(given)


def test_all_numbers_that_are_none_are_counted_and_five_vectors_named(tmp_path):
    x = np.full((1000, 4), np.nan, np.float32)
    x[:3] = [[1, 2, np.inf, 4], [1, 2, 3, 4], [np.nan, 2, 3, 4]]
    with pytest.raises(
        Fault, match=r"999 of 1000 vectors hold .*'w0' has inf in column 2, 'w2' has nan in column 0, 'w3' .*'w5' .*, \.\.\."
    ) as raised:
        checked(vectors_of(tmp_path / "v", [f"w{i}" for i in range(1000)], x), 2)
    assert "w6" not in str(raised.value)


def test_numbers_so_large_that_their_squares_are_none_are_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32) * 1e20
    with pytest.raises(Fault, match=r"its numbers go from -.*e\+20 to .*e\+20, and 1e\+15 is the largest that can be coded"):
        checked(vectors_of(tmp_path / "v", [f"w{i}" for i in range(20)], x), 2)


def test_vectors_that_are_the_same_are_refused_wherever_they_lie_and_of_others_the_variance_is_told(tmp_path):
    rng, words = np.random.default_rng(1), [f"w{i}" for i in range(1001)]
    for i in range(20):
        with pytest.raises(Fault, match="all 1001 vectors are the same"):
            checked(vectors_of(tmp_path / f"same-{i}", words, np.repeat(rng.normal(size=(1, 12)), 1001, axis=0)), 2)
    mean, variance = checked(vectors_of(tmp_path / "far", words[:2], [[2.0**20, 0], [2.0**20 + 0.125, 0]]), 1, wide=True)
    assert mean.tolist() == [2.0**20 + 0.0625, 0]
    assert variance == 2.0**-8  # the square of 1 / 16


def test_no_vectors_are_a_fault(tmp_path):
    with pytest.raises(Fault, match="it has no vectors"):
        checked(vectors_of(tmp_path / "none", [], np.empty((0, 3), np.float32)), 2, wide=True)


@pytest.mark.parametrize("bad", [-1, 0.5])
def test_numbers_that_are_no_codes_are_refused(tmp_path, bad):
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=["a"], coding=np.float32([[1, bad]]), error=[0])
        out.model({"model": "codebooks", "form": "sum", "size": 3, "bits": 2}, {"codebooks": np.zeros((2, 2, 3), np.float32)})
    with pytest.raises(Fault, match="numbers that are no codes"):
        decode(out.artifact)
    with pytest.raises(Fault, match=r"mine.csv holds numbers that are no codes .* Mend them, or name the row that made them"):
        decoder(out.artifact, "mine.csv")(np.float32([[1, bad]]))


def test_settings_that_are_no_object_are_a_fault(tmp_path):
    made = codings(tmp_path / "c", {"model": "scalar"}, {"low": np.zeros(1)})
    (made.folder / "model.json").write_text("[1]")
    with pytest.raises(Fault, match="model.json is list, not an object"):
        decode(made)


def test_numbers_so_small_that_their_squares_are_0_are_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32) * 1e-24
    with pytest.raises(Fault, match="1e-15 is the least that the largest may be"):
        checked(vectors_of(tmp_path / "v", [f"w{i}" for i in range(20)], x), 2)


def test_learned_directions_are_no_more_than_rows(tmp_path):
    v = vectors_of(tmp_path / "v", ["a", "b", "c"], np.eye(3))
    with pytest.raises(Fault, match="3 rows cannot show 64 directions"):
        checked(v, 64, wide=True)
    assert checked(v)[1] == pytest.approx(2 / 3)
