"""Predictions: what the artifact keeps, and what its gate looks at."""

import numpy as np
import pytest

from pipelines.artifacts.predictions import Predictions
from pipelines.method import Run
from tests.artifacts.asked import assert_asks_only_what_there_is, closing, failing


def predictions(folder, rows, classes=("neg", "pos")):
    """rows: (split, label, probabilities)."""
    p = np.array([row[2] for row in rows], np.float32).reshape(len(rows), len(classes))
    with Run(folder).open(Predictions) as out:
        out.append("classes", class_id=range(len(classes)), label=list(classes))
        out.append(
            doc_id=[f"d{i}" for i in range(len(rows))], split=[row[0] for row in rows], answer=["one"] * len(rows), label=[row[1] for row in rows],
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


def test_the_gate_asks_only_what_there_is(tmp_path):
    assert_asks_only_what_there_is(predictions(tmp_path / "p", ROWS))


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


GOOD = [("valid", label, p) for label, p in (("pos", [0.25, 0.75]), ("neg", [0.9, 0.1]), ("neg", [0.5, 0.5]))]


def test_predictions_that_are_probabilities_pass(tmp_path):
    assert failing(predictions(tmp_path / "p", GOOD)) == {}


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (("valid", "neg", [0.5, 0.4]), "sum"),
        (("valid", "neg", [1.2, -0.2]), "lowest"),
        (("valid", "neg", [1.2, -0.2]), "highest"),
        (("valid", "neg", [np.nan, 1]), "n_not_finite"),
        (("test", "neg", [0.5, 0.5]), "test_label_shown"),
    ],
)
def test_what_is_no_probability_closes_the_gate_which_names_the_document(tmp_path, row, column):
    made = predictions(tmp_path / "p", [*GOOD, row])
    assert column in closing(made)
    assert [example["doc_id"] for example in failing(made)[column]["examples"]] == ["d3"]


@pytest.mark.parametrize(("predicted", "column"), [("nonsense", "known_class"), ("neg", "most_probable")])
def test_a_class_that_is_none_or_not_the_most_probable_closes_the_gate(tmp_path, predicted, column):
    with Run(tmp_path / "p").open(Predictions) as out:
        out.append("classes", class_id=[0, 1], label=["neg", "pos"])
        out.append(
            doc_id=["a", "b"],
            split=["valid"] * 2,
            answer=["one"] * 2,
            label=["pos", "neg"],
            predicted=[predicted, "neg"],
            probabilities=[[0.1, 0.9], [0.8, 0.2]],
        )
    assert closing(out.artifact) == [column]
    assert failing(out.artifact)[column]["examples"][0]["doc_id"] == "a"


def several(folder, predicted, probabilities):
    n = len(predicted)
    with Run(folder).open(Predictions) as out:
        out.append("classes", class_id=range(3), label=["a", "b", "c"])
        out.append(
            doc_id=[f"d{i}" for i in range(n)], split=["valid"] * n, answer=["several"] * n, label=["a"] * n,
            predicted=predicted, probabilities=np.float32(probabilities),
        )  # fmt: skip
    return out.artifact


def test_several_classes_are_those_more_probable_than_not_and_their_probabilities_need_no_sum(tmp_path):
    made = several(tmp_path / "p", ["a|c", "", "a|b|c"], [[0.9, 0.1, 0.6], [0, 0.2, 0.4], [0.5, 0.7, 0.9]])
    assert closing(made) == []
    assert made.answer() == "several"


@pytest.mark.parametrize(("predicted", "column"), [("a", "most_probable"), ("a|b|c", "most_probable"), ("a|c|x", "known_class")])
def test_several_classes_that_are_not_those_close_the_gate(tmp_path, predicted, column):
    made = several(tmp_path / "p", ["b", predicted], [[0, 1, 0], [0.9, 0.1, 0.6]])
    assert closing(made) == [column]
    assert failing(made)[column]["examples"][0]["doc_id"] == "d1"


def test_a_text_has_a_probability_of_its_own_and_no_classes(tmp_path):
    with Run(tmp_path / "p").open(Predictions) as out:
        out.append("classes", class_id=[], label=[])
        out.append(
            doc_id=["a", "b"], split=["valid", "test"], answer=["text"] * 2, label=["B-PER O", None], predicted=["O O", ""],
            probabilities=np.float32([[0.3], [0.9]]),
        )  # fmt: skip
    assert closing(out.artifact) == []
    assert out.artifact.answer() == "text"


@pytest.mark.parametrize(
    ("predicted", "closed"), [("2.5", []), ("nan", ["known_class"]), ("1e39", ["known_class"]), ("two", ["known_class"])]
)
def test_a_number_has_no_classes_and_has_to_be_finite(tmp_path, predicted, closed):
    with Run(tmp_path / "p").open(Predictions) as out:
        out.append("classes", class_id=[], label=[])
        out.append(
            doc_id=["a", "b"], split=["valid", "test"], answer=["number"] * 2, label=["3", None], predicted=["-0.5", predicted],
            probabilities=np.ones((2, 1), np.float32),
        )  # fmt: skip
    assert closing(out.artifact) == closed
    assert out.artifact.answer() == "number"


def test_one_class_for_all_is_a_warning(tmp_path):
    result = failing(predictions(tmp_path / "p", [("valid", "neg", [0.9, 0.1])] * 5))["one_class"]
    assert (result["severity"], result["examples"]) == ("warn", [{"predicted": "neg", "share": 1.0}])
