"""Any word has a vector where n-grams are known: its own, or the mean of theirs."""

import numpy as np
import pytest
from gensim.models.fasttext import load_facebook_vectors
from gensim.test.utils import datapath

from pipelines.artifacts.vectors import Vectors
from pipelines.embed import pretrained
from pipelines.errors import Fault
from pipelines.lookup import composer, frequent, known, lookup
from pipelines.method import Run
from tests.spelled import spelled

WORDS = {"sea": [1, 1], "pea": [3, 0]}
NGRAMS = {"<se": [9, 9], "sea": [9, 9], "ea>": [2, 0], "<te": [0, 4]}


def test_a_known_word_has_its_row_and_an_unknown_one_the_mean_of_its_known_n_grams(tmp_path):
    vectors = spelled(tmp_path / "v", WORDS, NGRAMS)
    found = lookup(vectors, ["tea", "pea", "sea", "ox", "pea"])  # <te tea ea>, of which tea is not known; <ox ox>, none
    assert found.row.tolist() == [-1, 1, 0, -1, 1]
    assert found.vector.tolist() == [[1, 2], [3, 0], [1, 1], [0, 0], [3, 0]]
    assert found.composed.tolist() == [True, False, False, False, False]
    assert lookup(vectors, ["tea", "sea"], compose=False).vector.tolist() == [[0, 0], [1, 1]]


def test_capitals_count_only_where_the_vocabulary_has_some(tmp_path):
    small, large = spelled(tmp_path / "a", WORDS, NGRAMS), spelled(tmp_path / "b", {**WORDS, "Sea": [5, 5]}, NGRAMS)
    assert lookup(small, ["SEA", "TEA"]).vector.tolist() == [[1, 1], [1, 2]]
    assert lookup(large, ["Sea", "SEA", "TEA"]).vector.tolist() == [[5, 5], [1, 1], [0, 0]]


def test_vectors_without_n_grams_compose_nothing(tmp_path):
    made = []
    for name, model in (
        ("none", None),
        ("glove", {"model": "glove"}),
        ("words", {"model": "fasttext", "n_min": 3, "n_max": 0, "bucket": 9}),
    ):
        with Run(tmp_path / name).open(Vectors) as out:
            out.append(item=["sea"], count=[1], vector=np.ones((1, 2)))
            if model:
                out.model(model, {"buckets": np.zeros(0, np.int64), "ngrams": np.zeros((0, 2), np.float32)})
        made.append(out.artifact)
    for vectors in made:
        assert composer(vectors, vectors.items()) is None
        assert lookup(vectors, ["tea", "sea"]).vector.tolist() == [[0, 0], [1, 1]]


def test_of_a_published_bin_all_words_are_those_of_gensim(tmp_path):
    file = datapath("crime-and-punishment.bin")
    theirs, vectors = load_facebook_vectors(file), pretrained.embed(pretrained.Params(source=file), Run(tmp_path / "v"))
    words = [*vectors.items()[5:8], "неслыханный", "unheard-of"]
    found = lookup(vectors, words)
    assert found.composed.tolist() == [False, False, False, True, True]
    assert found.vector == pytest.approx(np.stack([theirs[word] for word in words]), abs=1e-5)


def test_known_words_have_their_vectors_and_frequent_ones_are_the_first_without_the_unknown_token(tmp_path):
    vectors = spelled(tmp_path / "v", {"<unk>": [9, 9], **WORDS, "lea": [0, 2]}, NGRAMS)
    assert {word: vector.tolist() for word, vector in known(vectors, ["pea", "ox", "SEA", "tea", "pea"]).items()} == {
        "pea": [3, 0],
        "SEA": [1, 1],
    }
    words, matrix = frequent(vectors, 3, least=2)
    assert (words, matrix.tolist()) == (["sea", "pea"], [[1, 1], [3, 0]])
    with pytest.raises(Fault, match=r"vectors/v: 2 words are too few; it takes 3. Bring more rows, or raise max_vocab"):
        frequent(vectors, 3)


def test_a_vector_that_is_not_finite_is_told_by_its_word(tmp_path):
    vectors = spelled(tmp_path / "v", {"sea": [1, 1], "pea": [float("nan"), 0], "lea": [0, 1]}, {})
    assert list(known(vectors, ["sea", "lea"])) == ["sea", "lea"]
    for ask in (lambda: known(vectors, ["sea", "pea"]), lambda: frequent(vectors, 3)):
        with pytest.raises(Fault, match=r"vectors/v: 1 vectors hold a number that is not finite, first 'pea'. Train it anew"):
            ask()
