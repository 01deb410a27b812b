"""JSON lines: one's own documents, an object a line.

reads   source       files of a JSON object in each line; a column in an object inside it is named with a dot, `meta.stars`
writes  corpus       in the files' order; splits as the file gives them, else drawn by seed
source  RFC 8259 (JSON), and jsonlines.org (one a line); read by pydantic-core, a line at a time
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from pipelines import sources as where_from
from pipelines.artifacts.corpus import Corpus
from pipelines.cleaning import EXCERPT, Reject
from pipelines.columns import Columns, decoded, ids, record
from pipelines.documents import gathered, write
from pipelines.errors import Fault
from pipelines.method import Run

SUFFIXES = (".jsonl", ".ndjson", ".json")
SHOWN = 1000  # columns that a message may choose from


class Params(Columns):
    source: str | list[str] = "data.jsonl"  # a file, several, a folder, a pattern, data:NAME, or an address
    encoding: str | None = None  # none: what a byte order mark says, else UTF-8


def sources(params: Params) -> list[str]:
    return where_from.paths(params.source)


def ingest(params: Params, run: Run) -> Corpus:
    files = where_from.files(params.source, run, SUFFIXES, params.sha256)
    return write(gathered(read(files, params)), params, run, named=params.id is not None)


def read(files: list[Path], params: Params) -> Iterator[dict[str, Any] | Reject]:
    wanted = params.wanted()
    sought, there = set(wanted.values()), dict[str, None]()  # a column may be missing here and there, but not everywhere
    for path, name in zip(files, where_from.names(files), strict=True):
        for number, line in decoded(where_from.lines(path, params.encoding), path, params.encoding):
            if not line or line.isspace():
                continue
            where = f"{name}: line {number}"
            row = parsed(line, where)
            if isinstance(row, Reject):
                if number == 1 and line.lstrip().startswith(b"["):
                    raise Fault(f"{path} is JSON as a whole, not an object in each line. Write it anew: jq -c '.[]' {path.name}")
                yield row
                continue
            if sought:
                sought -= {column for column in sought if found(row, column)[0]}
                if len(there) < SHOWN:
                    there |= dict.fromkeys(named(row))
            values = {name: found(row, column)[1] for name, column in wanted.items()}
            yield record(values, where, ids(number, name, len(files) > 1))
    if sought and there:
        params.check([*(there | dict.fromkeys(set(wanted.values()) - sought))], str(files[0]) if len(files) == 1 else "the source")


def parsed(line: bytes, where: str) -> dict[str, Any] | Reject:
    try:
        row = from_json(line)
    except ValueError as err:
        return Reject(where, f"is not JSON: {str(err).replace(' at line 1 column', ' at byte')}", line[:EXCERPT].decode(errors="replace"))
    if not isinstance(row, dict):
        return Reject(where, f"is no JSON object, but {type(row).__name__}", line[:EXCERPT].decode(errors="replace"))
    return row


def found(row: dict[str, Any], column: str) -> tuple[bool, Any]:
    """(whether it is there, what it holds) of a column: under its whole name, or inside, as a.b."""
    if column in row:
        return True, row[column]
    head, _, rest = column.partition(".")
    inside = row.get(head) if rest else None
    return found(inside, rest) if isinstance(inside, dict) else (False, None)


def named(row: dict[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, dict) and value:
            yield from (f"{name}.{inside}" for inside in named(value))
        else:
            yield name
