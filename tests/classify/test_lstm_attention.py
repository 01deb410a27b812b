"""The LSTM with attention."""

import csv

import numpy as np
import pytest
import torch

from pipelines.classify import lstm_attention
from pipelines.classify.lstm_attention import Attentive, Params, classify, explain
from pipelines.labels import read
from pipelines.method import Run
from tests.sequences import WORDS, accuracy, orders, said_again
from tests.texts import labelled

SMALL = Params(hidden_size=16, vector_size=8, dropout=0, batch_size=16, epochs=12, lr=0.02, patience=12, attention_size=8)


def model(**knobs):
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    return Attentive(vectors, False, 3, Params(hidden_size=3, dropout=0, attention_size=2, **knobs)).eval()


def test_weights_by_hand():
    net = Attentive(np.zeros((2, 1), np.float32), False, 2, Params(hidden_size=1, bidirectional=False, attention_size=1))
    with torch.no_grad():
        for weights, value in ((net.key.weight, 1), (net.key.bias, 0), (net.query.weight, 2)):
            weights.fill_(value)
        states = torch.tensor([0.0, 0.5493061, 9.0]).view(3, 1, 1)  # tanh: 0, 1/2, about 1
        inside = torch.tensor([[True], [True], [False]])
        found = net.weigh(states, inside)
        # exp(2 * 0) = 1 and exp(2 / 2) = e, of 1 + e
        assert found.flatten().tolist() == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e), 0], abs=1e-6)
        assert net.pool(states, inside, torch.tensor([2])).item() == pytest.approx(0.5493061 * np.e / (1 + np.e), abs=1e-6)


@pytest.mark.parametrize("both", [False, True])
def test_weights_sum_to_one_over_the_words_and_padding_has_none(both):
    net, lengths = model(bidirectional=both), torch.tensor([3, 5, 1])
    ids = torch.tensor([[1, 2, 3, 0, 0], [4, 4, 5, 4, 4], [2, 0, 0, 0, 0]]).T
    with torch.no_grad():
        found = net.attention(ids, lengths)  # (B, T)
        alone = net(ids[:3, :1], lengths[:1])
        assert net(ids, lengths)[0].tolist() == pytest.approx(alone[0].tolist(), abs=1e-6)
    assert found.sum(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-6)
    for weights, n in zip(found, lengths, strict=True):
        assert (weights[:n] > 0).all()
        assert not weights[n:].any()


def test_learns_an_order_by_attending_to_the_words_that_say_it(tmp_path):
    toy = labelled(tmp_path / "t", orders(), WORDS)
    made = classify(toy, SMALL, Run(tmp_path / "p", seed=1))
    assert accuracy(made) > 0.95
    written, again = said_again(lstm_attention, made, toy)
    assert again == pytest.approx(written, abs=1e-6)
    settings, weights = made.model()
    valid = read(toy, "valid", settings["classes"])
    found = np.concatenate(explain(valid.values, valid.offsets, settings, weights, Run(tmp_path)))
    says, silent = found[valid.values != 5].mean(), found[valid.values == 5].mean()
    assert says > 1.5 * silent


def test_words_that_are_cut_away_weigh_nothing_and_a_document_without_words_has_no_weights(tmp_path):
    toy = labelled(tmp_path / "t", [*orders(40), ("valid", None, [2, 3, 5, 5, 5]), ("valid", None, [])], WORDS)
    for keep, kept in (("head", [0, 1, 2]), ("tail", [2, 3, 4]), ("both", [0, 1, 4])):
        knobs = {"epochs": 1, "max_tokens": 3, "keep": keep}
        made = classify(toy, SMALL.model_copy(update=knobs), Run(tmp_path / keep, seed=1))
        valid = read(toy, "valid", made.classes())
        found = explain(valid.values, valid.offsets, *made.model(), Run(tmp_path))
        assert [len(weights) for weights in found] == np.diff(valid.offsets).tolist()
        assert np.flatnonzero(found[-2]).tolist() == kept
        assert [weights.sum() for weights in found[:-1]] == pytest.approx([1] * (len(found) - 1), abs=1e-5)
        assert found[-1].dtype == np.float32
        assert not len(found[-1])


def test_the_weights_of_the_first_documents_of_valid_lie_beside_the_predictions(tmp_path):
    unlabelled = [("valid", None, [5, 2, 3])] * 30
    documents = [d for d in orders(40) if d[0] != "valid"]
    made = classify(labelled(tmp_path / "t", documents + unlabelled, WORDS), SMALL.model_copy(update={"epochs": 1}), Run(tmp_path / "p"))
    with (made.folder / "attention.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["doc_id", "place", "token", "weight"]
    assert [(row["doc_id"], row["place"], row["token"]) for row in rows[:4]] == [
        ("d30", "0", "the"), ("d30", "1", "good"), ("d30", "2", "bad"), ("d31", "0", "the"),
    ]  # fmt: skip
    assert len(rows) == 20 * 3
    assert sum(float(row["weight"]) for row in rows[:3]) == pytest.approx(1, abs=1e-5)
