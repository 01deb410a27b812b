"""Few labels: how they are drawn, what is scored, and that a good autoencoder helps."""

import csv

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import ttest_1samp
from sklearn.linear_model import LogisticRegression

from pipelines.artifacts.codings import Codings
from pipelines.compress import convolutional, pca, scalar_quantisation
from pipelines.errors import Fault
from pipelines.evaluate.few_labels import LOGREG, PRETRAINED, RANDOM, Params, _draws, _encoded, _encoder, _untrained, evaluate
from pipelines.method import Run
from tests.matrices import files, vectors_of
from tests.texts import labelled

QUICK = {"shares": [0.1, 1.0], "n_draws": 2, "steps": 10}


def clusters(n=200, d=40, seed=0):
    """Two classes that lie apart along one direction, which varies most; noise in all others."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, d)).astype(np.float32)
    x[:, 0] += 4 * y
    return x, np.array(["a", "b"])[y]


def some(folder, n=200, d=40):
    x, label = clusters(n, d)
    return vectors_of(folder, [f"d{i}" for i in range(n)], x, label.tolist())


def plane(vectors, folder):
    return pca.compress(vectors, pca.Params(coding_size=2), Run(folder))


def figures(scores):
    return {(row["of"], row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def table(scores):
    with (scores.folder / "few_labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_draw_takes_the_same_share_of_every_class_and_one_item_at_least():
    y = np.repeat([0, 1, 2], [200, 100, 7])
    draws = list(_draws(y, Params(shares=[0.05], n_draws=3), seed=1))
    assert [np.bincount(y[draw.rows]).tolist() for draw in draws] == [[10, 5, 1]] * 3
    assert len({tuple(draw.rows) for draw in draws}) == 3
    again = list(_draws(y, Params(shares=[0.05], n_draws=3), seed=1))
    assert all((a.rows == b.rows).all() for a, b in zip(draws, again, strict=True))


def test_with_all_labels_it_is_scikit_learns_logistic_regression(tmp_path):
    vectors = some(tmp_path / "v")
    x, label = clusters()
    documents = [("valid" if i % 5 == 0 else "train", label[i], [1]) for i in range(200)]
    tokens = labelled(tmp_path / "t", documents, ["<unk>", "w"])
    scores = evaluate(vectors, [plane(vectors, tmp_path / "plane")], Params(**QUICK), Run(tmp_path / "out", seed=1), tokens)
    is_valid = np.arange(200) % 5 == 0
    mean = x[~is_valid].mean(axis=0)
    x = (x - mean) / np.sqrt(((x[~is_valid] - mean) ** 2).sum(axis=1).mean())
    wanted = LogisticRegression(C=1 / 0.03).fit(x[~is_valid], label[~is_valid]).score(x[is_valid], label[is_valid])
    row = figures(scores)["vectors/v", "accuracy", f"100 % of labels, {LOGREG}"]
    assert (row["value"], row["low"], row["high"], row["n"]) == (pytest.approx(wanted), None, None, 2)  # two draws of all labels are one
    assert row["note"] == "160 labels, drawn 2 times, the interval over draws; scored on 40 items of valid, 2 classes"


def test_the_autoencoders_plane_helps_where_labels_are_few(tmp_path):
    vectors = some(tmp_path / "v", 1000, 200)
    knobs = {"shares": [0.01], "n_draws": 6, "steps": 60, "lr": 0.01}
    scores = evaluate(vectors, [plane(vectors, tmp_path / "plane")], Params(**knobs), Run(tmp_path / "out", seed=1))
    seen = figures(scores)
    gain = {what: row["low"] for (_, metric, what), row in seen.items() if metric == "accuracy_gain"}
    assert set(gain) == {f"1 % of labels, {LOGREG} over vectors/v", f"1 % of labels, {PRETRAINED} over random"}
    assert min(gain.values()) > 0
    lines = table(scores)
    assert [line["labels"] for line in lines] == ["8"] * 24  # of 800, six draws, four classifiers
    values = {name: np.array([float(line["accuracy"]) for line in lines if line["classifier"] == name]) for name in (PRETRAINED, RANDOM)}
    row = seen["codings/plane", "accuracy_gain", f"1 % of labels, {PRETRAINED} over random"]
    both = values[PRETRAINED] - values[RANDOM]
    assert row["value"] == pytest.approx(both.mean(), abs=1e-4)
    assert (row["low"], row["high"]) == pytest.approx(ttest_1samp(both, 0).confidence_interval(0.95), abs=1e-3)


def test_labels_of_valid_are_scored_and_not_learned_and_those_of_test_are_not_read(tmp_path):
    x, label = clusters(100)
    other = {"a": "b", "b": "a"}
    splits = ["train", "train", "valid", "test"] * 25
    vectors = vectors_of(tmp_path / "v", [f"d{i}" for i in range(100)], x, [None] * 100)
    coded = [plane(vectors, tmp_path / "plane")]

    def accuracies(name, turned):
        documents = [(split, other[label[i]] if split == turned else label[i], [1]) for i, split in enumerate(splits)]
        tokens = labelled(tmp_path / f"t-{name}", documents, ["<unk>", "w"])
        scores = evaluate(vectors, coded, Params(**QUICK), Run(tmp_path / name, seed=1), tokens)
        return np.array([row["value"] for row in scores.read().to_pylist() if row["metric"] == "accuracy"])

    as_they_are = accuracies("plain", None)
    assert (accuracies("test", "test") == as_they_are).all()
    assert accuracies("valid", "valid") == pytest.approx(1 - as_they_are)
    assert (accuracies("train", "train") != as_they_are).all()


def test_an_encoder_serves_vectors_that_it_has_not_seen(tmp_path):
    vectors, fewer = some(tmp_path / "v"), vectors_of(tmp_path / "fewer", [f"x{i}" for i in range(150)], clusters(150, seed=9)[0])
    scores = evaluate(vectors, [plane(fewer, tmp_path / "plane")], Params(**QUICK), Run(tmp_path / "out", seed=1))
    assert figures(scores)["codings/plane", "accuracy", f"100 % of labels, {LOGREG}"]["value"] > 0.8


def codings_of(folder, items, x):
    with Run(folder).open(Codings) as out:
        out.append(item=items, coding=x, error=np.zeros(len(x)))
        out.model({"model": "table"}, {"codebook": np.zeros(3, np.float32)})
    return out.artifact


def test_codings_without_an_encoder_have_no_network_and_are_matched_by_item(tmp_path):
    vectors = some(tmp_path / "v")
    order = np.random.default_rng(3).permutation(200)
    mixed = codings_of(tmp_path / "table", [f"d{i}" for i in order], clusters()[0][order][:, :2])
    seen = figures(evaluate(vectors, [mixed], Params(**QUICK), Run(tmp_path / "out", seed=1)))
    assert seen["codings/table", "accuracy", f"100 % of labels, {LOGREG}"]["value"] > 0.8
    assert not [on for _, _, on in seen if "network" in on]
    nan = codings_of(tmp_path / "nan", vectors.items(), np.where(np.arange(200)[:, None] == 7, np.nan, clusters()[0]))
    with pytest.raises(Fault, match="codings/nan: 1 codings hold a number that is not finite, first 'd7'"):
        evaluate(vectors, [nan], Params(**QUICK), Run(tmp_path / "none"))
    part = codings_of(tmp_path / "part", [f"d{i}" for i in range(199)], clusters()[0][:199])
    with pytest.raises(Fault, match=r"codings/part: 1 of 200 labelled items have no coding, first 'd199'\. Code all of them"):
        evaluate(vectors, [part], Params(**QUICK), Run(tmp_path / "none"))


def test_the_same_bytes_twice(tmp_path):
    vectors = some(tmp_path / "v")
    coded = [plane(vectors, tmp_path / "plane")]
    a, b = (files(evaluate(vectors, coded, Params(**QUICK), Run(tmp_path / name / "out", seed=2))) for name in "ab")
    assert a == b


def test_what_cannot_be_scored_is_a_fault(tmp_path):
    x, label = clusters(20)
    items = [f"d{i}" for i in range(20)]
    run, params = Run(tmp_path / "out"), Params(**QUICK)
    nobody = vectors_of(tmp_path / "nobody", items, x)
    one = vectors_of(tmp_path / "one", items, x, ["a"] * 20)
    with pytest.raises(Fault, match=r"vectors/nobody: none of its 20 items has a label\. Name vectors that have, or the tokens"):
        evaluate(nobody, [], params, run)
    with pytest.raises(Fault, match="vectors/one: its labelled items to train on are of 1 classes; a classifier needs two or more"):
        evaluate(one, [], params, run)
    tokens = labelled(tmp_path / "t", [("train", label[i], [1]) for i in range(20)], ["<unk>", "w"])
    with pytest.raises(Fault, match=r"vectors/nobody: no labelled item is there to score on\. Give its corpus a validation split$"):
        evaluate(nobody, [], params, run, tokens)
    rare = vectors_of(tmp_path / "rare", items, x, [f"c{i}" for i in range(20)])
    with pytest.raises(Fault, match=r"vectors/rare: no labelled item is there to score on\. Label two items or more of a class$"):
        evaluate(rare, [], params, run)
    strange = vectors_of(tmp_path / "strange", [f"x{i}" for i in range(20)], x)
    with pytest.raises(
        Fault, match=r"vectors/strange: none of its items is a labelled document of train or valid of tokens/t; its first are 'x0'"
    ):
        evaluate(strange, [], params, run, tokens)
    wide = vectors_of(tmp_path / "wide", items, x, label.tolist())
    narrow = plane(vectors_of(tmp_path / "narrow", items, x[:, :9]), tmp_path / "plane")
    with pytest.raises(Fault, match=r"codings/plane: it was made of vectors of 9 numbers, and vectors/wide has 40\. Name the vectors"):
        evaluate(wide, [narrow], params, run)
    broken = vectors_of(tmp_path / "broken", items, np.where(x == x.max(), np.nan, x), label.tolist())
    with pytest.raises(Fault, match="vectors/broken: 1 vectors hold a number that is not finite"):
        evaluate(broken, [], params, run)
    with pytest.raises(ValidationError, match="must not name a share twice"):
        Params(shares=[0.1, 0.1])


def test_codes_that_only_name_something_are_a_fault(tmp_path):
    vectors = some(tmp_path / "v")
    codes = scalar_quantisation.compress(vectors, scalar_quantisation.Params(bits=1), Run(tmp_path / "c"))
    with pytest.raises(Fault, match=r"codings/c: its numbers only name entries .*embed: \{method: decoded, codings: c\}"):
        evaluate(vectors, [codes], Params(**QUICK), Run(tmp_path / "s"))


def test_codings_are_scored_with_the_bits_that_they_have(tmp_path):
    vectors = some(tmp_path / "v")
    coded = {bits: pca.compress(vectors, pca.Params(coding_size=2, bits=bits), Run(tmp_path / f"c{bits}")) for bits in (32, 1)}
    model = _encoder(coded[1], vectors)
    assert _encoded(model, vectors.matrix(), Run(tmp_path / "s")) == pytest.approx(coded[1].matrix(), abs=1e-5)
    assert len(np.unique(coded[1].matrix().round(4), axis=0)) <= 4
    assert len(np.unique(coded[32].matrix().round(4), axis=0)) > 100


def test_the_encoder_of_images_is_trained_further_too_and_anew_it_is_another(tmp_path):
    vectors = some(tmp_path / "v")
    knobs = {"shape": [5, 8], "coding_size": 2, "channels": [3], "epochs": 3}
    images = convolutional.compress(vectors, convolutional.Params(**knobs), Run(tmp_path / "images", seed=1))
    model = _encoder(images, vectors)
    assert _encoded(model, vectors.matrix(), Run(tmp_path / "s")) == pytest.approx(images.matrix(), abs=1e-5)
    fresh, trained = _untrained(model).state_dict(), model.encoder.state_dict()
    assert {name: it.shape for name, it in fresh.items()} == {name: it.shape for name, it in trained.items()}
    assert all((it != trained[name]).any() for name, it in fresh.items())
    seen = figures(evaluate(vectors, [images], Params(**QUICK), Run(tmp_path / "out", seed=1)))
    for classifier in (LOGREG, PRETRAINED, RANDOM):
        assert ("codings/images", "accuracy", f"100 % of labels, {classifier}") in seen


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w | {"encoder.0.weight": w["encoder.0.weight"][:, :-1]}, "size mismatch for encoder.0.weight"),
        (lambda w: {name: it for name, it in w.items() if name != "encoder.0.bias"}, "encoder.0.bias"),
        (lambda w: w | {"encoder.0.weight": w["encoder.0.weight"] * np.nan}, "encoder.0.weight hold numbers that are not finite"),
    ],
)
def test_an_encoder_that_cannot_be_used_is_a_fault(tmp_path, change, said):
    vectors = some(tmp_path / "v")
    made = plane(vectors, tmp_path / "plane")
    settings, weights = made.model()
    with Run(tmp_path / "broken").open(Codings) as out:
        out.append(item=made.items(), coding=made.matrix(), error=np.zeros(200))
        out.model(settings, change(weights))
    with pytest.raises(Fault, match=rf"codings/broken: its weights are not those of its settings \(.*{said}.*\)\. Run again: dvc repro -f"):
        evaluate(vectors, [out.artifact], Params(**QUICK), Run(tmp_path / "out"))
