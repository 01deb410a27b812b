"""The order of words decides, and these methods read it: a bag of words, given the same documents, guesses."""

from pathlib import Path

import pytest

from pipelines.artifacts.predictions import Predictions
from pipelines.classify import contrastive, hybrid, lm_lstm, masked, mixed_lstm, tfidf_logreg
from pipelines.method import Run
from tests.rows import run_all
from tests.sequences import WORDS, accuracy, orders
from tests.texts import labelled

HOME = Path(__file__).parent.parent.parent

SMALL = {"hidden_size": 16, "vector_size": 8, "dropout": 0, "batch_size": 16, "epochs": 12, "lr": 0.02, "patience": 12}
# lstm, gru, simple_rnn and cnn are asked the same in the files of their own
METHODS = [
    (hybrid, {"composed_size": 8, "letter_size": 5}),
    (masked, {"pretraining_epochs": 1}),
    (contrastive, {"pretraining_epochs": 1}),
    (mixed_lstm, {"epsilon": 0.5, "decay": "none"}),
    (lm_lstm, {"lm_epochs": 1, "lm_streams": 8, "lm_steps": 20, "epsilon": 0.5, "ema": 0.9}),
]


@pytest.mark.parametrize(("method", "knobs"), METHODS, ids=[method.__name__.rpartition(".")[2] for method, _ in METHODS])
def test_learns_an_order_that_a_bag_of_words_cannot(tmp_path, method, knobs):
    toy = labelled(tmp_path / "t", orders(), WORDS)
    made = method.classify(toy, method.Params(**SMALL, **knobs), Run(tmp_path / "p", seed=1))
    counted = tfidf_logreg.classify(toy, tfidf_logreg.Params(ngrams=1), Run(tmp_path / "q", seed=1))
    assert accuracy(made) > 0.95
    assert accuracy(counted) < 0.7


def test_of_the_toy_strings_the_lstm_alone_keeps_the_beginning_until_the_end(tmp_path, monkeypatch):
    monkeypatch.chdir(HOME)
    run_all(HOME / "experiments" / "toy-strings.yaml", tmp_path)
    right = {row: accuracy(Predictions(tmp_path / "predictions" / row)) for row in ("char-lstm", "simple-rnn", "bag", "bag-of-pairs")}
    assert right.pop("char-lstm") > 0.95
    assert max(right.values()) < 0.7
