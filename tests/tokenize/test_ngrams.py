"""Runs of words."""

from collections import Counter

import pytest
from pydantic import ValidationError
from sklearn.feature_extraction.text import CountVectorizer

from pipelines.errors import Fault
from pipelines.tokenize import ngrams
from tests.tokenize.forms import read, tokens_of, vocab_of


def test_n_grams_stand_by_where_they_start_and_then_by_length(tmp_path):
    tokens = tokens_of(ngrams, tmp_path, ["The cat, the cat sat"], min_count=1, n_min=1, n_max=2)
    assert read(tokens) == [["the", "the cat", "cat", "cat the", "the", "the cat", "cat", "cat sat", "sat"]]
    assert vocab_of(tokens)[:4] == [("<unk>", 0), ("cat", 2), ("the", 2), ("the cat", 2)]


def test_no_n_gram_runs_from_one_document_into_the_next(tmp_path):
    assert read(tokens_of(ngrams, tmp_path, ["a b", "c d"], min_count=1, n_min=2, n_max=3)) == [["a b"], ["c d"]]


def test_a_document_shorter_than_n_min_has_none(tmp_path):
    assert read(tokens_of(ngrams, tmp_path, ["a b c", "a b"], min_count=1, n_min=3, n_max=3)) == [["a b c"], []]


@pytest.mark.parametrize("n", [(1, 1), (1, 3), (2, 2), (3, 5)])
def test_the_bags_are_those_of_scikit_learn(tmp_path, n):
    texts = ["A rose is a rose is a rose.", "Is it? It is!", "one two three four five six seven"]
    tokens = tokens_of(ngrams, tmp_path, texts, min_count=1, n_min=n[0], n_max=n[1])
    analyze = CountVectorizer(ngram_range=n, token_pattern=r"\w+").build_analyzer()
    assert [Counter(found) for found in read(tokens)] == [Counter(analyze(text)) for text in texts]


def test_n_min_above_n_max_is_refused_before_anything_runs():
    with pytest.raises(ValidationError, match="n_min is 3 and n_max 2; n_min must not be above n_max"):
        ngrams.Params(n_min=3, n_max=2)


def test_documents_that_are_all_too_short_name_n_min(tmp_path):
    with pytest.raises(Fault, match="have no n-gram; a vocabulary needs one. Change n_min, which is 4, pattern or vocab_splits"):
        tokens_of(ngrams, tmp_path, ["a b c"], n_min=4, n_max=4)
