"""CSV: one's own documents, a row each, from CSV or TSV files.

reads   source       files with a header line, separated by comma, or by tab or semicolon (by the ending, or `separator`)
writes  corpus       in the files' order; splits as the file gives them, else drawn by seed
source  RFC 4180 (the format); read by Python's csv module, a row at a time
"""

import csv
import io
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from pipelines import sources as where_from
from pipelines.artifacts.corpus import Corpus
from pipelines.cleaning import EXCERPT, Reject
from pipelines.columns import Columns, decoded, ids, record
from pipelines.documents import gathered, write
from pipelines.errors import Fault
from pipelines.method import Run

SUFFIXES = (".csv", ".tsv", ".tab")
LARGEST_CELL = 2**27  # characters; a quote that is never closed holds so many, four bytes each, before it is found out
LOOKS_LIKE_ROWS = 5  # lines inside one cell, with as many separators each as a row has: enough, whatever stands in them

LINE_END = re.compile(r"\r\n?|\n")
FILLED = re.compile(r"\S")
WORD = re.compile(r"\S+")


class Params(Columns):
    separator: str | None = Field(None, min_length=1, max_length=1)  # none: a tab in .tsv and .tab, else a comma
    encoding: str | None = None  # none: what a byte order mark says, else UTF-8


def sources(params: Params) -> list[str]:
    return where_from.paths(params.source)


def ingest(params: Params, run: Run) -> Corpus:
    files = where_from.files(params.source, run, SUFFIXES, params.sha256)
    return write(gathered(read(files, params)), params, run, named=params.id is not None)


def read(files: list[Path], params: Params) -> Iterator[dict[str, Any] | Reject]:
    csv.field_size_limit(LARGEST_CELL)
    for path, name in zip(files, where_from.names(files), strict=True):
        found = where_from.encoding_of(path, params.encoding)
        with where_from.opened(path) as stream, io.TextIOWrapper(stream, found, errors="surrogateescape", newline="") as text:
            tab = where_from.unpacked_name(path).endswith((".tsv", ".tab"))
            lines = iter(partial(text.readline, LARGEST_CELL), "")  # a file without a line end is not read as a whole
            rows = csv.reader(decoded(lines, path, found), delimiter=params.separator or ("\t" if tab else ","), strict=True)
            start = 1
            try:
                while (header := next(rows, None)) == []:  # an empty line is no header
                    start = rows.line_num + 1
                if not header:
                    raise Fault(f"{path} has no header; it must have a line that names the columns, and a row for each document")
                if any("\0" in column for column in header):
                    raise Fault(f"{path} holds NUL characters in its first line, as no CSV does. If it is UTF-16, say so as `encoding`")
                other = next((sign for sign in ";\t|," if len(header) == 1 and sign in header[0]), None)
                if other and params.text not in header:
                    raise Fault(f"{path} has one column, {header[0][:EXCERPT]!r}. Is it separated by {other!r}? Then say so as `separator`")
                params.check(header, str(path))
                place = {name: header.index(column) for name, column in params.wanted().items()}
                yield from _rows(rows, path, name, header, place, len(files) > 1)
            except csv.Error as err:
                raise Fault(f"{path}: line {start} is no header: {err}") from err
            except UnicodeDecodeError as err:
                raise where_from.not_encoded(path, found, err) from err


def _rows(rows: Any, path: Path, name: str, header: list[str], place: dict[str, int], several: bool) -> Iterator[dict[str, Any] | Reject]:
    number = 0
    while True:
        start = rows.line_num + 1
        number += 1
        where = f"{name}: row {number} (line {start})"
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as err:
            if "unexpected end of data" in str(err) or "field limit" in str(err):
                raise Fault(
                    f"{path}: a quote is opened in row {number}, line {start}, and closed nowhere after it, so what follows cannot be told apart. "
                    "Close it, or double the quotes inside a quoted cell"
                ) from err
            yield Reject(where, f"is not CSV: {err}")
            yield from _taken_in(name, start, rows.line_num)
            continue
        if not cells:  # an empty line is no row
            number -= 1
        elif len(cells) != len(header):
            excerpt = ",".join(cells)[:EXCERPT].encode(errors="replace").decode()
            yield Reject(where, f"has {len(cells)} cells; the header has {len(header)}", excerpt)
        elif (inside := _rows_inside(cells, rows.dialect.delimiter)) is not None:
            yield Reject(where, "has a quote that is closed lines later, around what looks like rows", inside[:EXCERPT])
            yield from _taken_in(name, start, rows.line_num)
        else:
            yield record({column: cells[i] for column, i in place.items()}, where, ids(number, name, several))


def _taken_in(name: str, start: int, end: int) -> Iterator[Reject]:
    """A reject for each further line that a faulty row has taken in: most were rows, and how many are lost is to be seen."""
    for line in range(start + 1, end + 1):
        yield Reject(f"{name}: line {line}", f"lies inside the faulty row that begins in line {start}")


def _rows_inside(cells: list[str], separator: str) -> str | None:
    """The cell of a row that has taken in others, by a quote that was opened by mistake; None when there is none."""
    for place, cell in enumerate(cells):
        lines = LINE_END.split(cell)
        if len(lines) == 1 or len(cells) == 1:
            continue
        rows = [line.split(separator) for line in lines]  # as they would be without that quote
        rows[0], rows[-1] = cells[:place] + rows[0], rows[-1] + cells[place + 1 :]
        rows = [row for row in rows if row != [""]]
        n_alike = sum(len(row) == len(cells) for row in rows)
        if len(rows) > LOOKS_LIKE_ROWS and n_alike >= 0.9 * len(rows):
            return cell
        # prose has empty lines, blanks or line ends after its commas, and no column in which each line has one word
        if all(lines) and n_alike == len(rows) and all(FILLED.match(it) for row in rows for it in row):
            one_word = (all(WORD.fullmatch(it) for it in column) for column in zip(*rows, strict=True))
            if any(one_word):
                return cell
    return None
