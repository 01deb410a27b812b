"""Sequences of events, by person and time."""

import csv
import datetime
import gzip
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import layout
from pipelines.errors import Fault
from pipelines.ingest import events
from pipelines.ingest.events import Params, ingest, sources
from pipelines.method import Run

TABLE = """person,time,code
p1,2020-01-01,A
p2,2020-03-01,B
p1,2020-01-30,C
p1,2020-01-31,D
p1,2020-01-15,B
p1,2020-06-01,E
"""


def corpus_of(tmp_path, content=TABLE, name="own.csv", out="out", **knobs):
    source = tmp_path / name
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    return ingest(Params(source=str(source), **knobs), Run(tmp_path / out, seed=1))


def texts(corpus):
    return {row["doc_id"]: row["text"] for row in corpus.read().to_pylist()}


def rejects(corpus):
    return [(row["where"], row["reason"]) for row in corpus.read("rejects").to_pylist()]


def test_a_document_is_what_befell_a_person_within_a_window_in_order_of_time(tmp_path):
    # 30 January is the 30th day of the first window, 31 January begins the next; 1 June is 152 days after 1 January
    corpus = corpus_of(tmp_path, window_days=30)
    assert texts(corpus) == {"p1/000000": "A B C", "p1/000001": "D", "p1/000005": "E", "p2/000000": "B"}
    assert {row["doc_id"]: row["group"] for row in corpus.read().to_pylist()} == {
        "p1/000000": "p1", "p1/000001": "p1", "p1/000005": "p1", "p2/000000": "p2",
    }  # fmt: skip


def test_a_window_of_zero_is_all_of_a_persons_time(tmp_path):
    assert texts(corpus_of(tmp_path, window_days=0)) == {"p1": "A B C D E", "p2": "B"}


def test_events_of_the_same_time_come_in_the_order_of_their_codes_and_each_counts(tmp_path):
    assert texts(corpus_of(tmp_path, "person,time,code\np,3,b\np,3,a\np,3,b\np,1,z\n", window_days=0)) == {"p": "z a b b"}


@pytest.mark.parametrize(
    ("unit", "times"),
    [
        ("days", ["0", "29.9", "30", "59", "60"]),
        ("seconds", ["0", "2591999", "2592000", "5183999", "5184000"]),
        ("days", ["20200101", "20200130", "20200131", "20200229", "20200301"]),
        ("days", ["2020-01-01", "2020-01-30T23:59:59", "2020-01-31", "2020-02-29", "2020-03-01T00:00+00:00"]),
    ],
)
def test_times_are_numbers_of_the_unit_said_or_dates(tmp_path, unit, times):
    rows = "".join(f"p,{time},{code}\n" for time, code in zip(times, "ABCDE", strict=True))
    assert texts(corpus_of(tmp_path, "person,time,code\n" + rows, time_unit=unit)) == {
        "p/000000": "A B",
        "p/000001": "C D",
        "p/000002": "E",
    }


EVENTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 400), st.sampled_from("ABCD")), min_size=1, max_size=60)


@given(EVENTS, st.sampled_from([0, 7, 30]), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_documents_are_those_of_a_plain_sort_and_neither_order_nor_parts_decide_a_byte(tmp_path, monkeypatch, found, window, rng):
    expected: dict[str, list[str]] = {}
    begun = {who: min(day for other, day, _ in found if other == who) for who, _, _ in found}
    for who, day, code in sorted(found):
        name = f"p{who}/{(day - begun[who]) // window:06d}" if window else f"p{who}"
        expected.setdefault(name, []).append(code)

    def table(rows):
        return "person,time,code\n" + "".join(f"p{who},{day},{code}\n" for who, day, code in rows)

    whole = corpus_of(tmp_path, table(found), out="whole", window_days=window)
    assert texts(whole) == {name: " ".join(codes) for name, codes in expected.items()}
    mixed = list(found)
    rng.shuffle(mixed)
    with monkeypatch.context() as patch:
        patch.setattr(events, "PART_BYTES", 16)
        patch.setattr(events, "BATCH", 7)
        parts = corpus_of(tmp_path, table(mixed), out="parts", window_days=window)
    assert layout.hash_path(parts.folder) == layout.hash_path(whole.folder)


def test_parquet_gives_what_csv_gives(tmp_path):
    days = [datetime.date.fromisoformat(row.split(",")[1]) for row in TABLE.splitlines()[1:]]
    columns = {"who": ["p1", "p2", "p1", "p1", "p1", "p1"], "what": list("ABCDBE")}
    for kind in (pa.date32(), pa.timestamp("us"), pa.timestamp("ns", "UTC")):
        pq.write_table(pa.table({**columns, "day": pa.array(days).cast(kind)}), tmp_path / "own.parquet")
        corpus = ingest(Params(source=str(tmp_path / "own.parquet"), person="who", time="day", code="what"), Run(tmp_path / "out", seed=1))
        assert texts(corpus) == texts(corpus_of(tmp_path))


def test_numbers_are_names_of_persons_and_codes_too(tmp_path):
    pq.write_table(pa.table({"person": [7, 7], "time": [2.0, 1.0], "code": [250, 401]}), tmp_path / "own.parquet")
    assert texts(ingest(Params(source=str(tmp_path / "own.parquet")), Run(tmp_path / "out"))) == {"7/000000": "401 250"}


def test_several_files_are_one_table(tmp_path):
    folder = tmp_path / "years"
    folder.mkdir()
    (folder / "2020.tsv").write_text("code\tperson\ttime\nA\tp\t2\n")
    (folder / "2021.csv.gz").write_bytes(gzip.compress(b"person,time,code\np,1,B\n"))
    assert texts(ingest(Params(source=str(folder)), Run(tmp_path / "out"))) == {"p/000000": "B A"}


def test_a_label_is_a_persons_and_no_person_is_in_two_splits(tmp_path):
    rng = random.Random(0)
    rows = "".join(f"p{rng.randrange(60)},{rng.randrange(400)},C{rng.randrange(500)}\n" for _ in range(2000))
    table = tmp_path / "labels.csv"
    table.write_text("id,label\n" + "".join(f"p{i},{'ab'[i % 2]}\n" for i in range(50)))
    frame = corpus_of(tmp_path, "person,time,code\n" + rows, labels=str(table)).read().to_pandas()
    assert set(frame["split"]) == {"train", "valid", "test", "unlabelled"}
    assert (frame.groupby("group")["split"].nunique() == 1).all()
    assert (frame.groupby("group")["label"].nunique() <= 1).all()
    assert set(frame[frame["split"] == "unlabelled"]["group"]) == {f"p{i}" for i in range(50, 60)}
    assert sources(Params(source="data:events.csv", labels=str(table))) == [str(table)]


def test_documents_can_be_divided_by_the_time_they_begin_at(tmp_path):
    rows = "".join(f"p{i},{100 - i},C{i}\n" for i in range(20))
    table = tmp_path / "labels.csv"
    table.write_text("id,label\n" + "".join(f"p{i},a\n" for i in range(20)))
    frame = (
        corpus_of(tmp_path, "person,time,code\n" + rows, labels=str(table), divide="time", valid_share=0.2, test_share=0.1)
        .read()
        .to_pandas()
    )
    split = dict(zip(frame["group"], frame["split"], strict=True))
    assert [split[f"p{i}"] for i in range(20)] == ["test"] * 2 + ["valid"] * 4 + ["train"] * 14


# what is no event


def test_a_row_that_is_no_event_is_rejected_with_its_line_and_the_others_are_kept(tmp_path):
    content = b"person,time,code\np,1,A\n,1,B\np,,C\np,tomorrow,D\np,2,\np,3,E F\np,4\n\np,nan,G\np,inf,H\np,20201399,I\nb\xe9,1,J\np,5,K\n"
    corpus = corpus_of(tmp_path, content)
    assert texts(corpus) == {"p/000000": "A K"}
    no_time = "neither a number nor a date as ISO 8601 has it"
    assert sorted(rejects(corpus), key=lambda reject: int(reject[0].split()[-1])) == [
        ("own.csv: line 3", "has no person"),
        ("own.csv: line 4", "has no time"),
        ("own.csv: line 5", f"has time 'tomorrow', {no_time}"),
        ("own.csv: line 6", "has no code"),
        ("own.csv: line 7", "has a code with spaces in it, 'E F'; spaces: underscore would join it"),
        ("own.csv: line 8", "has 2 cells; the header has 3"),
        ("own.csv: line 10", f"has time 'nan', {no_time}"),
        ("own.csv: line 11", f"has time 'inf', {no_time}"),
        ("own.csv: line 12", f"has time '20201399', {no_time}"),
        ("own.csv: line 13", "has a person that is not UTF-8"),
    ]


def test_a_row_of_parquet_that_is_no_event_is_named_by_its_number(tmp_path):
    pq.write_table(
        pa.table({"person": ["p", None, "q"], "time": [1.0, 2.0, float("nan")], "code": ["A", "B", "C"]}), tmp_path / "own.parquet"
    )
    corpus = ingest(Params(source=str(tmp_path / "own.parquet")), Run(tmp_path / "out"))
    assert texts(corpus) == {"p/000000": "A"}
    assert rejects(corpus) == [("own.parquet: row 2", "has no person"), ("own.parquet: row 3", "has no time")]


def test_codes_with_spaces_are_joined_where_the_row_says_so(tmp_path):
    assert texts(corpus_of(tmp_path, "person,time,code\np,1,E 11  9\n", spaces="underscore")) == {"p/000000": "E_11_9"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("patient,time,code\np,1,A\n", r"own.csv has no column 'person'; it has patient, time, code\. Name it in the row as `person`"),
        ("person,tme,kode\np,1,A\n", r"no column 'time'.*Did you mean 'tme'\?.*\n.*no column 'code'.*Did you mean 'kode'"),
        ("", r"has no column 'person'; it has none"),
        ("person,time,code\n", "the source has no document"),
        ('person,time,code\np,1,"A\nq,2,B\n', r"own.csv: a quote is opened in line 2, and closed nowhere after it"),
    ],
)
def test_a_file_that_is_no_table_of_events_is_named(tmp_path, content, message):
    with pytest.raises(Fault, match=message):
        corpus_of(tmp_path, content)


def test_a_parquet_file_that_is_cut_or_holds_lists_is_named(tmp_path):
    path = tmp_path / "own.parquet"
    pq.write_table(pa.table({"person": ["p"], "time": [1], "code": [["A"]]}), path)
    with pytest.raises(Fault, match=r"has no column 'code'; it has person, time\."):
        ingest(Params(source=str(path)), Run(tmp_path / "out"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Fault, match="own.parquet is not a whole Parquet file"):
        ingest(Params(source=str(path)), Run(tmp_path / "out"))


def test_a_row_with_broken_quotes_is_rejected_alone_and_the_rows_that_were_read_are_counted(tmp_path):
    corpus = corpus_of(tmp_path, 'person,time,code\np,1,A\np,2,"B"x\np,3\np,4,C\n')
    assert texts(corpus) == {"p/000000": "A C"}
    assert [where for where, _ in rejects(corpus)] == ["own.csv: line 3", "own.csv: line 4"]
    assert "is not CSV" in rejects(corpus)[0][1]
    assert {row["step"]: row["n_documents"] for row in corpus.read("cleaning").to_pylist()} == {"records": 4}
    assert corpus.measures(corpus.profile())["rejects"].value == 0.5


def test_a_cell_may_be_longer_than_the_csv_module_expects(tmp_path):
    csv.field_size_limit(131_072)
    assert texts(corpus_of(tmp_path, f"person,time,code,note\np,1,A,{'x' * 200_000}\n")) == {"p/000000": "A"}


def test_utf16_is_read_and_a_byte_too_many_in_it_is_a_fault(tmp_path):
    assert texts(corpus_of(tmp_path, TABLE.encode("utf-16"))) == texts(corpus_of(tmp_path))
    with pytest.raises(Fault, match="own.csv is not utf-16 as a whole: truncated data"):
        corpus_of(tmp_path, TABLE.encode("utf-16") + b"\0")


def test_what_stands_in_a_held_out_split_is_dropped_as_from_every_source(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("id,label\n" + "".join(f"p{i},{'ab'[i % 2]}\n" for i in range(40)))
    corpus = corpus_of(tmp_path, "person,time,code\n" + "".join(f"p{i},1,C{i % 20}\n" for i in range(40)), labels=str(table))
    split = corpus.read().to_pandas().groupby("text")["split"].agg(set)
    assert all(len(splits) == 1 for splits in split)
    assert "leaks" in corpus.read("cleaning")["step"].to_pylist()
