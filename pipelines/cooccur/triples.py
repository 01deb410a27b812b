"""Triples: counts that Stanford's GloVe tools made, or anything that writes as they do, to be used as counts of our own.

reads   source, vocab   cooccurrence.bin (or .shuf.bin): records of 16 bytes, int32 word, int32 context word, float64 count,
                        little-endian, words numbered from 1 as the lines of vocab.txt; there `word count` a line
writes  counts   (row, col, count), sorted by row, then col; a pair that stands there several times is summed; the vocabulary,
                 with the unknown token, which no pair has, as token_id 0
source  Pennington, Socher, Manning 2014: the programs vocab_count, cooccur and shuffle of stanfordnlp/GloVe
shapes  P records, V words. In memory: 50 bytes each of 16 million records, 8 a word; on disk, meanwhile, the records once more
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from pipelines import sources as where_from
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN, UNKNOWN_ID
from pipelines.errors import Fault
from pipelines.method import Knobs, Run

RECORD = np.dtype([("row", "<i4"), ("col", "<i4"), ("count", "<f8")])  # CREC of GloVe's C files
READ = 2**20  # records in memory while they are looked at
SORTED = 2**24  # records that are sorted at a time, unless one word has more
N_EXAMPLES = 10  # faults named


class Params(Knobs):
    source: str = "cooccurrence.bin"  # a path, data:NAME below WORDLOOM_DATA, or an address; also .gz, .bz2, .xz
    vocab: str = "vocab.txt"  # likewise; the one that the records were counted with
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")  # of a source that is downloaded
    vocab_sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")


def sources(params: Params) -> list[str]:
    return where_from.paths([params.source, params.vocab])


def cooccur(params: Params, run: Run) -> Counts:
    path, vocab_path = _only(params.source, run, params.sha256), _only(params.vocab, run, params.vocab_sha256)
    words, count = _vocabulary(vocab_path)
    n_records = _checked(path, len(words), vocab_path.name)
    bounds = _bounds(n_records)
    with run.open(Counts) as out, run.scratch() as folder, run.progress(int(n_records.sum()), "records") as bar:
        out.append("vocab", token_id=np.arange(len(words)), token=words, count=count)
        _deal(path, bounds, folder)
        for part in range(len(bounds) - 1):
            records = np.fromfile(folder / str(part), RECORD)
            row, col, total = _summed(records, len(words))
            out.append(row=row, col=col, count=total)
            bar.advance(len(records))
    run.say(f"{int(n_records.sum()):,} records of {len(words) - 1:,} words")
    return out.artifact


def _only(source: str, run: Run, sha256: str | None) -> Path:
    found = where_from.files(source, run, sha256=sha256)
    if len(found) != 1:
        raise Fault(f"source {source} is {len(found)} files; it must be one. Name the file")
    return found[0]


class Faults:
    """What is wrong with a file: the first few are told, all are counted."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.n = 0

    def add(self, n: int, told: Iterator[str]) -> None:
        self.told += [text for _, text in zip(range(N_EXAMPLES - len(self.told)), told, strict=False)]
        self.n += n

    def check(self) -> None:
        if self.n:
            raise Fault(self.told + [f"and {self.n - len(self.told):,} more of them"] * (self.n > len(self.told)))


def _vocabulary(path: Path) -> tuple[list[str], np.ndarray]:
    """(V,) words, the unknown one before those of the file, and how often each was seen."""
    words, counts, line_of, faults = [UNKNOWN], [0], dict[str, int](), Faults()
    for number, line in where_from.lines(path):
        fault = _word_fault(line, line_of)
        if fault:
            faults.add(1, iter([f"{path.name} line {number}: {fault}"]))
            continue
        word, seen = line.decode().split()
        line_of[word] = number
        words.append(word)
        counts.append(int(seen))
    faults.check()
    if len(words) == 1:
        raise Fault(
            f"{path.name} has no line; it must have `word count` for each word. Name the vocab.txt that the records were counted with"
        )
    return words, np.array(counts, np.int64)


def _word_fault(line: bytes, line_of: dict[str, int]) -> str | None:
    try:
        fields = line.decode().split()
    except UnicodeDecodeError as err:
        return f"is not UTF-8 (byte 0x{line[err.start]:02x}). Convert the file to UTF-8"
    if len(fields) != 2 or not fields[1].isascii() or not fields[1].isdigit() or len(fields[1]) > 18:
        return f"is {line.decode()[:60]!r}; it must be a word, a space, and how often it was seen"
    if fields[0] == UNKNOWN:
        return f"{UNKNOWN} is what the unknown token is called here. Write another name for it"
    if fields[0] in line_of:
        return f"{fields[0]!r} stands in line {line_of[fields[0]]} already, and a word has one number. Count again"
    return None


class Piece(NamedTuple):
    before: int  # records before it
    records: np.ndarray


def _pieces(path: Path) -> Iterator[Piece]:
    """Raises Fault for a file that is empty, or ends within a record."""
    # a file that is not compressed is opened as it is: any bytes may stand at its start
    with where_from.opened(path) if path.suffix.lower() in where_from.COMPRESSED else path.open("rb") as file:
        before = 0
        while piece := _full(file, READ * RECORD.itemsize):
            n, left = divmod(len(piece), RECORD.itemsize)
            if left:
                raise Fault(
                    f"{path.name} record {before + n + 1:,} is cut short: {left} of {RECORD.itemsize} bytes. Fetch or write it again"
                )
            yield Piece(before, np.frombuffer(piece, RECORD))
            before += n
        if not before:
            raise Fault(f"{path.name} is empty; it must have a record for each pair. Fetch or write it again")


def _full(file, size: int) -> bytes:
    """`size` bytes, fewer only at the end of the file."""
    parts = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _checked(path: Path, n_words: int, vocab: str) -> np.ndarray:
    """(V,) int64, how many records each word has. Raises Fault for the first of those that are not right."""
    n_records, faults = np.zeros(n_words, np.int64), Faults()
    for before, records in _pieces(path):
        row, col = records["row"], records["col"]
        with np.errstate(over="ignore", invalid="ignore"):
            count = records["count"].astype(np.float32)
        outside = np.minimum(row, col) <= UNKNOWN_ID
        outside |= np.maximum(row, col) >= n_words
        odd = ~((count > 0) & np.isfinite(count))
        wrong = np.flatnonzero(outside | odd)
        faults.add(len(wrong), (f"{path.name} record {before + i + 1:,}: {_fault(records[i], outside[i], n_words, vocab)}" for i in wrong))
        n_records += np.bincount(row[~outside], minlength=n_words)
    faults.check()
    return n_records


def _fault(record: np.void, outside: bool, n_words: int, vocab: str) -> str:
    row, col, count = record.item()
    if outside:
        return f"words {row} and {col}; {vocab} has words 1 to {n_words - 1}. Name the one that it was counted with"
    return f"the count of words {row} and {col} is {count:g}; it must be a float32 above 0. Count again"


def _bounds(n_records: np.ndarray) -> list[int]:
    """Rows at which parts of at most SORTED records begin, or of one row; and the end."""
    ends, bounds = np.concatenate([[0], np.cumsum(n_records)]), [0]
    while bounds[-1] < len(n_records):
        bounds.append(max(bounds[-1] + 1, int(np.searchsorted(ends, ends[bounds[-1]] + SORTED, side="right")) - 1))
    return bounds


def _deal(path: Path, bounds: list[int], folder: Path) -> None:
    """Writes the records of each part of the rows to a file of its own, named by its number."""
    for part in range(len(bounds) - 1):
        (folder / str(part)).touch()
    for _, records in _pieces(path):
        part_of = np.searchsorted(bounds, records["row"], side="right") - 1
        for part in np.unique(part_of).tolist():
            with (folder / str(part)).open("ab") as file:
                file.write(records[part_of == part].tobytes())


def _summed(records: np.ndarray, n_words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, col, count) in order, each pair once."""
    key = records["row"].astype(np.int64) * n_words + records["col"]
    order = np.argsort(key, kind="stable")  # quick where they are in order already, as `cooccur` leaves them
    key = key[order]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    total = np.add.reduceat(records["count"][order], begins) if len(begins) else np.empty(0)
    return (key[begins] // n_words).astype(np.int32), (key[begins] % n_words).astype(np.int32), total.astype(np.float32)
