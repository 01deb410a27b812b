"""Counts: how often two tokens were seen near each other, as a sparse matrix sorted by row, then column.

table counts   row, col, count; one row per pair that was seen, row and col are token_ids of vocab
table vocab    token_id, token, count; the vocabulary of the tokens that were counted
"""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.artifacts.parquet import ROW_GROUP, Artifact, Table, column, expect
from pipelines.artifacts.tokens import VOCAB


class Counts(Artifact):
    noun = "counts"
    tables: ClassVar = {
        "counts": Table(
            column("row", pa.int32(), "the word", "token_id"),
            column("col", pa.int32(), "the context word", "token_id"),
            column("count", pa.float32(), "weighted sightings, above 0", "sightings"),
        ),
        "vocab": VOCAB,
    }
    key: ClassVar = ["token_id", "token"]
    expectations: ClassVar = [
        expect("table_row_count_to_be_between", "a vocabulary of at least two tokens", min_value=2),
        expect("column_values_to_be_between", "counts are sightings, so above 0", column="n_not_positive", max_value=0),
        expect("column_values_to_be_between", "pairs are sorted by row, then column, each once", column="n_unsorted", max_value=0),
        expect("column_values_to_be_between", "row and col are token_ids of vocab", column="n_outside", max_value=0),
        expect("column_sum_to_be_between", "at least one pair was seen", column="n_pairs", min_value=1),
        expect("column_min_to_be_between", "no row's sightings sum to less than 0", column="total", min_value=0),
    ]

    def vocab(self) -> pa.Table:
        return self.read("vocab")

    def words(self) -> list[str]:
        """token_id -> token."""
        return self.read("vocab", ["token"]).column("token").to_pylist()

    def blocks(self, n_pairs: int = ROW_GROUP) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(row int32, col int32, count float32) of at most `n_pairs` pairs, in the matrix' order."""
        for batch in self.batches(rows=n_pairs):
            row, col, count = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("row", "col", "count"))
            yield row, col, count

    def profile(self) -> pd.DataFrame:
        """One row per token: n_pairs, total, and how many of its pairs are not positive, out of order, outside vocab."""
        vocab = self.vocab()
        n_vocab = vocab.num_rows
        n_pairs, n_not_positive, n_unsorted, n_outside = (np.zeros(n_vocab, np.int64) for _ in range(4))
        total = np.zeros(n_vocab)
        last = -1
        for row, col, count in self.blocks():
            home = np.clip(row, 0, n_vocab - 1)  # where a fault is booked when the row itself is the fault
            position = row.astype(np.int64) * n_vocab + col
            n_pairs += np.bincount(home, minlength=n_vocab)
            total += np.bincount(home, weights=np.nan_to_num(count), minlength=n_vocab)
            # not (count > 0) is also true of a NaN
            n_not_positive += np.bincount(home[~(count > 0)], minlength=n_vocab)
            n_unsorted += np.bincount(home[np.diff(position, prepend=last) <= 0], minlength=n_vocab)
            n_outside += np.bincount(home[(row < 0) | (row >= n_vocab) | (col < 0) | (col >= n_vocab)], minlength=n_vocab)
            last = position[-1] if len(position) else last
        return pd.DataFrame({
            "token_id": vocab.column("token_id").to_numpy(), "token": vocab.column("token").to_pylist(),
            "n_pairs": n_pairs, "total": total,
            "n_not_positive": n_not_positive, "n_unsorted": n_unsorted, "n_outside": n_outside,
        })  # fmt: skip
