"""What the token forms share: codes on disk, the vocabulary that is kept, the same bytes however the work is parted."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines import layout, vocabulary
from pipelines.errors import Fault
from pipelines.tokenize import character_ngrams, characters, kmers, ngrams, phrases, whitespace
from tests.tokenize.forms import read, tokens_of, vocab_of

FORMS = {
    "whitespace": (whitespace, {}),
    "characters": (characters, {}),
    "ngrams": (ngrams, {"min_count": 2}),
    "character_ngrams": (character_ngrams, {}),
    "phrases": (phrases, {"min_count": 1, "phrase_min_count": 1, "threshold": 0.1}),
    "kmers": (kmers, {"alphabet": "WI0123456789 "}),
}
LINES = [f"w{i % 7} w{i % 5} w{i} {'in between ' * (i % 4)}" for i in range(20)]
SPLITS = [("train", "valid", "unlabelled")[i % 3] for i in range(20)]


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(vocabulary, "ROWS", 3)
    monkeypatch.setattr(vocabulary, "ALONE", 0)


@pytest.mark.parametrize("form", FORMS)
def test_the_bytes_do_not_depend_on_how_many_documents_make_a_piece(tmp_path, small_pieces, monkeypatch, form):
    method, knobs = FORMS[form]
    small = tokens_of(method, tmp_path, LINES, SPLITS, name="small", **knobs)
    monkeypatch.setattr(vocabulary, "ROWS", 1000)
    large = tokens_of(method, tmp_path, LINES, SPLITS, name="large", **knobs)
    assert layout.hash_path(large.folder) == layout.hash_path(small.folder)
    assert large.n_rows() == 20
    assert large.n_rows("vocab") > 3


@pytest.mark.slow
@pytest.mark.quick_slow
@pytest.mark.parametrize("form", ["kmers", "phrases"])
def test_two_processes_write_the_same_bytes_as_one(tmp_path, small_pieces, form):
    method, knobs = FORMS[form]
    one, two = (tokens_of(method, tmp_path, LINES, SPLITS, threads=n, name=f"by-{n}", **knobs) for n in (1, 2))
    assert layout.hash_path(one.folder) == layout.hash_path(two.folder)


@pytest.mark.parametrize("form", FORMS)
def test_the_counts_add_up_to_the_tokens_of_the_splits_that_made_the_vocabulary(tmp_path, form):
    method, knobs = FORMS[form]
    tokens = tokens_of(method, tmp_path, LINES, SPLITS, **knobs)
    values, _ = tokens.ids(["train", "unlabelled"])
    assert np.bincount(values, minlength=tokens.n_rows("vocab")).tolist() == tokens.vocab().column("count").to_pylist()


def test_the_vocabulary_is_by_count_and_then_by_token_and_the_ids_follow_it(tmp_path):
    tokens = tokens_of(whitespace, tmp_path, ["b a c", "a b"])
    assert vocab_of(tokens) == [("<unk>", 0), ("a", 2), ("b", 2), ("c", 1)]
    assert tokens.read().column("token_ids").to_pylist() == [[2, 1, 3], [1, 2]]


def test_what_is_rare_or_beyond_max_vocab_becomes_unknown_and_is_counted_there(tmp_path):
    assert vocab_of(tokens_of(whitespace, tmp_path, ["a a a b b c d"], min_count=2)) == [("<unk>", 2), ("a", 3), ("b", 2)]
    assert vocab_of(tokens_of(whitespace, tmp_path, ["a a a b b c d"], name="most", max_vocab=1)) == [("<unk>", 4), ("a", 3)]


def test_what_only_valid_and_test_have_is_unknown_unless_vocab_splits_names_them(tmp_path):
    texts, splits = ["a new", "a b", "b other"], ["valid", "train", "test"]
    assert read(tokens_of(whitespace, tmp_path, texts, splits)) == [["a", "<unk>"], ["a", "b"], ["b", "<unk>"]]
    tokens = tokens_of(whitespace, tmp_path, texts, splits, name="all", vocab_splits=["train", "valid", "test"])
    assert vocab_of(tokens) == [("<unk>", 0), ("a", 2), ("b", 2), ("new", 1), ("other", 1)]


@pytest.mark.parametrize(
    ("texts", "knobs", "message"),
    [
        (["a b a"], {"min_count": 4}, "min_count 4 leaves no vocabulary: of 2 different tokens in the splits train, unlabelled of "
         "corpus/corpus the most frequent, 'a', was seen 2 times. Lower min_count to 2 or less"),
        (["a b"], {"vocab_splits": ["test"]}, "the splits test of corpus/corpus have no token; a vocabulary needs one"),
        ([" \n"], {}, "have no token"),
        (["<unk> <unk>"], {}, "have no token"),
        ([], {}, "have no token"),
    ],
)  # fmt: skip
def test_a_corpus_that_leaves_no_vocabulary_says_what_to_change(tmp_path, texts, knobs, message):
    with pytest.raises(Fault, match=message):
        tokens_of(whitespace, tmp_path, texts, **knobs)
    assert not list(tmp_path.glob(".scratch-*"))


def test_a_pattern_that_finds_nothing_between_words_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="a n-gram of no characters was found. Change n_min, which is 1, pattern"):
        tokens_of(ngrams, tmp_path, ["a b"], pattern=r"\b", min_count=1)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("[a-z", "must be a regular expression"), ("(a|b)+", "no group that captures"), ("[a-z]*", "where there is nothing")],
)
def test_a_pattern_that_cannot_be_used_is_refused_before_anything_runs(pattern, message):
    with pytest.raises(ValidationError, match=message):
        vocabulary.Worded(pattern=pattern)
