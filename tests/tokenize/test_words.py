"""Documents cut into words, and the vocabulary that is made of them."""

import csv
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import Tokenizer

from pipelines import layout
from pipelines.artifacts.corpus import Corpus
from pipelines.errors import Fault
from pipelines.kernels import words as kernel
from pipelines.kernels.patterns import compiled
from pipelines.method import Run
from pipelines.tokenize import words
from pipelines.tokenize.words import Params, tokenize


def corpus_of(tmp_path, documents):
    """A corpus of (text, split) pairs named d0, d1, ..."""
    with Run(tmp_path / "corpus").open(Corpus) as out:
        out.append(
            doc_id=[f"d{i}" for i in range(len(documents))],
            text=[text for text, _ in documents],
            label=[None] * len(documents),
            split=[split for _, split in documents],
            group=[None] * len(documents),
        )
    return out.artifact


def tokens_of(tmp_path, documents, threads=1, name="tokens", **knobs):
    return tokenize(corpus_of(tmp_path, documents), Params(**{"min_count": 1, **knobs}), Run(tmp_path / name, threads=threads))


def vocab_of(tokens):
    return list(zip(tokens.words(), tokens.vocab().column("count").to_pylist(), strict=True))


def test_the_vocabulary_is_by_count_and_then_by_word_and_the_ids_follow_it(tmp_path):
    tokens = tokens_of(tmp_path, [("b a c", "train"), ("A b", "train")])
    assert vocab_of(tokens) == [("<unk>", 0), ("a", 2), ("b", 2), ("c", 1)]
    assert tokens.vocab().column("token_id").to_pylist() == [0, 1, 2, 3]
    assert tokens.read().column("token_ids").to_pylist() == [[2, 1, 3], [1, 2]]


def test_a_word_below_min_count_becomes_unknown_and_is_counted_there(tmp_path):
    tokens = tokens_of(tmp_path, [("a a b", "train"), ("c a", "train")], min_count=2)
    assert vocab_of(tokens) == [("<unk>", 2), ("a", 3)]
    assert tokens.read().column("token_ids").to_pylist() == [[1, 1, 0], [0, 1]]


def test_words_that_only_valid_and_test_have_are_neither_kept_nor_counted(tmp_path):
    tokens = tokens_of(tmp_path, [("a new", "valid"), ("a b", "train"), ("a other", "test"), ("b", "unlabelled")])
    assert vocab_of(tokens) == [("<unk>", 0), ("b", 2), ("a", 1)]
    assert tokens.read().column("token_ids").to_pylist() == [[2, 0], [2, 1], [2, 0], [1]]


def test_vocab_splits_decides_whose_words_count(tmp_path):
    tokens = tokens_of(tmp_path, [("a", "train"), ("b", "unlabelled"), ("c", "test")], vocab_splits=["test", "train"])
    assert vocab_of(tokens) == [("<unk>", 0), ("a", 1), ("c", 1)]


def test_max_vocab_keeps_the_most_frequent_and_unknown_takes_the_sightings_of_the_rest(tmp_path):
    tokens = tokens_of(tmp_path, [("a a a b b c d", "train")], max_vocab=2)
    assert vocab_of(tokens) == [("<unk>", 2), ("a", 3), ("b", 2)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't stop: it’s well-known!", ["don't", "stop", "it’s", "well", "known"]),
        ("naïve Ελλάδα 東京 Łódź", ["naïve", "ελλάδα", "東京", "łódź"]),
        ("3.14 snake_case 'quoted' rock'n'roll'", ["3", "14", "snake", "case", "quoted", "rock'n'roll"]),
    ],
)
def test_a_word_is_letters_and_digits_of_any_script_with_apostrophes_inside(text, found):
    text_lower = text.lower()
    assert compiled(Params().pattern).findall(text_lower) == found


def test_lower_and_pattern_are_what_was_asked_for(tmp_path):
    tokens = tokens_of(tmp_path, [("Ab é9", "train")], lower=False, pattern="[A-Za-z0-9]+")
    assert sorted(tokens.words()[1:]) == ["9", "Ab"]


def test_a_word_spelled_like_the_unknown_token_is_unknown(tmp_path):
    tokens = tokens_of(tmp_path, [("a <unk> a", "train")], pattern=r"\S+")
    assert vocab_of(tokens) == [("<unk>", 1), ("a", 2)]
    assert tokens.read().column("token_ids").to_pylist() == [[1, 0, 1]]


def test_documents_keep_their_order_id_split_and_label(tmp_path):
    with Run(tmp_path / "corpus").open(Corpus) as out:
        out.append(doc_id=["z", "a"], text=["one", "two"], label=["x", None], split=["valid", "train"], group=["g", None])
    tokens = tokenize(out.artifact, Params(min_count=1), Run(tmp_path / "tokens"))
    rows = tokens.read(columns=["doc_id", "split", "label"]).to_pylist()
    assert rows == [{"doc_id": "z", "split": "valid", "label": "x"}, {"doc_id": "a", "split": "train", "label": None}]


@pytest.fixture
def many_small_pieces(monkeypatch):
    monkeypatch.setattr(words, "ROWS", 3)
    monkeypatch.setattr(words, "ALONE", 0)


LINES = [(f"w{i % 7} w{i % 5} w{i}", ("train", "valid", "unlabelled")[i % 3]) for i in range(20)]


@pytest.mark.parametrize("pattern", [Params().pattern, r"\w+\b"], ids=["threads", "processes"])
def test_several_write_the_same_bytes_as_one(tmp_path, many_small_pieces, pattern):
    made = [tokens_of(tmp_path, LINES, threads=n, name=f"by-{n}", pattern=pattern) for n in (1, 2, 4)]
    assert len({layout.hash_path(tokens.folder) for tokens in made}) == 1
    assert made[0].n_rows() == 20


def by_python_too(folder, corpus, **knobs):
    """The hashes of what the kernel makes of a corpus, and of what Python's re makes of it."""
    hashes = []
    for cut in (kernel.cut, kernel.cut_plain):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "cut", cut)
            tokens = tokenize(corpus, Params(**knobs), Run(folder / cut.__name__, threads=2))
        hashes.append(layout.hash_path(tokens.folder))
    return hashes


def test_the_kernel_makes_of_real_notices_the_bytes_that_python_makes(tmp_path):
    with (Path(__file__).parent.parent / "tiny" / "notices.csv").open(newline="") as file:
        documents = [(row["text"], "train") for row in csv.DictReader(file)]
    for i, pattern in enumerate([Params().pattern, "[a-z0-9]+", r"\w+"]):
        found, expected = by_python_too(tmp_path / str(i), corpus_of(tmp_path / str(i), documents), pattern=pattern, min_count=1)
        assert found == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("aAΣİßẞ'’ \u0301٣😀"), max_size=50), max_size=6))
def test_the_kernel_makes_of_any_text_the_bytes_that_python_makes(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("any")
    corpus = corpus_of(folder, [("one word at least", "train"), *((text, "train") for text in texts)])
    found, expected = by_python_too(folder, corpus, min_count=1)
    assert found == expected


@pytest.mark.slow
@pytest.mark.skipif("WORDLOOM_DATA" not in os.environ, reason="WORDLOOM_DATA names no folder with wikipedia/ in it")
def test_the_kernel_makes_of_wikipedia_the_bytes_that_python_makes(tmp_path):
    part = sorted((Path(os.environ["WORDLOOM_DATA"]) / "wikipedia").glob("*.parquet"))[0]
    corpus = corpus_of(tmp_path, [(text, "train") for text in pq.read_table(part, columns=["text"])["text"].to_pylist()])
    found, expected = by_python_too(tmp_path, corpus)
    assert found == expected


def test_a_text_that_is_not_utf8_is_a_fault():
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 2, 4], np.int32)), pa.py_buffer(b"ok\xf8\xff"))
    with pytest.raises(Fault, match="has a text that is not UTF-8.*Convert its source"):
        words.cut(broken, Params().pattern, True)


def test_texts_from_the_midst_of_an_array_are_cut_alone():
    texts = pa.array(["not", "this is", "", "it", "not"])
    spelled, ends, codes, n_words = words.cut(texts[1:4], Params().pattern, True)
    assert (spelled.tobytes(), ends.tolist(), codes.tolist(), n_words.tolist()) == (b"thisisit", [0, 4, 6, 8], [0, 1, 2], [2, 0, 1])
    assert [len(array) for array in words.cut(pa.array([], pa.string()), Params().pattern, True)] == [0, 1, 0, 0]


def test_the_bytes_do_not_depend_on_how_many_documents_make_a_piece(tmp_path, many_small_pieces):
    small = tokens_of(tmp_path, LINES, name="small")
    words.ROWS = 1000
    assert layout.hash_path(tokens_of(tmp_path, LINES, name="large").folder) == layout.hash_path(small.folder)


def test_a_document_without_a_word_stays_so_that_the_gate_can_name_it(tmp_path):
    profile = tokens_of(tmp_path, [("a", "train"), ("?!", "train")]).profile()
    assert profile.loc[profile["n_tokens"] < 1, "doc_id"].tolist() == ["d1"]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"min_count": 4}, "min_count 4 leaves no vocabulary: of 2 words in the splits train, unlabelled of corpus/corpus "
         "the most frequent, 'a', was seen 3 times. Lower min_count to 3 or less"),
        ({"vocab_splits": ["test"]}, "the splits test of corpus/corpus have no word"),
        ({"pattern": "[0-9]+"}, r"no word that pattern '\[0-9\]\+' finds"),
        ({"pattern": r"\b"}, "also matches where there is nothing"),
    ],
)  # fmt: skip
def test_a_corpus_that_leaves_no_vocabulary_says_what_to_change(tmp_path, knobs, message):
    with pytest.raises(Fault, match=message):
        tokens_of(tmp_path, [("a b a", "train"), ("a", "unlabelled")], **knobs)
    assert not list(tmp_path.glob(".scratch-*"))


@pytest.mark.parametrize(("pattern", "message"), [("[a-z", "must be a regular expression"), ("(a|b)+", "no group that captures")])
def test_a_pattern_that_cannot_be_used_is_refused_before_anything_runs(pattern, message):
    with pytest.raises(ValidationError, match=message):
        Params(pattern=pattern)


def test_stop_words_are_left_out_as_if_they_were_not_there(tmp_path):
    lines = [("The cat and the dog", "train"), ("the", "train"), ("", "train"), ("of a cat", "train")]
    whole = tokens_of(tmp_path, lines, name="whole", min_count=1)
    for name, stop_words in {"list": ["the", "and", "of", "a"], "english": "english"}.items():
        few = tokens_of(tmp_path, lines, name=name, min_count=1, stop_words=stop_words)
        words = few.words()
        assert words == ["<unk>", "cat", "dog"]
        assert [[words[i] for i in ids] for ids in few.read()["token_ids"].to_pylist()] == [["cat", "dog"], [], [], ["cat"]]
        assert few.vocab()["count"].to_pylist() == [0, 2, 1]
    assert "the" in whole.words()


def test_a_batch_of_nothing_but_empty_documents_has_no_stop_words(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.tokenize.words.ROWS", 2)
    few = tokens_of(tmp_path, [("", "train"), ("!", "train"), ("the cat", "train")], stop_words=["the"])
    assert few.read()["token_ids"].to_pylist() == [[], [], [1]]


# tokenizer.json

# what Python 3.11 knows: Unicode has got letters since, which newer engines lower
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]) | st.sampled_from("aAΣσςİ'’-_ \n\u0301\u02b0.9"), max_size=30)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(TEXTS, min_size=1, max_size=4), st.booleans(),
    st.sampled_from([Params().pattern, r"[a-z]+(?:[-'][a-z]+)*", r"\S+", r"\w+", r"[^\W\d]+"]), st.sampled_from([[], ["a", "the", "σ", "9"]]),
)  # fmt: skip
@pytest.mark.slow
@pytest.mark.quick_slow
def test_the_library_reads_the_same_ids_from_tokenizer_json(tmp_path, texts, lower, pattern, stop_words):
    documents = [(text, "train" if i % 2 == 0 else "test") for i, text in enumerate([f"b {texts[0]}", *texts])]
    tokens = tokens_of(tmp_path, documents, lower=lower, pattern=pattern, stop_words=stop_words)
    library = Tokenizer.from_file(str(tokens.folder / "tokenizer.json"))
    for (text, _), ids in zip(documents, tokens.read().column("token_ids").to_pylist(), strict=True):
        assert library.encode(text).ids == ids


def test_a_stop_word_is_left_out_by_the_library_too_and_a_longer_word_is_not(tmp_path):
    tokens = tokens_of(tmp_path, [("The cat isn't there; the end, thesis", "train")], stop_words="english")
    assert tokens.words()[1:] == ["cat", "end", "isn't", "thesis"]
    assert Tokenizer.from_file(str(tokens.folder / "tokenizer.json")).encode("the CAT, thesis").tokens == ["cat", "thesis"]


def test_a_pattern_that_other_engines_read_otherwise_has_no_tokenizer_json_and_says_so(tmp_path, capsys):
    corpus = corpus_of(tmp_path, [("one two", "train")])
    tokens = tokenize(corpus, Params(min_count=1, pattern=r"\b\w\w+\b"), Run(tmp_path / "tokens", "tokenize/x", show=True))
    assert not (tokens.folder / "tokenizer.json").exists()
    assert r"no tokenizer.json: pattern '\\b\\w\\w+\\b' is no set of characters" in capsys.readouterr().out
