"""Sentences with a tag a token, from columns."""

import pytest
from pydantic import ValidationError

from pipelines.errors import Fault
from pipelines.ingest.conll import Params, ingest
from pipelines.method import Run
from pipelines.tokenize import whitespace

TWO = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\nPeter NNP B-NP B-PER\nBlackburn NNP I-NP I-PER\n"


def corpus_of(tmp_path, content, name="own.conll", **knobs):
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(tmp_path / name), **{"valid_share": 0.0, "test_share": 0.0, **knobs}), Run(tmp_path / "out", seed=1))


def rows(corpus, *columns):
    return [tuple(row.values()) for row in corpus.read().select(list(columns)).to_pylist()]


def test_tokens_are_the_first_column_and_tags_the_last(tmp_path):
    assert rows(corpus_of(tmp_path, TWO), "doc_id", "text", "label", "split") == [
        ("line-000000003", "EU rejects", "B-ORG O", "train"),
        ("line-000000007", "Peter Blackburn", "B-PER I-PER", "train"),
    ]


def test_other_columns_are_named_by_number(tmp_path):
    made = corpus_of(tmp_path, "1\tEU\tNNP\t_\n2\trejects\tVBZ\t_\n", token_column=2, tag_column=3)
    assert rows(made, "text", "label") == [("EU rejects", "NNP VBZ")]


@pytest.mark.parametrize("knobs", [{"token_column": 0}, {"token_column": 2, "tag_column": 2}])
def test_columns_that_are_none_or_the_same_are_refused(knobs):
    with pytest.raises(ValidationError, match="two different columns, counted from 1"):
        Params(**knobs)


def test_a_line_without_a_tag_is_named_and_its_sentence_left_out(tmp_path):
    made = corpus_of(tmp_path, "EU B-ORG\nrejects\ncalls O\nalone\n\nPeter B-PER")
    assert rows(made, "text") == [("Peter",)]
    assert [(row["where"], row["reason"]) for row in made.read("rejects").to_pylist()] == [
        ("own.conll: line 2", "has 1 columns, where a token and its tag take 2 or more; its sentence is left out")
    ]


def test_a_sentence_that_is_not_utf8_is_rejected_by_its_first_line(tmp_path):
    made = corpus_of(tmp_path, b"one O\n\nK\xf6ln B-LOC\n")
    assert rows(made, "text") == [("one",)]
    assert made.read("rejects")["where"].to_pylist() == ["own.conll: line 3"]


def test_splits_are_the_files(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(f"{name} O\n")
    made = ingest(Params(source=str(tmp_path / "a"), valid=str(tmp_path / "b"), test=str(tmp_path / "c")), Run(tmp_path / "out", seed=1))
    assert rows(made, "doc_id", "split") == [("a/line-000000001", "train"), ("b/line-000000001", "valid"), ("c/line-000000001", "test")]


def test_without_them_splits_are_drawn_whatever_the_tags(tmp_path):
    made = corpus_of(tmp_path, "".join(f"w{i} T{i}\n\n" for i in range(100)), valid_share=0.2, test_share=0.1)
    assert made.read()["split"].to_pandas().value_counts().to_dict() == {"train": 70, "valid": 20, "test": 10}


def test_whitespace_keeps_the_tokens_as_they_are_and_as_many_as_tags(tmp_path):
    odd = ["don't", "U.S.", "\u200b", "a\u00adb", "x\x07y", "ﬁn", "&amp;", "<b>"]
    made = corpus_of(tmp_path, "".join(f"{token} T\n" for token in odd))
    tokens = whitespace.tokenize(made, whitespace.Params(), Run(tmp_path / "tokens"))
    words = tokens.words()
    assert [words[i] for i in tokens.ids(["train"])[0]] == odd


def test_a_missing_file_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="is missing"):
        corpus_of(tmp_path, TWO, valid=str(tmp_path / "no.conll"))
