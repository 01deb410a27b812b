"""An LSTM that is a language model first."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines import foretelling
from pipelines.classify.lm_lstm import Params, classify, language, probabilities_of
from pipelines.labels import read
from pipelines.method import Run
from pipelines.mixed import Reader
from tests.classify.test_mixed_lstm import WORDS, topics
from tests.kill import check_goes_on
from tests.texts import labelled

SMALL = {
    "hidden_size": 12, "vector_size": 12, "batch_size": 16, "epochs": 6, "patience": 6, "lr": 0.02, "dropout": 0.1, "epsilon": 1.0, "ema": 0.9,
    "lm_epochs": 2, "lm_lr": 0.02, "lm_streams": 8, "lm_steps": 12,
}  # fmt: skip


@pytest.mark.parametrize("more", [{}, {"virtual": 0.0}, {"bidirectional": True, "pooling": "max"}])
def test_it_learns_and_answers_the_same_without_the_data(tmp_path, more):
    toy = labelled(tmp_path / "t", topics(80, 60, 60), WORDS)
    made = classify(toy, Params(**(SMALL | more)), Run(tmp_path / "p", seed=1))
    assert (made.frame("valid")[0].eval("label == predicted")).mean() > 0.85
    settings, weights = made.model()
    split = read(toy, "test", settings["classes"])
    assert probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path)) == pytest.approx(made.frame("test")[1], abs=1e-6)
    assert (made.folder / "language.csv").exists()
    assert (made.folder / "backwards.csv").exists() == bool(more.get("bidirectional"))


def test_the_classifier_begins_where_the_language_model_ends(tmp_path):
    toy = labelled(tmp_path / "t", topics(16, 8, 60), WORDS)
    still = SMALL | {"epochs": 1, "lr": 1e-9, "ema": 0.0, "virtual": 0.0}
    short, long = (classify(toy, Params(**(still | {"lm_epochs": n})), Run(tmp_path / str(n), seed=1)).model()[1] for n in (1, 3))
    for name in ("embedding.weight", "onward.0.weight_hh_l0"):
        assert np.abs(short[name] - long[name]).max() > 0.01


def test_the_layer_that_reads_backwards_learns_to_foretell_backwards(tmp_path, monkeypatch):
    learned = []
    monkeypatch.setattr(foretelling, "foretell", lambda tokens, model, layers, *more, backwards: learned.append((layers, backwards)))
    params = Params(**SMALL, bidirectional=True)
    model = Reader(np.zeros((5, 12), np.float32), False, 2, params)
    assert list(language(None, model, params, Run(tmp_path / "p"))) == ["language", "backwards"]
    assert learned == [(model.onward, False), (model.backward_, True)]


def test_two_layers_both_ways_foretell_nothing():
    with pytest.raises(ValidationError, match="num_layers must be 1 where bidirectional"):
        Params(bidirectional=True, num_layers=2)


@pytest.mark.parametrize("epoch", [2, 4])
def test_killed_in_either_training_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch, epoch):
    toy, params = labelled(tmp_path / "t", topics(32, 16, 48), WORDS), Params(**(SMALL | {"epochs": 3}))
    check_goes_on(lambda run: classify(toy, params, run), tmp_path, monkeypatch, epoch)
