"""Folder: one's own documents, a text file each, in one folder a class, or in none.

reads   source       a folder of files, or an archive of one: a folder in it is a class; or train, valid, test and unlabelled,
                     or what is called otherwise and means these, with the classes in them
writes  corpus       by name; doc_id is the file's name inside the source; splits as the folders are, else drawn by seed
source  none; the layout is that of 20 Newsgroups, of IMDb's archive, and of scikit-learn's load_files
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from pipelines import archives
from pipelines import sources as where_from
from pipelines.artifacts.corpus import SPLITS, Corpus
from pipelines.cleaning import Reject
from pipelines.columns import not_text, record
from pipelines.documents import Documents, Skipped, gathered, write
from pipelines.errors import Fault
from pipelines.method import Run

N_EXAMPLES = 5  # names in a message
SPLIT_OF = {
    **{name: name for name in SPLITS},
    **dict.fromkeys(("training",), "train"),
    **dict.fromkeys(("validation", "val", "dev"), "valid"),
    **dict.fromkeys(("testing",), "test"),
    **dict.fromkeys(("unlabeled", "unsup", "unsupervised"), "unlabelled"),
}


class Params(Documents):
    source: str = "data"  # a folder, data:NAME, or an archive: .zip, .tar, .tar.gz, .tar.bz2, .tar.xz
    suffixes: list[str] = Field([".txt"])  # the files that are meant, also as .gz, .bz2 or .xz; an empty list takes all
    encoding: str | None = None  # none: what a byte order mark says, file by file, else UTF-8


def sources(params: Params) -> list[str]:
    return where_from.paths(params.source)


def ingest(params: Params, run: Run) -> Corpus:
    root = where_from.located(params.source)
    if params.encoding is not None:
        where_from.known_encoding(params.encoding)
    if archives.is_archive(root):
        with run.scratch() as place:
            archives.unpack(root, place)
            return write(gathered(read(top(place), params, run)), params, run)
    if not root.is_dir():
        raise Fault(
            f"source {params.source} is a file; the method folder reads a folder of text files, or an archive of one. "
            "For a document a line, say method: lines"
        )
    return write(gathered(read(root, params, run)), params, run)


def top(place: Path) -> Path:
    """The folder that holds the classes: most archives have one folder around all that is in them."""
    there = [it for it in place.iterdir() if not it.name.startswith(".")]
    return top(there[0]) if len(there) == 1 and there[0].is_dir() and there[0].name not in SPLITS else place


def read(root: Path, params: Params, run: Run) -> Iterator[dict[str, Any] | Reject | Skipped]:
    has_splits = top_is_splits(root, params.source)
    n_files = n_others = n_hidden = 0
    for path in inside(root, root.resolve()):
        if is_hidden(path):
            n_hidden += 1
            continue
        if not where_from.ends_in(path, params.suffixes):
            if not n_others:
                run.say(f"{path.relative_to(root)} and what else has none of the endings {', '.join(params.suffixes)} is left out")
            n_others += 1
            continue
        n_files += 1
        name = path.relative_to(root)
        split, label = folders(name, has_splits)
        yield document(path, name.as_posix(), label, split, params.encoding)
    if not n_files:
        meant = " or ".join("*" + suffix for suffix in params.suffixes) or "any file"
        raise Fault(f"source {params.source} holds no file that is {meant}. Say which are meant as `suffixes`; an empty list takes all")
    if n_others:
        yield Skipped("other_files", n_others)
    if n_hidden:
        yield Skipped("hidden_files", n_hidden)


def document(path: Path, name: str, label: str, split: str | None, encoding: str | None) -> dict[str, Any] | Reject:
    if not_text(name):
        return Reject(name.encode("utf-8", "replace").decode(), "has a name that is not UTF-8")
    try:
        with where_from.opened(path) as file:
            content = file.read(where_from.LONGEST_LINE + 1)
    except Fault as fault:  # one of many files, and no reason to refuse the others
        return Reject(name, str(fault).replace(f"{path} ", "").replace(str(path), path.name))
    if len(content) > where_from.LONGEST_LINE:
        return Reject(name, f"has more than {where_from.LONGEST_LINE:,} bytes")
    try:
        text = content.decode(encoding or where_from.marked_encoding(content), "surrogateescape")
    except UnicodeDecodeError as err:  # UTF-16 cannot be read on after its first fault
        return Reject(name, f"is not in the encoding of its file: {err.reason} at byte {err.start}")
    return record({"text": text, "label": label, "split": split}, name, name)


def folders(name: Path, has_splits: bool) -> tuple[str | None, str]:
    """(split, class) of a file, from the folders in which it lies."""
    above = list(name.parts[:-1])
    split = split_of(above.pop(0)) if has_splits and above else None
    return split, "/".join(above)


def split_of(name: str) -> str | None:
    """test of test, Testing and 20news-bydate-test."""
    return SPLIT_OF.get(re.split("[-_]", name.lower())[-1])


def top_is_splits(root: Path, source: Path | str) -> bool:
    """Whether the folders of the source are splits, and no classes. Raises Fault where some are and some are not."""
    there = sorted(it.name for it in os.scandir(root) if it.is_dir() and not is_hidden(it))
    splits = [name for name in there if split_of(name)]
    if not any(name in SPLITS or split_of(name) == "train" for name in splits):  # web-dev beside game-dev are classes
        return False
    if others := [name for name in there if not split_of(name)]:
        shown = ", ".join(others[:N_EXAMPLES]) + (", ..." if len(others) > N_EXAMPLES else "")
        raise Fault(
            f"source {source} has folders that are splits ({', '.join(splits)}) beside others ({shown}). "
            f"Let all be classes, or all be splits ({', '.join(SPLITS)}) with the classes in them"
        )
    return True


def is_hidden(entry: Path | os.DirEntry[str]) -> bool:
    return entry.name.startswith(".")


def inside(folder: Path, root: Path) -> Iterator[Path]:
    """All files below, by name, and what is hidden, unopened. Raises Fault for a link that leads out of `root`, and for one to a folder."""
    for entry in sorted(os.scandir(folder), key=lambda it: it.name):
        path = folder / entry.name
        if is_hidden(entry):
            yield path
            continue
        if entry.is_symlink():
            if not path.resolve().is_relative_to(root):
                raise Fault(f"{path} is a link that leads out of the source, to {os.readlink(path)}. Put the file itself there")
            if path.is_dir():
                raise Fault(f"{path} is a link to a folder, {os.readlink(path)}, whose files would be read twice. Take it away")
        if entry.is_dir():
            yield from inside(path, root)
        elif entry.is_file():
            yield path
