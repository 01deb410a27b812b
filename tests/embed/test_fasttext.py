"""fastText: a word is the mean of its parts, and one that was not seen lies near its kin."""

import numpy as np
import pytest
from gensim.models.fasttext import FastText, ft_ngram_hashes
from pydantic import ValidationError

from pipelines.embed.fasttext import Params, embed
from pipelines.kernels.letter_ngrams import subwords, unknown
from pipelines.method import Run
from tests.texts import labelled

ENGINES = ["own", "gensim"]


def documents():
    """Two families of words, and each keeps to itself: sail-, sails, sailor ...; farm-, farms, farmer ..."""
    rng = np.random.default_rng(0)
    words = ["<unk>", "sail", "sails", "sailor", "sailing", "farm", "farms", "farmer", "farming"]
    return [("train", None, (rng.integers(1, 5, 12) + 4 * (i % 2)).tolist()) for i in range(300)], words


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["skipgram", "cbow"])
def test_a_word_that_was_not_seen_lies_with_the_words_that_it_is_made_like(tmp_path, form, engine):
    params = Params(form=form, vector_size=8, epochs=20, sample=0, engine=engine)
    made = embed(labelled(tmp_path / "t", *documents()), params, Run(tmp_path / "v", seed=1))
    settings, weights = made.model()
    (new,) = unknown(settings, weights, ["sailors"])
    vectors = made.matrix()
    cosine = vectors @ new / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(new))
    assert new.dtype == np.float32
    assert cosine[:4].min() > cosine[4:].max()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_words_vector_is_the_mean_of_its_own_and_its_n_grams(tmp_path, engine):
    made = embed(labelled(tmp_path / "t", *documents()), Params(vector_size=8, epochs=2, engine=engine), Run(tmp_path / "v"))
    settings, weights = made.model()
    grams = np.searchsorted(weights["buckets"], subwords([b"farm"], 3, 6, settings["bucket"])[0])
    wanted = np.concatenate([weights["words"][4:5], weights["ngrams"][grams]]).mean(axis=0)
    np.testing.assert_allclose(made.matrix()[4], wanted, atol=1e-6)


@pytest.mark.parametrize("loss", ["negative", "hierarchical"])
def test_gensims_model_has_the_tables_of_ours_and_its_vectors_for_words(tmp_path, monkeypatch, loss):
    models, train = [], FastText.train
    monkeypatch.setattr(FastText, "train", lambda model, *args, **more: (models.append(model), train(model, *args, **more)))
    tokens, params = labelled(tmp_path / "t", *documents()), Params(vector_size=8, loss=loss)
    ours = embed(tokens, params, Run(tmp_path / "ours" / "v"))
    theirs = embed(tokens, params.model_copy(update={"engine": "gensim"}), Run(tmp_path / "theirs" / "v"))
    assert theirs.read(columns=["item", "count"]) == ours.read(columns=["item", "count"])
    np.testing.assert_allclose(theirs.matrix(), models[0].wv.vectors, atol=1e-6)
    settings, weights = theirs.model()
    assert {name: (matrix.shape, matrix.dtype) for name, matrix in weights.items()} == {
        name: (matrix.shape, matrix.dtype) for name, matrix in ours.model()[1].items()
    }
    for word, rows in zip(theirs.items(), models[0].wv.buckets_word, strict=True):
        assert sorted(weights["buckets"][rows]) == sorted(ft_ngram_hashes(word, 3, 6, settings["bucket"]))


@pytest.mark.parametrize("engine", ENGINES)
def test_without_n_grams_a_word_has_its_own_vector_alone(tmp_path, engine):
    made = embed(labelled(tmp_path / "t", *documents()), Params(vector_size=8, epochs=2, n_max=0, engine=engine), Run(tmp_path / "v"))
    assert (made.matrix() == made.model()[1]["words"]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_writes_the_same_bytes(tmp_path, engine):
    tokens, params = labelled(tmp_path / "t", *documents()), Params(vector_size=4, engine=engine)
    written = [
        {path.name: path.read_bytes() for path in embed(tokens, params, Run(tmp_path / str(i) / "v")).folder.iterdir()} for i in range(2)
    ]
    assert written[0] == written[1]


def test_n_grams_that_would_shrink_are_refused():
    with pytest.raises(ValidationError, match=r"n_max \(2\) must not be below n_min \(3\)"):
        Params(n_max=2)
