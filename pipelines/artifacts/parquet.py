"""What all artifacts share: a folder of Parquet tables with declared columns.

Written in pieces of any size, read lazily; the bytes do not depend on the pieces. Beside its tables
an artifact may hold a model (`model.safetensors` + `model.json`) and a training curve (`curve.csv`).
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.artifacts.suite import Measure, Thresholds
from pipelines.errors import Fault

ROW_GROUP = 65_536  # rows; what a reader of one batch holds at most
GROUP_BYTES = 2**25  # and a row group ends after the row that brings it to so many, so that long documents fit into memory, too


def column(name: str, kind: pa.DataType, what: str, unit: str = "", nullable: bool = False) -> pa.Field:
    """An Arrow field that says in its metadata what it holds and in which unit."""
    return pa.field(name, kind, nullable=nullable, metadata={"description": what, "unit": unit})


def list_of(kind: pa.DataType, size: int = -1) -> pa.DataType:
    """List without nulls, of any length (-1) or of a fixed one.

    The field is named, and not nullable, because Parquet gives back a schema that differs otherwise.
    """
    return pa.list_(pa.field("element", kind, nullable=False), size)


class Table:
    """One Parquet file of an artifact.

    Args:
        fields: its columns, in order.
        sized: the column that is a list of one fixed size, which the writer's first piece decides
            (the D of a vector). Declared with `list_of(kind)`.
        encodings: column -> Parquet's encoding, where none by a dictionary of its values is wanted.
    """

    def __init__(self, *fields: pa.Field, sized: str | None = None, encodings: dict[str, str] | None = None):
        self.fields = {field.name: field for field in fields}
        self.sized = sized
        self.encodings = encodings or {}

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
    thresholds: ClassVar[type[Thresholds]] = Thresholds  # of the gate's expectations
    key: ClassVar[list[str]]  # columns of profile() that name a row to a person
    plots: ClassVar[list[str]] = []  # columns of profile() whose distribution the gate's page draws, and a reference keeps

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.row = self.folder.name
        self.name = f"{self.noun}/{self.row}"

    def file(self, table: str | None = None) -> pq.ParquetFile:
        """Raises Fault when the file is missing, cut short, or of another schema."""
        table = table or next(iter(self.tables))
        path = self.folder / f"{table}.parquet"
        try:
            file = pq.ParquetFile(path)
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
        file, names = self.file(table), list(columns) if columns else None
        for group in range(file.num_row_groups):  # a reader of several keeps the bytes of all that it has read
            yield from file.iter_batches(rows, row_groups=[group], columns=names)

    def model(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What was trained: (settings that rebuild it, name -> weights). Raises Fault for a file that is missing or garbled."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        gone = [name for name in ("model.json", "model.safetensors") if not (self.folder / name).exists()]
        if gone:
            raise Fault(f"{self.name} holds no model: {' and '.join(gone)} missing in {self.folder}. Run: dvc repro")
        try:
            return self.settings(), load_file(self.folder / "model.safetensors")
        except (SafetensorError, ValueError) as err:
            raise self._unreadable(err) from err

    def settings(self) -> dict[str, Any]:
        """Those of `model`, without its weights; none where it holds no model. Raises Fault for a garbled file."""
        path = self.folder / "model.json"
        try:
            settings = json.loads(path.read_text()) if path.exists() else {}
            if not isinstance(settings, dict):
                raise ValueError(f"model.json is {type(settings).__name__}, not an object")
            if not isinstance(kind := settings.get("model", ""), str):
                raise ValueError(f"its kind, `model` in model.json, is {kind!r}, not a name")
            return settings
        except ValueError as err:
            raise self._unreadable(err) from err

    def _unreadable(self, err: Exception) -> Fault:
        return Fault(f"{self.name}: the model in {self.folder} cannot be read ({err}). Delete it and run: dvc repro")

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

    # what the gate looks at; docs/gates.md

    @classmethod
    def expectations(cls, t: Any) -> list[dict[str, Any]]:
        """What is asked of profile() and measures(), by the noun's thresholds; see pipelines/artifacts/suite.py."""
        raise NotImplementedError(f"{cls.__name__} must say what its gate asks")

    def profile(self) -> Any:
        """pandas.DataFrame of scalars, one row per item."""
        raise NotImplementedError(f"{type(self).__name__} must say what its gate looks at")

    def measures(self, profile: Any) -> dict[str, Measure]:
        """Figures of the whole, each with the rows that explain it."""
        return {}

    def facts(self, profile: Any) -> dict[str, list[dict[str, Any]]]:
        """Small tables for who reads the gate's page: title -> rows."""
        return {}

    def distributions(self, profile: Any) -> dict[str, dict[str, int]]:
        """How often names came, such as words, that a later run is compared with: what -> name -> count."""
        return {}


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
                (values, offsets) of flat arrays for lists of any length, offsets of n + 1 entries. One that
                may be null may be left out.
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
        shutil.copymode(folder / "model.json", folder / "model.safetensors")  # the library lets nobody else read it

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
        self.n_bytes = 0  # of those that wait

    def append(self, columns: dict[str, Any]) -> None:
        required = {name for name, field in self.table.fields.items() if not field.nullable}
        if not required <= set(columns) <= set(self.table.fields):
            raise TypeError(f"{self.what} has columns {sorted(self.table.fields)}, was given {sorted(columns)}")
        if self.schema is None:
            size = np.shape(columns[self.table.sized])[1] if self.table.sized else 0
            self.schema = self.table.schema(size)
        given = {name: _array(values, self.schema.field(name).type) for name, values in columns.items()}
        n = len(next(iter(given.values())))
        arrays = [given[f.name] if f.name in given else pa.nulls(n, f.type) for f in self.schema]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        ends = np.concatenate([[0], np.cumsum(_row_bytes(batch))])
        start = 0
        while start < n:
            until = int(np.searchsorted(ends, ends[start] + GROUP_BYTES - self.n_bytes, "left"))
            until = min(max(until, start + 1), start + ROW_GROUP - self.n_waiting, n)
            self.waiting.append(batch.slice(start, until - start))
            self.n_waiting += until - start
            self.n_bytes += int(ends[until] - ends[start])
            start = until
            if self.n_waiting == ROW_GROUP or self.n_bytes >= GROUP_BYTES:
                self._flush()

    def _flush(self) -> None:
        if self.file is None:
            self.schema = self.schema or self.table.schema(0)
            encodings = self.table.encodings
            by_dictionary = [name for name in self.table.fields if name not in encodings] if encodings else True
            self.file = pq.ParquetWriter(
                self.path,
                self.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=by_dictionary,
                column_encoding=encodings or None,
            )
        self.file.write_table(pa.Table.from_batches(self.waiting, schema=self.schema), row_group_size=ROW_GROUP)
        self.waiting, self.n_waiting, self.n_bytes = [], 0, 0

    def close(self) -> None:
        if self.n_waiting or self.file is None:
            self._flush()
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


def _row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """(n,) int64: what the cells of each row hold, as far as that differs from row to row."""
    size = np.zeros(batch.num_rows, np.int64)
    for cells in batch.columns:
        kind = cells.type
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            size += pc.fill_null(pc.binary_length(cells), 0).to_numpy(zero_copy_only=False)
        elif pa.types.is_list(kind):
            width = kind.value_type.bit_width // 8 if pa.types.is_primitive(kind.value_type) else 16
            size += width * pc.fill_null(pc.list_value_length(cells), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return size
