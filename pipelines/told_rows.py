"""Sets of a user's own, named by path: the rows of a small table, such as words and their tags.

.parquet         columns by name
.tsv, .tab       tabs between cells; a quote is a letter as any other, since lists of words hold them
.csv             commas between cells, quotes as in CSV
any other        tabs, else commas, else blanks, whichever the first line has

A first line with the columns' names is a heading, whose order holds, and others beside them are passed over. Empty lines, and
lines that begin with `# `, are skipped. The file may be compressed, and `data:NAME` lies below the folder of WORDLOOM_DATA.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import Fault
from pipelines.sources import located, opened, unpacked_name

MOST = 10  # lines named in one Fault


class Row(NamedTuple):
    where: str  # for messages: `tags.tsv, line 3`
    cells: tuple[str, ...]  # in the order of the columns that were asked for


def read(source: str, columns: Sequence[str], blank: bool = False) -> list[Row]:
    """All rows of the table.

    Args:
        columns: what the cells are called, in their order where there is no heading.
        blank: whether a cell may be empty.

    Raises:
        Fault: with all the lines that are wrong; or there is no file, or no row in it.
    """
    path, faults = located(source), []
    if not path.is_file():
        raise Fault(f"{source} is a folder; name a file with the columns {', '.join(columns)}")
    found = list(_of_parquet(path, columns) if path.suffix == ".parquet" else _of_text(path, columns, faults))
    if not blank:
        faults += [f"{row.where}: its {columns[row.cells.index('')]} is empty" for row in found if "" in row.cells]
    if not found and not faults:
        faults = [f"{source} holds no row; a line has to be {', '.join(columns)}"]
    refuse(faults, source)
    return found


def refuse(faults: Sequence[str], source: str) -> None:
    """Raises Fault with the first MOST of them, and how many more there are."""
    if faults:
        raise Fault([*faults[:MOST], *[f"{source}: {len(faults) - MOST:,} more lines like these"] * (len(faults) > MOST)])


def _of_parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    try:
        table = pq.read_table(path)
        if missing := [name for name in columns if name not in table.column_names]:
            raise Fault(f"{path.name} has no column {', '.join(map(repr, missing))}; it has {', '.join(table.column_names)}")
        cells = [table[name].cast(pa.string()).fill_null("").to_pylist() for name in columns]
    except (pa.ArrowException, OSError) as err:
        raise Fault(f"{path.name} cannot be read as Parquet of text and numbers: {err}. Write it again") from err
    for i, row in enumerate(zip(*cells, strict=True), 1):
        yield Row(f"{path.name}, row {i}", tuple(cell.strip() for cell in row))


def _of_text(path: Path, columns: Sequence[str], faults: list[str]) -> Iterator[Row]:
    try:
        with opened(path) as stream, io.TextIOWrapper(stream, "utf-8-sig") as text:
            lines = [(i, line.rstrip("\r\n")) for i, line in enumerate(text, 1) if line.strip() and not line.startswith("# ")]
    except (OSError, UnicodeDecodeError) as err:
        raise Fault(f"{path} cannot be read as UTF-8 text: {err}") from err
    mark = _mark(path, lines[0][1], len(columns)) if lines else None
    places = range(len(columns))
    n_cells = len(columns)
    for at, (i, line) in enumerate(lines):
        cells = _cells(line, mark)
        if at == 0 and set(columns) <= {cell.lower() for cell in cells}:
            names = [cell.lower() for cell in cells]
            places, n_cells = [names.index(name) for name in columns], len(cells)
        elif len(cells) != n_cells:
            faults.append(f"{path.name}, line {i} is {line[:60]!r}, {len(cells)} cells; it has to be {', '.join(columns)}")
        else:
            yield Row(f"{path.name}, line {i}", tuple(cells[place] for place in places))


def _mark(path: Path, first: str, n_cells: int) -> str | None:
    """None: blanks."""
    ending = Path(unpacked_name(path)).suffix
    if ending in (".tsv", ".tab") or (ending != ".csv" and "\t" in first):
        return "\t"
    return "," if ending == ".csv" or len(first.split(",")) >= n_cells > len(first.split()) else None


def _cells(line: str, mark: str | None) -> list[str]:
    cells = next(csv.reader([line])) if mark == "," else line.split(mark)
    return [cell.strip() for cell in cells]
