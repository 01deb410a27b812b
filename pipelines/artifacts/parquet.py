"""What all artifacts share: a folder of Parquet tables with declared columns.

Written in pieces of any size, read lazily; the bytes do not depend on the pieces. Beside its tables
an artifact may hold a model (`model.safetensors` + `model.json`) and a training curve (`curve.csv`).
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import Fault

ROW_GROUP = 65_536  # rows; what a reader of one batch holds at most


def column(name: str, kind: pa.DataType, what: str, unit: str = "", nullable: bool = False) -> pa.Field:
    """An Arrow field that says in its metadata what it holds and in which unit."""
    return pa.field(name, kind, nullable=nullable, metadata={"description": what, "unit": unit})


def list_of(kind: pa.DataType, size: int = -1) -> pa.DataType:
    """List without nulls, of any length (-1) or of a fixed one.

    The field is named, and not nullable, because Parquet gives back a schema that differs otherwise.
    """
    return pa.list_(pa.field("element", kind, nullable=False), size)


def expect(what: str, why: str, **kwargs: Any) -> dict[str, Any]:
    """An expectation of profile(), as plain data: `what` of Great Expectations, and what it means, for who reads of its failing."""
    return {"type": f"expect_{what}", "kwargs": kwargs, "why": why}


class Table:
    """One Parquet file of an artifact.

    Args:
        fields: its columns, in order.
        sized: the column that is a list of one fixed size, which the writer's first piece decides
            (the D of a vector). Declared with `list_of(kind)`.
    """

    def __init__(self, *fields: pa.Field, sized: str | None = None):
        self.fields = {field.name: field for field in fields}
        self.sized = sized

    def schema(self, size: int) -> pa.Schema:
        fields = dict(self.fields)
        if self.sized:
            field = fields[self.sized]
            fields[self.sized] = field.with_type(list_of(field.type.value_type, size))
        return pa.schema(list(fields.values()))

    def faults(self, found: pa.Schema) -> list[str]:
        """How `found` differs from what was declared, one sentence a column."""
        size = 0
        if self.sized and self.sized in found.names:
            kind = found.field(self.sized).type
            size = kind.list_size if pa.types.is_fixed_size_list(kind) else 0
        faults = []
        for field in self.schema(size):
            if field.name not in found.names:
                faults.append(f"column {field.name!r} ({field.type}) is missing")
            elif found.field(field.name).type != field.type:
                faults.append(f"column {field.name!r} is {found.field(field.name).type}, not {field.type}")
        extra = [name for name in found.names if name not in self.fields]
        return faults + [f"column {name!r} is not known" for name in extra]


class Artifact:
    """A folder of tables. A noun names its tables; the first is the main one."""

    noun: ClassVar[str]
    tables: ClassVar[dict[str, Table]]
    expectations: ClassVar[list[dict[str, Any]]]  # of the columns of profile(), in the words of Great Expectations
    key: ClassVar[list[str]]  # columns of profile() that name a row to a person

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.row = self.folder.name
        self.name = f"{self.noun}/{self.row}"

    def file(self, table: str | None = None) -> pq.ParquetFile:
        """Raises Fault when the file is missing, cut short, or of another schema."""
        table = table or next(iter(self.tables))
        path = self.folder / f"{table}.parquet"
        try:
            file = pq.ParquetFile(path, memory_map=True)
        except FileNotFoundError:
            raise Fault(f"{self.name}: {path} is missing. Run: dvc repro") from None
        except (pa.ArrowInvalid, OSError) as err:
            raise Fault(f"{self.name}: {path} is not a readable Parquet file ({err}). Delete it and run: dvc repro") from err
        faults = self.tables[table].faults(file.schema_arrow)
        if faults:
            raise Fault(f"{self.name}: {path}: {fault}. Delete it and run: dvc repro" for fault in faults)
        return file

    def n_rows(self, table: str | None = None) -> int:
        return self.file(table).metadata.num_rows

    def read(self, table: str | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The whole table in memory; for the small ones."""
        return self.file(table).read(columns=list(columns) if columns else None)

    def batches(self, columns: Sequence[str] | None = None, rows: int = ROW_GROUP, table: str | None = None) -> Iterator[pa.RecordBatch]:
        """Batches of at most `rows` rows, in order; one batch is in memory at a time."""
        return self.file(table).iter_batches(batch_size=rows, columns=list(columns) if columns else None)

    def model(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What was trained: (settings that rebuild it, name -> weights). Raises Fault for a file that is missing or garbled."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return json.loads((self.folder / "model.json").read_text()), load_file(self.folder / "model.safetensors")
        except FileNotFoundError as err:
            raise Fault(f"{self.name} holds no model: {err.filename} is missing. Run: dvc repro") from err
        except (SafetensorError, ValueError) as err:
            raise Fault(f"{self.name}: the model in {self.folder} cannot be read ({err}). Delete it and run: dvc repro") from err

    def curve(self) -> list[dict[str, float]]:
        """The training curve, a dict per logged step; empty when nothing was trained."""
        import csv

        path = self.folder / "curve.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return [{k: float(v) for k, v in row.items() if v != ""} for row in csv.DictReader(file)]

    def n_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def verify(self) -> None:
        """Every table is there, whole, and as declared; a model can be loaded. Raises Fault with all that is not."""
        faults: list[str] = []
        for table in self.tables:
            try:
                # one row group read in full, the others by their footer: a cut file has no footer
                file = self.file(table)
                if file.num_row_groups:
                    file.read_row_group(file.num_row_groups - 1)
            except Fault as fault:
                faults += fault.faults
            except (pa.ArrowException, OSError) as err:
                faults.append(f"{self.name}: table {table} cannot be read: {err}. Delete it and run: dvc repro")
        if (self.folder / "model.json").exists() or (self.folder / "model.safetensors").exists():
            try:
                self.model()
            except Fault as fault:
                faults += fault.faults
        if faults:
            raise Fault(faults)

    def finish(self) -> None:
        """Called once when all tables are written, for what is derived from them."""

    def profile(self) -> Any:
        """pandas.DataFrame of scalars, one row per item; what the gate looks at."""
        raise NotImplementedError(f"{type(self).__name__} must say what its gate looks at")


A = TypeVar("A", bound=Artifact)


class Writer(Generic[A]):
    """Fills the tables of one artifact, in pieces.

    with run.open(Vectors) as out:
        out.append(item=words, count=counts, vector=matrix)
    return out.artifact
    """

    def __init__(self, noun: type[A], folder: Path):
        self.artifact = noun(folder)
        self._sinks: dict[str, _Sink] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def append(self, table: str | None = None, /, **columns: Any) -> None:
        """Adds rows to a table (the main one when none is named).

        Args:
            columns: a sequence or array per column; (n, D) arrays for the sized column; a pair
                (values, offsets) of flat arrays for lists of any length, offsets of n + 1 entries.
        """
        table = table or next(iter(self.artifact.tables))
        if table not in self._sinks:
            self._sinks[table] = _Sink(self.artifact, table)
        self._sinks[table].append(columns)

    def model(self, settings: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
        """Weights as safetensors, beside the settings that rebuild the model, as JSON."""
        from safetensors.numpy import save_file

        folder = self.artifact.folder
        (folder / "model.json").write_text(json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        save_file({name: np.asarray(weights[name], order="C") for name in sorted(weights)}, folder / "model.safetensors")

    def csv(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        """A small table for people and for `dvc plots`: `<name>.csv`, columns as in the first row."""
        import csv

        with (self.artifact.folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def close(self) -> None:
        for table in self.artifact.tables:
            # a table nobody wrote to is still a table: of no rows
            self._sinks.setdefault(table, _Sink(self.artifact, table)).close()
        self.artifact.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            for sink in self._sinks.values():
                with contextlib.suppress(Exception):  # the disk may be full; what counts is the first error
                    sink.abandon()


class _Sink:
    """One Parquet file under way: gathers pieces into row groups of exactly ROW_GROUP rows."""

    def __init__(self, artifact: Artifact, table: str):
        self.path = artifact.folder / f"{table}.parquet"
        self.table = artifact.tables[table]
        self.what = f"{artifact.noun}: {table}"
        self.schema: pa.Schema | None = None
        self.file: pq.ParquetWriter | None = None
        self.waiting: list[pa.RecordBatch] = []
        self.n_waiting = 0

    def append(self, columns: dict[str, Any]) -> None:
        if set(columns) != set(self.table.fields):
            raise TypeError(f"{self.what} has columns {sorted(self.table.fields)}, was given {sorted(columns)}")
        if self.schema is None:
            size = np.shape(columns[self.table.sized])[1] if self.table.sized else 0
            self.schema = self.table.schema(size)
        batch = pa.RecordBatch.from_arrays([_array(columns[f.name], f.type) for f in self.schema], schema=self.schema)
        self.waiting.append(batch)
        self.n_waiting += batch.num_rows
        while self.n_waiting >= ROW_GROUP:
            self._flush(ROW_GROUP)

    def _flush(self, rows: int) -> None:
        if self.file is None:
            self.schema = self.schema or self.table.schema(0)
            self.file = pq.ParquetWriter(self.path, self.schema, compression="zstd", compression_level=1)
        whole = pa.Table.from_batches(self.waiting, schema=self.schema)
        self.file.write_table(whole.slice(0, rows), row_group_size=ROW_GROUP)
        rest = whole.slice(rows)
        self.waiting, self.n_waiting = rest.to_batches(), rest.num_rows

    def close(self) -> None:
        if self.n_waiting or self.file is None:
            self._flush(self.n_waiting)
        assert self.file is not None
        self.file.close()

    def abandon(self) -> None:
        if self.file is not None:
            self.file.close()


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        flat = np.ascontiguousarray(values, dtype=kind.value_type.to_pandas_dtype()).reshape(-1)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat, kind.value_type), type=kind)
    if pa.types.is_list(kind) and isinstance(values, tuple):
        flat, offsets = values
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(flat, kind.value_type), type=kind)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.cast(kind)
    return pa.array(values, kind)  # a NaN stays one, for the gate to find
