"""Predictions: what the artifact keeps, and what its gate looks at."""

import numpy as np
import pytest

from pipelines.artifacts.predictions import Predictions
from pipelines.method import Run


def predictions(folder, rows, classes=("neg", "pos")):
    """rows: (split, label, probabilities)."""
    p = np.array([row[2] for row in rows], np.float32).reshape(len(rows), len(classes))
    with Run(folder).open(Predictions) as out:
        out.append("classes", class_id=range(len(classes)), label=list(classes))
        out.append(
            doc_id=[f"d{i}" for i in range(len(rows))], split=[row[0] for row in rows], label=[row[1] for row in rows],
            predicted=[classes[i] for i in p.argmax(axis=1)] if len(rows) else [], probabilities=p,
        )  # fmt: skip
    return out.artifact


ROWS = [("valid", "pos", [0.25, 0.75]), ("test", None, [1, 0]), ("valid", "pos", [0.5, 0.5])]


def test_a_split_comes_back_with_its_probabilities_in_order(tmp_path):
    made = Predictions(predictions(tmp_path / "p", ROWS).folder)
    made.verify()
    frame, p = made.frame("valid")
    assert frame.to_dict("list") == {"doc_id": ["d0", "d2"], "label": ["pos", "pos"], "predicted": ["pos", "neg"]}
    assert p.tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert made.frame("test")[0]["label"].isna().all()
    assert made.classes() == ["neg", "pos"]


def test_a_split_that_has_no_document_is_an_empty_frame(tmp_path):
    frame, _ = predictions(tmp_path / "p", ROWS).frame("train")
    assert frame.empty


def test_the_profile_shows_a_label_of_test_and_sums_that_are_not_one(tmp_path):
    rows = [*ROWS, ("test", "neg", [0.5, 0.4]), ("valid", "neg", [1.5, -0.5]), ("valid", "neg", [np.nan, 1])]
    profile = predictions(tmp_path / "p", rows).profile()
    assert profile["test_label_shown"].tolist() == [False, False, False, True, False, False]
    assert profile["sum"].tolist() == pytest.approx([1, 1, 1, 0.9, 1, 1])
    assert profile["lowest"].tolist() == pytest.approx([0.25, 0, 0.5, 0.4, -0.5, 0])
    assert profile["n_not_finite"].tolist() == [0, 0, 0, 0, 0, 1]


def test_every_expectation_is_of_a_column_of_the_profile(tmp_path):
    columns = set(predictions(tmp_path / "p", ROWS).profile().columns)
    named = [e["kwargs"]["column"] for e in Predictions.expectations if "column" in e["kwargs"]]
    assert named
    assert set(named) <= columns
    assert set(Predictions.key) <= columns


def test_of_no_document_there_is_a_profile_of_no_row(tmp_path):
    filled = predictions(tmp_path / "p", ROWS).profile()
    empty = predictions(tmp_path / "q", []).profile()
    assert len(empty) == 0
    assert empty.columns.tolist() == filled.columns.tolist()


def test_as_many_classes_as_there_are(tmp_path):
    rows = [("valid", "c", [0.1, 0.2, 0.3, 0.4])]
    made = predictions(tmp_path / "p", rows, classes=("a", "b", "c", "d"))
    frame, p = made.frame("valid")
    assert frame["predicted"].tolist() == ["d"]
    assert p.shape == (1, 4)
