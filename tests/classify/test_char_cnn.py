"""The CNN over characters."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipelines.artifacts.vectors import Vectors
from pipelines.classify import char_cnn
from pipelines.classify.char_cnn import Params, classify, make
from pipelines.errors import Fault
from pipelines.method import Run
from tests.sequences import accuracy, said_again, split_of
from tests.texts import labelled

LETTERS = ["<unk>", *" abcdefgh"]
SMALL = Params(n_filters=16, widths=[3, 3], pools=[2, 2], batch_size=16, epochs=8, lr=0.01, dropout=0.1, patience=8)


def model(**knobs):
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    return make(vectors, False, 3, Params(**{"dropout": 0.0, "n_filters": 7, **knobs})).eval()


def spellings(n=400, seed=0):
    """Whether 'ace' or 'eca' is somewhere in it decides; both have the same letters."""
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        ids = rng.choice([1, 3, 5, 7, 8, 9], int(rng.integers(6, 30)))
        start = int(rng.integers(0, len(ids) - 2))
        ids[start : start + 3] = (2, 4, 6) if i % 2 else (6, 4, 2)
        documents.append((split_of(i, n), "ab"[i % 2], ids))
    return documents


@pytest.mark.parametrize("document", [[1, 2, 3, 4, 5, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 1, 2], [4], [2, 3]])
@pytest.mark.parametrize("knobs", [{}, {"characters": "one_hot"}, {"widths": [3, 3], "pools": [2, 2]}])
def test_padding_does_not_change_what_is_said_of_a_document(document, knobs):
    net, n = model(**knobs), len(document)
    longer = torch.tensor([document + [0] * (40 - n), [4] * 40]).T
    with torch.no_grad():
        for layer in net.layers:
            layer.bias.fill_(1.0)  # what a filter would say of padding alone
        alone, together = net(torch.tensor([document]).T, torch.tensor([n])), net(longer, torch.tensor([n, 40]))
    assert together[0].tolist() == pytest.approx(alone[0].tolist(), rel=1e-5)


def test_one_hot_characters_are_dimensions_and_an_unknown_one_is_zeros():
    net = model(characters="one_hot")
    assert net.embedding.weight.tolist() == [[0.0] * 6, *np.eye(6)[1:].tolist()]
    assert not net.embedding.weight.requires_grad


@pytest.mark.parametrize("characters", ["learned", "one_hot"])
def test_learns_a_spelling_and_says_the_same_by_what_was_kept(tmp_path, characters):
    toy = labelled(tmp_path / "t", spellings(), LETTERS)
    made = classify(toy, SMALL.model_copy(update={"characters": characters}), Run(tmp_path / "p", seed=1))
    assert accuracy(made) > 0.9
    written, again = said_again(char_cnn, made, toy)
    assert again == pytest.approx(written, abs=1e-6)


def test_vectors_that_one_hot_characters_would_not_use_are_refused(tmp_path):
    with Run(tmp_path / "v").open(Vectors) as out:
        out.append(item=["a"], count=[1], vector=np.ones((1, 3)))
    with pytest.raises(Fault, match="characters are one_hot, so vectors/v would not be used"):
        classify(
            labelled(tmp_path / "t", spellings(8), LETTERS), SMALL.model_copy(update={"characters": "one_hot"}), Run(tmp_path / "p"),
            vectors=out.artifact,
        )  # fmt: skip


def test_layers_that_do_not_fit_together_are_refused():
    with pytest.raises(ValidationError, match=r"each of the 4 layers of widths needs one"):
        Params(pools=[2])
    with pytest.raises(ValidationError, match=r"must be odd"):
        Params(widths=[4, 3], pools=[1, 1])
