"""Texts without labels first, then labels."""

import numpy as np
import pytest

from pipelines import classifier, pretraining
from pipelines.classify import contrastive, lstm, masked
from pipelines.errors import Fault
from pipelines.fit import arrays
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.sequences import TOPICS, accuracy, few_labels
from tests.texts import labelled

SMALL = {
    "hidden_size": 16, "vector_size": 16, "dropout": 0.1, "batch_size": 32, "epochs": 15, "patience": 15, "lr": 0.01, "bidirectional": True,
}  # fmt: skip
BEFORE = {"pretraining_epochs": 15, "pretraining_lr": 0.01}
METHODS = [masked, contrastive]


def weights_of(model):
    return {name: weights.copy() for name, weights in arrays(model).items()}


@pytest.mark.parametrize("method", METHODS)
def test_training_with_labels_begins_with_what_texts_without_labels_taught(tmp_path, monkeypatch, method):
    toy = labelled(tmp_path / "t", few_labels(0, 100), TOPICS)
    seen = {}

    def learn(model, *others):
        seen["begun"] = weights_of(model)
        raise KeyboardInterrupt

    def fit(task, *others, **more):
        seen["drawn"] = weights_of(task.reader)
        best = original(task, *others, **more)
        seen["pretrained"] = weights_of(task.reader)
        return best

    original = pretraining.fit
    monkeypatch.setattr(classifier, "learn", learn)
    monkeypatch.setattr(pretraining, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        method.classify(toy, method.Params(**SMALL, pretraining_epochs=1), Run(tmp_path / "p", seed=1))
    for name, weights in seen["begun"].items():
        assert np.array_equal(weights, seen["pretrained"][name])
        assert np.array_equal(weights, seen["drawn"][name]) == name.startswith("decision.")


@pytest.mark.parametrize("method", METHODS)
def test_labels_train_the_decision_alone_where_that_is_asked(tmp_path, method):
    documents = [
        ("test" if d[0] == "valid" else d[0], *d[1:]) for d in few_labels(0, 100)
    ]  # without a label in valid the last epoch is kept
    toy, made = labelled(tmp_path / "t", documents, TOPICS), {}
    for tune in ("all", "decision"):
        for epochs in (1, 2):
            params = method.Params(**{**SMALL, "epochs": epochs, "tune": tune, "pretraining_epochs": 1})
            made[tune, epochs] = method.classify(toy, params, Run(tmp_path / f"{tune}{epochs}", seed=1)).model()[1]
    for name in made["all", 1]:
        assert not np.array_equal(made["all", 1][name], made["all", 2][name])
        assert np.array_equal(made["decision", 1][name], made["decision", 2][name]) == (not name.startswith("decision."))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 4])  # while it reads without labels, and after
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch, method, n):
    toy = labelled(tmp_path / "t", few_labels(0, 100), TOPICS)
    params = method.Params(**{**SMALL, "epochs": 3, "pretraining_epochs": 2})
    check_goes_on(lambda run: method.classify(toy, params, run), tmp_path, monkeypatch, n)


@pytest.mark.slow
@pytest.mark.quick_slow
@pytest.mark.parametrize("method", METHODS)
def test_six_labels_are_enough_for_who_has_read_before_and_not_for_a_random_start(tmp_path, method):
    found = []
    for seed in range(3):
        toy = labelled(tmp_path / f"t{seed}", few_labels(seed), TOPICS)
        pretrained = method.classify(toy, method.Params(**SMALL, **BEFORE), Run(tmp_path / f"p{seed}", seed=seed))
        random = lstm.classify(toy, lstm.Params(**SMALL), Run(tmp_path / f"q{seed}", seed=seed))
        found.append((accuracy(pretrained), accuracy(random)))
    pretrained, random = np.mean(found, axis=0)
    assert pretrained > 0.9
    assert pretrained > random + 0.1


@pytest.mark.parametrize("method", METHODS)
def test_texts_without_a_known_word_are_refused(tmp_path, method):
    documents = [("valid" if i == 4 else "train", "ab"[i % 2], [1]) for i in range(5)]
    toy = labelled(tmp_path / "t", [*documents, ("unlabelled", None, [0])], TOPICS)
    with pytest.raises(Fault, match="the documents of unlabelled have no known word. Change splits"):
        method.classify(toy, method.Params(**SMALL, splits=["unlabelled"]), Run(tmp_path / "p"))
