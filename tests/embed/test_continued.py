"""Continued: where it begins, what it changes and what it leaves."""

import numpy as np
import pytest

from pipelines.artifacts.vectors import Vectors
from pipelines.embed import fasttext, skipgram
from pipelines.embed.continued import Params, embed
from pipelines.errors import Fault
from pipelines.kernels.letter_ngrams import subwords, unknown
from pipelines.lookup import lookup
from pipelines.method import Run
from tests.matrices import vectors_of
from tests.texts import labelled, tokens_of, two_topics


@pytest.fixture
def before(tmp_path):
    """Vectors of ten words in two topics, with their contexts."""
    tokens = tokens_of(tmp_path / "first", two_topics(200, seed=0))
    return skipgram.embed(tokens, skipgram.Params(vector_size=8, epochs=20, sample=0), Run(tmp_path / "before", seed=1))


def test_a_step_of_nearly_nothing_leaves_them_where_they_were(tmp_path, before):
    tokens = tokens_of(tmp_path / "second", [[1, 2, 1, 12], [12, 3, 2]], n_vocab=13)
    made = embed(before, tokens, Params(lr=1e-9, min_lr=0, epochs=1, sample=0), Run(tmp_path / "v"))
    assert made.items() == ["w1", "w2", "w3", "w12", "w4", "w5", "w6", "w7", "w8", "w9", "w10"]
    old, new = before.matrix(), made.matrix()
    np.testing.assert_allclose(new[[0, 1, 2, 4, 5]], old[:5], atol=1e-6)
    assert np.abs(new[3]).max() <= 0.5 / 8 + 1e-6  # a new word begins as word2vec.c does
    np.testing.assert_allclose(made.model()[1]["context"][:3], before.model()[1]["context"][:3], atol=1e-6)
    assert made.read(columns=["count"])["count"].to_pylist()[:5] == [2, 2, 1, 2, before.read(columns=["count"])["count"][3].as_py()]


def test_words_move_to_where_the_new_text_has_them_and_others_stay(tmp_path, before):
    """w1 stood with w2 to w5; in the new text it stands with w6 to w10, and w2 to w4 without it."""
    rng = np.random.default_rng(1)
    topics = [1, 6, 7, 8, 9, 10], [2, 3, 4]
    tokens = tokens_of(tmp_path / "second", [rng.choice(topics[i % 2], 12).tolist() for i in range(600)], n_vocab=11)
    made = embed(before, tokens, Params(epochs=20, sample=0, lr=0.05), Run(tmp_path / "v", seed=1))
    vectors = dict(zip(made.items(), made.matrix(), strict=True))
    unit = {name: vector / np.linalg.norm(vector) for name, vector in vectors.items()}
    assert unit["w1"] @ unit["w6"] > 0.5 > unit["w1"] @ unit["w2"]
    assert (vectors["w5"] == before.matrix()[4]).all()


def test_without_keep_the_texts_words_alone_are_there_and_seeds_repeat(tmp_path, before):
    tokens = tokens_of(tmp_path / "second", [[1, 2, 3]] * 4)
    written = []
    for i in range(2):
        made = embed(before, tokens, Params(keep=False, sample=0), Run(tmp_path / str(i) / "v", seed=3))
        assert made.items() == ["w1", "w2", "w3"]
        written.append({path.name: path.read_bytes() for path in made.folder.iterdir()})
    assert written[0] == written[1]


def test_vectors_without_a_model_begin_with_empty_contexts(tmp_path):
    with Run(tmp_path / "plain").open(Vectors) as out:
        out.append(item=["w1", "w2"], count=[0, 0], vector=np.eye(2, dtype=np.float32))
    made = embed(out.artifact, tokens_of(tmp_path / "t", [[1, 2]]), Params(lr=1e-9, min_lr=0, epochs=1, sample=0), Run(tmp_path / "v"))
    np.testing.assert_allclose(made.matrix(), np.eye(2), atol=1e-6)
    np.testing.assert_allclose(made.model()[1]["context"], 0, atol=1e-6)


@pytest.fixture
def spelled(tmp_path):
    """Vectors of fastText, of eight words in two families, and of one that stands alone."""
    words = ["<unk>", "sail", "sails", "sailor", "sailing", "farm", "farms", "farmer", "farming", "xyz"]
    rng = np.random.default_rng(0)
    documents = [("train", None, (rng.integers(1, 5, 12) + 4 * (i % 2)).tolist()) for i in range(100)] + [("train", None, [9, 1])]
    tokens = labelled(tmp_path / "of", documents, words)
    return fasttext.embed(tokens, fasttext.Params(vector_size=8, epochs=5, sample=0), Run(tmp_path / "spelled", seed=1))


def composed(vectors, words):
    return unknown(*vectors.model(), words)


def test_n_grams_are_kept_and_a_step_of_nearly_nothing_leaves_them_and_all_words_where_they_were(tmp_path, spelled):
    tokens = labelled(tmp_path / "t", [("train", None, [1, 2, 1, 2])], ["<unk>", "sails", "farmhouse"])
    made = embed(spelled, tokens, Params(lr=1e-9, min_lr=0, epochs=1, sample=0), Run(tmp_path / "v"))
    assert made.items()[:2] == ["sails", "farmhouse"]
    old, new = (dict(zip(vectors.items(), vectors.matrix(), strict=True)) for vectors in (spelled, made))
    for word in spelled.items():
        np.testing.assert_allclose(new[word], old[word], atol=1e-5)
    np.testing.assert_allclose(composed(made, ["sailors"]), composed(spelled, ["sailors"]), atol=1e-6)
    settings, weights = made.model()
    rows = np.searchsorted(weights["buckets"], subwords([b"farmhouse"], 3, 6, settings["bucket"])[0])
    np.testing.assert_allclose(new["farmhouse"], np.vstack([weights["words"][1:2], weights["ngrams"][rows]]).mean(axis=0), atol=1e-6)
    assert lookup(made, ["sailors"]).composed.all()


def test_words_that_the_text_does_not_have_go_as_far_as_their_n_grams(tmp_path, spelled):
    rng = np.random.default_rng(1)
    documents = [("train", None, rng.integers(1, 4, 12).tolist()) for _ in range(100)]
    tokens = labelled(tmp_path / "t", documents, ["<unk>", "sail", "sails", "farm"])
    made = embed(spelled, tokens, Params(epochs=5, sample=0), Run(tmp_path / "v", seed=1))
    old, new = (dict(zip(vectors.items(), vectors.matrix(), strict=True)) for vectors in (spelled, made))
    assert np.abs(new["sail"] - old["sail"]).max() > 0.01
    n_grams = len(subwords([b"farmer"], 3, 6, 100)[0])
    share = n_grams / (n_grams + 1)  # the rest is its own vector, which stood still
    went = composed(made, ["farmer", "sailors"]) - composed(spelled, ["farmer", "sailors"])
    assert np.abs(went).min(axis=1).max() > 0
    np.testing.assert_allclose(new["farmer"] - old["farmer"], share * went[0], atol=1e-5)
    np.testing.assert_allclose(new["xyz"], old["xyz"], atol=1e-6)  # no n-gram of the text's


def test_another_size_and_a_text_without_a_word_of_theirs_are_faults(tmp_path, before):
    tokens = tokens_of(tmp_path / "second", [[1, 2]])
    with pytest.raises(Fault, match="vector_size is 9, and before/before has 8 numbers a row. Leave vector_size out|vector_size is 9"):
        embed(before, tokens, Params(vector_size=9), Run(tmp_path / "v"))
    with pytest.raises(Fault, match=r"no word of .* has a vector in .*\. Are both cut and cased alike\?"):
        embed(before, tokens_of(tmp_path / "third", [[11, 12]], n_vocab=13), Params(), Run(tmp_path / "v"))


@pytest.mark.parametrize("wrong", ["vector", "context"])
def test_vectors_that_are_no_numbers_are_refused_by_name(tmp_path, wrong):
    matrices = {name: np.ones((3, 2), np.float32) for name in ("vector", "context")}
    matrices[wrong][1, 0] = np.nan
    before = vectors_of(tmp_path / "before", ["w1", "w2", "w3"], **matrices)
    with pytest.raises(Fault, match="vectors/before: 1 vectors hold a number that is not finite, first 'w2'. Train it anew"):
        embed(before, tokens_of(tmp_path / "t", [[1, 2, 3]]), Params(), Run(tmp_path / "v"))
