"""Ridge regression on weighted n-grams."""

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.linear_model import Ridge

from pipelines.artifacts.predictions import as_label
from pipelines.classify.tfidf_ridge import Params, classify, probabilities_of
from pipelines.errors import Fault
from pipelines.kernels.bags import weigh
from pipelines.kernels.grams import count
from pipelines.labels import read
from pipelines.method import Run
from tests.sequences import WORDS, counted
from tests.texts import labelled

COUNTS = {"weighting": "counts", "sublinear": False, "normalise": False, "ngrams": 1}


def test_numbers_that_are_linear_in_the_counts_of_words_are_found(tmp_path):
    made = classify(labelled(tmp_path / "t", counted(), WORDS), Params(l2=1e-3, **COUNTS), Run(tmp_path / "p", seed=1))
    assert made.answer() == "number"
    assert made.classes() == []
    frame, p = made.frame("valid")
    assert frame["predicted"].astype(float).to_numpy() == pytest.approx(frame["label"].astype(float).to_numpy(), abs=0.01)
    assert (p == 1).all()
    assert made.frame("test")[0]["label"].isna().all()
    # by hand: 1000, 20 more for each `not`, 10 less for each `good`
    weights = made.model()[1]
    worth = dict(zip(weights["grams1"].tolist(), weights["coefficients"][0].tolist(), strict=True))
    assert worth == {1: pytest.approx(20, abs=0.01), 2: pytest.approx(-10, abs=0.01), **{i: pytest.approx(0, abs=0.01) for i in (3, 4, 5)}}
    assert weights["intercept"] == pytest.approx(1000, abs=0.1)


def test_weights_are_those_of_scikit_learns_exact_solution(tmp_path):
    toy = labelled(tmp_path / "t", counted(), WORDS)
    made = classify(toy, Params(l2=2.0), Run(tmp_path / "p", seed=1))
    weights = made.model()[1]
    train, valid = (read(toy, split, [], "number") for split in ("train", "valid"))
    x = [
        weigh(count(s.values, s.offsets, len(WORDS), [weights["grams1"], weights["grams2"]]), weights["idf"], True) for s in (train, valid)
    ]
    exact = Ridge(alpha=2.0, solver="cholesky").fit(x[0].toarray().astype(np.float64), train.numbers).predict(x[1].toarray())
    assert made.frame("valid")[0]["predicted"].astype(float).to_numpy() == pytest.approx(exact, abs=0.01)


def test_what_was_kept_gives_the_same_numbers_without_the_training_data(tmp_path):
    toy = labelled(tmp_path / "t", counted(), WORDS)
    made = classify(toy, Params(), Run(tmp_path / "p", seed=1))
    split = read(toy, "test", [], "number")
    again = probabilities_of(split.values, split.offsets, *made.model(), Run(tmp_path))
    assert [as_label(number) for number in again[:, 0]] == made.frame("test")[0]["predicted"].tolist()


def test_a_solver_that_was_stopped_says_so(tmp_path, capsys):
    toy = labelled(tmp_path / "t", counted(), WORDS)
    for max_iter in (2, 1000):
        classify(toy, Params(max_iter=max_iter), Run(tmp_path / str(max_iter), seed=1, show=True))
        assert ("not settled" in capsys.readouterr().out) == (max_iter == 2)


def test_labels_that_are_no_numbers_are_refused_and_so_are_knobs_of_classes(tmp_path):
    toy = labelled(tmp_path / "t", [("train", "1", [1]), ("train", "x", [2]), ("valid", "nan", [1])], WORDS)
    with pytest.raises(Fault, match="1 of 2 labels of split train .* first 'x'.*\n.*1 of 1 labels of split valid .* first 'nan'"):
        classify(toy, Params(min_df=1), Run(tmp_path / "p"))
    for knobs in ({"class_weights": "balanced"}, {"target": "one"}):
        with pytest.raises(ValidationError):
            Params(**knobs)
