"""Text files with a document a line."""

import gzip

import pytest

from pipelines import sources
from pipelines.errors import Fault
from pipelines.ingest.lines import Params, ingest
from pipelines.method import Run


def corpus_of(tmp_path, content, name="own.txt", **knobs):
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(tmp_path / name), **knobs), Run(tmp_path / "out", seed=1))


def rows(corpus, *columns):
    return [tuple(row.values()) for row in corpus.read().select(list(columns)).to_pylist()]


def rejects(corpus):
    return [(row["where"], row["reason"]) for row in corpus.read("rejects").to_pylist()]


def figures(corpus):
    return [(row["step"], row["n_documents"]) for row in corpus.read("cleaning").to_pylist()]


def test_lines_that_end_as_on_the_first_macintosh_are_documents(tmp_path):
    assert rows(corpus_of(tmp_path, "one\rtwo\r\rthree\r"), "text") == [("one",), ("two",), ("three",)]


def test_each_line_is_an_unlabelled_document_and_empty_ones_are_counted(tmp_path):
    corpus = corpus_of(tmp_path, "one\n\n two \r\n \t\r\nthree")
    assert rows(corpus, "doc_id", "text", "label", "split") == [
        ("line-000000001", "one", None, "unlabelled"),
        ("line-000000003", " two ", None, "unlabelled"),
        ("line-000000005", "three", None, "unlabelled"),
    ]
    assert figures(corpus) == [("empty_lines", 2)]
    assert rejects(corpus) == []


def test_labels_as_fasttext_has_them_are_an_option(tmp_path):
    content = "__label__sea a wave\n__label__land\t a hill \nof none\n__label__a __label__b two\n__label__sea\n__label__ empty\n"
    corpus = corpus_of(tmp_path, content, label_prefix="__label__", valid_share=0.0, test_share=0.0)
    assert rows(corpus, "text", "label", "split") == [
        ("a wave", "sea", "train"),
        ("a hill ", "land", "train"),
        ("of none", None, "unlabelled"),
        ("empty", None, "unlabelled"),
    ]
    assert sorted(rejects(corpus)) == [("own.txt: line 4", "has several labels; a document has one"), ("own.txt: line 5", "is empty")]
    assert rows(corpus_of(tmp_path, content), "text")[0] == ("__label__sea a wave",)


def test_a_prefix_is_taken_letter_by_letter(tmp_path):
    corpus = corpus_of(tmp_path, "a.c x\n[.] y\n", label_prefix="[.]", valid_share=0.0, test_share=0.0)
    assert rows(corpus, "text", "label") == [("a.c x", None), ("y", None)]


def test_several_files_keep_their_lines_apart(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("one")
    (tmp_path / "data" / "b.txt.gz").write_bytes(gzip.compress(b"two\n"))
    corpus = ingest(Params(source=str(tmp_path / "data")), Run(tmp_path / "out"))
    assert rows(corpus, "doc_id", "text") == [("a.txt/line-000000001", "one"), ("b.txt.gz/line-000000001", "two")]


def test_lines_over_the_borders_of_pieces_are_whole(tmp_path, monkeypatch):
    content = "".join(f"{'ä' * (i % 7)} {i}\n\n" for i in range(300))
    whole = corpus_of(tmp_path, content)
    texts, empty = rows(whole, "doc_id", "text"), figures(whole)
    monkeypatch.setattr(sources, "PIECE", 11)
    small = corpus_of(tmp_path, content)
    assert rows(small, "doc_id", "text") == texts
    assert figures(small) == empty == [("empty_lines", 300)]


def test_lines_that_are_not_in_the_encoding_are_rejected_and_the_others_read(tmp_path):
    corpus = corpus_of(tmp_path, b"good\nb\xe4d\nn\0l\n\n__label__x \xff\ngood too", label_prefix="__label__")
    assert rows(corpus, "doc_id", "text") == [("line-000000001", "good"), ("line-000000006", "good too")]
    assert rejects(corpus) == [
        ("own.txt: line 2", "is not in the encoding of its file: byte 0xe4 at character 2"),
        ("own.txt: line 5", "is not in the encoding of its file: byte 0xff at character 12"),
        ("own.txt: line 3", "holds a NUL character in its text, as no text does"),
    ]
    latin = corpus_of(tmp_path, b"b\xe4d\n", encoding="latin-1")
    assert rows(latin, "text") == [("bäd",)]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf\xc3\xa4\nb", "ä\nb".encode("utf-16")])
def test_a_byte_order_mark_is_no_text(tmp_path, content):
    assert rows(corpus_of(tmp_path, content), "text") == [("ä",), ("b",)]


def test_a_file_of_empty_lines_has_no_document(tmp_path):
    with pytest.raises(Fault, match="the source has no document"):
        corpus_of(tmp_path, "\n\n\n")


def test_a_tar_archive_is_no_text(tmp_path):
    import tarfile

    (tmp_path / "a.txt").write_text("one")
    with tarfile.open(tmp_path / "own.txt", "w") as archive:
        archive.add(tmp_path / "a.txt", "a.txt")
    with pytest.raises(Fault, match="own.txt is a tar archive"):
        ingest(Params(source=str(tmp_path / "own.txt")), Run(tmp_path / "out"))


@pytest.mark.slow
def test_ten_million_empty_lines_are_one_figure(tmp_path):
    corpus = corpus_of(tmp_path, b"\n" * 10_000_000 + b"last\n")
    assert rows(corpus, "doc_id", "text") == [("line-010000001", "last")]
    assert figures(corpus) == [("empty_lines", 10_000_000)]
    assert corpus.n_rows("rejects") == 0


@pytest.mark.slow
def test_a_line_of_50_mb_is_read(tmp_path):
    text = "a long line, " * 4_000_000 + "ends."
    assert rows(corpus_of(tmp_path, f"one\n{text}\nthree"), "text") == [("one",), (text,), ("three",)]


@pytest.mark.parametrize(("encoding", "content"), [("idna", b"ab\n\xff"), ("punycode", b"ab\n\xff"), ("utf-16", b"ab\n..")])
def test_an_encoding_that_cannot_pass_over_what_it_does_not_know_is_a_fault_that_names_the_knob(tmp_path, encoding, content):
    with pytest.raises(Fault, match=f"cannot be read with encoding '{encoding}': .*Name the one that it has as `encoding`"):
        corpus_of(tmp_path, content, encoding=encoding)
