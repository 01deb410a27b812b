"""NB-SVM."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from pipelines.classify.nb_svm import Params, classify, fit, probabilities_of, scores
from pipelines.kernels.bags import log_ratio
from pipelines.labels import read
from pipelines.method import Run
from tests.classify.test_tfidf_logreg import WORDS, topics
from tests.texts import labelled

# three documents of class 1, one of class 0; binary, four n-grams
X = csr_array(np.float32([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 1]]))
CLASS_IDS = np.array([1, 1, 1, 0])


def test_the_log_count_ratio_by_hand():
    # p = 1 + (3, 1, 1, 0), q = 1 + (0, 1, 0, 1)
    p, q = np.array([4, 2, 2, 1]) / 9, np.array([1, 2, 1, 2]) / 6
    assert log_ratio(X, CLASS_IDS == 1, 1.0) == pytest.approx(np.log(p / q))


def test_the_ratio_of_the_rest_is_that_of_the_class_turned_round():
    assert log_ratio(X, CLASS_IDS == 0, 0.5) == pytest.approx(-log_ratio(X, CLASS_IDS == 1, 0.5))


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge", "logistic"])
def test_the_papers_model_is_scikit_learns_on_rows_times_the_ratio(loss):
    knobs = {"C": 2, "tol": 1e-8, "max_iter": 100_000, "random_state": 0}
    r = log_ratio(X, CLASS_IDS == 1, 1.0)
    solver = LogisticRegression(solver="liblinear", dual=True, **knobs) if loss == "logistic" else LinearSVC(loss=loss, dual=True, **knobs)
    theirs = solver.fit(X.toarray() * r, CLASS_IDS)
    w = theirs.coef_[0]
    for beta in (0.25, 1.0):
        params = Params(weighting="binary", loss=loss, l2=0.5, tol=1e-8, max_iter=100_000, beta=beta, normalise=False)
        model, settled = fit(X, CLASS_IDS, params, Run("nowhere"))
        assert settled
        assert model.coefficients[0] == pytest.approx((1 - beta) * np.abs(w).mean() + beta * w, abs=1e-4)  # eq. 5 of the paper
        assert scores(X, model, False)[:, 1] == pytest.approx(X @ (model.coefficients[0] * r) + theirs.intercept_[0], abs=1e-3)


def test_several_classes_are_each_against_the_rest_with_a_ratio_of_their_own():
    class_ids = np.array([0, 1, 1, 2])
    model, _ = fit(X, class_ids, Params(), Run("nowhere"))
    idf = np.log((1 + 4) / (1 + np.array([3, 2, 1, 1]))) + 1  # documents of each n-gram: 3, 2, 1, 1
    for c in range(3):
        assert model.ratio[c] == pytest.approx(log_ratio(X, class_ids == c, 1.0) * idf)
    assert scores(X, model, True).shape == (4, 3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("beta", [0.25, 1.0])
def test_it_tells_topics(tmp_path, n_classes, beta):
    toy = labelled(tmp_path / "t", topics(600, n_classes=n_classes), WORDS)
    made = classify(toy, Params(beta=beta, weighting="binary"), Run(tmp_path / "p", seed=1))
    frame, p = made.frame("valid")
    assert frame.eval("label == predicted").mean() > 0.8
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-5)


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


def test_one_example_a_class_is_enough_to_learn(tmp_path):
    documents = [("train", label, [i + 1, 9]) for i, label in enumerate("abcd")] + [
        ("valid", label, [i + 1]) for i, label in enumerate("abcd")
    ]
    made = classify(labelled(tmp_path / "t", documents, WORDS), Params(min_df=1), Run(tmp_path / "p"))
    assert made.frame("valid")[0]["predicted"].tolist() == list("abcd")


def test_a_document_without_known_words_gets_what_the_intercepts_say(tmp_path):
    documents = [*topics(120), ("valid", "a", [0]), ("valid", "b", [])]
    p = classify(labelled(tmp_path / "t", documents, WORDS), Params(), Run(tmp_path / "p")).frame("valid")[1]
    assert np.array_equal(p[-1], p[-2])
    assert np.isfinite(p).all()
