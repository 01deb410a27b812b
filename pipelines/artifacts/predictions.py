"""Predictions: what a classifier says of each document.

table predictions   doc_id, split, answer, label or null, predicted, probabilities; null is the label of every
                    test document: the test set is scored by `wordloom final`, and by nothing else
table classes       class_id, label; class_id is the place in `probabilities`

An answer is `one` of the classes; `several` of them, each probable by itself, their names with `|` between them; a `text`, which has
one probability, its own, and no classes; or a `number`, which has no classes either, and none: 1 stands there.
"""

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipelines.artifacts.corpus import SPLITS
from pipelines.artifacts.parquet import Artifact, Table, column, list_of
from pipelines.artifacts.suite import Measure, Thresholds, expect, expect_measure

PROFILE = [
    "doc_id",
    "split",
    "answer",
    "predicted",
    "sum",
    "lowest",
    "highest",
    "n_not_finite",
    "known_class",
    "most_probable",
    "test_label_shown",
]
SEPARATOR = "|"  # between the several classes of a document
SHOWN_FROM = 0.5  # a class of several is predicted from this probability on
TIE = 1e-6  # probabilities nearer than this are the same
LARGEST = float(np.finfo(np.float32).max)  # numbers are predicted in float32


def names_of(label: str) -> list[str]:
    """The several classes that a label names, blanks about a name left out; of `|` alone none."""
    return [name.strip() for name in label.split(SEPARATOR) if name.strip()]


def as_number(label: str) -> float | None:
    """The number that a label is; None of one that is no number, or none that is finite in float32."""
    try:
        number = float(label)
    except ValueError:
        return None
    return number if abs(number) <= LARGEST else None  # which NaN is not


def as_label(number: float | np.floating) -> str:
    """The shortest decimal that is this number and no other in float32, without an exponent: 2.5, -3, 1200000."""
    return np.format_float_positional(np.float32(number) + np.float32(0), trim="-")  # so that -0 is 0


class PredictionsThresholds(Thresholds):
    sum: float = Field(0.001, ge=0)  # how far from 1 the probabilities of a document may sum
    one_class: float = Field(0.99, ge=0, le=1)  # share of the class that is predicted most


class Predictions(Artifact):
    noun = "predictions"
    tables: ClassVar = {
        "predictions": Table(
            column("doc_id", pa.string(), "names the document, unique"),
            column("split", pa.string(), "one of " + ", ".join(SPLITS)),
            column("answer", pa.string(), "what kind it is: one, several, text, number"),
            column("label", pa.string(), "its true class, classes, text, or number; null for test", nullable=True),
            column("predicted", pa.string(), "the most probable class; the classes that are more probable than not; the text; the number"),
            column(
                "probabilities",
                list_of(pa.float32()),
                "of each class, summing to 1 where the answer is one; of the text; 1 of a number",
                "probability",
            ),
            sized="probabilities",
        ),
        "classes": Table(
            column("class_id", pa.int32(), "place in probabilities, from 0"),
            column("label", pa.string(), "the class, unique"),
        ),
    }
    key: ClassVar = ["doc_id", "split"]
    plots: ClassVar = ["highest"]
    thresholds = PredictionsThresholds

    @classmethod
    def expectations(cls, t: PredictionsThresholds) -> list[dict[str, Any]]:
        return [
            expect("table_row_count_to_be_between", "there is at least one prediction", min_value=1),
            expect("column_values_to_be_unique", "a doc_id names one document", column="doc_id"),
            expect("column_values_to_be_between", "every probability is finite", column="n_not_finite", max_value=0),
            expect("column_values_to_be_between", "the probabilities of a document sum to 1", "sum",
                   column="sum", min_value=1 - t.sum, max_value=1 + t.sum),
            expect("column_values_to_be_between", "a probability is at least 0", column="lowest", min_value=0),
            expect("column_values_to_be_between", "a probability is at most 1", "sum", column="highest", max_value=1 + t.sum),
            expect("column_values_to_be_in_set", "an answer is one class, several, a text, or a number", column="answer", value_set=["one", "several", "text", "number"]),
            expect("column_values_to_be_in_set", "what is predicted is a class, several, or a finite number", column="known_class", value_set=[True], show=("predicted",)),
            expect("column_values_to_be_in_set", "what is predicted is what is most probable", column="most_probable", value_set=[True], show=("predicted",)),
            expect("column_values_to_be_in_set", "no label of the test set is shown; wordloom final alone reads them",
                   column="test_label_shown", value_set=[False]),
            expect_measure("one_class", "not all documents are taken for the same class; share of the largest", "warn", at_most=t.one_class),
        ]  # fmt: skip

    def answer(self) -> str:
        """What kind its answers are: one, several, text, number."""
        return next((batch.column("answer")[0].as_py() for batch in self.batches(["answer"]) if len(batch)), "one")

    def classes(self) -> list[str]:
        """class_id -> label."""
        return self.read("classes", ["label"]).column("label").to_pylist()

    def frame(self, split: str) -> tuple[pd.DataFrame, np.ndarray]:
        """(doc_id, label, predicted) of one split, and its (n, C) float32 probabilities."""
        table = self.read().filter(pc.field("split") == split).combine_chunks()
        probabilities = table.column("probabilities").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        size = table.schema.field("probabilities").type.list_size
        return table.select(["doc_id", "label", "predicted"]).to_pandas(), probabilities.reshape(table.num_rows, size)

    def profile(self) -> pd.DataFrame:
        """doc_id, split, answer, predicted; sum, lowest and highest of its probabilities; n_not_finite, known_class, most_probable, test_label_shown.

        Where an answer is not one class, sum is 1: there is nothing that its probabilities must sum to.
        """
        place = {label: i for i, label in enumerate(self.classes())}
        parts = []
        for batch in self.batches():
            kind = batch.schema.field("probabilities").type
            p = batch.column("probabilities").flatten().to_numpy(zero_copy_only=False).reshape(-1, kind.list_size)
            frame = batch.select(["doc_id", "split", "answer", "label", "predicted"]).to_pandas()
            shown = (frame["split"] == "test") & frame["label"].notna()
            clean = np.nan_to_num(p.astype(np.float64))
            predicted = np.array([place.get(label, -1) for label in frame["predicted"]], np.int64)
            known = (predicted >= 0) & (predicted < p.shape[1])
            chosen = clean[np.arange(len(clean)), np.where(known, predicted, 0)]
            most = ~known | (chosen >= clean.max(axis=1, initial=0.0) - TIE)
            one = (frame["answer"] == "one").to_numpy()
            known |= frame["answer"] == "text"
            numbers = frame["answer"] == "number"
            known |= numbers & frame["predicted"].map(lambda told: as_number(told) is not None)
            for i in np.flatnonzero(frame["answer"] == "several"):
                told = set(names_of(frame["predicted"][i]))
                known[i] = told <= place.keys()
                most[i] = {name for name, at in place.items() if clean[i, at] >= SHOWN_FROM} == told & place.keys()
            parts.append(
                frame.drop(columns="label").assign(
                    sum=np.where(one, clean.sum(axis=1), 1.0),
                    lowest=clean.min(axis=1, initial=1.0),
                    highest=clean.max(axis=1, initial=0.0),
                    n_not_finite=(~np.isfinite(p)).sum(axis=1),
                    known_class=known,
                    most_probable=most | numbers | (frame["answer"] == "text"),
                    test_label_shown=shown,
                )
            )
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=PROFILE)

    def measures(self, profile: pd.DataFrame) -> dict[str, Measure]:
        shares = profile["predicted"].value_counts(normalize=True)
        examples = [{"predicted": label, "share": round(share, 4)} for label, share in shares.head(10).items()]
        return {"one_class": Measure(float(shares.max()) if len(shares) else None, examples)}
