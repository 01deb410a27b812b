"""The simple RNN."""

import numpy as np
import pytest
import torch

from pipelines.classify import lstm, simple_rnn
from pipelines.classify.simple_rnn import Params, classify, make
from pipelines.method import Run
from tests.sequences import WORDS, accuracy, far_orders, orders, said_again
from tests.texts import labelled

SMALL = Params(hidden_size=16, vector_size=8, dropout=0, batch_size=16, epochs=10, lr=0.01, patience=10)


def test_a_state_by_hand():
    net = make(np.float32([[0], [2]]), False, 2, Params(hidden_size=1, dropout=0, start="identity", activation="relu", pooling="last"))
    layer = net.onward[0]
    with torch.no_grad():
        for weights, value in ((layer.weight_ih_l0, 3), (layer.bias_ih_l0, 0.5), (layer.bias_hh_l0, 0)):
            weights.fill_(value)
        # relu(3 * 2 + .5) = 6.5; relu(3 * 0 + .5 + 6.5) = 7
        assert net.states(net.words(torch.tensor([[1], [0]])), torch.tensor([2])).flatten().tolist() == [6.5, 7.0]


def test_training_begins_with_the_recurrent_weights_that_are_asked():
    def begun(start):
        torch.manual_seed(0)
        net = make(np.zeros((3, 2), np.float32), False, 2, Params(hidden_size=5, num_layers=2, bidirectional=True, start=start))
        return [layer.weight_hh_l0.detach() for layer in [*net.onward, *net.backward_]]

    assert len(begun("identity")) == 4
    for matrix in begun("identity"):
        assert torch.equal(matrix, torch.eye(5))
    for matrix in begun("orthogonal"):
        assert torch.linalg.svdvals(matrix).tolist() == pytest.approx([1] * 5, abs=1e-5)
    for matrix in begun("uniform"):
        assert matrix.abs().max() < 5**-0.5


@pytest.mark.parametrize("knobs", [{"pooling": "last"}, {"pooling": "max", "num_layers": 2, "bidirectional": True}])
def test_learns_an_order_and_says_the_same_by_what_was_kept(tmp_path, knobs):
    toy = labelled(tmp_path / "t", orders(), WORDS)
    made = classify(toy, SMALL.model_copy(update=knobs), Run(tmp_path / "p", seed=1))
    assert accuracy(made) > 0.95
    written, again = said_again(simple_rnn, made, toy)
    assert again == pytest.approx(written, abs=1e-6)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_what_an_lstm_keeps_for_fifty_words_it_does_not(tmp_path):
    toy = labelled(tmp_path / "t", far_orders(), ["<unk>", *(f"w{i}" for i in range(1, 7))])
    knobs = {
        "hidden_size": 32,
        "vector_size": 32,
        "dropout": 0,
        "batch_size": 20,
        "epochs": 8,
        "lr": 0.01,
        "patience": 8,
        "pooling": "last",
    }
    kept = lstm.classify(toy, lstm.Params(**knobs, forget_bias=1.0), Run(tmp_path / "lstm", seed=2))
    assert accuracy(kept) > 0.95
    for start in ("uniform", "orthogonal"):
        lost = classify(toy, Params(**knobs, start=start), Run(tmp_path / start, seed=2))
        assert accuracy(lost) < 0.4  # a quarter by chance
