"""The CNN over words."""

import numpy as np
import pytest
import torch

from pipelines.classify import cnn, tfidf_logreg
from pipelines.classify.cnn import Convolutional, Params, classify
from pipelines.method import Run
from tests.sequences import WORDS, accuracy, orders, said_again
from tests.texts import labelled


def model(**knobs):
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    return Convolutional(vectors, False, 3, Params(**{"dropout": 0.0, "n_filters": 7, **knobs})).eval()


def test_the_strongest_answer_by_hand():
    net = Convolutional(np.float32([[9], [1], [2]]), False, 2, Params(widths=[2], n_filters=1, dropout=0))
    with torch.no_grad():
        net.filters[0].weight.copy_(torch.tensor([[[1.0, -3.0]]]))
        net.filters[0].bias.fill_(0.25)
        x = torch.tensor([[[1.0, 2.0, 0.0]]])  # a document of two words, and padding
        # over (0, 1), (1, 2), (2, 0): -3, -5, 2, and the bias
        assert net.strongest(net.filters[0], x, torch.tensor([2])).item() == 2.25


@pytest.mark.parametrize("document", [[1, 2, 3, 4, 5, 1], [4], [2, 3]])
def test_padding_does_not_change_what_is_said_of_a_document_longer_or_shorter_than_a_filter(document):
    net, n = model(widths=[3, 4, 5]), len(document)
    longer = torch.tensor([document + [0] * (9 - n), [4] * 9]).T
    with torch.no_grad():
        for filters in net.filters:
            filters.bias.fill_(3.0)  # what a filter would say of padding alone
        alone, together = net(torch.tensor([document]).T, torch.tensor([n])), net(longer, torch.tensor([n, 9]))
    assert together[0].tolist() == pytest.approx(alone[0].tolist(), abs=1e-5)


def test_a_decision_is_made_by_weights_of_the_largest_norm_at_most():
    free, bound = model(), model(max_norm=0.5)
    ids, lengths = torch.tensor([[1, 2, 3]]).T, torch.tensor([3])
    with torch.no_grad():
        for net in (free, bound):
            net.decision.weight[0].fill_(0.001)
            net.decision.weight[1].fill_(2.0)  # of 21 weights: norm 2 * sqrt(21)
            net.decision.bias.zero_()
        one, other = free(ids, lengths)[0], bound(ids, lengths)[0]
    assert other[0].item() == pytest.approx(one[0].item(), abs=1e-6)
    assert other[1].item() == pytest.approx(one[1].item() * 0.5 / (2 * 21**0.5), rel=1e-4)


def test_learns_the_order_of_neighbours_that_a_bag_of_words_cannot(tmp_path):
    toy = labelled(tmp_path / "t", orders(together=True), WORDS)
    knobs = Params(n_filters=8, vector_size=8, widths=[2, 3], batch_size=16, epochs=10, lr=0.01, dropout=0.1, patience=10, max_norm=3)
    made = classify(toy, knobs, Run(tmp_path / "p", seed=1))
    counted = tfidf_logreg.classify(toy, tfidf_logreg.Params(ngrams=1), Run(tmp_path / "q", seed=1))
    assert accuracy(made) > 0.95
    assert accuracy(counted) < 0.7
    written, again = said_again(cnn, made, toy)
    assert again == pytest.approx(written, abs=1e-6)
