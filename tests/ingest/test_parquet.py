"""Parquet files of a user's own."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import Fault
from pipelines.ingest import parquet
from pipelines.ingest.parquet import Params, ingest
from pipelines.method import Run


def corpus_of(tmp_path, table, name="own.parquet", **knobs):
    pq.write_table(pa.table(table), tmp_path / name, **knobs.pop("how", {}))
    return ingest(Params(source=str(tmp_path / name), **knobs), Run(tmp_path / "out", seed=1))


def texts(corpus):
    return corpus.read()["text"].to_pylist()


def rejects(corpus):
    return [(row["where"], row["reason"]) for row in corpus.read("rejects").to_pylist()]


def test_columns_are_found_by_name_and_rows_are_numbered_through_all_row_groups(tmp_path):
    table = {"body": [f"t{i}" for i in range(10)], "kind": ["x", None] * 5, "other": range(10)}
    corpus = corpus_of(tmp_path, table, text="body", label="kind", how={"row_group_size": 3})
    assert texts(corpus) == table["body"]
    assert corpus.read()["label"].to_pylist() == table["kind"]
    assert corpus.read()["doc_id"].to_pylist() == [f"row-{i:09d}" for i in range(1, 11)]


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (pa.array(["a", "ä"]), ["a", "ä"]),
        (pa.array(["a", "ä"], pa.large_string()), ["a", "ä"]),
        (pa.array(["a", "ä"], pa.string_view()), ["a", "ä"]),
        (pa.array(["a", "ä"]).dictionary_encode(), ["a", "ä"]),
        (pa.array([b"a", "ä".encode()]), ["a", "ä"]),
        (pa.array([1, -2]), ["1", "-2"]),
        (pa.array([1, 2], pa.uint8()), ["1", "2"]),
        (pa.array([1.0, 0.25]), ["1.0", "0.25"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([["a", "b"], ["c"]]), ["a b", "c"]),
        (pa.array([[1, 2], [3]]), ["1 2", "3"]),
        (pa.array([["a", None, "b"], ["c"]]), ["a b", "c"]),
        (pa.array([[0.5, 1.5], [2.5]]), ["0.5 1.5", "2.5"]),
        (pa.array([{"a": 1}, {"a": 2}]), ['{"a": 1}', '{"a": 2}']),
        (pa.array([Decimal("1.50"), Decimal("2.00")]), ["1.50", "2.00"]),
        (pa.array([date(2020, 1, 2), date(2020, 1, 3)]), ["2020-01-02", "2020-01-03"]),
    ],
)
def test_a_cell_of_any_kind_is_text(tmp_path, cells, text):
    corpus = corpus_of(tmp_path, {"text": cells, "label": ["x", "y"]}, valid_share=0.0, test_share=0.0)
    assert texts(corpus) == text


@pytest.mark.parametrize("how", [{}, {"row_group_size": 1}])
def test_a_column_inside_another_is_named_with_a_dot_and_one_that_is_called_so_is_found_too(tmp_path, how):
    meta = [{"label": "x", "deep": {"body": "one"}}, {"label": 2, "deep": None}, None]
    meta = pa.array([{**it, "label": str(it["label"])} if it else None for it in meta])
    corpus = corpus_of(
        tmp_path, {"a.b": ["p", "q", "r"], "meta": meta}, text="a.b", label="meta.label", how=how, valid_share=0.0, test_share=0.0
    )
    assert (texts(corpus), corpus.read()["label"].to_pylist()) == (["p", "q", "r"], ["x", "2", None])
    corpus = corpus_of(tmp_path, {"meta": meta}, text="meta.deep.body", label=None, how=how)
    assert texts(corpus) == ["one"]
    assert rejects(corpus) == [("own.parquet: row 2", "has no text"), ("own.parquet: row 3", "has no text")]
    with pytest.raises(Fault, match=r"has no column 'meta.lable'; it has meta, meta.label, meta.deep, .*Did you mean 'meta.label'"):
        corpus_of(tmp_path, {"meta": meta}, text="meta.deep.body", label="meta.lable")


def test_a_label_that_is_a_list_or_an_object_rejects_its_row_and_a_float_that_is_whole_is_a_whole_number(tmp_path):
    for cells in (pa.array([["a"], ["b"]]), pa.array([{"a": 1}, {"a": 2}])):
        with pytest.raises(
            Fault, match=r"2 of its records were rejected, the first own.parquet: row 1: has an? (list|object) for its label"
        ):
            corpus_of(tmp_path, {"text": ["one", "two"], "label": cells})
    corpus = corpus_of(tmp_path, {"text": ["one", "two"], "label": [1.0, 0.5]}, valid_share=0.0, test_share=0.0)
    assert corpus.read()["label"].to_pylist() == ["1", "0.5"]


def test_whole_columns_give_what_cell_by_cell_gives(tmp_path, monkeypatch):
    table = {
        "text": pa.array([["a", "b"], [], None, ["c"], ["d\0"]] * 5),
        "label": pa.array([1, 2, None, 1, 2] * 5),
        "group": pa.array(["f", "", None, "g", "f"] * 5).dictionary_encode(),
        "id": pa.array([f"d{i}".encode() for i in range(25)]),
        "time": pa.array([1, 2.5, None, 4, 5] * 5),
    }
    knobs = {"group": "group", "id": "id", "time": "time", "leaks": False}
    fast = corpus_of(tmp_path, table, **knobs)
    before = {path.name: path.read_bytes() for path in fast.folder.iterdir()}
    monkeypatch.setattr(parquet, "strings", lambda cells, joined: None)
    slow = corpus_of(tmp_path, table, **knobs)
    assert {path.name: path.read_bytes() for path in slow.folder.iterdir()} == before
    assert fast.n_rows() == 10
    assert fast.n_rows("rejects") == 15


@pytest.mark.parametrize(
    "times",
    [
        pa.array(range(20)),
        pa.array([float(i) for i in range(20)]),
        pa.array([datetime(2020, 1, 1 + i, tzinfo=UTC) for i in range(20)]),
        pa.array([date(2020, 1, 1 + i) for i in range(20)]),
        pa.array([f"2020-01-{1 + i:02d}" for i in range(20)]),
    ],
)
def test_times_are_numbers_dates_or_text(tmp_path, times):
    corpus = corpus_of(
        tmp_path,
        {"text": [f"t{i}" for i in range(20)], "label": ["x"] * 20, "when": times},
        time="when",
        divide="time",
        valid_share=0.1,
        test_share=0.1,
    )
    assert corpus.read()["split"].to_pylist() == ["train"] * 16 + ["valid"] * 2 + ["test"] * 2


def test_a_folder_of_files_is_one_corpus(tmp_path):
    (tmp_path / "data").mkdir()
    for name in "ba":
        pq.write_table(pa.table({"text": [f"of {name}"]}), tmp_path / "data" / f"{name}.parquet")
    (tmp_path / "data" / "README.md").write_text("of other things")
    corpus = ingest(Params(source=str(tmp_path / "data"), label=None), Run(tmp_path / "out"))
    assert corpus.read()["doc_id"].to_pylist() == ["a.parquet/row-000000001", "b.parquet/row-000000001"]


def test_long_rows_are_read_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_BYTES", 10_000)
    path = tmp_path / "own.parquet"
    pq.write_table(pa.table({"text": [f"{i}" * 1000 for i in range(100)]}), path, use_dictionary=False)
    sizes = [batch.num_rows for batch in parquet.batches(path, ["text"])]
    assert sum(sizes) == 100
    assert max(sizes) < 10


# bad input


def test_rows_that_are_no_documents_are_rejected_with_their_number(tmp_path):
    table = {"text": pa.array([b"a", b"b\xe4", None, b"c\0", b" ", b"d"]), "label": ["x", "x", "x", "x", "x", " nan "]}
    corpus = corpus_of(tmp_path, table)
    assert texts(corpus) == ["a", "d"]
    assert corpus.read()["label"].to_pylist() == ["x", None]
    assert rejects(corpus) == [
        ("own.parquet: row 2", "text is not in the encoding of its file: byte 0xe4 at character 2"),
        ("own.parquet: row 3", "has no text"),
        ("own.parquet: row 4", "holds a NUL character in its text, as no text does"),
        ("own.parquet: row 5", "is empty"),
    ]


@pytest.mark.parametrize("name", ["text", "label", "time"])
def test_a_time_that_no_calendar_has_rejects_its_row(tmp_path, name):
    odd = pa.array([0, 10**15, 1], pa.timestamp("s"))
    table = {"text": ["a", "b", "c"], "label": ["x", "x", "x"], "time": pa.array([1, 2, 3]), name: odd}
    corpus = corpus_of(tmp_path, table, time="time", divide="time", valid_share=0.0, test_share=0.0)
    assert corpus.n_rows() == 2
    ((where, reason),) = rejects(corpus)
    assert where == "own.parquet: row 2"
    assert reason.startswith(f"has a {name} that cannot be read: ")


def test_a_string_column_that_is_not_utf8_is_found_out(tmp_path):
    cells = pa.array([b"a", b"\xff"]).view(pa.string())  # Arrow takes it as it is
    corpus = corpus_of(tmp_path, {"text": cells, "label": ["x", "x"]})
    assert texts(corpus) == ["a"]
    assert rejects(corpus) == [("own.parquet: row 2", "text is not in the encoding of its file: byte 0xff at character 1")]


def test_a_label_that_is_nan_is_none(tmp_path):
    corpus = corpus_of(tmp_path, {"text": ["a", "b"], "label": [1.0, float("nan")]})
    assert corpus.read()["label"].to_pylist() == ["1", None]


def test_missing_columns_of_any_file_are_named_before_the_work_begins(tmp_path):
    pq.write_table(pa.table({"text": ["a"], "label": ["x"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"txt": ["a"], "label": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(Fault, match=r"b.parquet has no column 'text'; it has txt, label. Did you mean 'txt'\?"):
        ingest(Params(source=f"{tmp_path}/*.parquet"), Run(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["text,label\n", "", "cut", "holed"])
def test_a_file_that_is_damaged_is_named(tmp_path, damage):
    path = tmp_path / "own.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(10_000)]}), path)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-100], "holed": whole[:200] + bytes(2000) + whole[2200:]}.get(damage, damage.encode()))
    with pytest.raises(Fault, match=r"own.parquet (is not a readable Parquet file|cannot be read to its end)"):
        ingest(Params(source=str(path), label=None), Run(tmp_path / "out"))
