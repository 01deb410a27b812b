"""Masked words; what this has in common with contrastive is tested in tests/test_pretraining.py."""

import csv

import numpy as np
import pytest
import torch

from pipelines import pretraining
from pipelines.classify import masked
from pipelines.classify.masked import Guesser, Params, classify
from pipelines.method import Run
from tests.sequences import TOPICS, few_labels, said_again
from tests.texts import labelled

SMALL = Params(hidden_size=16, vector_size=16, dropout=0.1, batch_size=32, epochs=2, pretraining_epochs=6, pretraining_lr=0.01)


def guesser(n_words, **knobs):
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(n_words, 4)).astype(np.float32)
    params = Params(hidden_size=3, dropout=0, **knobs)
    return Guesser(pretraining.make(vectors, False, 2, params), n_words).eval()


@pytest.mark.parametrize("n_words", [6, masked.FULL])
def test_the_loss_is_the_mean_surprise_at_the_hidden_words(n_words):
    net = guesser(n_words)
    ids, lengths = torch.tensor([[1, 0, 3, 2], [0, 2, 0, 0]]).T, torch.tensor([4, 2])
    hidden = torch.tensor([[0, 4, 0, 0], [5, 0, 0, 0]]).T
    with torch.no_grad():
        losses = net(ids, lengths, hidden)
        states = net.reader.states(net.reader.words(ids), lengths)
        scores = (states[1, 0], states[0, 1])
        if n_words == 6:
            logs = [net.softmax(state).log_softmax(0)[word] for state, word in zip(scores, (4, 5), strict=True)]
        else:
            logs = [net.softmax.log_prob(state[None])[0, word] for state, word in zip(scores, (4, 5), strict=True)]
    assert losses.tolist() == pytest.approx([-float(log) for log in logs], rel=1e-5)
    assert losses.mean().item() == pytest.approx(-float(sum(logs)) / 2, rel=1e-5)


@pytest.mark.parametrize("n_words", [6, masked.FULL])
def test_documents_of_which_nothing_is_hidden_cost_nothing(n_words):
    net = guesser(n_words).train()
    loss = net(torch.tensor([[1, 2]]).T, torch.tensor([2]), torch.zeros((2, 1), dtype=torch.int32))
    loss.sum().backward()
    assert loss.tolist() == [0]
    assert all(weights.grad is None or not weights.grad.any() for weights in net.parameters())


def test_learns_to_guess_and_says_the_same_by_what_was_kept(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(Guesser, "forward", lambda net, *batch: (shown.append(batch), forward(net, *batch))[1])
    toy = labelled(tmp_path / "t", [*few_labels(0), ("test", "a", [3, 4])], TOPICS)
    made = classify(toy, SMALL, Run(tmp_path / "p", seed=1))
    written, again = said_again(masked, made, toy)
    assert again == pytest.approx(written, abs=1e-6)
    with (made.folder / "pretraining.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 6
    # of 80 words any is as likely at first; whoever has found the two topics has 40 to guess among
    assert losses[0] > np.log(60)
    assert losses[-1] < losses[0] - 0.3
    asked = sum(int((hidden != 0).sum()) for *_, hidden in shown)
    assert asked / sum(int(lengths.sum()) for _, lengths, _ in shown) == pytest.approx(0.15, abs=0.01)
    assert not any(ids[hidden != 0].any() for ids, _, hidden in shown)  # what is to be guessed is not shown


forward = Guesser.forward
