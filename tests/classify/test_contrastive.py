"""Two views of a text; what this has in common with masked is tested in tests/test_pretraining.py."""

import csv

import numpy as np
import pytest
import torch

from pipelines.classify import contrastive
from pipelines.classify.contrastive import Params, classify, nt_xent, view
from pipelines.method import Run
from tests.sequences import TOPICS, few_labels, said_again
from tests.texts import labelled

SMALL = Params(hidden_size=16, vector_size=16, dropout=0.1, batch_size=32, epochs=2, pretraining_epochs=6, pretraining_lr=0.01)


def test_nt_xent_by_hand():
    one, other = torch.tensor([[1.0, 0], [0, 2]]), torch.tensor([[3.0, 0], [0, 1]])
    # each view has its partner at cosine 1 and two others at 0, and the temperature is 1/2: e^2 of e^2 + 2
    assert nt_xent(one, other, 0.5).tolist() == pytest.approx([np.log(1 + 2 * np.exp(-2))] * 2, rel=1e-5)
    assert nt_xent(one, other.flip(0), 0.5).tolist() == pytest.approx([np.log(2 + np.exp(2))] * 2, rel=1e-5)


def test_one_document_alone_has_nothing_to_be_told_from():
    assert nt_xent(torch.tensor([[1.0, 2]]), torch.tensor([[2.0, -1]]), 0.1).tolist() == [0]


def test_a_view_is_a_piece_of_its_document():
    ids, lengths = np.zeros((9, 3), np.int32), np.array([9, 4, 1])
    for document, n in enumerate(lengths):
        ids[:n, document] = 10 * document + np.arange(1, n + 1)
    starts, rng = set(), np.random.default_rng(0)
    for _ in range(100):
        piece, kept = view(ids, lengths, Params(crop=0.5, masked=0), rng)
        assert kept.tolist() == [5, 2, 1]
        assert piece.shape == (5, 3)
        for document, n in enumerate(kept):
            assert np.diff(piece[:n, document]).tolist() == [1] * (n - 1)
            assert piece[0, document] > 10 * document
            assert piece[n - 1, document] <= 10 * document + lengths[document]
            assert not piece[n:, document].any()
        starts.add(int(piece[0, 0]))
    assert starts == {1, 2, 3, 4, 5}


def test_some_words_of_a_view_are_unknown():
    piece, _ = view(np.ones((100, 50), np.int32), np.full(50, 100), Params(crop=1, masked=0.3), np.random.default_rng(0))
    assert (piece == 0).mean() == pytest.approx(0.3, abs=0.02)


def test_learns_to_match_and_says_the_same_by_what_was_kept(tmp_path):
    toy = labelled(tmp_path / "t", [*few_labels(0), ("test", "a", [3, 4])], TOPICS)
    made = classify(toy, SMALL, Run(tmp_path / "p", seed=1))
    written, again = said_again(contrastive, made, toy)
    assert again == pytest.approx(written, abs=1e-6)
    with (made.folder / "pretraining.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 6
    # half of a document is three words, and two such halves have no word in common: what is to be found is its topic, which is
    # that of every second document
    assert losses[-1] < losses[0] - 0.3
