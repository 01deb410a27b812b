"""JSON lines of a user's own."""

import gzip
import json

import pytest

from pipelines.errors import Fault
from pipelines.ingest.jsonl import Params, ingest
from pipelines.method import Run


def corpus_of(tmp_path, content, name="own.jsonl", **knobs):
    if isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(tmp_path / name), **knobs), Run(tmp_path / "out", seed=1))


def texts(corpus):
    return corpus.read()["text"].to_pylist()


def rejects(corpus):
    return [(row["where"], row["reason"]) for row in corpus.read("rejects").to_pylist()]


def test_columns_are_found_by_name_also_inside_of_others(tmp_path):
    rows = [
        {"text": "a", "meta": {"stars": 4, "film": {"id": "f1"}}},
        {"text": "b", "meta": {"stars": None}},
        {"text": "c", "meta.stars": 5},
    ]
    corpus = corpus_of(tmp_path, rows, label="meta.stars", group="meta.film.id")
    assert corpus.read().select(["doc_id", "label", "group"]).to_pylist() == [
        {"doc_id": "row-000000001", "label": "4", "group": "f1"},
        {"doc_id": "row-000000002", "label": None, "group": None},
        {"doc_id": "row-000000003", "label": "5", "group": None},
    ]


def test_lists_of_tokens_are_joined_and_other_cells_are_text(tmp_path):
    rows = [{"text": ["a", "b", 1], "label": True}, {"text": 3.5, "label": 0}, {"text": {"a": "ä"}, "label": "x"}]
    corpus = corpus_of(tmp_path, rows)
    assert texts(corpus) == ["a b 1", "3.5", '{"a": "ä"}']
    assert corpus.read()["label"].to_pylist() == ["true", "0", "x"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.jsonl", '\ufeff{"text": "ä"}\r\n\r\n{"text": "b"}'.encode()),
        ("own.ndjson", '{"text": "ä"}\n\n{"text": "b"}\n'.encode("utf-16")),
        ("own.jsonl.gz", gzip.compress(b'{"text": "\\u00e4"}\n \n{"text": "b"}\n', mtime=0)),
    ],
)
def test_byte_order_marks_empty_lines_and_compression_are_read(tmp_path, name, content):
    corpus = corpus_of(tmp_path, content, name, label=None)
    assert texts(corpus) == ["ä", "b"]
    assert corpus.read()["doc_id"].to_pylist() == ["row-000000001", "row-000000003"]
    assert rejects(corpus) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1, 2]", "is no JSON object, but list"),
        (b'"text"', "is no JSON object, but str"),
        (b'{"text": "c"', "is not JSON: EOF while parsing an object at byte 12"),
        (b'{"text": "c"} x', "is not JSON: trailing characters at byte 15"),
        (b"{'text': 'c'}", "is not JSON: key must be a string at byte 2"),
        (b"[" * 100_000, "is not JSON: recursion limit exceeded at byte 202"),
        (b'{"text": "\xe4"}', "is not JSON: invalid unicode code point at byte 11"),
        (b'{"text": "\\ud800"}', "is not JSON: unexpected end of hex escape at byte 17"),
        (b'{"text": "a\\u0000b"}', "holds a NUL character in its text, as no text does"),
        (b'{"text": "a\0b"}', "is not JSON: control character (\\u0000-\\u001F) found while parsing a string at byte 12"),
        (b'{"text": null}', "has no text"),
        (b'{"txt": "c"}', "has no text"),
        (b'{"text": NaN}', "has no text"),
    ],
)
def test_a_line_that_is_no_document_is_rejected_with_its_number_and_the_others_are_read(tmp_path, line, reason):
    corpus = corpus_of(tmp_path, b'{"text": "a", "label": 1}\n' + line + b'\n{"text": "d"}\n')
    assert texts(corpus) == ["a", "d"]
    assert rejects(corpus) == [("own.jsonl: line 2", reason)]


def test_a_column_that_no_line_has_is_named_beside_those_there(tmp_path):
    rows = [{"body": "a", "meta": {"stars": 1}}, {"body": "b", "n": 2}]
    with pytest.raises(Fault) as caught:
        corpus_of(tmp_path, rows, text="bodi", label="stars")
    assert [fault.partition("own.jsonl ")[2] for fault in caught.value.faults] == [
        "has no column 'bodi'; it has body, meta.stars, n. Did you mean 'body'?",
        "has no column 'stars'; it has body, meta.stars, n. Did you mean 'meta.stars'?",
    ]


def test_a_column_that_some_lines_have_is_enough(tmp_path):
    corpus = corpus_of(tmp_path, [{"text": f"t{i}"} for i in range(20)] + [{"text": "t", "label": "x"}])
    assert corpus.read()["label"].to_pylist() == [None] * 20 + ["x"]


def test_json_that_is_not_lines_says_how_to_make_them(tmp_path):
    with pytest.raises(Fault, match=r"own.json is JSON as a whole, not an object in each line. Write it anew: jq -c '\.\[\]' own.json"):
        corpus_of(tmp_path, '[\n {"text": "a"}\n]', "own.json")


def test_a_file_of_other_things_has_no_document(tmp_path):
    with pytest.raises(Fault, match=r"no document; 2 of its records were rejected, the first own.jsonl: line 1: is not JSON"):
        corpus_of(tmp_path, "text,label\na,b\n")


def test_the_second_of_an_id_is_rejected(tmp_path):
    corpus = corpus_of(tmp_path, [{"text": "a", "id": 7}, {"text": "b", "id": "7"}], label=None, id="id")
    assert rejects(corpus) == [("own.jsonl: line 2", "has an id that stands before")]


@pytest.mark.slow
def test_a_line_of_50_mb_is_read(tmp_path):
    text = "a long line, " * 4_000_000
    assert texts(corpus_of(tmp_path, [{"text": text}, {"text": "b"}], label=None)) == [text, "b"]


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_time_that_is_out_of_range_rejects_its_line(tmp_path, digits):
    content = '{"text": "a", "label": "x", "t": 1}\n{"text": "b", "label": "x", "t": 1' + "0" * digits + "}\n"
    corpus = corpus_of(tmp_path, content, time="t", divide="time", valid_share=0.0, test_share=0.0)
    assert corpus.read()["text"].to_pylist() == ["a"]
    ((where, reason),) = rejects(corpus)
    assert where == "own.jsonl: line 2"
    assert len(reason) < 200


@pytest.mark.parametrize(("encoding", "content"), [("idna", b"ab\n\xff"), ("punycode", b"ab\n\xff"), ("utf-16", b"ab\n..")])
def test_an_encoding_that_cannot_pass_over_what_it_does_not_know_is_a_fault_that_names_the_knob(tmp_path, encoding, content):
    with pytest.raises(Fault, match=f"cannot be read with encoding '{encoding}': .*Name the one that it has as `encoding`"):
        corpus_of(tmp_path, content, encoding=encoding)
