"""Predictions: what a classifier says of each document.

table predictions   doc_id, split, label or null, predicted, probabilities; null is the label of every
                    test document: the test set is scored by `wordloom final`, and by nothing else
table classes       class_id, label; class_id is the place in `probabilities`
"""

from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.artifacts.corpus import SPLITS
from pipelines.artifacts.parquet import Artifact, Table, column, expect, list_of


class Predictions(Artifact):
    noun = "predictions"
    tables: ClassVar = {
        "predictions": Table(
            column("doc_id", pa.string(), "names the document, unique"),
            column("split", pa.string(), "one of " + ", ".join(SPLITS)),
            column("label", pa.string(), "its true class; null for test", nullable=True),
            column("predicted", pa.string(), "the most probable class"),
            column("probabilities", list_of(pa.float32()), "of each class, summing to 1", "probability"),
            sized="probabilities",
        ),
        "classes": Table(
            column("class_id", pa.int32(), "place in probabilities, from 0"),
            column("label", pa.string(), "the class, unique"),
        ),
    }
    key: ClassVar = ["doc_id", "split"]
    expectations: ClassVar = [
        expect("table_row_count_to_be_between", "there is at least one prediction", min_value=1),
        expect("column_values_to_be_unique", "a doc_id names one document", column="doc_id"),
        expect("column_values_to_be_between", "every probability is finite", column="n_not_finite", max_value=0),
        expect("column_values_to_be_between", "the probabilities of a document sum to 1", column="sum", min_value=0.999, max_value=1.001),
        expect("column_values_to_be_between", "a probability is at least 0", column="lowest", min_value=0),
        expect(
            "column_values_to_be_in_set",
            "no label of the test set is shown; wordloom final alone reads them",
            column="test_label_shown",
            value_set=[False],
        ),
    ]

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
        """doc_id, split, predicted, sum and lowest of its probabilities, n_not_finite, test_label_shown."""
        parts = []
        for batch in self.batches():
            kind = batch.schema.field("probabilities").type
            p = batch.column("probabilities").flatten().to_numpy(zero_copy_only=False).reshape(-1, kind.list_size)
            frame = batch.select(["doc_id", "split", "label", "predicted"]).to_pandas()
            shown = (frame["split"] == "test") & frame["label"].notna()
            clean = np.nan_to_num(p.astype(np.float64))
            parts.append(
                frame.drop(columns="label").assign(
                    sum=clean.sum(axis=1),
                    lowest=clean.min(axis=1, initial=1.0),
                    n_not_finite=(~np.isfinite(p)).sum(axis=1),
                    test_label_shown=shown,
                )
            )
        columns = ["doc_id", "split", "predicted", "sum", "lowest", "n_not_finite", "test_label_shown"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
