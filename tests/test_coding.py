"""What all codings share."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.artifacts.codings import Codings
from pipelines.coding import checked, cost, decode, decoder
from pipelines.compress import (
    binary,
    codebook,
    convolutional,
    linear,
    pca,
    product_quantisation,
    scalar_quantisation,
    sparse_l1,
    stacked,
    tied,
    transform_coding,
)
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
    assert cost(codings(tmp_path / "b", {"model": "autoencoder", "code": "sign", "tied": True, "bits": 2}, weights)) == (0.25, 36)


@pytest.mark.parametrize(
    ("settings", "weights", "said"),
    [
        ({"model": "autoencoder", "sizes": [3, 1], "activation": None}, {
            "encoder.0.weight": np.zeros((1, 3), np.float32), "encoder.0.bias": np.zeros(1, np.float32),
            "decoder.0.weight": np.zeros((3, 1), np.float32), "decoder.0.bias": np.zeros(3, np.float32),
            "mean": np.zeros(3, np.float32), "scale": np.float32(2)}, "takes 1 numbers, and these have 2"),
        ({"model": "codebooks", "form": "sum", "size": 3, "bits": 4}, {"codebooks": np.zeros((5, 4, 3), np.float32)}, "takes 5 numbers"),
        ({"model": "codebooks", "form": "sum", "size": 3, "bits": 2}, {"codebooks": np.zeros((2, 2, 3), np.float32)}, "no codes of its model, which are whole, from 0 to 1"),
        ({"model": "scalar", "bits": 8, "levels": 2}, {"low": np.zeros(2), "step": np.ones(2)}, "no codes of its model, which are whole, from 0 to 1"),
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
        ({"model": "autoencoder", "sizes": [3, 2], "activation": None, "code": "signum", "loss": "squared", "tied": False}, {}, r"unknown activations \['signum'\]"),
        ({"model": "autoencoder", "sizes": [3, 2], "activation": None, "levels": 4}, {
            "encoder.0.weight": np.zeros((2, 3), np.float32), "encoder.0.bias": np.zeros(2, np.float32),
            "decoder.0.weight": np.zeros((3, 2), np.float32), "decoder.0.bias": np.zeros(3, np.float32),
            "mean": np.zeros(3, np.float32), "scale": np.float32(2), "low": np.zeros(1, np.float32), "step": np.ones(1, np.float32)},
            r"low and step of shapes \(1,\), \(1,\)"),
        ({"model": "codebooks", "form": "sum", "size": 3, "bits": 4}, {"codebooks": np.full((2, 4, 3), np.nan, np.float32)},
            "codebooks hold numbers that are not finite"),
        ({"model": "autoencoder", "sizes": [], "activation": None}, {}, r"sizes \[\]"),
        ({"model": "autoencoder", "sizes": [3, 2], "activation": "softsign"}, {}, r"unknown activations \['softsign'\]"),
        ({"model": "autoencoder", "sizes": [3, 2], "activation": None}, {"mean": np.zeros(1, np.float32), "scale": np.float32(1)}, r"a mean of shape \(1,\)"),
    ],
)  # fmt: skip
def test_a_model_of_other_codings_is_refused(tmp_path, settings, weights, said):
    given = codings(tmp_path / "c", settings, weights)  # [1, 0] and [2, 3]
    with pytest.raises(Fault, match=said):
        decode(given)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Codings of some methods, not to be written to; rounded, in 2 bits."""
    place = tmp_path_factory.mktemp("rows")
    x = np.random.default_rng(0).random((40, 12)).astype(np.float32)
    v = vectors_of(place / "v", [f"w{i}" for i in range(40)], x)
    deep = {"sizes": [8, 4], "epochs": 1}
    methods = {
        "stacked": (stacked, deep | {"loss": "cross_entropy"}), "tied": (tied, deep), "sparse": (sparse_l1, {"sizes": [16], "epochs": 1}),
        "linear": (linear, {"coding_size": 4, "epochs": 1}), "bits": (binary, {"n_bits": 8, "epochs": 1}),
        "convolutional": (convolutional, {"shape": [3, 4], "channels": [2], "coding_size": 4, "epochs": 1}),
        "rounded": (pca, {"coding_size": 4, "bits": 2}), "scalar": (scalar_quantisation, {"bits": 4}),
        "turned": (product_quantisation, {"n_parts": 2, "bits": 4, "n_turns": 2}),
        "transform": (transform_coding, {"n_bits": 16}), "codebook": (codebook, {"n_parts": 4, "bits": 2, "epochs": 1}),
    }  # fmt: skip
    return {name: method.compress(v, method.Params(**knobs), Run(place / name, seed=1)) for name, (method, knobs) in methods.items()}


GARBLED = [None, "x", -1, 0, 1.5, 1e9, 10**9, True, [], {}]


def garbled(folder, made, **edits):
    """A copy whose settings say something else; of what is ... nothing."""
    shutil.copytree(made.folder, folder)
    settings = {key: value for key, value in (made.settings() | edits).items() if value is not ...}
    (folder / "model.json").write_text(json.dumps(settings))
    return Codings(folder)


@pytest.mark.parametrize(
    ("row", "key", "values"),
    [
        ("stacked", "activation", [..., None, "x", []]), ("tied", "activation", [..., None]), ("convolutional", "activation", [..., None, []]),
        ("linear", "activation", [...]), ("stacked", "loss", [..., *GARBLED]), ("convolutional", "loss", [..., None]),
        ("sparse", "code", [..., "x"]), ("bits", "code", [..., None]), ("tied", "tied", [..., None, False]), ("linear", "tied", [..., True]),
        *((row, "bits", [..., *GARBLED]) for row in ("bits", "rounded", "scalar", "turned", "transform", "codebook")),
        *((row, "levels", [..., *GARBLED]) for row in ("rounded", "scalar")),
        ("linear", "bits", GARBLED), ("turned", "rotated", [..., None, False, "x", []]), ("turned", "size", [..., None, 12.0, "x"]),
        ("scalar", "model", [..., *GARBLED]),
    ],
)  # fmt: skip
def test_settings_that_are_garbled_or_gone_are_a_fault_and_never_other_vectors(tmp_path, rows, row, key, values):
    assert decode(rows[row]).shape == (40, 12)
    for i, value in enumerate(values):
        with pytest.raises(Fault, match=f"codings/{i}: "):
            decode(garbled(tmp_path / str(i), rows[row], **{key: value}))


def test_bits_that_cannot_be_cost_nothing_but_a_fault(tmp_path, rows):
    for row in ("bits", "rounded", "scalar", "turned"):
        for i, value in enumerate([None, "x", -1, 0, 1e9, 10**9, [], ...]):
            with pytest.raises(Fault, match="its bits are not those of its settings"):
                cost(garbled(tmp_path / f"{row}-{i}", rows[row], bits=value))
    assert cost(rows["scalar"])[0] == 6


def test_codebooks_of_no_parts_are_refused(tmp_path):
    for form in ("sum", "concatenate"):
        settings = {"model": "codebooks", "form": form, "size": 3, "bits": 4, "rotated": False}
        with pytest.raises(Fault, match=r"codebooks of shape \(0, 4, 3\)"):
            decode(codings(tmp_path / form, settings, {"codebooks": np.zeros((0, 4, 3), np.float32), "mean": np.zeros(3, np.float32)}))


def test_codings_without_rows_stand_for_no_vectors(tmp_path, rows):
    for name, made in rows.items():
        shutil.copytree(made.folder, tmp_path / name)
        path = tmp_path / name / "codings.parquet"
        pq.write_table(pq.read_table(path)[:0], path)
        assert decode(Codings(tmp_path / name)).shape == (0, 12)


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
