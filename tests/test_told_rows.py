"""Small tables of a user's own, in the forms that they come in."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import Fault
from pipelines.told_rows import read


def cells(path):
    return [row.cells for row in read(str(path), ["word", "tag"])]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "the\tDET\n,\tPUNCT\n"),
        ("a.tsv", "\ufeffword\ttag\r\nthe\tDET\r\n\r\n,\tPUNCT\r\n"),
        ("a.csv", 'tag,n,word\nDET,3,the\nPUNCT,4,","\n'),
        ("a.txt", "# made up\nthe DET\n,   PUNCT\n"),
        ("a.txt", "the\tDET\n,\tPUNCT"),
        ("a.lst", 'the,DET\n",",PUNCT\n'),
    ],
)
def test_one_table_in_many_forms(tmp_path, name, text):
    (tmp_path / name).write_text(text, newline="")
    assert cells(tmp_path / name) == [("the", "DET"), (",", "PUNCT")]


def test_a_quote_in_tabs_is_a_letter(tmp_path):
    (tmp_path / "a.tsv").write_text('"\tPUNCT\n#\tSYM\n')
    assert cells(tmp_path / "a.tsv") == [('"', "PUNCT"), ("#", "SYM")]


def test_compressed_and_parquet(tmp_path, monkeypatch):
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"the\tDET\n"))
    pq.write_table(pa.table({"tag": ["DET"], "word": [7]}), tmp_path / "a.parquet")
    monkeypatch.setenv("WORDLOOM_DATA", str(tmp_path))
    assert cells("data:a.tsv.gz") == [("the", "DET")]
    assert cells("data:a.parquet") == [("7", "DET")]
    pq.write_table(pa.table({"words": ["the"], "tag": ["DET"]}), tmp_path / "b.parquet")
    with pytest.raises(Fault, match=r"b.parquet has no column 'word'; it has words, tag"):
        cells("data:b.parquet")


def test_all_lines_that_are_wrong_are_named_the_first_ten_of_many(tmp_path):
    (tmp_path / "a.tsv").write_text("the\tDET\n\nfox\na\tb\tc\ndog\t\n")
    with pytest.raises(Fault) as fault:
        cells(tmp_path / "a.tsv")
    assert fault.value.faults == [
        "a.tsv, line 3 is 'fox', 1 cells; it has to be word, tag",
        "a.tsv, line 4 is 'a\\tb\\tc', 3 cells; it has to be word, tag",
        "a.tsv, line 5: its tag is empty",
    ]
    (tmp_path / "many.tsv").write_text("fox\n" * 13)
    with pytest.raises(Fault) as fault:
        cells(tmp_path / "many.tsv")
    assert len(fault.value.faults) == 11
    assert fault.value.faults[-1].endswith("many.tsv: 3 more lines like these")


def test_a_table_that_is_missing_empty_or_no_text_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="is missing"):
        cells(tmp_path / "none.tsv")
    (tmp_path / "empty.tsv").write_text("word\ttag\n")
    with pytest.raises(Fault, match="holds no row; a line has to be word, tag"):
        cells(tmp_path / "empty.tsv")
    (tmp_path / "bytes.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Fault, match="cannot be read as UTF-8 text"):
        cells(tmp_path / "bytes.tsv")
    with pytest.raises(Fault, match="is a folder"):
        cells(tmp_path)
