"""Analogies and likeness of words, by hand and as gensim has them."""

import numpy as np
import pytest
from gensim.models import KeyedVectors

from pipelines import layout
from pipelines.errors import Fault
from pipelines.use import analogy as page
from pipelines.use.analogy import analogy, similar
from pipelines.use.space import Space
from tests.matrices import vectors_of
from tests.spelled import spelled


@pytest.fixture
def drawn(tmp_path):
    """A row of 40 words, and the same in gensim."""
    x = np.random.default_rng(3).normal(size=(40, 5)).astype(np.float32)
    words = [f"w{i}" for i in range(40)]
    vectors_of(tmp_path / layout.artifact("vectors", "v"), words, x)
    reference = KeyedVectors(5)
    reference.add_vectors(words, x)
    return Space(tmp_path, "v"), reference


def test_a_right_angle_is_completed(tmp_path):
    words = {"man": [1, 0, 0], "king": [1, 1, 0], "woman": [0, 0, 1], "queen": [0, 1, 1], "<unk>": [-0.3, 0.7, 1]}
    vectors_of(tmp_path / layout.artifact("vectors", "v"), list(words), np.array(list(words.values())))
    space = Space(tmp_path, "v")
    (answer,) = analogy(space, "man", "king", "woman")  # not one of the three, nor the unknown token
    # (1, 1, 0) / 2^.5 - (1, 0, 0) + (0, 0, 1) = (-.293, .707, 1), of length 1.259
    assert answer == ("queen", pytest.approx((0.7071 + 1) / 2**0.5 / 1.2593, abs=1e-4))
    ((word, score),) = analogy(space, "man", "king", "woman", method="mul")
    assert (word, score) == ("queen", pytest.approx(0.75 * (1 + 0.5**0.5) / 2 / 0.501, abs=1e-4))
    assert similar(space, "king", "queen") == pytest.approx(0.5)


def test_3cosadd_and_3cosmul_are_those_of_gensim(drawn, monkeypatch):
    space, reference = drawn
    for a, b, c in (("w1", "w2", "w3"), ("w39", "w0", "w20")):
        add = reference.most_similar(positive=[b, c], negative=[a], topn=5)
        found = analogy(space, a, b, c, 5)
        assert [word for word, _ in found] == [word for word, _ in add]
        assert [score for _, score in found] == pytest.approx([score for _, score in add], abs=1e-5)
        mul = reference.most_similar_cosmul(positive=[b, c], negative=[a], topn=5)  # whose epsilon is 1e-6
        monkeypatch.setattr(page, "EPSILON", 1e-6)
        found = analogy(space, a, b, c, 5, method="mul")
        assert [word for word, _ in found] == [word for word, _ in mul]
        assert [score for _, score in found] == pytest.approx([score for _, score in mul], abs=1e-4)
    assert similar(space, "w1", "w2") == pytest.approx(reference.similarity("w1", "w2"), abs=1e-6)


def test_a_row_with_letter_n_grams_answers_for_words_it_has_not(tmp_path):
    spelled(tmp_path / layout.artifact("vectors", "v"), {"sea": [1.0, 0.0], "pea": [0.0, 2.0]}, {"ea>": [2, 1]})
    space = Space(tmp_path, "v")
    assert similar(space, "sea", "lea") == pytest.approx(2 / 5**0.5)
    with pytest.raises(Fault, match="has no vector of 'gnu', none of whose letter n-grams is known"):
        similar(space, "gnu", "lea")


def test_all_words_that_have_no_vector_are_named_at_once(drawn):
    with pytest.raises(Fault) as fault:
        analogy(drawn[0], "w1", "cow", "ox")
    assert [line.split(",")[0] for line in fault.value.faults] == ["vectors/v has no vector of 'cow'", "vectors/v has no vector of 'ox'"]
