"""Look: what a source of somebody's own looks like, and which row of ingest would read it. Reads a part, writes nothing.

reads   a path       CSV, TSV, JSON lines, Parquet, a folder of texts, a text file of lines, a graph, FASTA, a MediaWiki dump
gives   Look         the method and its knobs, each with its reason; the columns; the documents' figures; what to beware of

Of tables and lines the first `LOOKED` bytes count, and `MOST` documents at most; of a folder, files evenly over all of it.
The rules are plain ones, and can be wrong: what they choose stands in the parameter file, to be mended there by hand.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import sources as where_from
from pipelines.artifacts.corpus import SPLITS, hashes, normalised
from pipelines.columns import as_text, seconds
from pipelines.documents import HEADER, NONE, QUOTE
from pipelines.errors import Fault
from pipelines.ingest import csv as csv_method
from pipelines.ingest import dna, folder, jsonl, parquet

LOOKED = 2**26  # bytes of a source
MOST = 100_000  # documents; so many small ones would take longer than a person likes to wait
PAGES = 50  # of a wiki; to take off their markup is slow
FILES = 16  # of a table in several files
SNIFFED = 2**16  # bytes that tell what a file is
LINES = 2000  # that tell what a text file is
MOST_CLASSES = 100
FEW = 10  # documents of a class with which one can hardly learn and test
MOSTLY = 0.95  # share of a column's cells that say what it holds; the others are told

LABELS = ("label", "class", "category", "target", "sentiment", "stars", "rating", "topic")
GROUPS = ("group", "author", "user", "person", "patient", "customer", "thread", "conversation", "product", "movie", "film", "article")
IDS = ("id", "key", "uuid", "guid", "url", "uri")
TIMES = ("time", "date", "timestamp", "datetime", "created", "published", "year")
SPLIT_WORDS = {*SPLITS, "training", "testing", "validation", "val", "dev", "unsup", "unsupervised"}
ENDS = (("source", "target"), ("src", "dst"), ("from", "to"), ("u", "v"), ("node1", "node2"))  # columns of edges
ENGLISH = frozenset(["the", "of", "and", "to", "a", "in", "is", "that", "it", "for"])  # a fifth to a quarter of English text
UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}  # scripts without spaces between words

# what stands at the start of a file that holds no text, besides those of sources.FORMATS
BINARY = (
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"), (b"BM", "a bitmap image"), (b"RIFF", "a sound or an image"),
    (b"SQLite format 3", "an SQLite database"), (b"\x93NUMPY", "a NumPy array"), (b"\x7fELF", "a program"), (b"Rar!", "a rar archive"),
    (b"7z\xbc\xaf", "a 7z archive"), (b"\x89HDF", "an HDF5 file"), (b"ARROW1", "an Arrow file"),
)  # fmt: skip
PICKLED = (".pkl", ".pickle", ".joblib", ".pt", ".pth")
TABLES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
OTHERS = {**dict.fromkeys(dna.SUFFIXES, "dna"), **dict.fromkeys((".adjlist", ".edgelist", ".edges"), "graph"), ".xml": "mediawiki"}


class Guess(NamedTuple):
    """A knob of the row, and the reason for it."""

    knob: str
    value: Any
    why: str


class Column(NamedTuple):
    name: str
    kind: str  # text, tokens, number, time, truth, object
    n_filled: int
    n_distinct: int
    mean_length: float  # characters
    examples: list[str]
    texts: list[str | None]  # each cell


class Document(NamedTuple):
    text: str
    label: str | None = None
    split: str | None = None


@dataclass
class Figures:
    """Of the documents that were looked at."""

    n: int = 0
    n_empty: int = 0
    n_duplicates: int = 0  # that follow one with the same letters and digits
    characters: tuple[int, int, int] = (0, 0, 0)  # shortest, median, longest
    words: tuple[int, int, int] = (0, 0, 0)  # by white space
    p95_words: int = 0
    mean_words: float = 0.0
    scripts: dict[str, float] = field(default_factory=dict)  # share of the letters, most first
    english: bool = False
    labels: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    html: float = 0.0  # share of documents
    headers: float = 0.0
    quotes: float = 0.0


@dataclass
class Look:
    source: Path
    method: str
    what: str  # the source in words
    n_bytes: int
    n_all: int | None = None  # documents; None: not known
    whole: bool = True  # whether all was looked at
    guesses: list[Guess] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    def value(self, knob: str) -> Any:
        return next((guess.value for guess in self.guesses if guess.knob == knob), None)


def look(source: str) -> Look:
    """Raises Fault where the source is missing, empty, or of no kind that is read."""
    path = where_from.located(source)
    if path.is_dir():
        return look_at_folder(path)
    if path.stat().st_size == 0:
        raise Fault(f"{path} is empty; it must hold documents")
    method, guesses = form(path)
    return LOOKS[method]([path], path, guesses)


# which form a source has


def form(path: Path) -> tuple[str, list[Guess]]:
    """The method for a file, and what had to be said for it to be read. Raises Fault for what is not text."""
    ending = Path(where_from.unpacked_name(path)).suffix.lower()
    refuse_binary(path)
    csv.field_size_limit(csv_method.LARGEST_CELL)
    if TABLES.get(ending) == "parquet" or starts(path) == b"PAR1":
        return _or_graph("parquet", path, parquet_names(path))
    lines = first_lines(path)
    if not any(line.strip() for line in lines):
        raise Fault(f"{path} holds nothing but white space; it must hold documents")
    if ending in OTHERS:
        return OTHERS[ending], []
    if TABLES.get(ending) == "csv":
        separator, guesses = separated(path, lines, ending)
        return _or_graph("csv", path, next(csv.reader(lines, delimiter=separator), []), guesses)
    if TABLES.get(ending) == "jsonl":
        return "jsonl", []
    if lines[0].lstrip().startswith(">") and all(re.fullmatch(r"[A-Za-z*-]*|[>;].*", line.strip()) for line in lines):
        return "dna", []
    if lines[0].lstrip().startswith("{") and not isinstance(jsonl.parsed(lines[0].encode(errors="replace"), ""), tuple):
        return "jsonl", []
    if "<mediawiki" in lines[0]:
        return "mediawiki", []
    if is_edges(lines):
        return "graph", []
    if is_adjacency(lines):
        return "graph", [Guess("form", "adjacency", "each line is a node and its neighbours")]
    if len({line.count("\t") for line in lines if line.strip()} - {0}) == 1 and all("\t" in line for line in lines if line.strip()):
        return "csv", [Guess("separator", "\t", "each line has as many tabs")]
    if any(line.startswith("__label__") for line in lines):
        return "lines", [Guess("label_prefix", "__label__", "lines begin with it, as fastText has labels")]
    return "lines", []


def starts(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def refuse_binary(path: Path) -> None:
    """Raises Fault for a file that holds no text. Nothing in it is run, or unpickled."""
    if path.suffix.lower() in PICKLED:
        raise Fault(
            f"{path} is named as a Python pickle is; no pickle is opened here, since that may run any program. Save the data as CSV or Parquet"
        )
    if starts(path) == b"PAR1":
        return
    with where_from.opened(path) as stream:
        start = stream.read(SNIFFED)
    if re.match(rb"\x80[\x02-\x05]", start):
        raise Fault(f"{path} is a Python pickle; none is opened here, since that may run any program. Save the data as CSV or Parquet")
    for magic, what in BINARY:
        if start.startswith(magic) and (b"\0" in start or magic[0] > 0x7F):
            raise Fault(f"{path} is {what}, not text. Give CSV, JSON lines, Parquet, text, a graph, FASTA or a MediaWiki dump")
    if start.count(0) * 1000 > len(start) and where_from.marked_encoding(start) != "utf-16":
        raise Fault(
            f"{path} is binary: it holds {start.count(0):,} NUL bytes, the first at byte {start.index(0):,}. Give CSV, JSON lines, Parquet, text, a graph, FASTA or a "
            "MediaWiki dump; if it is UTF-16 without a mark, convert it to UTF-8"
        )


def refuse_binaries(paths: Sequence[Path]) -> None:
    """Raises Fault where half of the files or more hold no text; of fewer, each is a document that will be rejected."""
    faults: list[Fault] = []
    for path in paths:
        try:
            refuse_binary(path)
        except Fault as fault:
            faults.append(fault)
    if faults and 2 * len(faults) >= len(paths):
        raise faults[0]


def first_lines(path: Path) -> list[str]:
    held, n = list[str](), 0
    with where_from.opened(path) as stream, io.TextIOWrapper(stream, where_from.encoding_of(path, None), errors="replace") as text:
        while len(held) < LINES and n < 64 * SNIFFED and (line := text.readline(SNIFFED)):
            held.append(line)
            n += len(line)
    return held


def separated(path: Path, lines: list[str], ending: str) -> tuple[str, list[Guess]]:
    """What stands between the cells: what the ending says, unless the first line has none of it and some of another."""
    usual = "\t" if ending in (".tsv", ".tab") else ","
    others = [it for it in ",;\t|" if it in lines[0]]
    if usual in lines[0] or not others:
        return usual, []
    best = max(others, key=lines[0].count)
    return best, [
        Guess(
            "separator", best, "the first line has no comma, and has these" if usual == "," else "the first line has no tab, and has these"
        )
    ]


def _or_graph(method: str, path: Path, header: list[str], guesses: Sequence[Guess] = ()) -> tuple[str, list[Guess]]:
    """Edges, where the columns are called so."""
    names = {name.strip().lower(): name.strip() for name in header}
    for source, target in ENDS:
        if source in names and target in names and len(header) <= 3 and not guesses:
            columns = [Guess("source_column", names[source], "named so"), Guess("target_column", names[target], "named so")]
            weight = [Guess("weight", name, "the third column") for name in names.values() if name.lower() not in (source, target)]
            return "graph", columns + weight
    return method, list(guesses)


def _fields(lines: Iterable[str]) -> list[list[str]]:
    return [line.split() for line in lines if line.strip() and line.lstrip()[0] not in "#%"]


def is_edges(lines: list[str]) -> bool:
    """Two fields in every line, or a third that is a number; and nodes that stand in several of them."""
    rows = _fields(lines)
    size = {len(row) for row in rows}
    if size not in ({2}, {3}) or (size == {3} and not all(_is_number(row[2]) for row in rows)):
        return False
    return len({name for row in rows for name in row[:2]}) < 2 * len(rows) or len(rows) == 1


def is_adjacency(lines: list[str]) -> bool:
    rows = _fields(lines)
    firsts = {row[0] for row in rows}
    others = [name for row in rows for name in row[1:]]
    return len(rows) > 2 and len(firsts) == len(rows) and len(others) > 0 and sum(name in firsts for name in others) >= 0.9 * len(others)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# tables: rows, columns, and which column is what


class Part:
    """How far a source was read."""

    def __init__(self, budget: int):
        self.budget, self.n_bytes, self.whole = budget, 0, True
        self.rows: list[dict[str, Any]] = []
        self.rejects: list[str] = []

    def full(self, n_bytes: int) -> bool:
        """Takes note of so many bytes more, and says whether that is enough."""
        self.n_bytes += n_bytes
        if self.n_bytes > self.budget or len(self.rows) >= MOST:
            self.whole = False
        return not self.whole


def csv_rows(path: Path, part: Part, separator: str, encoding: str | None) -> None:
    found = where_from.encoding_of(path, encoding)
    with where_from.opened(path) as stream, io.TextIOWrapper(stream, found, errors="surrogateescape", newline="") as text:

        def lines() -> Iterator[str]:
            while line := text.readline(LOOKED):
                yield line
                if part.full(len(line)):
                    return

        rows = csv.reader(lines(), delimiter=separator, strict=True)
        header: list[str] = []
        while True:
            start = rows.line_num + 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as err:
                if part.whole or "unexpected end" not in str(err):  # else a row is cut where the look ends
                    part.rejects.append(f"{path.name} line {start}: is not CSV: {err}")
                continue
            if not header:
                header = cells
                if twice := [name for name, n in Counter(cells).items() if n > 1 and name.strip()]:
                    raise Fault(f"{path} has {cells.count(twice[0])} columns named {twice[0]!r}. Rename all but one")
            elif cells and len(cells) != len(header):
                part.rejects.append(f"{path.name} line {start}: has {len(cells)} cells; the header has {len(header)}")
            elif cells:
                part.rows.append(dict(zip(header, cells, strict=True)))


def jsonl_rows(path: Path, part: Part, encoding: str | None) -> None:
    for number, line in where_from.lines(path, encoding):
        if line.strip():
            row = jsonl.parsed(line, f"{path.name}: line {number}")
            if isinstance(row, dict):
                part.rows.append({name: jsonl.found(row, name)[1] for name in jsonl.named(row)})
            elif number == 1 and line.lstrip()[:1] in (b"[", b"{") and line.strip()[-1:] != b"}":
                each = "." if line.lstrip().startswith(b"{") else ".[]"
                told = f"jq -c '{each}' {path.name} > {path.stem}.jsonl"
                raise Fault(f"{path} is JSON as a whole, not an object in each line. Write it anew: {told}")
            else:
                part.rejects.append(f"{row.where} {row.reason}")
        if part.full(len(line) + 1):
            return


def parquet_names(path: Path) -> list[str]:
    with parquet.opened(path) as file:
        return list(file.schema_arrow.names)


def parquet_rows(path: Path, part: Part) -> None:
    for batch in parquet.batches(path, parquet_names(path)):
        part.rows += batch.to_pylist()
        if part.full(batch.nbytes):
            return


def look_at_table(method: str, files: list[Path], source: Path, guesses: list[Guess]) -> Look:
    guesses = list(guesses)
    encoding, notes = None, []
    if method != "parquet":
        found, notes = encodings(files[0])
        guesses += found
        encoding = found[0].value if found else None
    separator = next((guess.value for guess in guesses if guess.knob == "separator"), None)
    read: dict[str, Callable[[Path, Part], None]] = {
        "csv": lambda path, part: csv_rows(path, part, separator or ("\t" if where_from.unpacked_name(path).endswith((".tsv", ".tab")) else ","), encoding),
        "jsonl": lambda path, part: jsonl_rows(path, part, encoding),
        "parquet": parquet_rows,
    }  # fmt: skip
    chosen = evenly(files, FILES)
    parts = [Part(LOOKED // len(chosen)) for _ in chosen]
    for path, part in zip(chosen, parts, strict=True):
        try:
            read[method](path, part)
        except UnicodeDecodeError as err:
            raise where_from.not_encoded(path, where_from.encoding_of(path, encoding), err) from err
    rows = [row for part in parts for row in part.rows]
    rejects = [reject for part in parts for reject in part.rejects]
    if not rows:
        told = f"; {len(rejects):,} could not be read, the first {rejects[0]}" if rejects else ""
        raise Fault(f"{source} has no rows{told}")
    if method == "csv":
        refuse_headless(files[0], rows)
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name.strip()]
    columns = [profile(name, [row.get(name) for row in rows]) for name in names]
    for it in columns:
        if it.kind != "object" and (n := it.n_filled - sum(text is not None and bool(text.strip()) for text in it.texts)):
            notes.append(
                f"column {it.name}: {n:,} of {it.n_filled:,} cells hold a list or an object where the others do not, or no text; mend them"
            )
    if n := sum(any(isinstance(cell, str) and "\0" in cell for cell in row.values()) for row in rows):
        notes.append(f"{n:,} rows hold NUL characters; those with one in a column that is read will be rejected")
    whole = all(part.whole for part in parts) and len(chosen) == len(files)
    if whole:
        n_all: int | None = len(rows)
    elif method == "parquet":
        n_all = sum(_n_rows(path) for path in files)
    else:
        n_all = estimated(len(rows), sum(part.n_bytes for part in parts), files)
    what = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}[method] + (f", {len(files):,} files" if len(files) > 1 else "")
    seen = Look(source, method, what, _size(files), n_all, whole, guesses, columns, notes=notes)
    seen.facts["rows that cannot be read"] = f"{len(rejects):,}" + (f", the first {rejects[0]}" if rejects else "")
    text, label, split = choose(seen)
    blank = [None] * len(rows)
    cells = zip(text.texts, label.texts if label else blank, split.texts if split else blank, strict=True)
    seen.figures = figures(Document(it or "", _label(label), part) for it, label, part in cells)
    if split is None and source.is_dir() and sum(re.match(r"train|test|valid", path.name.lower()) is not None for path in files) > 1:
        seen.notes.append(
            "the files are called train, test or so, and no column says which row is whose: splits are drawn anew over all of them. To keep the "
            "given ones, add a column with train, valid or test to each file, and say split: that column"
        )
    return clean(seen)


def _n_rows(path: Path) -> int:
    with parquet.opened(path) as file:
        return file.metadata.num_rows


def _size(files: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def estimated(n: int, n_bytes: int, files: list[Path]) -> int | None:
    """How many there are in all, from their share of the bytes; not of compressed files, whose size says nothing."""
    if any(path.suffix in where_from.COMPRESSED for path in files):
        return None
    return max(n, round(n * _size(files) / max(1, n_bytes)))


def evenly(items: list[Any], n: int) -> list[Any]:
    """At most n of them, from all over the list."""
    return items if len(items) <= n else [items[i * len(items) // n] for i in range(n)]


def encodings(path: Path) -> tuple[list[Guess], list[str]]:
    """What the encoding has to be, where it is not what a byte order mark or UTF-8 says; and what to beware of."""
    if where_from.encoding_of(path, None) == "utf-16":
        return [], []
    with where_from.opened(path) as stream:
        start = stream.read(LOOKED)
    lines = [line for line in start.split(b"\n")[: -1 if len(start) == LOOKED else None] if not line.isascii()]
    wrong = [line for line in lines if not _decodes(line, "utf-8")]
    if not wrong:
        return [], []
    if len(wrong) * 2 < len(lines):
        return [], [
            f"{len(wrong):,} of {len(lines):,} lines with other letters than ASCII's are not UTF-8; their rows will be rejected, and counted"
        ]
    encoding = "cp1252" if all(_decodes(line, "cp1252") for line in wrong) else "latin-1"
    return [Guess("encoding", encoding, f"{len(wrong):,} lines are not UTF-8; western European, unless you know better")], []


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def refuse_headless(path: Path, rows: list[dict[str, Any]]) -> None:
    """Raises Fault where the first line is a row like the others, and names no columns."""
    header = [name for name in rows[0] if name.strip()]  # pandas writes its index without a name
    odd = [name for name in header if _is_number(name) or len(name) > 80]
    wordy = [name for name in header if len(name.split()) > 4]
    told = f"its cell {odd[0][:40]!r} is no name of a column" if odd else "" if header else "its cells are empty"
    for name in header:
        n_below = sum(row.get(name) == name for row in rows)
        if not told and wordy and wordy != [name] and n_below > 1:
            told = f"its cell {name[:40]!r} stands in {n_below:,} rows below it, too"
    if told:
        names = ",".join(["text", "label", "c", "d", "e", "f"][: len(rows[0])])
        raise Fault(f"{path} has no header: {told}. Put a line before the first that names the {len(rows[0])} columns, such as {names}")


def profile(name: str, cells: list[Any]) -> Column:
    filled = [cell for cell in cells if not (cell is None or cell != cell or (isinstance(cell, str) and not cell.strip()))]
    kind = kind_of(filled)
    texts = [
        None if cell is None or cell != cell or kind == "object" or (kind != "tokens" and _is_odd(cell)) else as_text(cell)
        for cell in cells
    ]
    there = [text for text in texts if text is not None and text.strip()]
    distinct = dict.fromkeys(there)
    mean = sum(map(len, there)) / len(there) if there else 0.0
    return Column(name, kind, len(filled), len(distinct), mean, list(islice(distinct, 3)), texts)


def kind_of(filled: list[Any]) -> str:
    if not filled:
        return "empty"
    if all(isinstance(cell, bool) for cell in filled):
        return "truth"
    if sum(isinstance(cell, list) and all(isinstance(it, str) for it in cell) for cell in filled) >= MOSTLY * len(filled):
        return "tokens"
    plain = [cell for cell in filled if not _is_odd(cell)]
    if len(plain) < MOSTLY * len(filled):
        return "object"
    for few in (plain[:1000], plain):  # the first thousand tell most that are no numbers
        if not all(isinstance(cell, (int, float)) or _is_number(str(cell)) for cell in few):
            break
    else:
        return "number"
    try:
        for cell in plain:
            seconds(cell)
    except (ValueError, TypeError, OverflowError):
        return "text"
    return "time"


def _is_odd(cell: Any) -> bool:
    """Whether it is no word and no number."""
    return isinstance(cell, (dict, list)) or (isinstance(cell, bytes) and not _decodes(cell, "utf-8"))


def choose(seen: Look) -> tuple[Column, Column | None, Column | None]:
    """Adds to the guesses which column is what; gives those of text, label and split. Raises Fault where none can be the text."""
    so_far = "" if seen.whole else " in what was looked at"
    split = chosen_split(seen)
    text = chosen_text(seen, split)
    left = [it for it in seen.columns if it not in (text, split)]
    label = chosen_label(seen, left, so_far)
    left = [it for it in left if it is not label]
    n = len(text.texts)
    own = chosen_id(seen, left, n, so_far)
    left = [it for it in left if it is not own]

    group = next((it for it in named(left, GROUPS) if it.n_filled == n and FEW <= it.n_distinct < n), None)
    if group:
        seen.guesses.append(Guess("group", group.name, f"named so; {group.n_distinct:,} different, each in several rows"))
    time = next((it for it in named(left, TIMES) if it.n_filled == n and it is not group and it.kind in ("time", "number")), None)
    if time:
        seen.guesses.append(Guess("time", time.name, "named so, and every cell is a time or a number"))
    if split:
        values = {it.strip().lower() for it in split.texts if it and it.strip()}
        seen.guesses.append(Guess("split", split.name, f"its values are {', '.join(sorted(values & set(SPLITS)))}"))
        if label and "valid" not in values and seen.whole:
            seen.guesses.append(Guess("valid_share", 0.15, "no row is in valid, so it is drawn from train"))
    elif label:
        why = f"what is of one {group.name} stays in one split" if group else "each split has as large a share of every class"
        seen.guesses.append(Guess("divide", "group" if group else "stratified", why))
    return text, label, split


def chosen_split(seen: Look) -> Column | None:
    for it in seen.columns:
        if it.kind != "text" or it.n_distinct > len(SPLIT_WORDS):
            continue
        cells = Counter(text.strip().lower() for text in it.texts if text and text.strip())
        values = set(cells)
        known, others = values & set(SPLITS), values - set(SPLITS)
        n_others = sum(cells[name] for name in others)
        if n_others <= (1 - MOSTLY) * cells.total() and (
            len(known) > 1 or (known and _named(it, ("split", "part", "fold", "subset", "set")))
        ):
            if others:
                seen.notes.append(
                    f"column {it.name}: {n_others:,} of {cells.total():,} rows name a split that is none of {', '.join(SPLITS)} "
                    f"({', '.join(sorted(others))}); they will be rejected"
                )
            return it
        if values & {"train", "training", "test", "testing"} and values <= SPLIT_WORDS:
            seen.notes.append(
                f"column {it.name} names splits, and some by other words ({', '.join(sorted(values - set(SPLITS)))}): write {', '.join(SPLITS)} "
                f"in it, and say split: {it.name}. Until then splits are drawn"
            )
    return None


def chosen_text(seen: Look, split: Column | None) -> Column:
    """Raises Fault when no column has words in it."""
    wordy = [it for it in seen.columns if it.kind in ("text", "tokens") and it is not split and it.mean_length >= 2 and not _is_code(it)]
    wordy = [it for it in wordy if it.n_filled <= 20 or it.n_distinct >= 0.05 * it.n_filled]  # else it is a class
    if not wordy:
        told = ", ".join(f"{it.name} ({it.kind}, {it.n_distinct:,} different)" for it in seen.columns[:30])
        raise Fault(
            f"{seen.source} has no column of text; it has {told}. If its first line is data, put one before it that names the columns. "
            "Numbers alone are for embed: numbers, and what happened to whom and when is for ingest: events"
        )
    text, *others = sorted(wordy, key=lambda it: -it.mean_length)
    near = (
        f"; the next, {others[0].name}, has {others[0].mean_length:,.0f}" if others and others[0].mean_length > text.mean_length / 2 else ""
    )
    seen.guesses.append(
        Guess("text", text.name, f"of the columns of words the longest, {text.mean_length:,.0f} characters on average{near}")
    )
    return text


def chosen_label(seen: Look, left: list[Column], so_far: str) -> Column | None:
    few = [it for it in left if it.kind != "object" and 2 <= it.n_distinct <= MOST_CLASSES and it.n_filled >= 2 * it.n_distinct]
    if not seen.whole:  # a file that is sorted by class begins with one
        few += [it for it in left if it.n_distinct == 1 and it.n_filled > 1 and _named(it, LABELS[:4])]
    for it in named(few, LABELS):
        seen.guesses.append(Guess("label", it.name, f"named so, with {it.n_distinct} different values{so_far}"))
        return it
    for it in named(left, LABELS):
        seen.notes.append(
            f"column {it.name} is named like a label, and is none: it has {it.n_distinct:,} different values, not 2 to {MOST_CLASSES}"
        )
    words = [it for it in few if it.kind in ("text", "truth")]
    numbers = [it for it in few if it.kind == "number" and it.n_distinct <= 20 and _whole_numbers(it)]
    for it in [*words, *numbers]:
        seen.guesses.append(Guess("label", it.name, f"it has few values, {it.n_distinct}, that stand again and again{so_far}"))
        return it
    seen.guesses.append(Guess("label", None, f"no column has 2 to {MOST_CLASSES} values that stand again and again"))
    return None


def chosen_id(seen: Look, left: list[Column], n: int, so_far: str) -> Column | None:
    unique = [it for it in left if it.n_filled == n == it.n_distinct and n > 1 and it.kind in ("text", "number") and it.mean_length <= 100]
    for it in named(unique, IDS):
        seen.guesses.append(Guess("id", it.name, f"named so, and another in every row{so_far}"))
        return it
    for it in unique:
        if _whole_numbers(it) or (it.kind == "text" and not _spaced(it)):
            seen.guesses.append(Guess("id", it.name, f"another in every row{so_far}"))
            return it
    seen.guesses.append(Guess("id", None, "no column is another in every row; rows are numbered"))
    for it in left:
        if it.name.lower() == "id" and it.n_distinct < it.n_filled:
            seen.notes.append(
                f"column {it.name} is not taken as the id: {it.n_filled - it.n_distinct:,} of its values stand there before, and a second document of an "
                "id is rejected"
            )
    return None


def _parts(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())


def _named(column: Column, words: Sequence[str]) -> list[str]:
    return [word for word in words if word in _parts(column.name)]


def named(columns: Iterable[Column], words: Sequence[str]) -> Iterator[Column]:
    """The columns called by these words, in the words' order; those that are called nothing else first."""
    columns = list(columns)
    for word in words:
        yield from sorted((it for it in columns if word in _parts(it.name)), key=lambda it: len(_parts(it.name)))


def _whole_numbers(column: Column) -> bool:
    return all(re.fullmatch(r"\s*-?\d+\s*", text) for text in column.texts if text is not None and text.strip())


def _spaced(column: Column) -> bool:
    return any(" " in text.strip() for text in column.texts if text)


def _is_code(column: Column) -> bool:
    """Addresses, hashes and the like: long, and not to be read."""
    there = [text.strip() for text in column.texts if text and text.strip()]
    return 2 * sum(re.fullmatch(r"\w+://\S+|[0-9a-fA-F-]{16,}|(?:/|[A-Z]:\\)\S+", text) is not None for text in there) > len(there)


def _label(label: str | None) -> str | None:
    label = (label or "").strip()
    return None if label.lower() in NONE else label


# folders and lines


def look_at_folder(path: Path) -> Look:
    """A folder of tables, or of texts. Raises Fault when nothing of either is in it."""
    files = list(folder.inside(path, path.resolve()))
    if not files:
        raise Fault(f"{path} is a folder without a file; it must hold documents")
    endings = Counter(Path(where_from.unpacked_name(it)).suffix.lower() for it in files)
    known = {**TABLES, **OTHERS}
    methods = Counter[str]()
    for ending, n in endings.items():
        if ending in known:
            methods[known[ending]] += n
    texts = sum(n for ending, n in endings.items() if ending not in known)
    if methods and texts <= max(3, methods.total()):  # a README beside a table is no document
        if len(methods) > 1:
            told = ", ".join(f"{n:,} of {method}" for method, n in methods.most_common())
            raise Fault(f"{path} holds files of several kinds: {told}. Name one of them, or put those that belong together into a folder")
        method = next(iter(methods))
        mine = [it for it in files if known.get(Path(where_from.unpacked_name(it)).suffix.lower()) == method]
        if deep := [it for it in mine if it.parent != path]:
            raise Fault(
                f"{path} holds its files in folders, the first {deep[0].relative_to(path)}; tables are read from one folder. Name that folder: {deep[0].parent}"
            )
        form_of, guesses = form(mine[0])
        for it in evenly(mine, FILES):
            refuse_binary(it)
        return LOOKS[form_of](mine, path, guesses)
    return look_at_texts(files, path, endings)


def look_at_texts(files: list[Path], path: Path, endings: Counter[str]) -> Look:
    ending, n = endings.most_common(1)[0]
    guesses = []
    if ".txt" in endings:
        mine = [it for it in files if where_from.unpacked_name(it).endswith(".txt")]
        left = len(files) - len(mine)
    else:
        suffixes = [ending] if ending and n > 0.5 * len(files) else []
        mine = [it for it in files if where_from.unpacked_name(it).endswith(ending)] if suffixes else files
        left = len(files) - len(mine)
        guesses.append(
            Guess(
                "suffixes", suffixes, f"most files end in {ending}" if suffixes else "the files have no ending in common, so all are taken"
            )
        )
    refuse_binaries(evenly(mine, FILES))
    has_splits = folder.top_is_splits(path)
    documents, n_wrong = [], Counter[str]()
    chosen = evenly(mine, max(1, min(MOST // 5, LOOKED * len(mine) // max(1, _size(mine)))))
    whole = len(chosen) == len(mine)
    for it in chosen:
        document = _document(it, path, has_splits)
        if isinstance(document, str):
            n_wrong[document] += 1
        else:
            documents.append(document)
    labels = {folders(it, path, has_splits)[1] for it in mine} - {""}
    seen = Look(path, "folder", f"a folder of texts, {len(mine):,} files", _size(mine), len(mine), whole, guesses)
    seen.facts["splits"] = "the folders at the top are called so" if has_splits else "no folder at the top is one"
    seen.facts["classes"] = f"{len(labels):,}, the folders' names" if labels else "none: the texts lie in no folder of a class"
    if left:
        seen.notes.append(f"{left:,} files with another ending are left out")
    if n_wrong:
        seen.notes.append(f"{n_wrong.total():,} files cannot be read, the first because it {next(iter(n_wrong))}; they will be rejected")
    if sum("is not in" in why for why in n_wrong.elements()) * 2 > len(documents):
        guesses.append(Guess("encoding", "cp1252", "many files are not UTF-8; western European, unless you know better"))
    if labels:
        given = {folders(it, path, has_splits)[0] for it in mine} - {None}
        if not given:
            guesses.append(Guess("divide", "stratified", "each split has as large a share of every class"))
        elif "valid" not in given:
            guesses.append(Guess("valid_share", 0.15, "no folder is called valid, so it is drawn from train"))
    seen.figures = figures(documents)
    if labels:  # names are all known, also where not all files were opened
        seen.figures.labels = Counter(label for _, label in (folders(it, path, has_splits) for it in mine) if label)
    return clean(seen)


def folders(path: Path, root: Path, has_splits: bool) -> tuple[str | None, str]:
    """(split, class) of a file, from the folders in which it lies."""
    above = list(path.relative_to(root).parts[:-1])
    split = above.pop(0) if has_splits and above else None
    return split, "/".join(above)


def _document(path: Path, root: Path, has_splits: bool) -> Document | str:
    """The document of a file, or why it is none."""
    split, label = folders(path, root, has_splits)
    made = folder.document(path, path.name, label, split, None)
    if isinstance(made, dict):
        return Document(made["text"] or "", _label(label), split)
    return made.reason


def look_at_lines(files: list[Path], source: Path, guesses: list[Guess]) -> Look:
    found, notes = encodings(files[0])
    guesses = [*guesses, *found]
    prefix = next((guess.value for guess in guesses if guess.knob == "label_prefix"), None)
    documents: list[Document] = []
    n_empty = n_bytes = 0
    whole = True
    for _, line in where_from.lines(files[0], found[0].value if found else None):
        n_bytes += len(line) + 1
        text = line.decode("utf-8", "replace").strip()
        label = None
        if prefix and text.startswith(prefix):
            label, _, text = text.removeprefix(prefix).partition(" ")
        if text:
            documents.append(Document(text, _label(label)))
        n_empty += not text
        if n_bytes > LOOKED or len(documents) >= MOST:
            whole = False
            break
    n_all = len(documents) if whole else estimated(len(documents), n_bytes, files)
    seen = Look(source, "lines", "a text file, a document a line", _size(files), n_all, whole, guesses, notes=notes)
    seen.figures = figures(documents)
    seen.facts["empty lines"] = f"{n_empty:,}, which are no documents"
    if seen.figures.labels:
        guesses.append(Guess("divide", "stratified", "each split has as large a share of every class"))
    if len(documents) < 20:
        seen.notes.append("so few lines make few documents. If the file is one text, put its parts in lines of their own, a paragraph each")
    return clean(seen)


# sequences, graphs, wikis


def look_at_dna(files: list[Path], source: Path, guesses: list[Guess]) -> Look:
    letters = Counter[str]()
    lengths, n_bytes, whole, names = [], 0, True, set()
    lines = ((number, line.strip()) for number, line in where_from.lines(files[0]))
    for _, header, bases in dna.sequences(((number, line) for number, line in lines if line), files[0]):
        length = 0
        for line in bases:
            letters.update(line.decode("ascii", "replace").upper())
            length += len(line)
            n_bytes += len(line) + 1
            if n_bytes > LOOKED:
                whole = False
                break
        lengths.append(length)
        names.add(header.partition(" ")[0])
        if not whole:
            break
    if not letters.total():
        raise Fault(f"{source} has headers and no sequence; FASTA has lines of bases after each header")
    odd = {letter: n for letter, n in letters.items() if letter not in dna.BASES["ACGTN"].decode()}
    if sum(n for letter, n in odd.items() if letter.encode() in [bytes([it]) for it in dna.PROTEIN]) > 0.05 * letters.total():
        raise Fault(
            f"{source} holds proteins: letters such as {max(odd, key=lambda it: odd[it])} are no bases. Sequences of DNA or RNA are read"
        )
    n_all = len(lengths) if whole and len(files) == 1 else estimated(len(lengths), n_bytes, files)
    median = int(np.median(lengths))
    guesses = [*guesses]
    if median > 5000:
        guesses.append(Guess("length", 1000, f"the sequences are long, {median:,} bases in the middle, and are cut into windows"))
    if odd:
        guesses.append(Guess("alphabet", "IUPAC", f"it has {', '.join(sorted(odd)[:6])} besides A, C, G, T and N"))
    seen = Look(source, "dna", "FASTA", _size(files), n_all, whole and len(files) == 1, guesses)
    seen.facts |= {
        "sequences": f"{len(lengths):,}, of {min(lengths):,} to {max(lengths):,} bases, {median:,} in the middle",
        "names that stand twice": f"{len(lengths) - len(names):,}",
        "letters": ", ".join(f"{letter} {n / letters.total():.1%}" for letter, n in letters.most_common(6)),
    }
    seen.figures = Figures(n=len(lengths), mean_words=float(np.mean(lengths)), p95_words=int(np.percentile(lengths, 95)))
    seen.notes.append(
        "FASTA has no labels. If you have them, name a table with columns id and label as `labels`, or a pattern as `label_pattern`"
    )
    return seen


def look_at_graph(files: list[Path], source: Path, guesses: list[Guess]) -> Look:
    from pipelines.ingest import graph  # numba takes seconds to import

    knobs = {guess.knob: guess.value for guess in guesses}
    path = files[0]
    faults = graph.Faults()
    adjacency = knobs.get("form") == "adjacency" or _ending(path) == ".adjlist"
    guesses = list(guesses)
    if not _is_table(path) and not adjacency and {len(row) for row in _fields(first_lines(path))} == {3}:
        knobs["weight"] = "weight"
        guesses.append(Guess("weight", "weight", "each line has a third field, a number"))
    params = graph.Params(source=str(path), **knobs)
    nodes, n_edges, n_loops, whole = set[str](), 0, 0, True
    # a row is some twenty bytes in all forms
    for i, (_, one, other, _) in enumerate(graph.neighbours_in(path, faults) if adjacency else graph.edges_in(path, params, faults)):
        nodes.update(name for name in (one, other) if name)
        n_edges += other is not None and one != other
        n_loops += one == other
        if i * 20 > LOOKED:
            whole = False
            break
    faults.check()
    seen = Look(
        source,
        "graph",
        "a graph, " + ("neighbours" if adjacency else "edges"),
        _size(files),
        len(nodes),
        whole and len(files) == 1,
        guesses,
    )
    seen.facts |= {
        "nodes": f"{len(nodes):,}",
        "edges": f"{n_edges:,}" + (", told from both ends perhaps" if adjacency else ""),
        "from a node to itself": f"{n_loops:,}, which are dropped",
    }
    guesses.append(Guess("directed", False, "no such file says it; if an edge leads one way alone, write true"))
    for beside in sorted(path.parent.glob(f"*{_ending(path)}")):
        if beside != path and "label" in beside.name and _is_table(beside) and {"node", "label"} <= _header(beside):
            guesses.append(Guess("labels", beside, "lies beside it, with the columns node and label"))
            break
    seen.figures = Figures(n=len(nodes), mean_words=800.0)  # 10 walks of 80 nodes from each
    return seen


def _ending(path: Path) -> str:
    return Path(where_from.unpacked_name(path)).suffix


def _is_table(path: Path) -> bool:
    return _ending(path) in (".csv", ".tsv", ".parquet")


def _header(path: Path) -> set[str]:
    if _ending(path) == ".parquet":
        return set(parquet_names(path))
    return set(next(csv.reader(first_lines(path)[:1], delimiter="\t" if _ending(path) == ".tsv" else ","), []))


def look_at_wiki(files: list[Path], source: Path, guesses: list[Guess]) -> Look:
    from pipelines import wiki  # and so does gensim

    with where_from.opened(files[0]) as stream:
        held = list(islice((page for page in wiki.pages(stream, str(files[0])) if page.is_article), PAGES))
    if not held:
        raise Fault(f"{source} has no article that is not a redirect; a dump of MediaWiki is called ...-pages-articles.xml")
    guesses = list(guesses)
    plain = figures(Document(wiki.plain(page.markup)) for page in held)
    if next(iter(plain.scripts), "LATIN") != "LATIN":
        guesses.append(Guess("prose", False, "sentences are told apart in Latin script alone"))
    whole = len(held) < PAGES and len(files) == 1
    seen = Look(source, "mediawiki", "a dump of MediaWiki", _size(files), len(held) if whole else None, whole, guesses, figures=plain)
    guesses.append(Guess("unit", "article", "a document is an article; paragraph and sentences make more and shorter ones"))
    seen.notes.append("a dump has no labels. If you have them, name a table with columns id, the title, and label as `labels`")
    return seen


def _table_of(method: str) -> Callable[[list[Path], Path, list[Guess]], Look]:
    return lambda files, source, guesses: look_at_table(method, files, source, guesses)


LOOKS: dict[str, Callable[[list[Path], Path, list[Guess]], Look]] = {
    **{method: _table_of(method) for method in ("csv", "jsonl", "parquet")},
    "lines": look_at_lines, "dna": look_at_dna, "graph": look_at_graph, "mediawiki": look_at_wiki,
}  # fmt: skip


# the documents


def figures(documents: Iterable[Document]) -> Figures:
    """Raises Fault when there is none that has text."""
    held = list(documents)
    # what cannot be decoded is counted where the lines are; here it would stop Arrow
    texts = [it.text.encode("utf-8", "replace").decode() for it in held]
    filled = [text for text in texts if text.strip()]
    if not filled:
        raise Fault("the source has no document with text in it" + (f"; {len(held):,} are empty" if held else ""))
    n_words = np.array([len(text.split()) for text in filled])
    n_characters = np.array([len(text) for text in filled])
    column = pa.array(filled, pa.large_string())
    plain = hashes(normalised(column))
    few = evenly(filled, 2000)
    tokens = Counter(word for text in few for word in text[:5000].lower().split())
    scripts = scripts_of(few)
    return Figures(
        n=len(held), n_empty=len(held) - len(filled), n_duplicates=len(filled) - len(np.unique(plain, axis=0)),
        characters=_spread(n_characters), words=_spread(n_words), p95_words=int(np.percentile(n_words, 95)), mean_words=float(n_words.mean()),
        scripts=scripts, english=sum(tokens[word] for word in ENGLISH) > 0.1 * tokens.total() and next(iter(scripts), "") == "LATIN",
        labels=Counter(it.label for it in held if it.label), splits=Counter(it.split.strip().lower() for it in held if it.split and it.split.strip()),
        html=_share(column, r"(?i)<br\s*/?>|</(?:p|div|a|b|i|span|li|td|em|strong)>|&(?:amp|lt|gt|quot|nbsp|#\d+);"),
        headers=_share(column, HEADER), quotes=_share(column, QUOTE),
    )  # fmt: skip


def _spread(numbers: np.ndarray) -> tuple[int, int, int]:
    return int(numbers.min()), int(np.median(numbers)), int(numbers.max())


def _share(texts: pa.Array, pattern: str) -> float:
    return pc.mean(pc.match_substring_regex(texts, pattern).cast(pa.float64())).as_py()


def scripts_of(texts: list[str]) -> dict[str, float]:
    """Share of each script in the letters, by the first word of the letters' names in Unicode; most first."""
    letters = Counter(letter for text in texts for letter in text[:500] if letter.isalpha())
    scripts = Counter[str]()
    for letter, n in letters.items():
        scripts[unicodedata.name(letter, "UNKNOWN").partition(" ")[0]] += n
    return {script: n / scripts.total() for script, n in scripts.most_common() if n >= 0.01 * scripts.total()}


def clean(seen: Look) -> Look:
    """Adds what the texts need before they are read, and what to beware of."""
    it = seen.figures
    if it.html >= 0.02:
        seen.guesses.append(Guess("html", True, f"{it.html:.0%} of the texts have tags or entities of HTML"))
    if it.headers >= 0.2:
        seen.guesses.append(
            Guess("headers", True, f"{it.headers:.0%} begin with the head of a mail, whose names and addresses give classes away")
        )
        if it.quotes >= 0.05:
            seen.guesses.append(Guess("quotes", True, f"{it.quotes:.0%} quote other people's mails"))
    if it.n_duplicates:
        seen.guesses.append(
            Guess(
                "duplicates", ["train", "unlabelled"], f"{it.n_duplicates:,} texts stand there before; valid and test are left as they are"
            )
        )
    rare = [label for label, n in it.labels.items() if n < FEW]
    if rare and seen.whole:
        seen.notes.append(
            f"{len(rare)} classes have fewer than {FEW} documents, such as {min(rare)}: too few to learn from and to be tested on"
        )
    if it.labels and it.labels.most_common(1)[0][1] > 0.9 * it.labels.total():
        seen.notes.append(
            f"nine documents of ten are {it.labels.most_common(1)[0][0]}: look at macro_f1, and at accuracy_majority beside accuracy"
        )
    return seen
