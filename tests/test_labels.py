"""What every classifier is told of labels, and what none is told."""

import numpy as np
import pytest

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.errors import Fault
from pipelines.labels import NO_CLASS, classes_of, documents, fewer, read, write, write_classes
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


def test_the_classes_of_labels_that_name_several_are_their_parts(tmp_path):
    made = tokens(tmp_path / "t", [("train", "b|a"), ("train", ""), ("train", "c"), ("valid", "a|new"), ("valid", None), ("valid", "c")])
    assert classes_of(made, "several") == ["a", "b", "c"]
    split = read(made, "valid", ["a", "b", "c"], "several")
    assert split.truth.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert split.labelled.tolist() == [True, False, True]
    # nobody can know 'new', so the first is wrong whatever is said
    assert split.accuracy(np.array([[0.6, 0.1, 0.2], [1, 1, 1], [0.2, 0, 0.5]])) == 0.5
    with Run(tmp_path / "p").open(Predictions) as out:
        write_classes(out, ["a", "b", "c"])
        write(out, split, ["a", "b", "c"], np.float32([[0.6, 0.1, 0.2], [0.1, 0, 0], [0.5, 0, 0.5]]))
    assert out.artifact.frame("valid")[0]["predicted"].tolist() == ["a", "", "a|c"]


def test_blanks_about_a_name_are_no_part_of_it_and_a_bar_alone_names_no_class(tmp_path):
    made = tokens(tmp_path / "t", [("train", "a | b"), ("train", "c|"), ("train", "|"), ("valid", " b|a")])
    assert classes_of(made, "several") == ["a", "b", "c"]
    assert read(made, "train", ["a", "b", "c"], "several").truth.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert read(made, "valid", ["a", "b", "c"], "several").class_ids.tolist() == [0]


def test_ordinal_classes_are_in_the_order_of_their_numbers(tmp_path):
    assert classes_of(tokens(tmp_path / "t", [("train", "10"), ("train", "9"), ("train", "-1.5")]), "ordinal") == ["-1.5", "9", "10"]
    with pytest.raises(Fault, match="tokens/u: 1 of 2 classes are no numbers, first 'good'"):
        classes_of(tokens(tmp_path / "u", [("train", "10"), ("train", "good")]), "ordinal")


def test_labels_may_be_numbers_and_those_that_are_none_are_counted_and_named(tmp_path):
    made = tokens(tmp_path / "t", [("train", "-2"), ("train", "1e1"), ("train", "0.5"), ("valid", "7"), ("valid", None), ("test", "9")])
    assert classes_of(made, "number") == []
    train, valid, test = (read(made, split, [], "number") for split in ("train", "valid", "test"))
    assert train.numbers.tolist() == [-2, 10, 0.5]
    assert (valid.numbers[0], valid.class_ids.tolist()) == (7, [0, NO_CLASS])
    assert np.isnan([valid.numbers[1], test.numbers[0]]).all()
    assert fewer(train, 2, seed=1).numbers.tolist() == train.numbers[fewer(train, 2, seed=1).rows].tolist()
    wrong = [("train", "1"), ("train", "nan"), ("train", "1e39"), ("valid", "many"), ("valid", "3"), ("train", None)]
    with pytest.raises(Fault) as fault:
        classes_of(tokens(tmp_path / "u", wrong), "number")
    assert [it.partition(". ")[0] for it in fault.value.faults] == [
        "tokens/u: 1 of 4 training documents have no label",
        "tokens/u: 2 of 3 labels of split train are no finite numbers, first 'nan'",  # nor is 1e39 in float32
        "tokens/u: 1 of 2 labels of split valid are no finite numbers, first 'many'",
    ]


def test_numbers_that_are_all_the_same_are_refused(tmp_path):
    made = tokens(tmp_path / "t", [("train", "3"), ("train", "3.0"), ("valid", "4")])
    with pytest.raises(
        Fault, match="tokens/t: all 2 documents to learn from have the same number, 3. A regression needs numbers that differ"
    ):
        documents(made, 0, Run(tmp_path), "number")


def test_r_squared_is_how_much_nearer_than_the_mean_the_numbers_are(tmp_path):
    split = read(tokens(tmp_path / "t", [("valid", "1"), ("valid", "2"), ("valid", None), ("valid", "3")]), "valid", [], "number")
    assert split.r_squared(np.array([2.0, 2, 99, 2])) == 0
    assert split.r_squared(np.array([1.0, 2, 99, 3])) == 1
    assert split.r_squared(np.array([1.0, 1, 99, 3])) == 0.5
    assert read(tokens(tmp_path / "u", [("valid", "1")] * 2), "valid", [], "number").r_squared(np.zeros(2)) == 0


def test_a_number_is_written_as_the_shortest_decimal_of_float32(tmp_path):
    split = read(tokens(tmp_path / "t", [("valid", str(i)) for i in range(5)]), "valid", [], "number")
    told = np.float32([[2.5], [0.1], [-0.0], [1200000], [1e-5]])
    with Run(tmp_path / "p").open(Predictions) as out:
        write(out, split, [], told)
    frame, p = out.artifact.frame("valid")
    assert frame["predicted"].tolist() == ["2.5", "0.1", "0", "1200000", "0.00001"]
    assert np.array_equal(frame["predicted"].astype(np.float32), told[:, 0])
    assert p.tolist() == [[1]] * 5


def test_fewer_documents_keep_the_shares_of_the_classes_and_one_of_each_at_least(tmp_path):
    made = tokens(tmp_path / "t", [("train", "abc"[(i % 10 > 5) + (i == 0) * 2]) for i in range(60)])
    split = read(made, "train", ["a", "b", "c"])
    drawn = fewer(split, 10, seed=1)
    assert np.bincount(drawn.class_ids).tolist() == [5, 4, 1]
    assert drawn.doc_ids.to_pylist() == [f"d{i}" for i in drawn.rows]
    assert drawn.values.tolist() == [1] * 10
    assert drawn.offsets.tolist() == list(range(11))
    assert drawn.rows.tolist() == fewer(split, 10, seed=1).rows.tolist() != fewer(split, 10, seed=2).rows.tolist()
    assert fewer(split, 0, seed=1) is split
    for n in (2, 61):
        with pytest.raises(Fault, match="n_train must be from 3 to 60, or 0 for all"):
            fewer(split, n, seed=1)


def test_nothing_held_out_is_refused_and_one_split_is_enough(tmp_path):
    train = [("train", "a"), ("train", "b"), ("unlabelled", None)]
    with pytest.raises(Fault, match=r"tokens/none: no document is in split valid or test.*fewer than 3 documents .* say divide: random"):
        documents(tokens(tmp_path / "none", train), 0, Run(tmp_path))
    for split in ("valid", "test"):
        assert len(documents(tokens(tmp_path / split, [*train, (split, "a")]), 0, Run(tmp_path))[1]) == 2


def test_the_most_probable_class_is_what_is_predicted(tmp_path):
    split = read(tokens(tmp_path / "t", [("valid", "b"), ("valid", "a")]), "valid", ["a", "b"])
    with Run(tmp_path / "p").open(Predictions) as out:
        write_classes(out, ["a", "b"])
        write(out, split, ["a", "b"], np.float32([[0.3, 0.7], [0.4, 0.6]]))
    assert out.artifact.read().select(["doc_id", "split", "label", "predicted"]).to_pylist() == [
        {"doc_id": "d0", "split": "valid", "label": "b", "predicted": "b"},
        {"doc_id": "d1", "split": "valid", "label": "a", "predicted": "b"},
    ]
