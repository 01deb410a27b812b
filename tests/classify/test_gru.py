"""The GRU."""

import numpy as np
import pytest

from pipelines.classify import gru
from pipelines.classify.gru import Params, classify, make
from pipelines.method import Run
from tests.sequences import WORDS, accuracy, orders, said_again
from tests.texts import labelled

SMALL = Params(hidden_size=16, vector_size=8, dropout=0, batch_size=16, epochs=10, lr=0.02, patience=10)


def test_has_three_quarters_of_the_weights_of_an_lstm():
    net = make(np.zeros((3, 7), np.float32), False, 2, Params(hidden_size=5))
    assert sum(weights.numel() for weights in net.onward.parameters()) == 3 * 5 * (7 + 5 + 2)


@pytest.mark.parametrize("knobs", [{"pooling": "last"}, {"pooling": "max", "bidirectional": True}])
def test_learns_an_order_and_says_the_same_by_what_was_kept(tmp_path, knobs):
    toy = labelled(tmp_path / "t", orders(), WORDS)
    made = classify(toy, SMALL.model_copy(update=knobs), Run(tmp_path / "p", seed=1))
    assert accuracy(made) > 0.95
    written, again = said_again(gru, made, toy)
    assert again == pytest.approx(written, abs=1e-6)
