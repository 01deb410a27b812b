"""What classifiers told, for those that read it: probabilities of documents, or numbers, and the labels of those that may be known.

shapes  N documents, C classes; of numbers one column, these
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.artifacts.predictions import SEPARATOR, SHOWN_FROM, Predictions, as_label, as_number, names_of
from pipelines.errors import Fault
from pipelines.labels import NO_CLASS
from pipelines.method import Run

KINDS = {"one": "one class each", "several": "several classes each", "number": "numbers"}  # of answers


class Told(NamedTuple):
    table: pa.Table  # doc_id, split, answer, label
    answer: str  # one, several, number
    classes: list[str]
    probabilities: np.ndarray  # (N, C) float32

    def judged(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a split whose label is one of the classes, and which one it is; both (n,) int64."""
        class_ids = pc.fill_null(pc.index_in(self.table["label"], pa.array(self.classes, pa.string())), NO_CLASS).to_numpy()
        rows = np.flatnonzero(self.of(split) & (class_ids != NO_CLASS))
        return rows, class_ids[rows].astype(np.int64)

    def truth(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a split that have a label, (n,) int64, and what it says: (n, C) bool of several classes, (n, 1) float64 of numbers."""
        rows = np.flatnonzero(self.of(split) & pc.is_valid(self.table["label"]).to_numpy())
        labels = self.table["label"].take(pa.array(rows)).to_pylist()
        if self.answer == "number":
            return rows, np.array([as_number(label) for label in labels], np.float64).reshape(-1, 1)
        return rows, np.array([[name in names_of(label) for name in self.classes] for label in labels], bool).reshape(len(rows), -1)

    def of(self, split: str) -> np.ndarray:
        return pc.equal(self.table["split"], split).to_numpy()


def told(predictions: Predictions, answers: Sequence[str] = ("one",)) -> Told:
    """Raises Fault for predictions of another kind of answer."""
    answer = predictions.answer()
    if answer not in answers:
        wanted = " or ".join(KINDS[name] for name in answers)
        raise Fault(f"{predictions.name}: its answers are {answer}, and this is for {wanted}. Name a row of such answers")
    table = predictions.read().combine_chunks()
    if answer == "number":
        p = np.array([as_number(number) for number in table["predicted"].to_pylist()], np.float32)[:, None]
    else:
        column = table.column("probabilities").combine_chunks()
        p = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
    return Told(table.select(["doc_id", "split", "answer", "label"]), answer, predictions.classes(), p)


def named(answer: str, classes: Sequence[str], probabilities: np.ndarray) -> list[str]:
    """What is predicted: the most probable class, all of several that are more probable than not, or the number."""
    if answer == "number":
        return [as_label(number) for number in probabilities[:, 0]]
    if answer == "several":
        return [SEPARATOR.join(classes[i] for i in np.flatnonzero(row >= SHOWN_FROM)) for row in probabilities]
    return [classes[i] for i in probabilities.argmax(axis=1)]


def write_told(run: Run, given: Told, probabilities: np.ndarray, settings: dict, weights: dict[str, np.ndarray]) -> Predictions:
    """The same documents with other probabilities, or numbers."""
    shown = np.ones_like(probabilities) if given.answer == "number" else probabilities
    with run.open(Predictions) as out:
        out.append("classes", class_id=np.arange(len(given.classes)), label=given.classes)
        out.append(
            **dict(zip(given.table.column_names, given.table.columns, strict=True)),
            predicted=named(given.answer, given.classes, probabilities),
            probabilities=shown,
        )
        out.model(settings, weights)
    return out.artifact
