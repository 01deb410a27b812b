"""Dense network on a multi-hot bag of words."""

import numpy as np
import pytest

from pipelines.classify.multihot_mlp import Params, classify, multi_hot, network, probabilities_of
from pipelines.labels import read
from pipelines.method import Run
from pipelines.reading import Documents
from tests.classify.test_tfidf_logreg import WORDS, topics
from tests.kernels.test_grams import flat
from tests.texts import labelled

SMALL = Params(batch_size=32, epochs=20, lr=0.02, dropout=0.2)


def test_a_row_says_which_words_a_document_has_not_how_often_nor_the_unknown_one():
    x = multi_hot(Documents(*flat([[1, 3, 3], [], [0, 2]])), np.array([2, 0, 1]), 4)
    assert x.tolist() == [[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]


def test_the_books_network_has_two_hidden_layers_of_16():
    shapes = [tuple(weights.shape) for weights in network(10_000, 2, Params()).parameters()]
    assert shapes == [(16, 10_000), (16,), (16, 16), (16,), (2, 16), (2,)]


@pytest.mark.parametrize("hidden_sizes", [[], [16, 16]])
def test_it_tells_topics_and_what_was_kept_says_the_same(tmp_path, hidden_sizes):
    toy = labelled(tmp_path / "t", topics(600), WORDS)
    made = classify(toy, SMALL.model_copy(update={"hidden_sizes": hidden_sizes}), Run(tmp_path / "p", seed=1))
    assert made.frame("valid")[0].eval("label == predicted").mean() > 0.75
    settings, weights = made.model()
    split = read(toy, "test", settings["classes"])
    again = probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path))
    assert again == pytest.approx(made.frame("test")[1], abs=1e-6)


def test_both_of_two_words_are_more_than_either_which_needs_a_hidden_layer(tmp_path):
    # class b: one of the two words, not both and not none
    rng = np.random.default_rng(0)
    documents = []
    for i in range(600):
        one, two = rng.integers(0, 2, 2)
        documents.append((("train", "train", "valid")[i % 3], "ab"[one ^ two], [3, *[1] * one, *[2] * two]))
    toy = labelled(tmp_path / "t", documents, WORDS)
    right = [
        classify(toy, SMALL.model_copy(update={"hidden_sizes": sizes, "dropout": 0.0, "patience": 20}), Run(tmp_path / str(len(sizes)), seed=1))
        .frame("valid")[0].eval("label == predicted").mean()
        for sizes in ([], [16, 16])
    ]  # fmt: skip
    assert right[0] < 0.8
    assert right[1] == 1


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    toy = labelled(tmp_path / "t", topics(), WORDS)
    made = [classify(toy, SMALL.model_copy(update={"epochs": 2}), Run(tmp_path / name, seed=1)) for name in ("a", "b")]
    for name in ("predictions.parquet", "model.safetensors"):
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()
