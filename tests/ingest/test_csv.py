"""CSV files of a user's own."""

import gzip

import pytest

from pipelines.errors import Fault
from pipelines.ingest import csv
from pipelines.ingest.csv import Params, ingest
from pipelines.method import Run


def corpus_of(tmp_path, content, name="own.csv", **knobs):
    source = tmp_path / name
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(source), **knobs), Run(tmp_path / "out", seed=1))


def texts(corpus):
    return corpus.read()["text"].to_pylist()


def rejects(corpus):
    return [(row["where"], row["reason"]) for row in corpus.read("rejects").to_pylist()]


def test_columns_are_found_by_name_and_an_empty_label_means_unlabelled(tmp_path):
    corpus = corpus_of(tmp_path, 'kind,body\nsea,"a, b\nc"\n,d\n', text="body", label="kind")
    rows = corpus.read().to_pylist()
    assert [(r["doc_id"], r["text"], r["label"]) for r in rows] == [("row-000000001", "a, b\nc", "sea"), ("row-000000002", "d", None)]
    assert rows[1]["split"] == "unlabelled"


def test_lines_that_end_as_on_the_first_macintosh_are_lines(tmp_path):
    assert texts(corpus_of(tmp_path, 'text,label\ra,x\r"b\rc",y\r')) == ["a", "b\nc"]


def test_drawn_splits_hold_the_same_share_of_every_label(tmp_path):
    text = "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(200))
    frame = corpus_of(tmp_path, text, valid_share=0.2, test_share=0.1).read().to_pandas()
    assert frame.groupby("label")["split"].value_counts().unstack().values.tolist() == [[10, 70, 20]] * 2


def test_id_split_group_and_time_are_read(tmp_path):
    content = "text,label,n,s,film,day\na,x,1,train,f,2020-01-02\nb,x,2,test,,2020-01-01T10:00+01:00\n"
    corpus = corpus_of(tmp_path, content, id="n", split="s", group="film", time="day", valid_share=0.0)
    assert corpus.read().select(["doc_id", "split", "group"]).to_pylist() == [
        {"doc_id": "1", "split": "train", "group": "f"},
        {"doc_id": "2", "split": "test", "group": None},
    ]


def test_a_time_that_is_none_is_rejected_and_times_out_of_order_are_sorted(tmp_path):
    content = "text,label,day\n" + "".join(f"t{day},x,2020-01-{day:02d}\n" for day in (5, 3, 9, 1, 7, 2, 8, 6, 4, 10)) + "odd,x,yesterday\n"
    corpus = corpus_of(tmp_path, content, time="day", divide="time", valid_share=0.2, test_share=0.2)
    assert {row["text"]: row["split"] for row in corpus.read().to_pylist() if row["split"] != "train"} == {
        "t7": "valid",
        "t8": "valid",
        "t9": "test",
        "t10": "test",
    }
    assert rejects(corpus) == [("own.csv: row 11 (line 12)", "has time 'yesterday', neither a number nor a date as ISO 8601 has it")]


@pytest.mark.parametrize(
    ("name", "content", "knobs"),
    [
        ("own.tsv", "text\tlabel\na, b\tx\n", {}),
        ("own.csv", "text;label\na, b;x\n", {"separator": ";"}),
        ("own.csv", '\ufefftext,label\n"a, b",x\n', {}),
        ("own.csv", '\ufefftext,label\r\n"a, b",x\r\n', {"encoding": "utf-8"}),
        ("own.csv", 'text,label\n"a, b",x\n'.encode("utf-16"), {}),
        ("own.csv.gz", gzip.compress(b'text,label\n"a, b",x\n', mtime=0), {}),
        ("own.tsv.gz", gzip.compress(b"text\tlabel\na, b\tx\n", mtime=0), {}),
    ],
)
def test_separators_byte_order_marks_and_compression_are_read(tmp_path, name, content, knobs):
    corpus = corpus_of(tmp_path, content, name, **knobs)
    assert corpus.read().select(["text", "label"]).to_pylist() == [{"text": "a, b", "label": "x"}]


def test_several_files_are_one_corpus_and_their_names_are_in_the_ids(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.csv").write_text(f"text,label\nof {folder},x\n,y\n")
    corpus = ingest(Params(source=[str(tmp_path / "a"), str(tmp_path / "b" / "*.csv")]), Run(tmp_path / "out"))
    assert corpus.read()["doc_id"].to_pylist() == ["own.csv/row-000000001", "own.csv (2)/row-000000001"]
    assert rejects(corpus) == [("own.csv: row 2 (line 3)", "is empty"), ("own.csv (2): row 2 (line 3)", "is empty")]
    assert all(str(tmp_path).encode() not in path.read_bytes() for path in corpus.folder.iterdir())


# bad input


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("txt,label\na,b\n", r"own.csv has no column 'text'; it has txt, label\. Did you mean 'txt'"),
        ("text;label\na;b\n", r"own.csv has one column, 'text;label'. Is it separated by ';'\? Then say so as `separator`"),
        ("text,label\n", "the source has no document"),
        ("", "own.csv has no header"),
        ("\n\n", "own.csv has no header"),
        ('\n\n"text,label\na,b\n', "line 3 is no header"),
        ("text,text,label\na,b,c\n", "has 2 columns named 'text'"),
        ("text,label\nof a,x\n".encode("utf-16-le"), "holds NUL characters in its first line, as no CSV does. If it is UTF-16"),
        ("text,label\nä,b\n".encode("utf-16") + b"\0", "is not utf-16 as a whole"),
        ('"text,label\na,b\n', "line 1 is no header"),
        ('text,label\na,b\n"c,b\nd,b\ne,b\n', r"own.csv: a quote is opened in row 2, line 3, and closed nowhere after it"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path, content, message):
    with pytest.raises(Fault, match=message):
        corpus_of(tmp_path, content)


def test_all_columns_that_are_missing_are_named(tmp_path):
    with pytest.raises(Fault) as caught:
        corpus_of(tmp_path, "body,kind\na,b\n", id="bodi")
    assert [fault.partition("; ")[0].split(" has ")[1] for fault in caught.value.faults] == [
        f"no column '{it}'" for it in ("bodi", "text", "label")
    ]


@pytest.mark.parametrize(
    ("content", "rejected"),
    [
        ("text,label\na,b\nc\nd,b\n", ("row 2 (line 3)", "has 1 cells; the header has 2")),
        ("text,label\na,b\nc,b,x\nd,b\n", ("row 2 (line 3)", "has 3 cells; the header has 2")),
        ('text,label\na,b\n"c" c,b\nd,b\n', ("row 2 (line 3)", "is not CSV: ',' expected after '\"'")),
        ("text,label\na,b\nc\0c,b\nd,b\n", ("row 2 (line 3)", "holds a NUL character in its text, as no text does")),
        (b"text,label\na,b\n\xe4,b\nd,b\n", ("row 2 (line 3)", "text is not in the encoding of its file: byte 0xe4 at character 1")),
        (b"text,label\na,b\nc,\xff\nd,b\n", ("row 2 (line 3)", "label is not in the encoding of its file: byte 0xff at character 1")),
        ("text,label\na,b\n \t,b\nd,b\n", ("row 2 (line 3)", "is empty")),
        ('text,label\n"a",b\n"c\nc",b,x\nd,b\n', ("row 2 (line 3)", "has 3 cells; the header has 2")),
    ],
)
def test_a_row_that_cannot_be_read_is_rejected_with_its_line_and_the_others_are_read(tmp_path, content, rejected):
    corpus = corpus_of(tmp_path, content)
    assert texts(corpus) == ["a", "d"]
    assert rejects(corpus) == [("own.csv: " + rejected[0], rejected[1])]


def test_a_quote_that_is_not_closed_rejects_each_line_that_it_takes_in(tmp_path):
    corpus = corpus_of(tmp_path, 'text,label\na,b\n"c,b\nd,b\n"e,b\nf,b\n')
    assert texts(corpus) == ["a", "f"]
    assert rejects(corpus) == [
        ("own.csv: row 2 (line 3)", "is not CSV: ',' expected after '\"'"),
        ("own.csv: line 4", "lies inside the faulty row that begins in line 3"),
        ("own.csv: line 5", "lies inside the faulty row that begins in line 3"),
    ]


def test_a_quote_that_is_closed_around_other_rows_rejects_them_all(tmp_path):
    rows = [f"text {i},{'xy'[i % 2]}" for i in range(40)]
    rows[10], rows[30] = '"' + rows[10], 'text 30",x'
    corpus = corpus_of(tmp_path, "text,label\n" + "\n".join(rows) + "\n")
    assert texts(corpus) == [f"text {i}" for i in range(40) if not 10 <= i <= 30]
    assert len(rejects(corpus)) == 21


@pytest.mark.parametrize(
    ("header", "faulty"),
    [
        ("text,label", ['"one of,x', 'the two",y']),
        ("text,label", ['"one of,x', "two of,y", 'three of",x']),
        ("label,text", ['x,"one of', "y,two of", 'x,three of"']),
        ("id,text,label", ['1,"one of,x', "2,two of,y", '3,three of",x']),
        ("id,text,label", ['"1, of",one of,"x', "2,two of,y", '3,three of,x"']),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quote_that_has_taken_in_a_few_rows_rejects_them_all(tmp_path, header, faulty, end):
    sound = {"text": "a b", "label": "x", "id": "9"}
    corpus = corpus_of(tmp_path, end.join([header, *faulty, ",".join(sound[name] for name in header.split(",")), ""]))
    assert texts(corpus) == ["a b"]
    assert rejects(corpus) == [
        ("own.csv: row 1 (line 2)", "has a quote that is closed lines later, around what looks like rows"),
        *((f"own.csv: line {line}", "lies inside the faulty row that begins in line 2") for line in range(3, len(faulty) + 2)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world.\nNice.",
        "However, one\nHowever, two",
        "a short,sloppy line\nand this,of four words\nand end",
        "good,bad\n",
        "Thanks,\nEd",
        "a poem, of lines\n\nthat have, each\n\none comma, all\n\nof them",
        "one\n\ntwo",
        "Dear all,\nwell, no,\nyours",
    ],
)
@pytest.mark.parametrize("form", ['text,label\n"{}",x\nb,y\n', 'label,text\nx,"{}"\ny,b\n', 'id,text,label\n1,"{}",x\n2,b,y\n'])
def test_a_quoted_text_of_a_few_lines_with_commas_is_one_text(tmp_path, text, form):
    assert texts(corpus_of(tmp_path, form.format(text))) == [text, "b"]


def test_empty_lines_before_the_header_are_none(tmp_path):
    corpus = corpus_of(tmp_path, "\n\r\ntext,label\na,x\nb,x,x\n")
    assert texts(corpus) == ["a"]
    assert rejects(corpus) == [("own.csv: row 2 (line 5)", "has 3 cells; the header has 2")]


def test_a_quoted_text_of_many_lines_with_commas_is_one_text(tmp_path):
    text = "\n".join(["One, two, three.", "Four", "five, six", "", "seven, eight, nine, ten", "eleven", "twelve", "end"])
    assert texts(corpus_of(tmp_path, f'text,label\n"{text}",x\n"b",y\n')) == [text, "b"]


def test_a_quote_that_is_never_closed_is_found_out_before_it_has_taken_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "LARGEST_CELL", 1000)
    with pytest.raises(Fault, match="a quote is opened in row 2, line 3, and closed nowhere"):
        corpus_of(tmp_path, 'text,label\na,b\n"c,b\n' + "d,b\n" * 1000)


def test_labels_with_stray_spaces_are_one_label_and_nan_is_none(tmp_path):
    corpus = corpus_of(tmp_path, "text,label\na,x\nb, x\nc,x \nd,NaN\n", valid_share=0.0, test_share=0.0)
    assert corpus.read()["label"].to_pylist() == ["x", "x", "x", None]
    assert [(r["step"], r["n_documents"]) for r in corpus.read("cleaning").to_pylist()] == [("label_none", 1), ("label_trimmed", 2)]


def test_rows_without_an_id_of_their_own_are_rejected(tmp_path):
    corpus = corpus_of(tmp_path, "id,text,label\na,1,c\n,2,c\nb,3,c\na,4,c\n", id="id")
    assert texts(corpus) == ["1", "3"]
    assert rejects(corpus) == [("own.csv: row 2 (line 3)", "has no id"), ("own.csv: row 4 (line 5)", "has an id that stands before")]


def test_an_unknown_split_is_rejected_with_its_row(tmp_path):
    corpus = corpus_of(tmp_path, "text,label,s\na,b,train\nc,d,vald\n", split="s")
    ((where, reason),) = rejects(corpus)
    assert where == "own.csv: row 2 (line 3)"
    assert "Did you mean 'valid'" in reason


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(Fault, match="none.csv is missing. Put it there"):
        ingest(Params(source=str(tmp_path / "none.csv")), Run(tmp_path / "out"))


@pytest.mark.slow
def test_a_cell_of_50_mb_is_read(tmp_path):
    text = "a long cell, " * 4_000_000
    assert texts(corpus_of(tmp_path, f'text,label\n"{text}",x\nb,x\n')) == [text, "b"]


@pytest.mark.parametrize(
    ("encoding", "content"), [("idna", b"text,label\n\xff"), ("punycode", b"text,label\n\xff"), ("utf-16", b"text,label\n..")]
)
def test_an_encoding_that_cannot_pass_over_what_it_does_not_know_is_a_fault_that_names_the_knob(tmp_path, encoding, content):
    with pytest.raises(Fault, match=f"cannot be read with encoding '{encoding}': .*Name the one that it has as `encoding`"):
        corpus_of(tmp_path, content, encoding=encoding)
