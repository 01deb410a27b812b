"""Lines: one's own documents, one a line of a text file.

reads   source       text files; empty lines are no documents, and are counted
writes  corpus       in the files' order, all unlabelled; or with fastText's labels, and splits drawn by seed
source  none; `__label__x` before the text is how fastText has labels (Joulin et al. 2017)
"""

import re
from collections.abc import Iterator
from itertools import compress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines import sources as where_from
from pipelines.artifacts.corpus import Corpus
from pipelines.cleaning import EXCERPT, Reject, record_batch
from pipelines.columns import decoded, ids, not_text
from pipelines.documents import Documents, Record, Skipped, write
from pipelines.method import Run

SUFFIXES = (".txt",)


class Params(Documents):
    source: str | list[str] = "data.txt"  # a file, several, a folder, a pattern, data:NAME, or an address
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")  # of what is downloaded
    encoding: str | None = None  # none: what a byte order mark says, else UTF-8
    label_prefix: str | None = Field(None, min_length=1)  # __label__ in fastText's files; none: no document has a label


def sources(params: Params) -> list[str]:
    return where_from.paths(params.source)


def ingest(params: Params, run: Run) -> Corpus:
    files = where_from.files(params.source, run, SUFFIXES, params.sha256)
    return write(read(files, params), params, run, named=False)


def read(files: list[Path], params: Params) -> Iterator[Record]:
    for path, name in zip(files, where_from.names(files), strict=True):
        for first, lines in decoded(where_from.blocks(path, params.encoding), path, params.encoding):
            there = pc.greater(pc.binary_length(pc.ascii_trim_whitespace(lines.view(pa.large_string()))), 0)
            numbers = pc.add(pc.indices_nonzero(there), first).to_pylist()
            if len(numbers) < len(lines):
                yield Skipped("empty_lines", len(lines) - len(numbers))
            if numbers:
                yield from records(lines.filter(there), numbers, name, params.label_prefix, len(files) > 1)


def records(lines: pa.Array, numbers: list[int], file: str, prefix: str | None, several: bool) -> Iterator[Record]:
    refused = {}
    if prefix:
        two = pc.match_substring_regex(lines, rf"^\s*{re.escape(prefix)}\S*\s+{re.escape(prefix)}")
        refused = dict.fromkeys(pc.indices_nonzero(two).to_pylist(), "has several labels; a document has one")
    refused |= not_utf8(lines)
    for place, reason in sorted(refused.items()):
        yield Reject(f"{file}: line {numbers[place]}", reason, lines[place].as_py()[:EXCERPT].decode("ascii", "replace"))
    if refused:
        kept = [place not in refused for place in range(len(numbers))]
        lines, numbers = lines.filter(pa.array(kept)), list(compress(numbers, kept))
    text, label = lines.cast(pa.large_string()), None
    if prefix:
        parts = pc.extract_regex(text, rf"^\s*(?:{re.escape(prefix)}(?P<label>\S*)\s*)?(?P<text>.*)$")
        label, text = parts.field("label"), parts.field("text")
    own = [ids(number, file, several).replace("row-", "line-") for number in numbers]
    yield record_batch(len(text), id=own, where=[f"{file}: line {number}" for number in numbers], text=text, label=label)


def not_utf8(lines: pa.Array) -> dict[int, str]:
    """place -> what is wrong, of the lines that are not in the encoding of their file."""
    try:
        lines.cast(pa.large_string())
    except pa.ArrowInvalid:
        told = (not_text(line.decode("utf-8", "surrogateescape")) for line in lines.to_pylist())
        return {place: reason for place, reason in enumerate(told) if reason}
    return {}
