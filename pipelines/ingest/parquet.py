"""Parquet: one's own documents, a row each, from Parquet files.

reads   source       files with the columns that the row names, of any kind of cell; lists of tokens are joined by spaces;
                     a column in a struct is named with a dot, `meta.stars`
writes  corpus       in the files' order; splits as the file gives them, else drawn by seed
source  Apache Parquet; read by Arrow, some thousand rows of the columns that are named at a time
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines import sources as where_from
from pipelines.artifacts.corpus import Corpus
from pipelines.cleaning import record_batch
from pipelines.columns import Columns, ids, record
from pipelines.documents import BATCH_BYTES, ROWS, Record, gathered, write
from pipelines.errors import Fault
from pipelines.method import Run

SUFFIXES = (".parquet", ".pq")


class Params(Columns):
    source: str | list[str] = "data.parquet"  # a file, several, a folder, a pattern, data:NAME, or an address


def sources(params: Params) -> list[str]:
    return where_from.paths(params.source)


def ingest(params: Params, run: Run) -> Corpus:
    files = where_from.files(params.source, run, SUFFIXES, params.sha256)
    for path in files:  # before the work begins
        with opened(path) as file:
            params.check(list(named(file.schema_arrow)), str(path))
    return write(read(files, params), params, run, named=params.id is not None)


def opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as err:
        raise Fault(f"{path} is not a readable Parquet file: {err}. Fetch or write it again") from err


def named(fields: Iterable[pa.Field], above: str = "") -> Iterator[str]:
    """The columns, and those inside them, as a.b."""
    for field in fields:
        yield above + field.name
        if pa.types.is_struct(field.type):
            yield from named(field.type, f"{above}{field.name}.")


def column(cells: pa.RecordBatch | pa.StructArray, name: str) -> pa.Array:
    """One of those that `named` gives."""
    fields = cells.schema if isinstance(cells, pa.RecordBatch) else cells.type
    field = next(it for it in fields if name == it.name or name.startswith(f"{it.name}."))
    there = cells.column(field.name) if isinstance(cells, pa.RecordBatch) else pc.struct_field(cells, field.name)
    return there if name == field.name else column(there, name.removeprefix(f"{field.name}."))


def read(files: list[Path], params: Params) -> Iterator[Record]:
    wanted = params.wanted()
    for path, name in zip(files, where_from.names(files), strict=True):
        row = 1
        for batch in batches(path, sorted(set(wanted.values()))):
            yield from records(batch, wanted, name, row, len(files) > 1)
            row += batch.num_rows


def batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with opened(path) as file:
        groups = range(file.num_row_groups)
        found = (it for i in groups for it in file.iter_batches(rows_at_a_time(file.metadata.row_group(i)), [i], columns))
        while True:
            try:
                batch = next(found, None)
            except (pa.ArrowException, OSError) as err:
                raise Fault(f"{path} cannot be read to its end: {err}. Fetch or write it again") from err
            if batch is None:
                return
            yield batch


def rows_at_a_time(group: pq.RowGroupMetaData) -> int:
    """Fewer where they are long."""
    return max(1, min(ROWS, BATCH_BYTES * group.num_rows // max(1, group.total_byte_size)))


def records(batch: pa.RecordBatch, wanted: dict[str, str], file: str, row: int, several: bool) -> Iterator[Record]:
    """The records of rows that begin at number `row`: whole columns at a time where Arrow has what `record` makes of a cell."""
    columns = {name: column(batch, its) for name, its in wanted.items()}
    numbers = pa.array(range(row, row + batch.num_rows))
    where = pc.binary_join_element_wise(f"{file}: row ", numbers.cast(pa.string()), "")
    whole = {name: numbers_of(cells) if name == "time" else strings(cells, name == "text") for name, cells in columns.items()}
    if all(cells is not None for cells in whole.values()):
        own = [ids(number, file, several) for number in numbers.to_pylist()] if "id" not in whole else None
        yield record_batch(batch.num_rows, where=where, **{"id": own, **whole})
    else:
        rows = zip(where.to_pylist(), numbers.to_pylist(), *(cells_of(cells) for cells in columns.values()), strict=True)
        yield from gathered(record(dict(zip(columns, cells, strict=True)), at, ids(number, file, several)) for at, number, *cells in rows)


def strings(cells: pa.Array, joined: bool) -> pa.Array | None:
    """A column as text, lists `joined` or refused, or None where Arrow cannot make of each cell what `record` makes of it."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return strings(cells.dictionary_decode(), joined)
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return cells.cast(pa.large_string())
    if joined and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        inside = strings(cells.values, joined)
        if inside is None or inside.null_count:
            return None
        return pc.binary_join(cells.cast(pa.large_list(pa.large_string())), pa.scalar(" ", pa.large_string()))
    if not (_is_text(kind) or _is_bytes(kind)):
        return None
    try:
        return cells.cast(pa.large_binary()).cast(pa.large_string())  # nobody has looked yet whether it is UTF-8
    except pa.ArrowInvalid:
        return None


def numbers_of(cells: pa.Array) -> pa.Array | None:
    is_number = pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type)
    return cells.cast(pa.float64(), safe=False) if is_number else None


def cells_of(cells: pa.Array) -> list[Any]:
    """As Python has them, which has no year after 9999, an exception in the place of such a one; texts as bytes, which need not be UTF-8."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    cells = cells.cast(pa.large_binary()) if _is_text(cells.type) else cells
    try:
        return cells.to_pylist()
    except (OverflowError, ValueError):
        return [_cell(cell) for cell in cells]


def _cell(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except (OverflowError, ValueError) as err:
        return err


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
