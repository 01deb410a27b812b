"""What the classifiers share: labelled documents split by split, and how their predictions are written."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.parquet import Writer
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.errors import Fault

NO_CLASS = -1  # of a document without a label, or with one that no training document has


@dataclass(frozen=True)
class Split:
    """The documents of one split, in the tokens' order.

    Args:
        rows: (n,) int64, their places among all documents.
        values, offsets: int32 token ids end to end; document i is values[offsets[i]:offsets[i + 1]]. Empty of counts.
        class_ids: (n,) int64, a place in the list of classes, or NO_CLASS. A document whose label no
            training document has cannot be right: it counts as an error wherever accuracy is taken.
    """

    name: str
    rows: np.ndarray
    values: np.ndarray
    offsets: np.ndarray
    doc_ids: pa.Array
    labels: pa.Array
    class_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.class_ids)

    def accuracy(self, probabilities: np.ndarray) -> float:
        """Share of the labelled documents whose most probable class is theirs."""
        right = probabilities.argmax(axis=1) == self.class_ids
        return float(right[self.labels.is_valid().to_numpy(zero_copy_only=False)].mean())


def classes_of(source: Tokens | Counts) -> list[str]:
    """The labels of the training documents, sorted. Raises Fault unless there are two or more, on every document."""
    label = _documents(source, "train")[1].column("label")
    if not len(label):
        raise Fault(f"{source.name}: no document is in split train, so nothing can be learned. Look at the split column of its corpus")
    faults = []
    if label.null_count:
        faults.append(f"{source.name}: {label.null_count} of {len(label)} training documents have no label. Put them in split unlabelled")
    classes = sorted(pc.unique(label).drop_null().to_pylist())
    if len(classes) == 1:
        faults.append(
            f"{source.name}: all {len(label)} training documents are of one class, {classes[0]!r}. A classifier needs two or more"
        )
    if faults:
        raise Fault(faults)
    return classes


def read(source: Tokens | Counts, split: str, classes: Sequence[str]) -> Split:
    """The documents of one split. Those of test come without labels: no method sees one, so none can use it."""
    rows, table = _documents(source, split)
    labels = table.column("label").combine_chunks()
    if split == "test":
        labels = pa.nulls(len(labels), pa.string())
    class_ids = pc.index_in(labels, pa.array(classes, pa.string())).fill_null(NO_CLASS).to_numpy().astype(np.int64)
    values, offsets = source.ids([split]) if isinstance(source, Tokens) else (np.empty(0, np.int32), np.zeros(1, np.int64))
    return Split(split, rows, values, offsets, table.column("doc_id").combine_chunks(), labels, class_ids)


def write(out: Writer[Predictions], split: Split, classes: Sequence[str], probabilities: np.ndarray) -> None:
    """Rows of predictions.

    Args:
        probabilities: (n, classes) float32.
    """
    predicted = pa.array(classes, pa.string()).take(pa.array(probabilities.argmax(axis=1)))
    names = pa.array([split.name] * len(split), pa.string())
    out.append(doc_id=split.doc_ids, split=names, label=split.labels, predicted=predicted, probabilities=probabilities)


def write_classes(out: Writer[Predictions], classes: Sequence[str]) -> None:
    out.append("classes", class_id=np.arange(len(classes)), label=classes)


def _documents(source: Tokens | Counts, split: str) -> tuple[np.ndarray, pa.Table]:
    """The places of a split's documents among all, and their doc_id, split and label."""
    table = source.documents() if isinstance(source, Counts) else source.read(columns=["doc_id", "split", "label"])
    mine = pc.equal(table.column("split"), split)
    return np.flatnonzero(mine.to_numpy()), table.filter(mine)
