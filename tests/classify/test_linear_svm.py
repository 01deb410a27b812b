"""Linear support vector machine on n-grams."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from pipelines.classify.linear_svm import Params, classify, probabilities_of
from pipelines.kernels.calibration import log_loss
from pipelines.labels import read
from pipelines.linear import rows
from pipelines.method import Run
from tests.classify.test_tfidf_logreg import N_WORDS, WORDS, topics
from tests.texts import labelled


def logs(made, split="valid"):
    return np.log(made.frame(split)[1].astype(np.float64))


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_log_odds_are_scikit_learns_margins_but_for_one_factor(tmp_path, n_classes, loss):
    toy = labelled(tmp_path / "t", topics(n_classes=n_classes), WORDS)
    params = Params(loss=loss, tol=1e-6, max_iter=100_000)
    made = classify(toy, params, Run(tmp_path / "p", seed=1))
    weights = made.model()[1]
    train, valid = (read(toy, split, made.classes()) for split in ("train", "valid"))
    x = [rows(s.values, s.offsets, N_WORDS, params, weights) for s in (train, valid)]
    theirs = LinearSVC(C=1 / params.l2, loss=loss, tol=1e-6, max_iter=100_000, random_state=0)
    margins = theirs.fit(x[0], train.class_ids).decision_function(x[1])
    margins = np.stack([0 * margins, margins], axis=1) if n_classes == 2 else margins
    mine, expected = (s - s.mean(axis=1, keepdims=True) for s in (logs(made), margins))
    factor = (mine * expected).sum() / (expected**2).sum()
    assert factor > 0
    assert mine == pytest.approx(factor * expected, abs=2e-3)


def test_probabilities_are_better_than_those_of_margins_as_they_are(tmp_path):
    toy = labelled(tmp_path / "t", topics(900), WORDS)
    made = classify(toy, Params(), Run(tmp_path / "p", seed=1))
    valid = read(toy, "valid", made.classes())
    once = log_loss(logs(made), valid.class_ids)
    assert all(log_loss(logs(made) * factor, valid.class_ids) > once for factor in (0.5, 2.0))


def test_a_bag_of_words_tells_the_topics(tmp_path):
    made = classify(labelled(tmp_path / "t", topics(), WORDS), Params(ngrams=1, weighting="binary"), Run(tmp_path / "p"))
    assert made.frame("valid")[0].eval("label == predicted").mean() > 0.8


def test_what_was_kept_gives_the_same_probabilities_without_the_training_data(tmp_path):
    toy = labelled(tmp_path / "t", topics(), WORDS)
    made = classify(toy, Params(), Run(tmp_path / "p", seed=1))
    settings, weights = made.model()
    split = read(toy, "test", settings["classes"])
    assert np.array_equal(probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path)), made.frame("test")[1])


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    toy = labelled(tmp_path / "t", topics(), WORDS)
    made = [classify(toy, Params(), Run(tmp_path / name, seed=1)) for name in ("a", "b")]
    for name in ("predictions.parquet", "model.safetensors"):
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()


def test_one_example_a_class_is_learned_and_said_to_leave_no_temperature(tmp_path, capsys):
    documents = [("train", label, [i + 1, 9]) for i, label in enumerate("abcd")] + [
        ("valid", label, [i + 1]) for i, label in enumerate("abcd")
    ]
    made = classify(labelled(tmp_path / "t", documents, WORDS), Params(min_df=1), Run(tmp_path / "p", show=True))
    assert made.frame("valid")[0]["predicted"].tolist() == list("abcd")
    assert "nothing can be held out" in capsys.readouterr().out


def test_a_document_without_known_words_gets_what_the_intercepts_say(tmp_path):
    documents = [*topics(120), ("valid", "a", [0]), ("valid", "b", [])]
    p = classify(labelled(tmp_path / "t", documents, WORDS), Params(), Run(tmp_path / "p")).frame("valid")[1]
    assert np.array_equal(p[-1], p[-2])
    assert np.isfinite(p).all()
