"""What all classifiers that are networks share."""

import importlib

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipelines import classifier
from pipelines.artifacts.predictions import as_label
from pipelines.classifier import ReaderKnobs, class_weights, losses, probabilities, scores_of, standardised, told, without
from pipelines.classify import lstm, multihot_mlp
from pipelines.labels import read
from pipelines.method import Run
from pipelines.reading import shuffled
from tests import sequences
from tests.sequences import counted
from tests.test_recurrence import CELLS, model
from tests.texts import labelled

WORDS = ["<unk>", "a", "b", "c", "d"]
ONES = torch.ones(2)
SMALL = {"hidden_size": 12, "vector_size": 8, "dropout": 0.0, "batch_size": 16, "epochs": 10, "lr": 0.02, "patience": 10}


def test_cross_entropy_smoothed_is_of_the_truth_and_of_all_classes_alike():
    scores = torch.log(torch.tensor([[0.9, 0.1]]))
    plain, smooth = (losses(scores, torch.tensor([0]), "one", share, ONES).item() for share in (0.0, 0.2))
    assert plain == pytest.approx(-np.log(0.9))
    assert smooth == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1), rel=1e-5)


def test_a_class_that_weighs_twice_costs_twice():
    weigh = torch.tensor([2.0, 0.5])
    scores = torch.zeros(2, 2)
    assert losses(scores, torch.tensor([0, 1]), "one", 0.0, weigh).tolist() == pytest.approx([2 * np.log(2), 0.5 * np.log(2)])


def test_each_of_several_classes_is_a_question_of_its_own():
    scores = torch.tensor([[0.0, np.log(3)]])  # sigmoids 1/2 and 3/4
    assert losses(scores, torch.tensor([[1.0, 0.0]]), "several", 0.0, ONES).item() == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert probabilities(scores.numpy(), "several") == pytest.approx(np.array([[0.5, 0.75]]))


def test_a_rating_far_off_costs_more_than_one_nearly_right():
    """Probabilities (0, .5, .5) and (.5, .5, 0) of the truth 1 of 0, 1, 2: cumulative (0, .5, 1) against (0, 1, 1)."""
    near, far = (torch.log(torch.tensor([p]) + 1e-9) for p in ([0.0, 0.5, 0.5], [0.0, 0.25, 0.75]))
    loss = losses(near, torch.tensor([1]), "ordinal", 0.0, torch.ones(3)).item()
    assert loss == pytest.approx(np.log(2) + 0.25, abs=1e-5)
    worst = torch.log(torch.tensor([[0.5, 0.0, 0.5]]) + 1e-9)  # of the truth 0: .5 is two away
    beside = torch.log(torch.tensor([[0.5, 0.5, 0.0]]) + 1e-9)
    assert losses(worst, torch.tensor([0]), "ordinal", 0.0, torch.ones(3)) > losses(
        beside, torch.tensor([0]), "ordinal", 0.0, torch.ones(3)
    )
    assert losses(far, torch.tensor([1]), "ordinal", 0.0, torch.ones(3)) > loss


def test_a_number_costs_its_squared_distance_and_comes_back_in_its_own_scale(tmp_path):
    assert losses(torch.tensor([[0.5], [-1.0]]), torch.tensor([1.5, 1.0]), "number", 0.0, torch.ones(0)).tolist() == [1, 4]
    toy = labelled(tmp_path / "t", [("train", "10", [1]), ("train", "30", [2]), ("valid", "40", [1])], WORDS)
    scale, train, valid = standardised(*(read(toy, split, [], "number") for split in ("train", "valid")))
    assert scale == {"label_mean": 20, "label_spread": 10}
    assert (train.numbers.tolist(), valid.numbers.tolist()) == ([-1, 1], [2])
    assert told(np.float32([[-1], [2]]), {**scale, "params": {"target": "number"}}).tolist() == [[10], [40]]


def test_balanced_classes_weigh_alike_in_sum(tmp_path):
    toy = labelled(tmp_path / "t", [("train", "x", [1])] * 6 + [("train", "y", [2])] * 2, WORDS)
    weigh = class_weights(read(toy, "train", ["x", "y"]), 2, ReaderKnobs(class_weights="balanced"))
    assert weigh.tolist() == pytest.approx([8 / 12, 2])
    assert 6 * weigh[0] == pytest.approx(2 * weigh[1])
    toy = labelled(tmp_path / "u", [("train", "x", [1])] * 3 + [("train", "x|y", [2])], WORDS)
    assert class_weights(read(toy, "train", ["x", "y"], "several"), 2, ReaderKnobs(class_weights="balanced")).tolist() == [0.625, 2.5]


@pytest.mark.parametrize("cell", CELLS)
def test_one_by_one_or_many_at_once_a_document_gets_the_same_scores(tmp_path, cell):
    toy = labelled(tmp_path / "t", [("valid", "x", [1, 2, 3, 4][: i % 5]) for i in range(12)], WORDS)
    split = read(toy, "valid", ["x", "y"])
    at_once, single = (scores_of(model(cell), split, 3, ReaderKnobs(batch_size=size), Run(tmp_path)) for size in (100, 1))
    assert at_once == pytest.approx(single, abs=1e-6)


def test_words_are_left_out_at_the_share_that_is_asked(tmp_path):
    ids = np.ones((100, 50), np.int32)
    assert without(ids, 0.3, np.random.default_rng(0)).mean() == pytest.approx(0.7, abs=0.02)
    assert without(ids, 0.0, np.random.default_rng(0)) is ids


def test_a_batch_has_no_more_tokens_than_asked_and_every_document_is_read_once(tmp_path):
    rng = np.random.default_rng(0)
    toy = labelled(tmp_path / "t", [("train", "x", [1] * int(n)) for n in rng.integers(1, 90, 200)], WORDS)
    split = read(toy, "train", ["x"])
    n_tokens = np.minimum(np.diff(split.offsets), 50)
    cut = list(shuffled(split, 16, np.random.default_rng(1), batch_tokens=300, max_tokens=50))
    assert sorted(np.concatenate(cut).tolist()) == list(range(200))
    assert max(len(rows) * n_tokens[rows].max() for rows in cut) <= 300
    assert max(map(len, cut)) == 16


def test_how_many_documents_are_cut_is_said(tmp_path, capsys):
    documents = [("train", "x", [1] * 9), ("train", "y", [2] * 4), ("valid", "x", [1] * 4), ("test", None, [2] * 5)]
    for max_tokens in (4, 9):
        knobs = lstm.Params(max_tokens=max_tokens, **{**SMALL, "epochs": 1})
        lstm.classify(labelled(tmp_path / "t", documents, WORDS), knobs, Run(tmp_path / f"{max_tokens}", show=True))
        said = f": 2 of 4 documents are longer than max_tokens, {max_tokens}, and cut to it; the longest has 9\n"
        assert (said in capsys.readouterr().out) == (max_tokens == 4)


def several(n=240, seed=0):
    """Class x where word a is, y where b is, by chance both or none."""
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        has = rng.random(2) < 0.5
        ids = rng.permutation([3, 4, 3, *np.flatnonzero(has) + 1])
        label = "|".join(name for name, there in zip("xy", has, strict=True) if there)
        documents.append((("train", "valid", "test")[min(3 * i // n, 2)], label, ids))
    return documents


def test_a_document_may_be_of_several_classes_or_of_none(tmp_path):
    run = Run(tmp_path / "p", seed=1)
    toy = labelled(tmp_path / "t", several(), WORDS)
    made = lstm.classify(toy, lstm.Params(target="several", **SMALL), run)
    frame, p = made.frame("valid")
    assert made.answer() == "several"
    assert made.classes() == ["x", "y"]
    assert (frame["label"] == frame["predicted"]).mean() > 0.95
    assert run.curve[-1]["valid_accuracy"] > 0.95
    assert {"", "x", "y", "x|y"} == set(frame["predicted"])
    assert p.sum(axis=1).max() > 1.5
    assert made.frame("test")[0]["label"].isna().all()


def test_ratings_are_learned_in_their_order(tmp_path):
    rng, documents = np.random.default_rng(0), []
    for i in range(300):
        n = int(rng.integers(0, 4))
        documents.append((("train", "valid", "test")[i // 100], str(3 * n), rng.permutation([1] * n + [2] * (4 - n))))
    made = lstm.classify(labelled(tmp_path / "t", documents, WORDS), lstm.Params(target="ordinal", **SMALL), Run(tmp_path / "p", seed=1))
    frame, p = made.frame("valid")
    assert made.classes() == ["0", "3", "6", "9"]
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(frame["label"].astype(float) - p @ np.array([0, 3, 6, 9])).mean() < 0.6


NUMBER = {"vector_size": 8, "dropout": 0.0, "batch_size": 16, "epochs": 12, "lr": 0.02, "patience": 12, "target": "number"}


@pytest.mark.parametrize(
    ("method", "knobs"),
    [
        ("lstm", {"hidden_size": 12}),
        ("gru", {"hidden_size": 12, "bidirectional": True, "n_train": 150}),
        ("cnn", {"n_filters": 16}),
        ("lstm_attention", {"hidden_size": 12}),
        ("flat_mlp", {"hidden_size": 16}),
        ("masked", {"hidden_size": 12, "pretraining_epochs": 1}),
    ],
)
def test_numbers_are_learned_and_the_kept_model_says_them_again(tmp_path, method, knobs):
    method, toy = importlib.import_module(f"pipelines.classify.{method}"), labelled(tmp_path / "t", counted(), sequences.WORDS)
    run = Run(tmp_path / "p", seed=1)
    made = method.classify(toy, method.Params(**NUMBER | knobs), run)
    frame, p = made.frame("valid")
    split = read(toy, "valid", [], "number")
    found = split.r_squared(frame["predicted"].astype(float).to_numpy())
    assert found > 0.8  # always saying the mean has 0
    best = min(run.curve, key=lambda step: step["valid_loss"])
    assert best["valid_r_squared"] == pytest.approx(found, abs=1e-4)
    # the loss is of standardised labels, so that of the mean is about 1
    assert best["valid_loss"] == pytest.approx(
        (1 - found) * standardised(read(toy, "train", [], "number"), split)[2].numbers.var(), rel=0.1
    )
    assert made.answer() == "number"
    assert (p == 1).all()
    test = read(toy, "test", [], "number")
    again = method.probabilities_of(test.values, test.offsets, *made.model(), Run(tmp_path))
    assert again[:, 0] == pytest.approx(made.frame("test")[0]["predicted"].astype(float).to_numpy(), rel=1e-6)
    assert made.profile()["known_class"].all()


def test_a_dense_network_on_words_that_are_there_learns_numbers_too(tmp_path):
    documents = [(split, str(5 * (1 in ids) - 3.5 * (2 in ids)), ids) for split, _, ids in counted()]
    toy = labelled(tmp_path / "t", documents, sequences.WORDS)
    params = multihot_mlp.Params(target="number", dropout=0.0, batch_size=16, epochs=15, lr=0.02, patience=15)
    made = multihot_mlp.classify(toy, params, Run(tmp_path / "p", seed=1))
    frame = made.frame("valid")[0]
    assert read(toy, "valid", [], "number").r_squared(frame["predicted"].astype(float).to_numpy()) > 0.9
    test = read(toy, "test", [], "number")
    again = multihot_mlp.probabilities_of(test.values, test.offsets, *made.model(), Run(tmp_path))
    assert [as_label(number) for number in again[:, 0]] == made.frame("test")[0]["predicted"].tolist()


@pytest.mark.parametrize("knobs", [{"label_smoothing": 0.1}, {"class_weights": "balanced"}, {"judge": "accuracy"}])
def test_what_is_for_classes_is_refused_of_numbers(knobs):
    with pytest.raises(ValidationError, match="are for classes, and with target: number there are none"):
        lstm.Params(target="number", **knobs)


@pytest.mark.parametrize(("judge", "best"), [("loss", 1), ("accuracy", 2)])
def test_the_epoch_that_is_kept_is_best_by_what_the_judge_asks(tmp_path, monkeypatch, capsys, judge, best):
    figures = iter([{"valid_loss": 0.1, "valid_accuracy": 0.5}, {"valid_loss": 0.2, "valid_accuracy": 0.9}] * 2)
    monkeypatch.setattr(classifier, "judge_of", lambda *_: lambda: next(figures))
    toy = labelled(tmp_path / "t", [(split, label, [1, 2]) for split in ("train", "valid") for label in "xy"], ["", "a", "b"])
    lstm.classify(toy, lstm.Params(hidden_size=2, epochs=2, judge=judge), Run(tmp_path / "p", seed=1, show=True))
    assert f"keeps the weights of epoch {best}" in capsys.readouterr().out


def test_what_trains_better_elsewhere_trains_here(tmp_path):
    """All knobs of training at once: smoothing, weights of classes, budget of tokens, average, a falling rate, a penalty, words left out."""
    toy = labelled(tmp_path / "t", [(split, label.split("|")[0] or "none", ids) for split, label, ids in several()], WORDS)
    knobs = {
        "label_smoothing": 0.1, "class_weights": "balanced", "batch_tokens": 64, "ema": 0.9, "decay": "cosine", "l2": 1e-5,
        "word_dropout": 0.1, "locked": True, "dropout": 0.2, "recurrent_dropout": 0.1, "bidirectional": True,
    }  # fmt: skip
    made = lstm.classify(toy, lstm.Params(**(SMALL | knobs)), Run(tmp_path / "p", seed=1))
    frame, _ = made.frame("valid")
    assert (frame["label"] == frame["predicted"]).mean() > 0.9


def test_mixed_precision_is_close_to_the_other(tmp_path):
    toy = labelled(tmp_path / "t", [d for d in several() if d[1]], WORDS)
    made = [lstm.classify(toy, lstm.Params(mixed=mixed, **SMALL), Run(tmp_path / str(mixed), seed=1)) for mixed in (False, True)]
    right = [(made_.frame("valid")[0].eval("label == predicted")).mean() for made_ in made]
    assert abs(right[0] - right[1]) < 0.1


@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_written_is_what_the_kept_weights_say(tmp_path, bits):
    toy = labelled(tmp_path / "t", [d for d in several() if d[1]], WORDS)
    params = lstm.Params(kept_bits=bits, **SMALL)
    made = lstm.classify(toy, params, Run(tmp_path / "p", seed=1))
    whole = lstm.classify(toy, params.model_copy(update={"kept_bits": 32}), Run(tmp_path / "w", seed=1))
    split = read(toy, "test", made.classes())
    again = lstm.probabilities_of(split.values, split.offsets, *made.model(), Run(tmp_path))
    assert again == pytest.approx(made.frame("test")[1], abs=1e-6)
    off = np.abs(made.frame("test")[1] - whole.frame("test")[1]).max()
    assert 0 < off < 0.3
    assert sum(it.nbytes for it in made.model()[1].values()) < 0.7 * sum(it.nbytes for it in whole.model()[1].values())
