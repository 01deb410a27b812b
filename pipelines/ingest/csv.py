"""CSV: one's own documents, a row each, from a CSV or TSV file in the project.

reads   source       a file with a header line, UTF-8, comma or tab separated (by its ending)
writes  corpus       in the file's order; splits as the file gives them, else drawn by seed
source  RFC 4180 (the format); read by Arrow's CSV reader, a block at a time
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pydantic import Field

from pipelines.artifacts.corpus import SPLITS, Corpus
from pipelines.errors import Fault, nearest
from pipelines.kernels.splits import stratified
from pipelines.method import Knobs, Run


class Params(Knobs):
    source: str = "data.csv"  # relative to the project
    text: str = "text"  # columns
    label: str = "label"  # an empty cell is no label: the document is unlabelled
    id: str | None = None  # none: row 1, row 2 ... of the file
    split: str | None = None  # none: drawn by seed, the same share of every label
    valid_share: float = Field(0.15, gt=0, lt=0.5)
    test_share: float = Field(0.15, gt=0, lt=0.5)


def sources(params: Params) -> list[str]:
    return [params.source]


def ingest(params: Params, run: Run) -> Corpus:
    names = _columns(params)
    part_of = {} if params.split else _draw_splits(params, run)
    with run.open(Corpus) as out:
        n_rows = 0
        for batch in _batches(params, names):
            ids = batch.column(params.id).to_pylist() if params.id else [_row_id(n_rows + i) for i in range(batch.num_rows)]
            _check_cells(params, ids, batch.column(params.text), n_rows)
            labels = [label or None for label in batch.column(params.label).to_pylist()]
            if params.split:
                splits = _given_splits(params, batch.column(params.split).to_pylist(), n_rows)
            else:
                splits = [part_of.get(doc_id, "unlabelled") for doc_id in ids]
            out.append(doc_id=ids, text=batch.column(params.text), label=labels, split=splits, group=[None] * len(ids))
            n_rows += batch.num_rows
    if n_rows == 0:
        raise Fault(f"{params.source} has a header and no rows; it must have one row per document")
    return out.artifact


def _columns(params: Params) -> list[str]:
    """The columns to read, all in the file. Raises Fault naming those that are not."""
    try:
        with _open(params, None) as reader:
            there = reader.schema.names
    except FileNotFoundError:
        raise Fault(f"{params.source} is missing. Put the file there, or name another as `source`") from None
    except (pa.ArrowInvalid, OSError) as err:
        raise _unreadable(params, err) from err
    wanted = [name for name in (params.text, params.label, params.id, params.split) if name]
    twice = [name for name in wanted if there.count(name) > 1]
    if twice:
        raise Fault(f"{params.source} has {there.count(name)} columns named {name!r}. Rename all but one" for name in twice)
    missing = [name for name in wanted if name not in there]
    if missing:
        raise Fault(f"{params.source} has no column {name!r}; it has {', '.join(there)}.{nearest(name, there)}" for name in missing)
    return list(dict.fromkeys(wanted))


def _check_cells(params: Params, ids: list[str], texts: pa.Array, start: int) -> None:
    """Raises Fault for a row without an id, or with a NUL character, which is no text."""
    faults = [f"{params.source}: row {start + i + 1} has no {params.id}. Give every row one" for i, doc_id in enumerate(ids) if not doc_id]
    nul = pc.indices_nonzero(pc.match_substring(texts, "\0")).to_pylist()
    if nul:
        faults.append(
            f"{params.source}: {len(nul)} rows have a NUL character in {params.text}, first row {start + nul[0] + 1}. Take them out"
        )
    if faults:
        raise Fault(faults[:10])


def _open(params: Params, names: list[str] | None) -> csv.CSVStreamingReader:
    return csv.open_csv(
        params.source,
        parse_options=csv.ParseOptions(delimiter="\t" if params.source.endswith(".tsv") else ",", newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            include_columns=names, column_types=dict.fromkeys(names or [], pa.string()), strings_can_be_null=False
        ),
    )


def _batches(params: Params, names: list[str]) -> Iterator[pa.RecordBatch]:
    try:
        with _open(params, names) as reader:
            yield from reader
    except pa.ArrowInvalid as err:
        raise _unreadable(params, err) from err


def _unreadable(params: Params, err: Exception) -> Fault:
    return Fault(f"{params.source} cannot be read: {err}. It must be UTF-8 CSV, a header line and as many cells in each row as it has")


def _draw_splits(params: Params, run: Run) -> dict[str, str]:
    """doc_id -> split for the rows that have a label."""
    ids: list[str] = []
    labels: list[str] = []
    n_rows = 0
    for batch in _batches(params, [name for name in (params.id, params.label) if name]):
        known = pc.not_equal(batch.column(params.label), "")
        names = batch.column(params.id) if params.id else pa.array([_row_id(n_rows + i) for i in range(batch.num_rows)])
        ids += names.filter(known).to_pylist()
        labels += batch.column(params.label).filter(known).to_pylist()
        n_rows += batch.num_rows
    shares = {"valid": params.valid_share, "test": params.test_share}
    return stratified(ids, labels, shares, np.random.default_rng(run.seed))


def _given_splits(params: Params, splits: list[str], start: int) -> list[str]:
    wrong = [(start + i, split) for i, split in enumerate(splits) if split not in SPLITS]
    if wrong:
        row, split = wrong[0]
        raise Fault(f"{params.source}: row {row + 1} has split {split!r}; a split is one of {', '.join(SPLITS)}.{nearest(split, SPLITS)}")
    return splits


def _row_id(row: int) -> str:
    return f"row-{row + 1:09d}"
