"""What every classifier is told of labels, and what none is told."""

import numpy as np
import pytest

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.errors import Fault
from pipelines.labels import NO_CLASS, classes_of, read, write, write_classes
from pipelines.method import Run


def tokens(folder, documents):
    with Run(folder).open(Tokens) as out:
        out.append("vocab", token_id=[0, 1], token=["<unk>", "word"], count=[0, 1])
        out.append(
            doc_id=[f"d{i}" for i in range(len(documents))], split=[d[0] for d in documents],
            label=[d[1] for d in documents], token_ids=[[1]] * len(documents),
        )  # fmt: skip
    return out.artifact


def test_the_classes_are_the_labels_of_the_training_documents_sorted(tmp_path):
    made = tokens(tmp_path / "t", [("valid", "x", 0), ("train", "pos"), ("train", "neg"), ("train", "pos"), ("test", "y", 0)])
    assert classes_of(made) == ["neg", "pos"]


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([("train", "a"), ("train", "a"), ("valid", "b")], "all 2 training documents are of one class, 'a'"),
        ([("valid", "a"), ("test", "b")], "no document is in split train"),
        ([("train", "a"), ("train", None), ("train", "b")], "1 of 3 training documents have no label"),
    ],
)
def test_training_documents_that_cannot_teach_are_refused(tmp_path, documents, message):
    with pytest.raises(Fault, match=f"tokens/t: {message}"):
        classes_of(tokens(tmp_path / "t", documents))


def test_a_split_has_the_place_of_each_label_and_none_for_a_new_one(tmp_path):
    made = tokens(tmp_path / "t", [("valid", "b"), ("train", "a"), ("valid", "new"), ("valid", None), ("valid", "a")])
    split = read(made, "valid", ["a", "b"])
    assert split.class_ids.tolist() == [1, NO_CLASS, NO_CLASS, 0]
    assert split.doc_ids.to_pylist() == ["d0", "d2", "d3", "d4"]
    # right, wrong whatever is said, not asked, wrong
    assert split.accuracy(np.array([[0.2, 0.8], [1, 0], [1, 0], [0.1, 0.9]])) == pytest.approx(1 / 3)


def test_a_test_split_shows_no_label(tmp_path):
    split = read(tokens(tmp_path / "t", [("test", "a"), ("test", "b")]), "test", ["a", "b"])
    assert split.labels.null_count == 2
    assert set(split.class_ids.tolist()) == {NO_CLASS}


def test_the_most_probable_class_is_what_is_predicted(tmp_path):
    split = read(tokens(tmp_path / "t", [("valid", "b"), ("valid", "a")]), "valid", ["a", "b"])
    with Run(tmp_path / "p").open(Predictions) as out:
        write_classes(out, ["a", "b"])
        write(out, split, ["a", "b"], np.float32([[0.3, 0.7], [0.4, 0.6]]))
    assert out.artifact.read().select(["doc_id", "split", "label", "predicted"]).to_pylist() == [
        {"doc_id": "d0", "split": "valid", "label": "b", "predicted": "b"},
        {"doc_id": "d1", "split": "valid", "label": "a", "predicted": "b"},
    ]
