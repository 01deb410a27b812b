"""Look: what a source of somebody's own looks like, and which row of ingest would read it. Reads a part, keeps nothing.

reads   a path       CSV, TSV, JSON lines, Parquet, a folder of texts or an archive of one, a text file of lines, a graph, FASTA, a
                     MediaWiki dump
gives   Look         the method and its knobs, each with its reason; the columns; the documents' figures; what to beware of

Of tables and lines the first `LOOKED` bytes count, and `MOST` documents at most; of a folder, files evenly over all of it.
What is seen: pipelines/use/seen.py; what is chosen: pipelines/use/propose.py.
"""

import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import archives
from pipelines import sources as where_from
from pipelines.artifacts.corpus import SPLITS
from pipelines.errors import Fault
from pipelines.ingest import dna, folder, jsonl, parquet
from pipelines.use.propose import choose, clean, label_of
from pipelines.use.seen import (
    OTHERS,
    SEPARATORS,
    TABLES,
    Document,
    Figures,
    Guess,
    Look,
    decodes,
    evenly,
    fields_of,
    figures,
    first_lines,
    form,
    is_number,
    n_cells,
    parquet_names,
    profile,
    refuse_binaries,
    refuse_binary,
)  # fmt: skip

LOOKED = 2**26  # bytes of a source
MOST = 100_000  # documents; so many small ones would take longer than a person likes to wait
PAGES = 50  # of a wiki; to take off their markup is slow
FILES = 16  # of a table in several files


def look(source: str) -> Look:
    """Raises Fault where the source is missing, empty, or of no kind that is read."""
    path = where_from.located(source)
    if archives.is_archive(path):
        with tempfile.TemporaryDirectory() as place:
            archives.unpack(path, Path(place))
            return look_at_archive(path, folder.top(Path(place)))
    if path.is_dir():
        return look_at_folder(path)
    if path.stat().st_size == 0:
        raise Fault(f"{path} is empty; it must hold documents")
    method, guesses = form(path)
    return LOOKS[method]([path], path, guesses)


# tables


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
                part.rows.append(flat(row))
            elif number == 1 and line.lstrip()[:1] in (b"[", b"{") and line.strip()[-1:] != b"}":
                each = "." if line.lstrip().startswith(b"{") else ".[]"
                told = f"jq -c '{each}' {path.name} > {path.stem}.jsonl"
                raise Fault(f"{path} is JSON as a whole, not an object in each line. Write it anew: {told}")
            else:
                part.rejects.append(f"{row.where} {row.reason}")
        if part.full(len(line) + 1):
            return


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """With the columns inside others as a.b."""
    return {name: jsonl.found(row, name)[1] for name in jsonl.named(row)}


def parquet_rows(path: Path, part: Part) -> None:
    for batch in parquet.batches(path, parquet_names(path)):
        part.rows += map(flat, batch.to_pylist())
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
    if method == "csv" and len(names) == 1 and " " in names[0].strip():
        notes.append(
            f"the one column is called {names[0][:40]!r}, as its first line says. If that is a document, put a line before it: text"
        )
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
    seen.figures = figures(Document(it or "", label_of(label), part) for it, label, part in cells)
    if (
        split is None
        and source.is_dir()
        and sum(re.search(r"(^|[-_])(train|test|valid)", path.name.lower()) is not None for path in files) > 1
    ):
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
    if any(path.suffix.lower() in where_from.COMPRESSED for path in files):
        return None
    return max(n, round(n * _size(files) / max(1, n_bytes)))


def encodings(path: Path) -> tuple[list[Guess], list[str]]:
    """What the encoding has to be, where it is not what a byte order mark or UTF-8 says; and what to beware of."""
    if where_from.encoding_of(path, None) == "utf-16":
        return [], []
    with where_from.opened(path) as stream:
        start = stream.read(LOOKED)
    lines = [line for line in start.split(b"\n")[: -1 if len(start) == LOOKED else None] if not line.isascii()]
    wrong = [line for line in lines if not decodes(line, "utf-8")]
    if not wrong:
        return [], []
    if len(wrong) * 2 < len(lines):
        return [], [
            f"{len(wrong):,} of {len(lines):,} lines with other letters than ASCII's are not UTF-8; their rows will be rejected, and counted"
        ]
    encoding = "cp1252" if all(decodes(line, "cp1252") for line in wrong) else "latin-1"
    return [Guess("encoding", encoding, f"{len(wrong):,} lines are not UTF-8; western European, unless you know better")], []


def refuse_headless(path: Path, rows: list[dict[str, Any]]) -> None:
    """Raises Fault where the first line is a row like the others, and names no columns."""
    header = [name for name in rows[0] if name.strip()]  # pandas writes its index without a name
    odd = [name for name in header if is_number(name) or len(name) > 80]
    wordy = [name for name in header if len(name.split()) > 4]
    told = f"its cell {odd[0][:40]!r} is no name of a column" if odd else "" if header else "its cells are empty"
    for name in header:
        n_below = sum(row.get(name) == name for row in rows)
        if not told and wordy and wordy != [name] and n_below > 1:
            told = f"its cell {name[:40]!r} stands in {n_below:,} rows below it, too"
    if told:
        names = ",".join(["text", "label", "c", "d", "e", "f"][: len(rows[0])])
        raise Fault(f"{path} has no header: {told}. Put a line before the first that names the {len(rows[0])} columns, such as {names}")


# folders and lines


def look_at_folder(path: Path) -> Look:
    """A folder of tables, or of texts. Raises Fault when nothing of either is in it."""
    there = list(folder.inside(path, path.resolve()))
    files = [it for it in there if not folder.is_hidden(it)]
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
            if method == "csv" and (other := separator_of(form(it))) != separator_of((form_of, guesses)):
                raise Fault(
                    f"{path} holds tables of different forms: {mine[0].name} has {separator_of((form_of, guesses))} between its cells, "
                    f"{it.name} {other}. Write them alike, or name one of them"
                )
        return LOOKS[form_of](mine, path, guesses)
    seen = look_at_texts(files, path, endings)
    if n_hidden := len(there) - len(files):
        seen.facts["names that begin with a dot"] = f"{n_hidden:,}, left out"
    return seen


def separator_of(formed: tuple[str, list[Guess]]) -> str:
    return next((repr(guess.value) for guess in formed[1] if guess.knob == "separator"), "what its ending says")


def look_at_archive(path: Path, place: Path) -> Look:
    """Raises Fault where it holds no texts: of tables the files are read, not what they are packed in."""
    try:
        seen = look_at_folder(place)
    except Fault as fault:
        raise Fault(line.replace(str(place), str(path)) for line in fault.faults) from fault
    if seen.method != "folder":
        raise Fault(f"{path} holds {seen.what}, and of archives only those of texts are read. Unpack it, and name what is in it")
    seen.source, seen.what = path, seen.what.replace("a folder", "an archive")
    return seen


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
    has_splits = folder.top_is_splits(path, path)

    def above(it: Path) -> tuple[str | None, str]:
        return folder.folders(it.relative_to(path), has_splits)

    documents, n_wrong = [], Counter[str]()
    chosen = evenly(mine, max(1, min(MOST // 5, LOOKED * len(mine) // max(1, _size(mine)))))
    whole = len(chosen) == len(mine)
    for it in chosen:
        document = _document(it, *above(it))
        if isinstance(document, str):
            n_wrong[document] += 1
        else:
            documents.append(document)
    labels = {above(it)[1] for it in mine} - {""}
    seen = Look(path, "folder", f"a folder of texts, {len(mine):,} files", _size(mine), len(mine), whole, guesses)
    seen.facts["splits"] = "the folders at the top are called so" if has_splits else "no folder at the top is one"
    seen.facts["classes"] = f"{len(labels):,}, the folders' names" if labels else "none: the texts lie in no folder of a class"
    tops = {it.relative_to(path).parts[0] for it in mine if it.parent != path} if has_splits else set()
    if tops - set(SPLITS):
        told = ", ".join(f"{top} is {folder.split_of(top)}" for top in sorted(tops))
        seen.notes.append(f"the folders at the top are taken for the given splits: {told}. If they are classes, name them otherwise")
    if left:
        seen.notes.append(f"{left:,} files with another ending are left out")
    if n_wrong:
        seen.notes.append(f"{n_wrong.total():,} files cannot be read, the first because it {next(iter(n_wrong))}; they will be rejected")
    if sum("is not in" in why for why in n_wrong.elements()) * 2 > len(documents):
        guesses.append(Guess("encoding", "cp1252", "many files are not UTF-8; western European, unless you know better"))
    if labels:
        given = {above(it)[0] for it in mine} - {None}
        if not given:
            guesses.append(Guess("divide", "stratified", "each split has as large a share of every class"))
        elif "valid" not in given:
            guesses.append(Guess("valid_share", 0.15, "no folder is called valid, so it is drawn from train"))
    seen.figures = figures(documents)
    if labels:  # names are all known, also where not all files were opened
        seen.figures.labels = Counter(label for _, label in map(above, mine) if label)
    return clean(seen)


def _document(path: Path, split: str | None, label: str) -> Document | str:
    """The document of a file, or why it is none."""
    made = folder.document(path, path.name, label, split, None)
    if isinstance(made, dict):
        return Document(made["text"] or "", label_of(label), split)
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
            documents.append(Document(text, label_of(label)))
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
    first = first_lines(files[0])
    if not prefix and (cut := next((it for it in SEPARATORS if n_cells(first, it) > 1 and len(first) > 2), None)):
        seen.notes.append(
            f"each line has {n_cells(first, cut)} cells with {cut!r} between them, and is read as one text. If this is a table, let its name end in .csv"
        )
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
    if not _is_table(path) and not adjacency and {len(row) for row in fields_of(first_lines(path))} == {3}:
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
    for beside in sorted(path.parent.iterdir()):
        if (
            beside != path
            and _ending(beside) == _ending(path)
            and "label" in beside.name
            and _is_table(beside)
            and {"node", "label"} <= _header(beside)
        ):
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
