"""What classifiers told, for those that read it: probabilities of documents, and the labels of those that may be known.

shapes  N documents, C classes
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.labels import NO_CLASS
from pipelines.method import Run


class Told(NamedTuple):
    table: pa.Table  # doc_id, split, answer, label
    classes: list[str]
    probabilities: np.ndarray  # (N, C) float32

    def judged(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a split whose label is one of the classes, and which one it is; both (n,) int64."""
        class_ids = pc.fill_null(pc.index_in(self.table["label"], pa.array(self.classes, pa.string())), NO_CLASS).to_numpy()
        rows = np.flatnonzero(pc.equal(self.table["split"], split).to_numpy() & (class_ids != NO_CLASS))
        return rows, class_ids[rows].astype(np.int64)


def told(predictions: Predictions) -> Told:
    """Raises Fault for predictions that are not one class each."""
    if predictions.answer() != "one":
        raise Fault(
            f"{predictions.name}: its answers are {predictions.answer()}, and this is for one class each. Name a row whose target is one class"
        )
    table = predictions.read().combine_chunks()
    column = table.column("probabilities").combine_chunks()
    p = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
    return Told(table.select(["doc_id", "split", "answer", "label"]), predictions.classes(), p)


def write_told(run: Run, given: Told, probabilities: np.ndarray, settings: dict, weights: dict[str, np.ndarray]) -> Predictions:
    """The same documents with other probabilities."""
    predicted = pa.array(given.classes, pa.string()).take(pa.array(probabilities.argmax(axis=1)))
    with run.open(Predictions) as out:
        out.append("classes", class_id=np.arange(len(given.classes)), label=given.classes)
        out.append(
            **dict(zip(given.table.column_names, given.table.columns, strict=True)), predicted=predicted, probabilities=probabilities
        )
        out.model(settings, weights)
    return out.artifact
