"""Words that stand together become one token."""

import math
from itertools import pairwise

import pytest
from pydantic import ValidationError

from pipelines.tokenize import phrases
from pipelines.tokenize.phrases import find
from tests.tokenize.forms import read, tokens_of, vocab_of

KNOBS = {"min_count": 1, "phrase_min_count": 1, "threshold": 0.5}
TEXTS = ["new york is big", "a big new york", "new is a word", "is a big word"]


def test_a_pair_that_scores_above_the_threshold_becomes_one_token(tmp_path):
    # (2 sightings - 1) / (3 new * 2 york) * 15 different words and pairs = 2.5; a big: 1 / (3 * 3) * 15 = 1.67
    tokens = tokens_of(phrases, tmp_path, TEXTS, **{**KNOBS, "threshold": 2.0})
    assert read(tokens)[:2] == [["new_york", "is", "big"], ["a", "big", "new_york"]]
    assert vocab_of(tokens)[1] == ("a", 3)
    assert ("new_york", 2) in vocab_of(tokens)
    assert read(tokens_of(phrases, tmp_path, TEXTS, name="none", **{**KNOBS, "threshold": 2.5}))[0] == ["new", "york", "is", "big"]


def test_the_scores_are_those_of_the_papers():
    documents = [text.split() for text in TEXTS]
    n = len({w for d in documents for w in d}) + len({pair for d in documents for pair in pairwise(d)})
    default = find(iter(documents), phrases.Params(**KNOBS)).phrasegrams["new_york"]
    assert default == pytest.approx((2 - 1) / (3 * 2) * n)
    npmi = find(iter(documents), phrases.Params(**KNOBS, scoring="npmi")).phrasegrams["new_york"]
    assert npmi == pytest.approx(math.log((2 / 16) / (3 / 16 * 2 / 16)) / -math.log(2 / 16))


def test_a_second_pass_joins_phrases_and_scores_them_as_units(tmp_path):
    texts = ["the new york times", "new york times", "the new york mayor", "times new roman"] * 3
    one = tokens_of(phrases, tmp_path, texts, name="one", **KNOBS)
    two = tokens_of(phrases, tmp_path, texts, name="two", passes=2, **KNOBS)
    assert read(one)[1] == ["new_york", "times"]
    assert read(two)[1] == ["new_york_times"]


def test_a_word_with_an_underscore_is_no_phrase(tmp_path):
    texts = ["snake_case is a word", "a snake_case word"] * 3
    assert read(tokens_of(phrases, tmp_path, texts, **{**KNOBS, "threshold": 1e9}, pattern=r"\w+"))[0] == ["snake_case", "is", "a", "word"]


def test_connector_words_stand_inside_a_phrase(tmp_path):
    texts = ["bank of america", "bank of america", "america", "of course"]
    assert read(tokens_of(phrases, tmp_path, texts, **KNOBS, connector_words=["of"]))[0] == ["bank_of_america"]


def test_pairs_of_valid_and_test_documents_are_not_counted(tmp_path):
    texts, splits = ["new york"] * 6 + ["new", "york"], ["test"] * 6 + ["train"] * 2
    knobs = {**KNOBS, "threshold": 0.3}  # (6 - 1) / (7 new * 7 york) * 3 = 0.31
    assert read(tokens_of(phrases, tmp_path, texts, splits, **knobs))[0] == ["new", "york"]
    assert read(tokens_of(phrases, tmp_path, texts, splits, name="all", vocab_splits=["train", "test"], **knobs))[0] == ["new_york"]


def test_an_npmi_above_1_is_refused_before_anything_runs():
    with pytest.raises(ValidationError, match="threshold is 10.0; npmi is between -1 and 1"):
        phrases.Params(scoring="npmi")
