"""Runs of characters, inside words and across them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.feature_extraction.text import CountVectorizer

from pipelines.errors import Fault
from pipelines.tokenize import character_ngrams
from pipelines.tokenize.character_ngrams import text_grams, word_grams
from tests.tokenize.forms import read, tokens_of


def test_inside_words_a_space_stands_on_either_side_of_each(tmp_path):
    tokens = tokens_of(character_ngrams, tmp_path, ["At Bay"], min_count=1, n_min=3, n_max=4)
    assert read(tokens) == [[" at", " at ", "at ", " ba", " bay", "bay", "bay ", "ay "]]


def test_a_word_shorter_than_n_min_is_one_n_gram():
    assert list(word_grams("a bcd", 5, 6)) == [" a ", " bcd "]


def test_across_words_white_space_counts_as_one_character(tmp_path):
    tokens = tokens_of(character_ngrams, tmp_path, ["a \n b"], min_count=1, n_min=2, n_max=3, within_words=False)
    assert read(tokens) == [["a ", "a b", " b"]]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab \n\tÉ."), max_size=30), st.integers(1, 5), st.integers(0, 3))
def test_the_bags_are_those_of_scikit_learn(text, n_min, more):
    for analyzer, grams in (("char_wb", word_grams), ("char", text_grams)):
        theirs = CountVectorizer(analyzer=analyzer, ngram_range=(n_min, n_min + more), lowercase=False).build_analyzer()
        assert Counter(grams(text, n_min, n_min + more)) == Counter(theirs(text))


def test_n_min_above_n_max_is_refused_before_anything_runs():
    with pytest.raises(ValidationError, match="n_min must not be above n_max"):
        character_ngrams.Params(n_min=6)


def test_documents_that_are_all_too_short_name_n_min(tmp_path):
    with pytest.raises(Fault, match="have no n-gram; a vocabulary needs one. Change n_min, which is 3, or vocab_splits"):
        tokens_of(character_ngrams, tmp_path, ["ab"], within_words=False)
