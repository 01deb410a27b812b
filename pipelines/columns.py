"""Columns: which column of a table of records is what. What the sources with columns (CSV, JSON lines, Parquet) share."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from pipelines.cleaning import EXCERPT, Reject
from pipelines.documents import Documents
from pipelines.errors import Fault, nearest

T = TypeVar("T")


class Columns(Documents):
    """Knobs: the source, and its columns by name."""

    source: str | list[str] = "data.csv"  # a file, several, a folder, a pattern, data:NAME, or an address
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")  # of what is downloaded
    text: str = "text"
    label: str | None = "label"  # an empty cell is no label: the document is unlabelled; 1.0 is 1
    id: str | None = None  # none: row 1, row 2 ... of the file
    split: str | None = None  # none: drawn by seed
    group: str | None = None
    time: str | None = None  # a number, or a date as ISO 8601 has it

    def wanted(self) -> dict[str, str]:
        """column of a record -> column of the source, of those that are named."""
        named = {name: getattr(self, name) for name in ("id", "text", "label", "split", "group", "time")}
        return {name: column for name, column in named.items() if column}

    def check(self, there: Sequence[str], where: str) -> None:
        """Raises Fault for the columns that a file does not have, or has twice."""
        faults = []
        for column in dict.fromkeys(self.wanted().values()):
            if column not in there:
                shown = ", ".join(str(it)[:EXCERPT] for it in there[:30]) + (", ..." if len(there) > 30 else "")
                faults.append(f"{where} has no column {column!r}; it has {shown or 'none'}.{nearest(column, there)}")
            elif list(there).count(column) > 1:
                faults.append(f"{where} has {list(there).count(column)} columns named {column!r}. Rename all but one")
        if faults:
            raise Fault(faults)


def record(values: dict[str, Any], where: str, row_id: str) -> dict[str, Any] | Reject:
    """One record of documents.RECORD from the cells of a row: text of any kind of cell, or why it is none.

    Args:
        values: column of a record -> cell, or the exception in its place.
        row_id: what the document is called when it has no id of its own.
    """
    made: dict[str, Any] = {"where": where, "id": row_id}
    for name, value in values.items():
        if isinstance(value, Exception):
            return Reject(where, f"has a {name} that cannot be read: {value}")
        if name == "time":
            try:
                made["time"] = seconds(value)
            except ValueError:
                return Reject(where, f"has time {repr(value)[:EXCERPT]}, neither a number nor a date as ISO 8601 has it")
            except OverflowError:
                return Reject(where, f"has time {repr(value)[:EXCERPT]}, which is out of range")
            continue
        if name != "text" and isinstance(value, (dict, list, tuple)):
            what = "an object" if isinstance(value, dict) else "a list"
            return Reject(
                where, f"has {what} for its {name}, which is one word or number. Name what is in it, as a.b", str(value)[:EXCERPT]
            )
        text = as_text(value)
        if text is not None:
            reason = not_text(text)
            if reason:
                return Reject(where, f"{name} {reason}", text[:EXCERPT].encode("ascii", "replace").decode())
        made[name] = text
    return made


def not_text(text: str) -> str | None:
    """What is wrong with a text that was decoded with `surrogateescape`, if anything is."""
    try:
        text.encode()
    except UnicodeEncodeError as err:
        odd = ord(text[err.start])
        what = f"byte 0x{odd - 0xDC00:02x}" if 0xDC80 <= odd <= 0xDCFF else f"half a character, U+{odd:04X},"
        return f"is not in the encoding of its file: {what} at character {err.start + 1}"
    return None


def as_text(value: Any) -> str | None:
    """A cell as text: a list of tokens joined by spaces, what has parts as JSON; no number and nothing are none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, (list, tuple)):
        return " ".join(text for text in map(as_text, value) if text is not None)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value) if value == value else None


def seconds(value: Any) -> float | None:
    """A time that can be ordered: a number as it is, a date as seconds since 1970, UTC where it says no other. Raises ValueError."""
    from datetime import UTC, date, datetime

    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is no time")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def decoded(lines: Iterator[T], path: Path, encoding: str | None) -> Iterator[T]:
    """The lines of a file. Raises Fault where its encoding is one that cannot pass over what it does not know, as idna."""
    try:
        yield from lines
    except UnicodeDecodeError:  # which says the byte
        raise
    except UnicodeError as err:
        raise Fault(f"{path} cannot be read with encoding {encoding!r}: {err}. Name the one that it has as `encoding`") from err


def ids(row: int, file: str, several: bool) -> str:
    """What the document of a row is called that has no id; with its file's name where there are several."""
    return f"{file}/row-{row:09d}" if several else f"row-{row:09d}"
