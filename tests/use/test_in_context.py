"""Sentences of one's own, read by the model of a row of bilm."""

import shutil

import numpy as np
import pytest

from pipelines import layout
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.embed.bilm import in_context
from pipelines.errors import Fault
from pipelines.use.in_context import sentences


def copied(root, tmp_path):
    return shutil.copytree(root, tmp_path / "project")


def test_a_word_has_another_vector_in_another_sentence_and_the_same_in_the_same(trained):
    boat, horse, again = sentences(
        trained, "bilm", ["The boat lies in the harbour", "the horse lies in the barn", "THE boat lies, in the harbour!"]
    )
    assert boat.words == again.words == ["the", "boat", "lies", "in", "the", "harbour"]
    assert horse.words[2] == "lies"
    assert np.abs(boat.vector[2] - horse.vector[2]).max() > 1e-3
    assert np.abs(boat.vector[0] - boat.vector[4]).max() > 1e-3  # the, twice
    assert (boat.vector == again.vector).all()


def test_a_sentence_is_cut_and_read_as_the_documents_of_training_were(trained):
    corpus = (trained / "notices.txt").read_text().splitlines()
    tokens = Tokens(trained / layout.artifact("tokens", "words"))
    values, offsets = tokens.ids(["train", "unlabelled", "valid", "test"])
    documents = np.split(values, offsets[1:-1])
    expected = in_context(trained / layout.artifact("vectors", "bilm"), documents)
    vocab, n = tokens.words(), 0
    for ids, vector, sentence in zip(documents, expected, sentences(trained, "bilm", corpus), strict=True):
        assert sentence.words == [vocab[i] for i in ids]
        assert (sentence.vector == vector).all()
        n += len(ids)
    table = Vectors(trained / layout.artifact("vectors", "bilm")).read()
    assert n == sum(table["count"].to_pylist()) > 60


def test_an_unknown_word_keeps_its_spelling_and_has_the_vector_of_its_place(trained):
    (one,), (two,) = (list(sentences(trained, "bilm", [f"the {word} lies in the barn"])) for word in ("Zebra", "gnu"))
    assert one.words == ["the", "Zebra", "lies", "in", "the", "barn"]
    assert one.known.tolist() == [True, False, True, True, True, True]
    assert (one.vector == two.vector).all()


def test_a_text_without_a_word_has_no_vector(trained):
    empty, full = sentences(trained, "bilm", ["...", "boat"])
    assert (empty.words, empty.vector.shape) == ([], (0, 8))
    assert full.vector.shape == (1, 8)


def test_what_cannot_be_read_in_context_says_why(trained, tmp_path):
    with pytest.raises(Fault, match=r"embed.grams is made by fasttext; .* comes from bilm"):
        list(sentences(trained, "grams", ["boat"]))
    with pytest.raises(Fault, match=r"embed has no row 'bi'; it has grams, bilm"):
        list(sentences(trained, "bi", ["boat"]))
    root = copied(trained, tmp_path)
    (root / layout.artifact("tokens", "words") / "tokenizer.json").unlink()
    with pytest.raises(Fault, match=r"tokens/words has no tokenizer.json to cut a text with"):
        list(sentences(root, "bilm", ["boat"]))


def test_a_model_of_another_vocabulary_is_refused(trained, tmp_path):
    root = copied(trained, tmp_path)
    model = root / layout.artifact("vectors", "bilm") / "model.json"
    model.write_text(model.read_text().replace('"boat"', '"ship"'))
    with pytest.raises(
        Fault, match=r"vectors/bilm was trained with another vocabulary than tokens/words has now. Run: dvc repro embed-bilm"
    ):
        list(sentences(root, "bilm", ["boat"]))
