"""Lists in params: what may stand there, each once, and sets of words or pairs that are carried along by name or lie in files."""

import csv
from collections.abc import Callable, Collection, Hashable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import AfterValidator

from pipelines.errors import Fault, nearest
from pipelines.method import Run

T = TypeVar("T")


def once(what: str, by: Callable[..., Hashable] = lambda value: value) -> AfterValidator:
    """Refuses a list that names something twice, as `by` sees it."""

    def check(values: list) -> list:
        if len({by(value) for value in values}) < len(values):
            raise ValueError(f"must not name {what} twice")
        return values

    return AfterValidator(check)


def carried_or_file(carried: Collection[str], example: str) -> AfterValidator:
    """Refuses a name that is neither one of those carried along, nor that of a file."""

    def check(names: list[str]) -> list[str]:
        strange = [name for name in names if name not in carried and not Path(name).suffix]
        if strange:
            hint = nearest(strange[0], carried)
            raise ValueError(f"must name any of {', '.join(carried)}, or files such as {example}; {strange[0]!r} is neither.{hint}")
        return names

    return AfterValidator(check)


def gensims(name: str) -> Path:
    """A set that gensim carries along; found without gensim's import, which takes longer than most evaluations."""
    [home] = find_spec("gensim").submodule_search_locations
    return Path(home, "test", "test_data", name)


def title_of(name: str) -> str:
    """By which a set is told: its name, or its file's without the ending."""
    return Path(name).stem if Path(name).suffix else name


class Line(NamedTuple):
    number: int  # from 1
    text: str
    cells: list[str]


def lines_of(path: Path, n_cells: int, other: str) -> list[Line]:
    """The lines of a set: cells between tabs, else commas (with quotes as in CSV), else blanks, whichever the first line of cells has.

    Empty lines, and lines that begin with `# `, are skipped. One that begins with `:` is of one cell, without what a table writes
    of the other columns.

    Args:
        n_cells: that a line has to have, at least; how many commas part is told by it.
        other: what may be said instead of the file, for its Fault.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Fault(f"the set {path} is missing. Put it there, or {other}") from None
    except (OSError, UnicodeDecodeError) as err:
        raise Fault(f"the set {path} cannot be read as UTF-8 text: {err}") from err
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip(" \t,") and not f"{line} ".startswith("# ")]
    first = next((line for _, line in lines if not line.startswith(":")), "")
    mark = "\t" if "\t" in first else "," if len(first.split(",")) >= n_cells else None

    def cells(line: str) -> list[str]:
        if line.startswith(":"):
            return [line.strip(" \t,")]
        return [cell.strip() for cell in (next(csv.reader([line])) if mark == "," else line.split(mark))]

    return [Line(i, line, cells(line)) for i, line in lines]


def read_each(names: Sequence[str], read: Callable[[str], T], run: Run) -> list[T]:
    """What `read` makes of each. Raises Fault with the faults of all of them."""
    found, faults = [], []
    for name in names:
        try:
            found.append(read(name))
        except Fault as fault:
            faults += [f"{run.name}: {line}" for line in fault.faults]
    if faults:
        raise Fault(faults)
    return found
