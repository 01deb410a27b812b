"""fastText-like."""

import numba
import numpy as np
import pytest

from pipelines.classify import fasttext_like
from pipelines.classify.fasttext_like import Params, classify, probabilities_of, shares
from pipelines.errors import Fault
from pipelines.labels import read
from pipelines.method import Run
from tests.classify.test_tfidf_logreg import WORDS, topics
from tests.texts import labelled

SMALL = Params(ngrams=2, buckets=1000, vector_size=4, epochs=20, lr=0.3, dropout=0.0)


def test_weights_by_hand():
    # documents {0, 1}, {0}, {0, 2}; the first is of class 0, the others of class 1
    rows, offsets, class_ids = np.int32([0, 1, 0, 0, 2]), np.array([0, 2, 3, 5]), np.array([0, 1, 1])
    idf = np.log(4 / (1 + np.array([3, 1, 1]))) + 1
    p, q = np.array([2, 2, 1]) / 5, np.array([3, 1, 2]) / 6  # with 1 more everywhere
    assert shares(rows, offsets, 3, class_ids, "flat").tolist() == [1, 1, 1]
    assert shares(rows, offsets, 3, class_ids, "idf") == pytest.approx(idf)
    assert shares(rows, offsets, 3, class_ids, "ratio") == pytest.approx(idf * np.abs(np.log(p / q)))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("knobs", [{}, {"weights": "idf"}, {"weights": "flat"}, {"dropout": 0.3, "ngrams": 3}])
def test_it_tells_topics(tmp_path, n_classes, knobs):
    toy = labelled(tmp_path / "t", topics(600, n_classes=n_classes), WORDS)
    made = classify(toy, SMALL.model_copy(update=knobs), Run(tmp_path / "p", seed=1))
    assert made.frame("valid")[0].eval("label == predicted").mean() > 0.7


def test_a_pair_of_words_says_what_neither_says_alone(tmp_path):
    documents = [(("train", "train", "valid")[i % 3], "ab"[i % 2], [3, *((1, 2) if i % 2 else (2, 1)), 3]) for i in range(240)]
    toy = labelled(tmp_path / "t", documents, WORDS)
    right = [
        classify(toy, SMALL.model_copy(update={"ngrams": n}), Run(tmp_path / str(n))).frame("valid")[0].eval("label == predicted").mean()
        for n in (1, 2)
    ]
    assert right[0] < 0.7
    assert right[1] == 1


def test_the_same_bytes_for_any_number_of_threads(tmp_path):
    toy = labelled(tmp_path / "t", topics(), WORDS)
    made = []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        made.append(classify(toy, SMALL, Run(tmp_path / str(threads), seed=1, threads=threads)))
    for name in ("predictions.parquet", "model.safetensors", "model.json"):
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()


def test_what_was_kept_gives_the_same_probabilities_without_the_training_data(tmp_path):
    toy = labelled(tmp_path / "t", topics(), WORDS)
    made = classify(toy, SMALL, Run(tmp_path / "p", seed=1))
    settings, weights = made.model()
    split = read(toy, "test", settings["classes"])
    assert np.array_equal(probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path)), made.frame("test")[1])


def test_a_document_without_known_words_is_of_all_classes_alike(tmp_path):
    documents = [*topics(120), ("valid", "a", [0]), ("valid", "b", [])]
    p = classify(labelled(tmp_path / "t", documents, WORDS), SMALL, Run(tmp_path / "p")).frame("valid")[1]
    assert p[-2:] == pytest.approx(1 / 3)


def test_balanced_classes_are_told_as_often_as_they_are_missed(tmp_path):
    rng = np.random.default_rng(0)
    documents = [(("train", "valid")[i % 2], "ab"[i // 2 % 10 == 0], rng.integers(1, 9, 6)) for i in range(800)]
    toy = labelled(tmp_path / "t", documents, WORDS)
    share = [
        classify(toy, SMALL.model_copy(update={"class_weights": how, "epochs": 5}), Run(tmp_path / how)).frame("valid")[1][:, 1].mean()
        for how in ("none", "balanced")
    ]
    assert share == pytest.approx([0.1, 0.5], abs=0.1)


def test_one_example_a_class_is_enough_to_learn(tmp_path):
    documents = [("train", label, [i + 1, 9]) for i, label in enumerate("abcd")] + [
        ("valid", label, [i + 1]) for i, label in enumerate("abcd")
    ]
    made = classify(labelled(tmp_path / "t", documents, WORDS), SMALL.model_copy(update={"min_df": 1, "epochs": 200}), Run(tmp_path / "p"))
    assert made.frame("valid")[0]["predicted"].tolist() == list("abcd")


def test_a_learning_rate_far_too_high_is_said(tmp_path):
    with pytest.raises(Fault, match=r"the loss is no number any more in epoch \d+, with lr 1e\+30. Lower lr"):
        classify(labelled(tmp_path / "t", topics(), WORDS), SMALL.model_copy(update={"lr": 1e30}), Run(tmp_path / "p"))


def test_a_min_df_that_nothing_reaches_is_refused(tmp_path):
    with pytest.raises(Fault, match="no word is in 1000 or more of the .* training documents. Lower min_df"):
        classify(labelled(tmp_path / "t", topics(), WORDS), Params(min_df=1000), Run(tmp_path / "p"))


@pytest.mark.parametrize(("n", "n_classes", "expected"), [(20_000, 2, 5), (20_000, 4, 10), (100_000, 2, 5), (40, 2, 100)])
def test_unless_told_epochs_are_as_many_as_the_classes_need(tmp_path, monkeypatch, n, n_classes, expected):
    lines = []
    monkeypatch.setattr(fasttext_like, "descend", lambda *given: (lines.append(given), 0.0)[1])
    class_ids = np.arange(n) % n_classes
    fasttext_like.learned(
        np.zeros(0, np.int32), np.zeros(n + 1, np.int64), Documents(class_ids), np.ones(1, np.float32), n_classes, Params(), Run(tmp_path)
    )
    assert len(lines) == expected


class Documents:
    def __init__(self, class_ids):
        self.class_ids = class_ids

    def __len__(self):
        return len(self.class_ids)
