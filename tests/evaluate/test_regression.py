"""Numbers that classifiers say, against those of the documents."""

import csv

import numpy as np
import pytest

from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.evaluate import classification
from pipelines.evaluate.regression import Params, evaluate
from pipelines.method import Run


def numbers(folder, labels, predicted, splits=None):
    n = len(labels)
    with Run(folder).open(Predictions) as out:
        out.append("classes", class_id=[], label=[])
        out.append(
            doc_id=[f"d{i}" for i in range(n)], split=splits or ["valid"] * n, answer=["number"] * n, label=labels, predicted=predicted,
            probabilities=np.ones((n, 1), np.float32),
        )  # fmt: skip
    return out.artifact


def figures(scores):
    return {(row["of"], row["metric"]): row for row in scores.read().to_pylist()}


def test_documents_of_valid_are_scored_beside_always_saying_their_mean(tmp_path):
    made = numbers(tmp_path / "p", ["1", "2.0", "3e0", "9", None], ["2", "2", "5", "9", "0"], ["valid"] * 3 + ["train", "test"])
    scores = evaluate([made], Params(), Run(tmp_path / "out", seed=1))
    seen = figures(scores)
    assert [metric for _, metric in seen] == [
        "rmse", "mean_absolute_error", "r_squared", "pearson", "spearman", "rmse_mean", "mean_absolute_error_mean",
    ]  # fmt: skip
    assert {(row["n"], row["on"]) for row in seen.values()} == {(3, "valid")}
    assert seen["predictions/p", "rmse"]["value"] == pytest.approx((5 / 3) ** 0.5)
    assert seen["predictions/p", "rmse_mean"]["value"] == pytest.approx((2 / 3) ** 0.5)
    for row in seen.values():
        assert row["low"] <= row["value"] <= row["high"]
    scores.verify()
    with (scores.folder / "numbers.csv").open(newline="") as file:
        assert list(csv.DictReader(file))[2] == {"of": "predictions/p", "doc_id": "d2", "actual": "3e0", "predicted": "5"}


def test_of_many_documents_some_are_shown_from_the_first_to_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.evaluate.regression.SHOWN", 5)
    labels = [str(i) for i in range(101)]
    scores = evaluate([numbers(tmp_path / "p", labels, labels[::-1])], Params(), Run(tmp_path / "out", seed=1))
    with (scores.folder / "numbers.csv").open(newline="") as file:
        assert [row["doc_id"] for row in csv.DictReader(file)] == ["d0", "d25", "d50", "d75", "d100"]


def test_rows_of_other_answers_are_sent_where_they_belong(tmp_path):
    made = numbers(tmp_path / "p", ["1", "2"], ["1", "2"])
    with pytest.raises(Fault, match=r"predictions/p answers with numbers, and not with classes\. .* method: regression"):
        classification.evaluate([made], classification.Params(), Run(tmp_path / "out", seed=1))
    with Run(tmp_path / "q").open(Predictions) as out:
        out.append(doc_id=["a"], split=["valid"], answer=["one"], label=["1"], predicted=["1"], probabilities=[[1.0]])
    with pytest.raises(Fault, match=r"predictions/q answers with classes, and not with numbers\. .* method: classification"):
        evaluate([made, out.artifact], Params(), Run(tmp_path / "out", seed=1))


def test_labels_that_are_no_numbers_are_counted_and_the_first_is_named(tmp_path):
    made = numbers(tmp_path / "p", ["1", "good", "inf"], ["1", "2", "3"])
    with pytest.raises(Fault, match="predictions/p answers with numbers, and 2 of 3 labels are none that is finite, first 'good'"):
        evaluate([made], Params(), Run(tmp_path / "out", seed=1))
