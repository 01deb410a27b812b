"""Seen: what a source of somebody's own is: its form, its columns, the figures of its documents.

reads   a file       as much of it as tells its form; cells and documents as pipelines/use/look.py has read them
gives   Look and its parts

The rules are plain ones, and can be wrong.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import sources as where_from
from pipelines.artifacts.corpus import hashes, normalised
from pipelines.cleaning import ATTACHMENT, HEADER, QUOTE, SIGNATURE
from pipelines.columns import as_text, seconds
from pipelines.errors import Fault
from pipelines.ingest import csv as csv_method
from pipelines.ingest import dna, jsonl, parquet

SNIFFED = 2**16  # bytes that tell what a file is
LINES = 2000  # that tell what a text file is
MOSTLY = 0.95  # share of a column's cells that say what it holds; the others are told

SEPARATORS = ",;\t|"
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
    apostrophes: float = 0.0  # other than '
    headers: float = 0.0
    quotes: float = 0.0
    signatures: float = 0.0
    attachments: float = 0.0


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
        lines = list(dropwhile(lambda line: not line.strip("\n"), lines))
        separator, guesses = separated(path, lines, ending)
        return _or_graph("csv", path, next(csv.reader(lines, delimiter=separator)), guesses)
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
    """What stands between the cells: what the ending says, unless another alone gives all lines as many cells, or the first line any.

    Raises Fault for a first line that says it, as Excel reads one.
    """
    if re.fullmatch(r"(?i)sep=.?\s*", lines[0]):
        raise Fault(f"{path} begins with the line {lines[0].strip()!r}, which Excel alone reads. Take it away: the first names the columns")
    usual = "\t" if ending in (".tsv", ".tab") else ","
    tidy = {it: n for it in SEPARATORS if (n := n_cells(lines, it)) > 1}
    if tidy:  # in prose a comma has a space behind it
        best = min(tidy, key=lambda it: (len(tidy) > 1 and sum(f"{it} " in line for line in lines), it != usual, -tidy[it]))
        return best, [] if best == usual else [Guess("separator", best, f"with it each line has {tidy[best]} cells")]
    others = [it for it in SEPARATORS if it in lines[0]]
    if usual in lines[0] or not others:
        return usual, []
    best = max(others, key=lines[0].count)
    return best, [
        Guess(
            "separator", best, "the first line has no comma, and has these" if usual == "," else "the first line has no tab, and has these"
        )
    ]


def n_cells(lines: list[str], separator: str) -> int:
    """In every row; 0 where they differ. The last of several may be cut."""
    try:
        sizes = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return 0
    return sizes[0] if len(set(sizes[:-1] if len(sizes) > 2 else sizes)) == 1 else 0


def _or_graph(method: str, path: Path, header: list[str], guesses: Sequence[Guess] = ()) -> tuple[str, list[Guess]]:
    """Edges, where the columns are called so."""
    names = {name.strip().lower(): name.strip() for name in header}
    for source, target in ENDS:
        if source in names and target in names and len(header) <= 3 and not guesses:
            columns = [Guess("source_column", names[source], "named so"), Guess("target_column", names[target], "named so")]
            weight = [Guess("weight", name, "the third column") for name in names.values() if name.lower() not in (source, target)]
            return "graph", columns + weight
    return method, list(guesses)


def parquet_names(path: Path) -> list[str]:
    with parquet.opened(path) as file:
        return list(file.schema_arrow.names)


def fields_of(lines: Iterable[str]) -> list[list[str]]:
    return [line.split() for line in lines if line.strip() and line.lstrip()[0] not in "#%"]


def is_edges(lines: list[str]) -> bool:
    """Two fields in every line, or a third that is a number; and nodes that stand in several of them."""
    rows = fields_of(lines)
    size = {len(row) for row in rows}
    if size not in ({2}, {3}) or (size == {3} and not all(is_number(row[2]) for row in rows)):
        return False
    return len({name for row in rows for name in row[:2]}) < 2 * len(rows) or len(rows) == 1


def is_adjacency(lines: list[str]) -> bool:
    rows = fields_of(lines)
    firsts = {row[0] for row in rows}
    others = [name for row in rows for name in row[1:]]
    return len(rows) > 2 and len(firsts) == len(rows) and len(others) > 0 and sum(name in firsts for name in others) >= 0.9 * len(others)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# columns


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
        if not all(isinstance(cell, (int, float)) or is_number(str(cell)) for cell in few):
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
    return isinstance(cell, (dict, list)) or (isinstance(cell, bytes) and not decodes(cell, "utf-8"))


def decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


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
        apostrophes=_share(column, r"\pL[’‘ʼ´`]\pL"),
        headers=_share(column, HEADER), quotes=_share(column, QUOTE),
        signatures=_share(column, SIGNATURE), attachments=_share(column, ATTACHMENT),
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


def evenly(items: list[Any], n: int) -> list[Any]:
    """At most n of them, from all over the list."""
    return items if len(items) <= n else [items[i * len(items) // n] for i in range(n)]
