import csv

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.evaluate.classification import Params, evaluate
from pipelines.method import Run


def make_predictions(folder, splits, labels, predicted, classes=("neg", "pos")):
    with Run(folder).open(Predictions) as out:
        p = np.full((len(labels), len(classes)), 0.2 / max(len(classes) - 1, 1))
        p[np.arange(len(labels)), [classes.index(label) for label in predicted]] = 0.8
        out.append(doc_id=[f"d{i}" for i in range(len(labels))], split=splits, label=labels, predicted=predicted, probabilities=p)
        out.append("classes", class_id=np.arange(len(classes)), label=classes)
    return out.artifact


def figures(scores):
    return {(row["of"], row["metric"]): row for row in scores.read().to_pylist()}


def read_csv(scores, name):
    with (scores.folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def lstm(tmp_path):
    return make_predictions(
        tmp_path / "lstm",
        ["train", "valid", "valid", "valid", "valid", "test"],
        ["neg", "pos", "pos", "pos", "neg", None],
        ["pos", "pos", "pos", "neg", "neg", "neg"],
    )


def test_only_validation_documents_count(tmp_path, lstm):
    seen = figures(evaluate([lstm], Params(), Run(tmp_path / "out", seed=1)))
    assert (seen["predictions/lstm", "accuracy"]["value"], seen["predictions/lstm", "accuracy"]["n"]) == (0.75, 4)
    assert {row["on"] for row in seen.values()} == {"valid"}
    assert seen["predictions/lstm", "log_loss"]["value"] == pytest.approx(-(3 * np.log(0.8) + np.log(0.2)) / 4, rel=1e-5)


def test_the_baseline_is_the_most_frequent_class_of_the_split(tmp_path, lstm):
    row = figures(evaluate([lstm], Params(), Run(tmp_path / "out", seed=1)))["predictions/lstm", "accuracy_majority"]
    assert (row["value"], row["note"]) == (0.75, "of always saying 'pos'")


def test_the_confusion_table_holds_every_document_of_the_split_once(tmp_path, lstm):
    table = read_csv(evaluate([lstm], Params(), Run(tmp_path / "out", seed=1)), "confusion")
    assert table == [
        {"of": "predictions/lstm", "actual": "neg", "predicted": "neg", "count": "1"},
        {"of": "predictions/lstm", "actual": "pos", "predicted": "neg", "count": "1"},
        {"of": "predictions/lstm", "actual": "pos", "predicted": "pos", "count": "2"},
    ]


def test_the_table_of_classes_by_hand(tmp_path, lstm):
    table = read_csv(evaluate([lstm], Params(), Run(tmp_path / "out", seed=1)), "classes")
    assert table[1] == {"of": "predictions/lstm", "label": "pos", "precision": "1.0", "recall": "0.6667", "f1": "0.8", "n": "3"}


def test_a_class_that_training_never_saw_is_scored_as_missed(tmp_path):
    predictions = make_predictions(tmp_path / "p", ["valid"] * 2, ["pos", "new"], ["pos", "pos"])
    scores = evaluate([predictions], Params(), Run(tmp_path / "out", seed=1))
    assert figures(scores)["predictions/p", "accuracy"]["value"] == 0.5
    assert read_csv(scores, "confusion")[-1] == {"of": "predictions/p", "actual": "new", "predicted": "pos", "count": "1"}


def test_two_classifiers_that_answer_alike_have_the_same_intervals(tmp_path):
    same = [make_predictions(tmp_path / name, ["valid"] * 9, list("ababababa"), list("aabbababa"), ("a", "b")) for name in ("x", "y")]
    seen = figures(evaluate(same, Params(), Run(tmp_path / "out", seed=1)))
    assert len(seen) == 8
    for (of, metric), row in seen.items():
        assert (row["low"], row["high"]) == (seen["predictions/x", metric]["low"], seen["predictions/x", metric]["high"]), of


def test_predictions_without_validation_documents_are_refused_all_at_once(tmp_path):
    none = [make_predictions(tmp_path / name, ["test"], [None], ["pos"]) for name in ("x", "y")]
    with pytest.raises(Fault) as fault:
        evaluate(none, Params(), Run(tmp_path / "out", seed=1))
    assert len(fault.value.faults) == 2
    assert fault.value.faults[0].startswith("predictions/x has no labelled document of split 'valid'")


@pytest.mark.parametrize("on", ["test", "train", 1])
def test_test_is_not_scored_here_and_the_error_says_where(on):
    with pytest.raises(ValidationError, match="must be valid; test is scored by `wordloom final ROW` alone"):
        Params(on=on)
