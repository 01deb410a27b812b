"""Small counts and vectors for tests, written out as dense matrices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN
from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run


def counts_of(folder: Path, dense: np.ndarray, words: Sequence[str] = (), documents: Sequence[tuple[str, str, str | None]] = ()) -> Counts:
    """Counts of all that is not 0; with `documents`, (doc_id, split, label), a row is one of these, else a word. Word 0 is unknown."""
    words = words or [UNKNOWN, *(f"w{i}" for i in range(1, dense.shape[1]))]
    row, col = np.nonzero(dense)
    with Run(folder).open(Counts) as out:
        out.append("vocab", token_id=np.arange(len(words)), token=list(words), count=np.nan_to_num(dense).sum(axis=0).astype(np.int64) + 1)
        if documents:
            doc_id, split, label = zip(*documents, strict=True)
            out.append("documents", doc_id=doc_id, split=split, label=label)
        out.append(row=row, col=col, count=np.nan_to_num(dense[row, col]))
    if np.isnan(dense).any():  # the writer refuses these; a file of somebody else's may hold them
        table = out.artifact.read()
        count = pa.array(dense[row, col], pa.float32(), from_pandas=False)
        pq.write_table(table.set_column(2, table.schema.field("count"), count), out.artifact.folder / "counts.parquet")
    return out.artifact


def vectors_of(
    folder: Path, items: Sequence[str], vector: np.ndarray, label: Sequence[str | None] | None = None, **weights: np.ndarray
) -> Vectors:
    with Run(folder).open(Vectors) as out:
        out.append(item=list(items), count=np.arange(1, len(items) + 1), label=label or [None] * len(items), vector=vector)
        if weights:
            out.model({"model": "made-up"}, weights)
    return out.artifact


def files(artifact) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in artifact.folder.iterdir()}
