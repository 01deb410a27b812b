"""Tables of labels beside a source."""

import bz2
import gzip
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import Fault
from pipelines.label_table import Labels
from pipelines.method import Run


def labels_of(tmp_path, text, name="labels.tsv", **run):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Labels(str(path), Run(tmp_path / "out", "ingest/x", **run))


def test_a_label_is_found_by_its_id_and_an_empty_one_is_none(tmp_path):
    labels = labels_of(tmp_path, "label\tid\tnote\n sea \tp1\t\n\tp2\tx\n")
    assert [labels.of(name) for name in ("p1", "p2", "p3")] == ["sea", None, None]


def test_commas_and_compression_go_by_the_name_of_the_file(tmp_path):
    assert labels_of(tmp_path, 'id,label\n"a, b",x\n', "labels.csv").of("a, b") == "x"
    for ending, packed in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)):
        assert labels_of(tmp_path, packed(b"id\tlabel\na\tx\n"), f"labels.tsv{ending}").of("a") == "x"


def test_parquet_is_read_too_and_a_number_is_an_id(tmp_path):
    pq.write_table(pa.table({"label": ["x", None], "id": [7, 8]}), tmp_path / "labels.parquet")
    labels = Labels(str(tmp_path / "labels.parquet"), Run(tmp_path / "out"))
    assert [labels.of(name) for name in ("7", "8")] == ["x", None]


def test_without_a_table_no_id_has_a_label_and_nothing_is_wrong(tmp_path):
    labels = Labels(None, Run(tmp_path / "out"))
    assert labels.of("p1") is None
    labels.check()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ids\tlabel\np1\tx\n", r"no column 'id'; it has ids, label\. Did you mean 'ids'"),
        ("", r"no column 'id'; it has none"),
        ("id\tlabel\np1\tx\np1\ty\n", r"line 3 gives p1 the label y, one before it x"),
        ("id\tlabel\n\tx\n", r"line 2 has no id"),
        ("id\tlabel\np1\tx\n\np2\n", r"labels.tsv: line 4 has 1 cells; the header has 2"),
        ("id\tlabel\np1\tx\ty\n", r"labels.tsv: line 2 has 3 cells; the header has 2"),
        ('id\tlabel\n"p1\tx\n', r"cannot be read as a table of labels: unexpected end of data"),
        (b"id\tlabel\n\xff\tx\n", r"cannot be read as a table of labels: 'utf-8' codec"),
    ],
)
def test_what_is_no_table_of_labels_is_named(tmp_path, text, message):
    with pytest.raises(Fault, match=message):
        labels_of(tmp_path, text)


def test_labels_of_nothing_that_there_is_are_told_and_when_all_are_it_is_a_fault(tmp_path, capsys):
    labels = labels_of(tmp_path, "id\tlabel\np1\tx\np2\ty\n", show=True)
    with pytest.raises(Fault, match=r"none of its 2 ids is in the source; the first are p1, p2\. Write them as the source does"):
        labels.check()
    labels.of("p1")
    labels.check()
    assert "1 of 2 ids are not in the source, first p2" in capsys.readouterr().out
