"""Label tables: the class of each thing in a source that holds no classes itself, from a file beside it."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import sources
from pipelines.errors import Fault, nearest
from pipelines.method import Run

SHOWN = 3  # ids in a message
MOST = 20  # faults in one


class Labels:
    """id -> label; without a table no id has one.

    Args:
        source: a file with columns `id` and `label`: Parquet, or text, with tabs between them in .tsv, else commas.

    Raises:
        Fault: the file is missing, is no such table, or gives an id two labels.
    """

    def __init__(self, source: str | None, run: Run):
        self.source, self.run = source, run
        self.label_of: dict[str, str | None] = {}
        self.found: set[str] = set()
        if source is not None:
            for path in sources.files(source, run):
                self._read(path)

    def of(self, name: str) -> str | None:
        if name in self.label_of:
            self.found.add(name)
        return self.label_of.get(name)

    def check(self) -> None:
        """To be called at the end: says which ids of the table were asked for by nobody. Raises Fault when it is all of them."""
        spare = sorted(self.label_of.keys() - self.found)
        if not spare:
            return
        if not self.found:
            raise Fault(
                f"{self.source}: none of its {len(spare):,} ids is in the source; the first are {', '.join(spare[:SHOWN])}. Write them as the source does"
            )
        self.run.say(f"{self.source}: {len(spare):,} of {len(self.label_of):,} ids are not in the source, first {', '.join(spare[:SHOWN])}")

    def _read(self, path: Path) -> None:
        faults: list[str] = []
        for where, name, label in rows(path):
            name, label = (name or "").strip(), (label or "").strip() or None
            if not name:
                faults.append(f"{where} has no id")
            elif self.label_of.setdefault(name, label) != label:
                faults.append(f"{where} gives {name} the label {label}, one before it {self.label_of[name]}")
        if faults:
            raise Fault(faults[:MOST])


def rows(path: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """(place, id, label) of each row. Raises Fault when the file is no such table."""
    try:
        if path.suffix.lower() == ".parquet":
            file = pq.ParquetFile(path)
            _check(file.schema_arrow.names, path)
            number = 0
            for batch in file.iter_batches(columns=["id", "label"]):
                for name, label in zip(*(batch.column(column).cast(pa.string()).to_pylist() for column in ("id", "label")), strict=True):
                    number += 1
                    yield f"{path}: row {number}", name, label
            return
        tab = sources.unpacked_name(path).endswith((".tsv", ".tab"))
        with sources.opened(path) as stream, io.TextIOWrapper(stream, sources.encoding_of(path, None), newline="") as text:
            table = csv.DictReader(text, delimiter="\t" if tab else ",", strict=True)
            _check(list(table.fieldnames or []), path)
            for row in table:
                if None in row or None in row.values():
                    n_cells = len(row) - (None in row) - sum(cell is None for cell in row.values()) + len(row.get(None) or [])
                    raise Fault(
                        f"{path}: line {table.line_num} has {n_cells} cells; the header has {len(table.fieldnames or [])}. Mend the line"
                    )
                yield f"{path}: line {table.line_num}", row["id"], row["label"]
    except (csv.Error, UnicodeDecodeError, pa.ArrowException, OSError) as err:
        raise Fault(f"{path} cannot be read as a table of labels: {err}") from err


def _check(there: list[str], path: Path) -> None:
    faults = [
        f"{path} has no column {column!r}; it has {', '.join(there) or 'none'}.{nearest(column, there)}"
        for column in ("id", "label")
        if column not in there
    ]
    if faults:
        raise Fault(faults)
