"""Columns of a source: cells as text, as times, as records."""

from datetime import UTC, date, datetime

import pytest

from pipelines.cleaning import Reject
from pipelines.columns import Columns, as_text, record, seconds
from pipelines.errors import Fault


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("a", "a"), (None, None), (float("nan"), None), (1, "1"), (1.5, "1.5"), (True, "true"), (b"\xc3\xa4", "ä"),
        (["a", None, 1], "a 1"), ([], ""), ({"a": "ä"}, '{"a": "ä"}'), (date(2020, 1, 2), "2020-01-02"),
    ],
)  # fmt: skip
def test_a_cell_as_text(cell, text):
    assert as_text(cell) == text


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        (3, 3.0), ("3.5", 3.5), (None, None), ("", None), (float("nan"), None), ("1970-01-02", 86_400.0), (b"1970-01-02", 86_400.0),
        (" 1970-01-01T01:00:00+01:00 ", 0.0), (date(1970, 1, 2), 86_400.0), (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 1.0),
    ],
)  # fmt: skip
def test_a_cell_as_a_time(cell, time):
    assert seconds(cell) == time


@pytest.mark.parametrize("cell", ["yesterday", "1970-13-01", True, ["1970-01-01"]])
def test_a_cell_that_is_no_time_rejects_its_record(cell):
    with pytest.raises(ValueError):  # noqa: PT011  whichever says it
        seconds(cell)
    assert isinstance(record({"text": "a", "time": cell}, "row 1", "d1"), Reject)


def test_a_time_that_is_out_of_range_rejects_its_record():
    assert record({"text": "a", "time": 10**400}, "row 1", "d1") == Reject("row 1", f"has time 1{'0' * 79}, which is out of range")


def test_a_record_has_its_own_id_or_that_of_its_row():
    assert record({"text": "a"}, "row 1", "d1") == {"where": "row 1", "id": "d1", "text": "a"}
    assert record({"text": "a", "id": 7}, "row 1", "d1") == {"where": "row 1", "id": "7", "text": "a"}


@pytest.mark.parametrize("name", ["label", "id", "split", "group"])
def test_an_object_or_a_list_is_a_text_and_nothing_else(name):
    assert record({"text": {"a": 1}}, "row 1", "d1")["text"] == '{"a": 1}'
    assert record({"text": "a", name: {"a": 1}}, "row 1", "d1").reason == (
        f"has an object for its {name}, which is one word or number. Name what is in it, as a.b"
    )
    assert record({"text": "a", name: ["x"]}, "row 1", "d1").reason.startswith(f"has a list for its {name}")


def test_what_cannot_be_decoded_is_named_by_column_byte_and_place():
    text = b"ab\xe4".decode("utf-8", "surrogateescape")
    assert record({"text": text}, "row 1", "d1") == Reject(
        "row 1", "text is not in the encoding of its file: byte 0xe4 at character 3", "ab?"
    )
    assert (
        record({"text": "\ud800"}, "row 1", "d1").reason
        == "text is not in the encoding of its file: half a character, U+D800, at character 1"
    )


def test_columns_that_are_missing_or_there_twice_are_named():
    with pytest.raises(Fault) as caught:
        Columns(text="body", label="kind", id="n").check(["bdy", "kind", "kind"], "own.csv")
    assert caught.value.faults == [
        "own.csv has no column 'n'; it has bdy, kind, kind.",
        "own.csv has no column 'body'; it has bdy, kind, kind. Did you mean 'bdy'?",
        "own.csv has 2 columns named 'kind'. Rename all but one",
    ]


def test_a_checksum_is_64_digits():
    with pytest.raises(ValueError, match="should match pattern"):
        Columns(sha256="../../etc/passwd")
