"""Words beside their spelling."""

import numpy as np
import pytest
import torch

from pipelines.classify import hybrid, lstm
from pipelines.classify.hybrid import Filters, Hybrid, Params, classify, spelling
from pipelines.method import Run
from tests.sequences import accuracy, said_again, split_of
from tests.texts import labelled

WORDS = ["<unk>", "ab", "cabd", "c", "dda", "bb"]
COMPOSED = ["cnn", "lstm"]


def model(**knobs):
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    return Hybrid(WORDS, vectors, False, 3, Params(hidden_size=3, dropout=0, composed_size=6, letter_size=5, **knobs)).eval()


def endings(n=400, seed=0):
    """How its one word with an ending ends decides; each such word is in one document alone, so that to know it says nothing."""
    rng, documents = np.random.default_rng(seed), []
    stems = ["".join(rng.choice(list("aeiourtn"), 5)) for _ in range(n)]
    words = ["<unk>", "the", "film"] + [stem + ("ful" if i % 2 else "less") for i, stem in enumerate(stems)]
    for i in range(n):
        ids = rng.integers(1, 3, int(rng.integers(2, 6)))
        ids[rng.integers(len(ids))] = 3 + i
        documents.append((split_of(i, n), "ab"[i % 2], ids))
    return documents, words


def test_letters_are_numbered_in_their_order_and_an_unknown_word_has_none():
    n_letters, spelled, n_spelled = spelling(WORDS)
    assert n_letters == 4
    assert [row[:n].tolist() for row, n in zip(spelled, n_spelled, strict=True)] == [[], [1, 2], [3, 1, 2, 4], [3], [4, 4, 1], [2, 2]]
    assert not spelled[1, 2:].any()


def test_the_strongest_answer_by_hand():
    net = Filters(1, 1, width=2)
    with torch.no_grad():
        net.filters.weight.copy_(torch.tensor([[[1.0, -3.0]]]))
        net.filters.bias.fill_(0.25)
        # over (0, 1), (1, 2), (2, 0): -3, -5, 2, and the bias
        assert net(torch.tensor([[[1.0], [2.0], [0.0]]]), torch.tensor([2])).item() == 2.25


@pytest.mark.parametrize("compose", COMPOSED)
def test_a_word_is_its_vector_beside_its_composition_whatever_stands_around_it(compose):
    net = model(compose=compose)
    with torch.no_grad():
        found = net.words(torch.tensor([[1, 2], [5, 1], [0, 3]]))  # (3, 2, 4 + 6)
        alone = net.words(torch.tensor([[1]]))
        assert torch.equal(found[:, :, :4], net.embedding(torch.tensor([[1, 2], [5, 1], [0, 3]])))
        assert found[0, 0].tolist() == pytest.approx(alone[0, 0].tolist(), abs=1e-6)
        assert found[1, 1].tolist() == pytest.approx(alone[0, 0].tolist(), abs=1e-6)
        assert not found[2, 0, 4:].any()  # of the unknown word
        assert found[2, 1, 4:].any()


@pytest.mark.parametrize("compose", COMPOSED)
def test_padding_does_not_change_what_is_said_of_a_document(compose):
    net = model(compose=compose)
    with torch.no_grad():
        alone = net(torch.tensor([[1, 3, 5]]).T, torch.tensor([3]))
        together = net(torch.tensor([[1, 3, 5, 0, 0], [2, 4, 2, 4, 2]]).T, torch.tensor([3, 5]))
    assert together[0].tolist() == pytest.approx(alone[0].tolist(), abs=1e-6)


@pytest.mark.parametrize("compose", COMPOSED)
def test_reads_from_its_ending_what_a_word_that_training_never_saw_says(tmp_path, compose):
    documents, words = endings()
    toy = labelled(tmp_path / "t", documents, words)
    knobs = {
        "hidden_size": 16,
        "vector_size": 8,
        "dropout": 0.1,
        "batch_size": 16,
        "epochs": 8,
        "lr": 0.01,
        "patience": 8,
        "bidirectional": True,
    }
    made = classify(toy, Params(**knobs, compose=compose), Run(tmp_path / "p", seed=1))
    words_alone = lstm.classify(toy, lstm.Params(**knobs), Run(tmp_path / "q", seed=1))
    assert accuracy(made) > 0.95
    assert accuracy(words_alone) < 0.7
    written, again = said_again(hybrid, made, toy)
    assert again == pytest.approx(written, abs=1e-6)
    assert not any("spelled" in name for name in made.model()[1])  # the words, which are kept, say it


def test_words_without_a_known_letter_are_read(tmp_path):
    toy = labelled(tmp_path / "t", [("train", "ab"[i % 2], [0]) for i in range(8)] + [("valid", "a", []), ("valid", "b", [0])], WORDS)
    made = classify(toy, Params(hidden_size=4, epochs=1), Run(tmp_path / "p", seed=1))
    assert np.isfinite(made.frame("valid")[1]).all()
