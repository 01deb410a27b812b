import csv

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest

from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.evaluate.classification import Params, evaluate
from pipelines.method import Run


def make_predictions(folder, splits, labels, predicted, classes=("neg", "pos")):
    with Run(folder).open(Predictions) as out:
        p = np.full((len(labels), len(classes)), 0.2 / max(len(classes) - 1, 1))
        p[np.arange(len(labels)), [classes.index(label) for label in predicted]] = 0.8
        out.append(
            doc_id=[f"d{i}" for i in range(len(labels))],
            split=splits,
            answer=["one"] * len(labels),
            label=labels,
            predicted=predicted,
            probabilities=p,
        )
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
    assert len(seen) == 12
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


def several(folder, labels, predicted, classes=("blue", "green", "red")):
    with Run(folder).open(Predictions) as out:
        told = [set(text.split("|")) for text in predicted]
        p = np.array([[0.9 if name in some else 0.1 for name in classes] for some in told])
        ids = [f"d{i}" for i in range(len(labels))]
        n = len(labels)
        out.append(doc_id=ids, split=["valid"] * n, answer=["several"] * n, label=labels, predicted=predicted, probabilities=p)
        out.append("classes", class_id=np.arange(len(classes)), label=classes)
    return out.artifact


def test_several_classes_of_a_document_by_hand(tmp_path):
    made = several(tmp_path / "p", ["red|blue", "green", "", "red|new"], ["blue|red", "green|red", "", "red"])
    scores = evaluate([made], Params(), Run(tmp_path / "out", seed=1))
    seen = {metric: row["value"] for (_, metric), row in figures(scores).items()}
    assert list(seen) == ["micro_f1", "macro_f1", "accuracy", "hamming_loss", "accuracy_majority"]
    assert seen["accuracy"] == 0.5  # whatever the order of the names
    assert seen["micro_f1"] == pytest.approx(2 * 4 / (5 + 5))
    assert seen["hamming_loss"] == pytest.approx(2 / 16)  # of four classes, `new` among them
    assert seen["macro_f1"] == pytest.approx((1 + 1 + 4 / 5 + 0) / 4)
    assert seen["accuracy_majority"] == 0.25
    assert read_csv(scores, "classes")[2] == {
        "of": "predictions/p",
        "label": "red",
        "precision": "0.6667",
        "recall": "1.0",
        "f1": "0.8",
        "n": "2",
    }
    assert {"of": "predictions/p", "actual": "green", "predicted": "red", "count": "1"} in read_csv(scores, "confusion")


def test_ratings_are_scored_by_how_far_off_they_are(tmp_path):
    made = make_predictions(tmp_path / "p", ["valid"] * 3, ["1", "5", "3"], ["2", "5", "3"], ("1", "2", "3", "5"))
    seen = figures(evaluate([made], Params(), Run(tmp_path / "out", seed=1)))
    assert seen["predictions/p", "mean_absolute_error"]["value"] == pytest.approx(1 / 3)
    assert seen["predictions/p", "quadratic_kappa"]["value"] == pytest.approx(1 - 1 / ((21 + 13 + 5) / 3))


def test_texts_are_sent_to_the_method_that_scores_them(tmp_path):
    with Run(tmp_path / "p").open(Predictions) as out:
        out.append(doc_id=["a"], split=["valid"], answer=["text"], label=["word"], predicted=["word"], probabilities=[[0.5]])
    with pytest.raises(Fault, match=r"predictions/p answers with texts, and not with classes\. .* method: answers"):
        evaluate([out.artifact], Params(), Run(tmp_path / "out", seed=1))


def test_the_table_of_calibration_by_hand(tmp_path, lstm):
    table = read_csv(evaluate([lstm], Params(), Run(tmp_path / "out", seed=1)), "calibration")
    assert table == [{"of": "predictions/lstm", "bin": "12", "confidence": "0.8000", "accuracy": "0.7500", "n": "4"}]
    seen = figures(evaluate([lstm], Params(), Run(tmp_path / "again", seed=1)))
    assert seen["predictions/lstm", "calibration_error"]["value"] == pytest.approx(0.05)
    assert seen["predictions/lstm", "micro_f1"]["value"] == 0.75


def test_two_rows_are_held_against_each_other_over_the_documents_of_both(tmp_path):
    a = make_predictions(tmp_path / "a", ["valid"] * 10 + ["train"], ["pos"] * 11, ["pos"] * 9 + ["neg", "pos"])
    b = make_predictions(tmp_path / "b", ["valid"] * 10 + ["train"], ["pos"] * 11, ["neg"] * 6 + ["pos"] * 4 + ["neg"])
    fewer = make_predictions(tmp_path / "fewer", ["valid"] * 3, ["pos"] * 3, ["neg"] * 3)
    other = make_predictions(
        tmp_path / "other", ["valid"] * 3, ["neg"] * 3, ["neg"] * 3
    )  # another corpus, which names its documents so, too
    table = read_csv(evaluate([a, b, fewer, other], Params(), Run(tmp_path / "out", seed=1)), "mcnemar")
    assert [(line["a"][-1], line["b"][-5:], line["n"], line["only_a"], line["only_b"]) for line in table] == [
        ("a", "ons/b", "10", "6", "1"), ("a", "fewer", "3", "3", "0"), ("b", "fewer", "3", "0", "0"),
    ]  # fmt: skip
    assert float(table[0]["p"]) == pytest.approx(binomtest(6, 7).pvalue, abs=1e-4)
    assert [line["p"] for line in table[1:]] == ["0.25", "1"]


def test_of_several_classes_a_document_is_right_where_all_are_and_has_no_calibration(tmp_path):
    a = several(tmp_path / "a", ["red|blue", "green", ""], ["blue|red", "green|red", ""])
    b = several(tmp_path / "b", ["red|blue", "green", ""], ["blue", "green", "red"])
    scores = evaluate([a, b], Params(), Run(tmp_path / "out", seed=1))
    (line,) = read_csv(scores, "mcnemar")
    assert (line["n"], line["only_a"], line["only_b"]) == ("3", "2", "1")
    assert read_csv(scores, "calibration") == [dict.fromkeys(("of", "bin", "confidence", "accuracy", "n"), "")]
