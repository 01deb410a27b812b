"""Events: what happened to whom and when, such as diagnoses, purchases or clicks, as sequences of codes.

reads   source       a table with a row an event: person, time and code; CSV, TSV or Parquet, in any order of its rows
writes  corpus       a document = one person's codes within a window of time, in order of time, spaces between them; group = the person
source  Beam et al. 2020 (cui2vec), which learns from medical codes that stand in one person's record within some days
order   by a hash of the person, then by time; events of the same time by code. So the order of the table's rows decides nothing

The table may be larger than memory: the events go to files on disk, all those of a person to the same one, and each
file is then sorted by itself.
"""

import csv
import io
import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from pipelines import sources as where_from
from pipelines.artifacts.corpus import RECORDS, Corpus, hashes
from pipelines.cleaning import EXCERPT, Reject, record_batch
from pipelines.columns import as_text, seconds
from pipelines.documents import ROWS, Documents, Skipped, write
from pipelines.errors import Fault, nearest
from pipelines.label_table import Labels
from pipelines.method import Run

SUFFIXES = (".csv", ".tsv", ".tab", ".parquet")
BATCH = 65_536  # events
LARGEST_CELL = 2**27  # characters; a quote that is never closed holds so many before it is found out
PART_BYTES = 2**24  # of the source, in each file on disk; a compressed source holds some ten times as much
MOST_PARTS = 512
DAY = 86_400.0  # seconds
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
COMPACT = re.compile(r"((?:18|19|20)\d\d)(\d\d)(\d\d)")  # 20260131; as a number of days it would be a year after 50,000

EVENT = pa.schema([("hash", pa.uint64()), ("person", pa.string()), ("time", pa.float64()), ("code", pa.string())])
WANTED = ("person", "time", "code")


class Params(Documents):
    source: str | list[str] = "events.csv"  # a file, several, a folder, a pattern, data:NAME, or an address
    sha256: str | None = None  # of what is downloaded
    person: str = "person"  # columns
    time: str = "time"  # a date or a time as ISO 8601 has it, or a number
    code: str = "code"
    time_unit: Literal["days", "seconds"] = "days"  # of times that are numbers
    # Windows follow each other from a person's first event on; one without an event is no document. 0 is all of a person's time.
    window_days: float = Field(30.0, ge=0)
    spaces: Literal["reject", "underscore"] = "reject"  # what is done with a code that has spaces in it: it would be several tokens
    labels: str | None = None  # a table with columns id, the person, and label
    divide: Literal["stratified", "random", "group", "time", "blocks"] = "group"  # no person is in two splits


def sources(params: Params) -> list[str]:
    return [*where_from.paths(params.source), *where_from.paths(params.labels or [])]


def ingest(params: Params, run: Run) -> Corpus:
    files = where_from.files(params.source, run, SUFFIXES, params.sha256)
    labels = Labels(params.labels, run)
    with run.scratch() as folder:
        return write(documents(files, folder, labels, params, run), params, run)


def documents(files: list[Path], folder: Path, labels: Labels, params: Params, run: Run) -> Iterator[pa.RecordBatch | Reject | Skipped]:
    parts = [folder / f"{part:03d}.arrow" for part in range(n_parts(files))]
    n = yield from scattered(files, parts, params)
    run.say(f"{n:,} events")
    for part in parts:
        with pa.memory_map(str(part)) as file, pa.ipc.open_stream(file) as events:
            yield from sequences(events.read_all(), labels, params)
        part.unlink()
    labels.check()


# to files on disk, by person


def n_parts(files: list[Path]) -> int:
    """A power of two. It decides no byte of the corpus: the parts follow each other in the order of the persons' hashes."""
    n_bytes = sum(path.stat().st_size * (1 if path.suffix.lower() in (".csv", ".tsv", ".tab") else 10) for path in files)
    return min(MOST_PARTS, 1 << (n_bytes // PART_BYTES).bit_length())


def scattered(files: list[Path], parts: list[Path], params: Params) -> Generator[Reject | Skipped, None, int]:
    """Writes each event to the part of its person; gives what is no event, and in the end how many are."""
    n_events, n_rows, shift = 0, 0, 64 - (len(parts) - 1).bit_length()
    with ExitStack() as stack:
        sinks = [stack.enter_context(pa.ipc.new_stream(stack.enter_context(pa.OSFile(str(part), "wb")), EVENT)) for part in parts]
        for path in files:
            for rows in table(path, params):
                if isinstance(rows, Reject):
                    n_rows += 1
                    yield rows
                    continue
                n_rows += len(rows.numbers)
                rejects, events = checked(rows, params)
                yield from rejects
                if not events.num_rows:
                    continue
                n_events += events.num_rows
                part = events.column("hash").to_numpy() >> np.uint64(shift) if len(parts) > 1 else np.zeros(events.num_rows, np.uint64)
                order = np.argsort(part, kind="stable")
                there, starts = np.unique(part[order], return_index=True)
                events = events.take(pa.array(order))
                for place, start, end in zip(there.tolist(), starts, [*starts[1:], len(order)], strict=True):
                    sinks[place].write_batch(events.slice(start, end - start))
    yield Skipped(RECORDS, n_rows)  # a document is many of them
    return n_events


class Column(NamedTuple):
    """The cells of some rows: each distinct one, and which of them a row has. A table of events has few distinct ones."""

    distinct: list[Any]
    codes: np.ndarray  # (rows,) int, a place in `distinct`; -1 for none


class Rows(NamedTuple):
    where: str  # the file, and whether `numbers` are lines or rows
    numbers: np.ndarray  # (rows,) int, from 1
    columns: list[Column]  # those of WANTED


def table(path: Path, params: Params) -> Iterator[Rows | Reject]:
    """The rows of one file, some at a time."""
    name = where_from.unpacked_name(path)
    yield from _parquet(path, params) if name.endswith(".parquet") else _csv(path, "," if name.endswith(".csv") else "\t", params)


def _parquet(path: Path, params: Params) -> Iterator[Rows]:
    try:
        file = pq.ParquetFile(path)
        there = [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]
        names = [there[place] for place in _places(there, path, params)]
        number = 1
        for batch in file.iter_batches(BATCH, columns=names):
            coded = [batch.column(name).dictionary_encode() for name in names]
            columns = [Column(it.dictionary.to_pylist(), it.indices.fill_null(-1).to_numpy(zero_copy_only=False)) for it in coded]
            yield Rows(f"{path.name}: row", np.arange(number, number := number + batch.num_rows), columns)
    except (pa.ArrowException, OSError) as err:
        raise Fault(f"{path} is not a whole Parquet file: {err}. Fetch it again") from err


def _csv(path: Path, separator: str, params: Params) -> Iterator[Rows | Reject]:
    csv.field_size_limit(LARGEST_CELL)
    where, found = f"{path.name}: line", where_from.encoding_of(path, None)
    with where_from.opened(path) as stream, io.TextIOWrapper(stream, found, errors="surrogateescape", newline="") as text:
        lines = iter(partial(text.readline, LARGEST_CELL), "")  # a file without a line end is not read as a whole
        rows = csv.reader(lines, delimiter=separator, strict=True)
        held: list[list[str]] = []
        numbers: list[int] = []
        try:
            header = next(rows, [])
            places = _places(header, path, params)
            for cells in _cells(rows, path):
                if isinstance(cells, Reject):
                    yield cells
                elif len(cells) == len(header):
                    held.append(cells)
                    numbers.append(rows.line_num)
                elif cells:  # an empty line is no row
                    reason = f"has {len(cells)} cells; the header has {len(header)}"
                    yield Reject(f"{where} {rows.line_num}", reason, _plain(separator.join(cells))[:EXCERPT])
                if len(held) == BATCH:
                    yield Rows(where, np.array(numbers), [_coded([cells[place] for cells in held]) for place in places])
                    held, numbers = [], []
        except csv.Error as err:
            raise Fault(f"{path}: line 1 is no header: {err}") from err
        except UnicodeDecodeError as err:  # UTF-16 cannot be read on after its first fault
            raise where_from.not_encoded(path, found, err) from err
        yield Rows(where, np.array(numbers, int), [_coded([cells[place] for cells in held]) for place in places])


def _cells(rows: Any, path: Path) -> Iterator[list[str] | Reject]:
    """The cells of each row, or why it is none. Raises Fault for a quote that nothing closes, since it takes all that follows."""
    while True:
        start = rows.line_num + 1
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error as err:
            if "unexpected end of data" in str(err) or "field limit" in str(err):
                raise Fault(f"{path}: a quote is opened in line {start}, and closed nowhere after it. Close it") from err
            upto = f", and takes the lines up to {rows.line_num} with it" if rows.line_num > start else ""
            yield Reject(f"{path.name}: line {start}", f"is not CSV: {err}{upto}")


def _coded(cells: list[str]) -> Column:
    codes, distinct = pd.factorize(np.array(cells, object))
    return Column(distinct.tolist(), codes)


def _places(there: list[str], path: Path, params: Params) -> list[int]:
    """Where the columns of `WANTED` are. Raises Fault for those that a file does not have."""
    columns = {name: getattr(params, name) for name in WANTED}
    faults = [
        f"{path} has no column {column!r}; it has {', '.join(there) or 'none'}.{nearest(column, there)} Name it in the row as `{name}`"
        for name, column in columns.items()
        if column not in there
    ]
    if faults:
        raise Fault(faults)
    return [there.index(column) for column in columns.values()]


class Wrong(str):
    """Why a cell is not what it has to be."""


def checked(rows: Rows, params: Params) -> tuple[list[Reject], pa.RecordBatch]:
    """Why some rows are no events, and those that are."""
    readers = (_person, partial(_time, unit=params.time_unit), partial(_code, spaces=params.spaces))
    # one more, for the rows that have none: its place is -1
    read = [[read(value) for value in [*column.distinct, None]] for read, column in zip(readers, rows.columns, strict=True)]
    wrong = np.zeros(len(rows.numbers), bool)
    for values, column in zip(read, rows.columns, strict=True):
        wrong |= np.array([isinstance(value, Wrong) for value in values])[column.codes]
    rejects = []
    for row in np.flatnonzero(wrong).tolist():
        places = [column.codes[row] for column in rows.columns]
        reason = next(values[place] for values, place in zip(read, places, strict=True) if isinstance(values[place], Wrong))
        cells = [str(column.distinct[place]) if place >= 0 else "" for column, place in zip(rows.columns, places, strict=True)]
        rejects.append(Reject(f"{rows.where} {rows.numbers[row]}", str(reason), _plain(", ".join(cells))[:EXCERPT]))
    clean = [[None if isinstance(value, Wrong) else value for value in values] for values in read]
    person, time, code = (
        pa.array(values, EVENT.field(name).type).take(pa.array(column.codes[~wrong]))
        for name, values, column in zip(WANTED, clean, rows.columns, strict=True)
    )
    hashed = hashes(pa.array(clean[0], pa.string()))[rows.columns[0].codes[~wrong], 0]
    return rejects, pa.RecordBatch.from_arrays([pa.array(hashed), person, time, code], schema=EVENT)


def _person(value: Any) -> str:
    name = (as_text(value) or "").strip()
    if not name:
        return Wrong("has no person")
    return name if name == _plain(name) else Wrong("has a person that is not UTF-8")


def _time(value: Any, unit: str) -> float | Wrong:
    text = str(value).strip()
    compact = COMPACT.fullmatch(text.removesuffix(".0")) if unit == "days" else None
    try:
        if compact:
            found = seconds("-".join(compact.groups()))
        elif NUMBER.fullmatch(text):
            found = float(text) * (DAY if unit == "days" else 1.0)
        else:
            found = seconds(value)
    except ValueError:
        found = np.nan
    if found is None:
        return Wrong("has no time")
    return found if np.isfinite(found) else Wrong(f"has time {_plain(text)!r}, neither a number nor a date as ISO 8601 has it")


def _code(value: Any, spaces: str) -> str:
    words = (as_text(value) or "").split()
    if not words:
        return Wrong("has no code")
    if len(words) > 1 and spaces == "reject":
        return Wrong(f"has a code with spaces in it, {_plain(' '.join(words))!r}; spaces: underscore would join it")
    code = "_".join(words)
    return code if code == _plain(code) else Wrong("has a code that is not UTF-8")


def _plain(text: str) -> str:
    """What can be written as UTF-8; a byte that was none becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


# from the events of some persons to documents


def sequences(events: pa.Table, labels: Labels, params: Params) -> Iterator[pa.RecordBatch]:
    """Documents by person and window, in order."""
    if not events.num_rows:
        return
    events = events.sort_by([(name, "ascending") for name in EVENT.names]).combine_chunks()
    person, time, code = (events.column(name).combine_chunks() for name in WANTED)
    seconds_of = time.to_numpy()
    is_new = np.ones(len(person), bool)
    is_new[1:] = pc.not_equal(person[1:], person[:-1]).to_numpy(zero_copy_only=False)
    first = np.flatnonzero(is_new)  # event of each person
    begun = np.repeat(seconds_of[first], np.diff(first, append=len(is_new)))
    window = ((seconds_of - begun) // (params.window_days * DAY)).astype(np.int64) if params.window_days else np.zeros(len(begun), np.int64)
    is_new[1:] |= window[1:] != window[:-1]
    starts = np.flatnonzero(is_new)  # event of each document
    ends = np.append(starts[1:], len(is_new))
    for at in range(0, len(starts), ROWS):
        here = slice(at, at + ROWS)
        low, high = int(starts[at]), int(ends[here][-1])
        offsets = np.append(starts[here], high) - low
        texts = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), code[low:high]), " ")
        people = person.take(pa.array(starts[here])).to_pylist()
        number = window[starts[here]].tolist()
        several = params.window_days > 0
        yield record_batch(
            len(people),
            id=[f"{who}/{k:06d}" if several else who for who, k in zip(people, number, strict=True)],
            text=texts,
            label=[labels.of(who) for who in people],
            group=people,
            time=seconds_of[starts[here]],
            where=[f"person {who}, window {k}" if several else f"person {who}" for who, k in zip(people, number, strict=True)],
        )
