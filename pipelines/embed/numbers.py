"""Numbers: a matrix of features as it is, for what compresses vectors; nothing is trained.

reads   source       Parquet, CSV or TSV files, a row an item: numeric columns, or of Parquet one column of lists; or `digits`
writes  vectors      one float32 vector per row, in the files' order, with its label; count is 0; image.csv where rows are images
source  `digits`: Alpaydin, Kaynak 1998, the 1,797 test digits as scikit-learn has them: 8 x 8 pixels of 0 to 16
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv
from pydantic import Field, model_validator

from pipelines import sources as where_from
from pipelines.artifacts.vectors import Vectors
from pipelines.columns import ids
from pipelines.errors import Fault, nearest
from pipelines.method import Knobs, Run

DIGITS = "digits"
SEPARATORS = {".csv": ",", ".tsv": "\t"}
ROWS = 4096
SHOWN = 10  # cells in a message
NUMBER = r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*"
GROUPED = r"\s*[+-]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+,\d+)\s*"  # 1,000.5, or 1,5


class Params(Knobs):
    source: str | list[str] = DIGITS  # `digits`, or a file, several, a folder, a pattern, data:NAME, or an address
    sha256: str | None = None  # of what is downloaded
    column: str | None = None  # a column of lists of numbers, all of one length
    columns: list[str] = Field([])  # or columns of numbers; with neither, all numeric columns but id and label
    id: str | None = None  # none: row 1, row 2 ... of the file
    label: str | None = None
    shape: list[Annotated[int, Field(ge=1)]] | None = Field(None, min_length=2, max_length=3)  # of images: height, width[, channels]

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.column and self.columns:
            raise ValueError("column names a column of lists, columns several of numbers. Name one or the other")
        if self.source == DIGITS and (self.column or self.columns or self.id or self.label or self.shape):
            raise ValueError(f"source {DIGITS} has no columns to name, and a shape of its own")
        return self


class Piece(NamedTuple):
    item: list[str]
    label: list[str | None]
    vector: np.ndarray  # (rows, D) float32
    names: list[str]  # of the D numbers


def sources(params: Params) -> list[str]:
    return [] if params.source == DIGITS else where_from.paths(params.source)


def embed(params: Params, run: Run) -> Vectors:
    pieces = digits() if params.source == DIGITS else tables(params, run)
    wrong: list[str] = []
    n_wrong, names = 0, None
    shape = [8, 8] if params.source == DIGITS else params.shape
    with run.open(Vectors) as out:
        for piece in pieces:
            names = names or piece.names
            if piece.names != names:
                other = next((name for name in [*piece.names, *names] if name not in names or name not in piece.names), "their order")
                raise Fault(f"{piece.item[0]} has {len(piece.names)} numbers, the rows before it {len(names)}; they differ in {other}")
            cells = np.argwhere(~np.isfinite(piece.vector))
            wrong += [f"{piece.item[row]}, {names[column]}: {piece.vector[row, column]}" for row, column in cells[: SHOWN - len(wrong)]]
            n_wrong += len(cells)
            out.append(item=piece.item, count=np.zeros(len(piece.item), np.int64), label=piece.label, vector=piece.vector)
        if n_wrong:
            raise Fault(f"{n_wrong:,} cells are no finite float32, first {'; '.join(wrong)}. Fill them, or leave these rows out")
        if names is None:
            raise Fault(f"source {params.source} has no rows")
        if shape:
            height, width, channels = [*shape, 1][:3]
            if height * width * channels != len(names):
                said = " x ".join(map(str, shape))
                raise Fault(f"{run.name}: rows have {len(names)} numbers, images of {said} have {height * width * channels}. Mend shape")
            out.csv("image", [{"height": height, "width": width, "channels": channels}])
    return out.artifact


def digits() -> Iterator[Piece]:
    from sklearn.datasets import load_digits

    data = load_digits()
    item = [ids(row, DIGITS, False) for row in range(1, len(data.data) + 1)]
    yield Piece(item, list(map(str, data.target)), data.data.astype(np.float32), list(data.feature_names))


def tables(params: Params, run: Run) -> Iterator[Piece]:
    files = where_from.files(params.source, run, (".parquet", *SEPARATORS), params.sha256)
    for path in files:
        try:
            schema, batches = opened(path, params)
            names = chosen(schema, path, params)
            if not (params.column or params.columns) and path == files[0]:
                out = [f"{it.name} ({it.type})" for it in schema if it.name not in (*names, params.id, params.label)]
                run.say(f"{len(names)} columns of numbers" + f"; left out, as they hold none: {', '.join(out)}" * bool(out))
            number = 1
            for batch in batches(list(dict.fromkeys([*names, *filter(None, (params.id, params.label))]))):
                where = [ids(number + i, path.name, len(files) > 1) for i in range(batch.num_rows)]
                number += batch.num_rows
                if params.id:
                    item = batch.column(params.id).cast(pa.string())
                    if item.null_count:
                        raise Fault(f"{path}: {where[item.is_null().index(True).as_py()]} has no {params.id}. An item needs an id")
                    where = item.to_pylist()
                label = batch.column(params.label).cast(pa.string()).to_pylist() if params.label else [None] * batch.num_rows
                vector, parts = (
                    lists(batch.column(params.column), where, path, params.column) if params.column else (flat(batch, names), names)
                )
                yield Piece(where, label, vector, parts)
        except (pa.ArrowException, OSError) as err:
            raise Fault(
                f"{path} cannot be read as a table of numbers: {str(err).rstrip('.')}. Write Parquet, or CSV or TSV whose first line names the columns"
            ) from err


Batches = Callable[[list[str]], Iterable[pa.RecordBatch]]  # of the columns that are named


def opened(path: Path, params: Params) -> tuple[pa.Schema, Batches]:
    """The columns of a file, and what reads some of them. Raises ArrowException where it is no table."""
    return (separated if is_separated(path) else parquet)(path, params)


def parquet(path: Path, params: Params) -> tuple[pa.Schema, Batches]:
    file = pq.ParquetFile(path)
    return file.schema_arrow, lambda names: file.iter_batches(ROWS, columns=names)


def separated(path: Path, params: Params) -> tuple[pa.Schema, Batches]:
    """The first line names the columns; which are numbers is told by the first megabyte. Raises Fault for cells of such that are none."""
    # the word null is a word, and no missing one
    plain = {"null_values": [""], "strings_can_be_null": True, "quoted_strings_can_be_null": False}
    parse = csv.ParseOptions(delimiter=SEPARATORS[where_from.ending(path)])
    with csv.open_csv(path, parse_options=parse, convert_options=csv.ConvertOptions(**plain)) as file:
        seen, first = file.schema, next(file, None)
    words = [name for name in (params.id, params.label) if name]
    if faults := [*_nameless(path, seen.names), *_spoilt(path, first, words, params.columns)]:
        raise Fault(faults)
    parse.ignore_empty_lines = len(seen) > 1  # of one column, an empty line is an empty cell
    # 1, 2 and then 2.5 is no fault, an id 007 stays what it is, and cells that are all empty are told
    numeric = [it.name for it in seen if pa.types.is_null(it.type) or (is_number(it.type) and not pa.types.is_boolean(it.type))]
    kinds = dict.fromkeys(numeric, pa.float64()) | dict.fromkeys(words, pa.string())

    def batches(names: list[str]) -> Iterable[pa.RecordBatch]:
        convert = csv.ConvertOptions(column_types=kinds, include_columns=names, **plain)
        return csv.open_csv(path, parse_options=parse, convert_options=convert)

    return pa.schema([(it.name, kinds.get(it.name, it.type)) for it in seen]), batches


def _nameless(path: Path, names: list[str]) -> list[str]:
    """A fault, where the first line is a row of numbers; 0, 1, 2 ... are names, as tables without them are given."""
    numeric = [name for name in names if re.fullmatch(NUMBER, name)]
    if 2 * len(numeric) < len(names) or numeric == [str(int(float(numeric[0])) + i) for i in range(len(numeric))]:
        return []
    return [
        f"{path}: its first line holds numbers, {', '.join(numeric[:3])}, where the columns' names must be. Put a line of names before it"
    ]


def _spoilt(path: Path, first: pa.RecordBatch | None, words: list[str], columns: list[str]) -> list[str]:
    """A fault for each column that is of numbers but for some cells, which would else be taken for one of text."""
    faults = []
    for it in first.schema if first else ():
        if not pa.types.is_string(it.type) or it.name in words or (columns and it.name not in columns):
            continue
        cells = first.column(it.name)
        meant = pc.match_substring_regex(cells, rf"^(?:{NUMBER}|{GROUPED})$").fill_null(False)
        read = pc.match_substring_regex(cells, rf"^(?:{NUMBER})$").fill_null(True)
        if 2 * meant.true_count >= len(cells) - cells.null_count:
            row = read.index(False).as_py()
            faults.append(
                f"{path}: column {it.name!r} has numbers, but {read.false_count} of its first {len(cells)} cells cannot be read as such, "
                f"first {ids(row + 1, path.name, False)}: {cells[row].as_py()!r}. Mend them, or name the columns that are meant in `columns`"
            )
    return faults


def is_separated(path: Path) -> bool:
    """CSV or TSV."""
    return where_from.ending(path) in SEPARATORS


def chosen(schema: pa.Schema, path: Path, params: Params) -> list[str]:
    """The columns that hold the numbers. Raises Fault for those that are not there, or hold something else."""
    wanted = [params.column] if params.column else params.columns
    faults = [f"{path} has {n} columns {name!r}. Call each otherwise" for name, n in Counter(schema.names).items() if n > 1]
    faults += [f"columns names {name!r} {n} times. Name it once" for name, n in Counter(wanted).items() if n > 1]
    faults += [
        f"{path} has no column {name!r}; it has {', '.join(schema.names)}.{nearest(name, schema.names)}"
        for name in [*wanted, *filter(None, (params.id, params.label))]
        if name not in schema.names
    ]
    if not faults and params.column:
        kind = schema.field(params.column).type
        if not (is_list(kind) and is_number(kind.value_type)):
            faults.append(
                f"{path}: column {params.column!r} is {kind}; it must be lists of numbers. Columns of one number each go in `columns`"
            )
    elif not faults:
        faults = [
            f"{path}: column {name!r} is {schema.field(name).type}, no number" for name in wanted if not is_number(schema.field(name).type)
        ]
    if faults:
        raise Fault(faults)
    names = wanted or [field.name for field in schema if is_number(field.type) and field.name not in (params.id, params.label)]
    if not names:
        found = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise Fault(f"{path} has no numeric column; it has {found}. A column of lists goes in `column`")
    return names


def is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind)


def flat(batch: pa.RecordBatch, names: list[str]) -> np.ndarray:
    return np.stack([numbers(batch.column(name)) for name in names], axis=1)  # (rows, D)


def lists(column: pa.Array, where: list[str], path: Path, name: str) -> tuple[np.ndarray, list[str]]:
    length = pc.list_value_length(column).fill_null(0).to_numpy()
    if len(length) and (length != length[0]).any():
        row = int(np.argmax(length != length[0]))
        raise Fault(f"{path}: {name} of {where[row]} has {length[row]} numbers, that of {where[0]} {length[0]}; all must have as many")
    size = int(length[0]) if len(length) else 0
    if not size:
        raise Fault(f"{path}: {name} of {where[0]} is empty; it must have numbers")
    return numbers(column.flatten()).reshape(-1, size), [f"{name}[{i}]" for i in range(size)]


def numbers(column: pa.Array) -> np.ndarray:
    """float32; NaN where there is none, and infinite where it is too large for that."""
    with np.errstate(over="ignore"):
        return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float32)
