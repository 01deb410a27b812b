import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.use.final import score_test

LABELS = ["a", "b", "b", "a", "b"]
SPLITS = ["train", "valid", "test", "test", "test"]


def make_corpus(folder, labels=LABELS):
    with Run(folder).open(Corpus) as out:
        out.append(doc_id=list("vwxyz"), text=["t"] * 5, label=labels, split=SPLITS, group=[None] * 5)
    return out.artifact


def make_predictions(folder, ids="zxv", splits=("test", "test", "train"), predicted=("b", "a", "b")):
    with Run(folder).open(Predictions) as out:
        p = np.array([[0.9, 0.1] if label == "a" else [0.2, 0.8] for label in predicted])
        labels = [None if split == "test" else "a" for split in splits]
        out.append(doc_id=list(ids), split=splits, answer=["one"] * len(splits), label=labels, predicted=predicted, probabilities=p)
        out.append("classes", class_id=[0, 1], label=["a", "b"])
    return out.artifact


def test_documents_meet_their_labels_in_any_order_and_only_test_counts(tmp_path):
    found = {row["metric"]: row for row in score_test(make_predictions(tmp_path / "p"), make_corpus(tmp_path / "c"), seed=1)}
    # z is b and was called b, x is b and was called a
    assert found["accuracy"] == {"metric": "accuracy", "value": 0.5, "low": 0.0, "high": 1.0, "n": 2}
    assert found["macro_f1"]["value"] == pytest.approx(f1_score(["b", "b"], ["b", "a"], average="macro", zero_division=0))
    assert found["log_loss"]["value"] == pytest.approx(-(np.log(0.8) + np.log(0.1)) / 2, rel=1e-5)


def test_nothing_is_written(tmp_path):
    predictions, corpus = make_predictions(tmp_path / "p"), make_corpus(tmp_path / "c")
    before = sorted(tmp_path.rglob("*"))
    score_test(predictions, corpus, seed=1)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_document_that_the_corpus_has_no_label_for_is_a_fault(tmp_path):
    corpus = make_corpus(tmp_path / "c", ["a", "b", None, "a", "b"])
    with pytest.raises(Fault, match=r"corpus/c has no test label for 1 of 2 documents of predictions/p, first 'x'"):
        score_test(make_predictions(tmp_path / "p"), corpus, seed=1)


def test_predictions_without_test_documents_are_a_fault(tmp_path):
    predictions = make_predictions(tmp_path / "p", "v", ("train",), ("a",))
    with pytest.raises(Fault, match="no document of split 'test'"):
        score_test(predictions, make_corpus(tmp_path / "c"), seed=1)


def answered(folder, answer, predicted, probabilities, classes=(), settings=None):
    """Of the documents x, y and z of test."""
    with Run(folder).open(Predictions) as out:
        out.append(
            doc_id=list("xyz"), split=["test"] * 3, answer=[answer] * 3, label=[None] * 3, predicted=predicted, probabilities=probabilities
        )
        out.append("classes", class_id=range(len(classes)), label=classes)
        if settings:
            out.model(settings, {"w": np.zeros(1, np.float32)})
    return out.artifact


def test_several_classes_ratings_and_texts_are_scored_as_evaluate_scores_them(tmp_path):
    def seen(name, made, labels):
        return {row["metric"]: row["value"] for row in score_test(made, make_corpus(tmp_path / f"c{name}", labels), seed=1)}

    made = answered(tmp_path / "s", "several", ["a", "a|b", ""], np.zeros((3, 2)), ["a", "b"])
    found = seen("s", made, ["a", "b", "a", "b|a", "b"])
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["hamming_loss"] == pytest.approx(1 / 6)
    made = answered(tmp_path / "o", "one", ["1", "2", "2"], np.full((3, 2), 0.5), ["1", "2"])
    assert seen("o", made, ["1", "2", "1", "1", "2"])["mean_absolute_error"] == pytest.approx(1 / 3)
    made = answered(tmp_path / "t", "text", ["O B-x", "O", "I-x"], np.full((3, 1), 0.5))
    found = seen("t", made, ["O", "O", "O B-x", "B-x", "O"])
    assert (found["exact_match"], found["tokens_right"]) == (pytest.approx(1 / 3), pytest.approx(2 / 4))
    assert (found["entity_precision"], found["entity_recall"]) == (0.5, 0.5)
    assert "perplexity" not in found


def test_numbers_are_scored_as_evaluate_scores_them_and_labels_that_are_none_are_named(tmp_path):
    made = answered(tmp_path / "n", "number", ["2", "2", "5"], np.ones((3, 1)))
    found = {row["metric"]: row for row in score_test(made, make_corpus(tmp_path / "c", ["", "", "1", "2", "3"]), seed=1)}
    assert list(found) == ["rmse", "mean_absolute_error", "r_squared", "pearson", "spearman"]
    assert found["rmse"]["value"] == pytest.approx((5 / 3) ** 0.5)
    assert found["rmse"]["n"] == 3
    with pytest.raises(Fault, match="predictions/n answers with numbers, and 1 of 3 labels are none that is finite, first 'b'"):
        score_test(made, make_corpus(tmp_path / "d", ["", "", "1", "b", "3"]), seed=1)


def test_of_a_language_model_the_perplexity_is_read_whatever_the_labels(tmp_path):
    made = answered(tmp_path / "p", "text", ["a", "b", "c"], [[0.5], [0.25], [0.125]], settings={"model": "next_word", "perplexity": True})
    (row,) = score_test(made, make_corpus(tmp_path / "c", [None] * 5), seed=1)
    assert (row["metric"], row["value"], row["n"]) == ("perplexity", pytest.approx(4), 3)
