"""Corpus: the documents as they came in, each with its split.

table corpus   doc_id, text, label or null, split, group or null; one row per document
"""

from typing import ClassVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.artifacts.parquet import Artifact, Table, column, expect

PROFILE = ["doc_id", "split", "label", "label_missing", "n_characters", "n_replaced"]
SPLITS = ("train", "valid", "test", "unlabelled")


class Corpus(Artifact):
    noun = "corpus"
    tables: ClassVar = {
        "corpus": Table(
            column("doc_id", pa.string(), "names the document, unique"),
            column("text", pa.string(), "the document"),
            column("label", pa.string(), "its class", nullable=True),
            column("split", pa.string(), "one of " + ", ".join(SPLITS)),
            column("group", pa.string(), "what it was taken from, an article or a film", nullable=True),
        )
    }
    key: ClassVar = ["doc_id", "split"]
    expectations: ClassVar = [
        expect("table_row_count_to_be_between", "there is at least one document", min_value=1),
        expect("column_values_to_be_unique", "a doc_id names one document", column="doc_id"),
        expect("column_values_to_be_in_set", "a split is one of train, valid, test, unlabelled", column="split", value_set=list(SPLITS)),
        expect(
            "column_values_to_be_between",
            "a document has text in it; leave empty ones out of the source",
            column="n_characters",
            min_value=1,
        ),
        expect(
            "column_values_to_be_between", "all bytes could be read as text; convert the source to UTF-8", column="n_replaced", max_value=0
        ),
        expect(
            "column_values_to_be_in_set", "a document has a label, or is in the split unlabelled", column="label_missing", value_set=[False]
        ),
    ]

    def profile(self) -> pd.DataFrame:
        """doc_id, split, label, label_missing, n_characters, n_replaced (U+FFFD: bytes that no encoding could read)."""
        parts = []
        for batch in self.batches():
            text, label = batch.column("text"), batch.column("label")
            wants_label = pc.not_equal(batch.column("split"), "unlabelled")
            columns = {
                "doc_id": batch.column("doc_id"),
                "split": batch.column("split"),
                "label": label,
                "label_missing": pc.and_(wants_label, pc.is_null(label)),
                "n_characters": pc.utf8_length(pc.utf8_trim_whitespace(text)),
                "n_replaced": pc.count_substring(text, "\ufffd"),
            }
            parts.append(pa.table(columns))
        return pa.concat_tables(parts).to_pandas() if parts else pd.DataFrame(columns=PROFILE)
