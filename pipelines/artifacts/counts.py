"""Counts: how often two tokens were seen near each other, as a sparse matrix sorted by row, then column.

table counts   row, col, count; one row per pair that was seen, row and col are token_ids of vocab
table vocab    token_id, token, count; the vocabulary of the tokens that were counted
table documents   doc_id, split, label; where a row is a document and not a token: which one. Else empty
table row_sums    token_id, sum; what each row has to sum to, by where its token stands in its documents. Empty where unknown
measure.csv    what `count` is: a count, or what was made of one: ppmi, pmi, ...; and whether the matrix is symmetric
"""

import csv
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from scipy.sparse import csr_array

from pipelines.artifacts.corpus import SPLITS
from pipelines.artifacts.parquet import ROW_GROUP, Artifact, Table, column
from pipelines.artifacts.suite import Thresholds, expect
from pipelines.artifacts.tokens import VOCAB
from pipelines.errors import Fault


class CountsThresholds(Thresholds):
    asymmetry: float = Field(0.001, ge=0)  # of a token's row and column, relative to both
    row_sums: float = Field(1e-4, ge=0)  # how far a row's sum is from what its token's places imply, relative to that


SIGNED = ("pmi",)  # measures that may be below 0


class Counts(Artifact):
    noun = "counts"
    tables: ClassVar = {
        "counts": Table(
            column("row", pa.int32(), "the word, or the place of a document in table documents", "token_id"),
            column("col", pa.int32(), "the context word", "token_id"),
            column("count", pa.float32(), "weighted sightings, above 0", "sightings"),
            # half the time and half the bytes of dictionaries, measured on 20 million pairs of English
            encodings={"row": "DELTA_BINARY_PACKED", "col": "DELTA_BINARY_PACKED", "count": "PLAIN"},
        ),
        "vocab": VOCAB,
        "documents": Table(
            column("doc_id", pa.string(), "names the document, unique"),
            column("split", pa.string(), "one of " + ", ".join(SPLITS)),
            column("label", pa.string(), "its class", nullable=True),
        ),
        "row_sums": Table(
            column("token_id", pa.int32(), "row of vocab"),
            column("sum", pa.float64(), "what the places of its token imply that its row sums to", "sightings"),
        ),
    }
    key: ClassVar = ["token_id", "token"]
    plots: ClassVar = ["n_pairs"]
    thresholds = CountsThresholds

    @classmethod
    def expectations(cls, t: CountsThresholds) -> list[dict[str, Any]]:
        return [
            expect("table_row_count_to_be_between", "a vocabulary of at least two tokens", min_value=2),
            expect("column_values_to_be_between", "counts are sightings, so above 0; of pmi, which has signs, the size is asked", column="n_not_positive", max_value=0),
            expect("column_values_to_be_between", "pairs are sorted by row, then column, each once", column="n_unsorted", max_value=0),
            expect("column_values_to_be_between", "row and col are token_ids of vocab", column="n_outside", max_value=0),
            expect("column_sum_to_be_between", "at least one pair was seen", column="n_pairs", min_value=1),
            expect("column_min_to_be_between", "no row's sightings sum to less than 0", column="total", min_value=0),
            expect("column_values_to_be_between", "where the matrix is to be symmetric, each row is as its column", "asymmetry",
                   column="asymmetry", max_value=t.asymmetry),
            expect("column_values_to_be_between", "a row sums to what its token's places in the text imply", "row_sums",
                   column="sum_off", max_value=t.row_sums, show=("total", "implied")),
        ]  # fmt: skip

    def vocab(self) -> pa.Table:
        return self.read("vocab")

    def words(self) -> list[str]:
        """token_id -> token."""
        return self.read("vocab", ["token"]).column("token").to_pylist()

    def documents(self) -> pa.Table:
        """doc_id, split, label of each row. Raises Fault where rows are tokens."""
        table = self.read("documents")
        if not len(table):
            raise Fault(
                f"{self.name}: its rows are tokens; a row of cooccur with the method `documents` has documents for rows. Name one of those"
            )
        return table

    def measure(self) -> str:
        """What its numbers are: `count`, or the measure that the method `association` made of counts."""
        return self._said().get("measure") or "unknown"

    def symmetric(self) -> bool:
        """Whether each row has to be as its column."""
        return self._said().get("symmetric") == "yes"

    def _said(self) -> dict[str, str]:
        path = self.folder / "measure.csv"
        if not path.exists():
            return {"measure": "count"}
        with path.open(newline="") as file:
            return next(iter(csv.DictReader(file)), {})

    def sightings_only(self) -> None:
        """Raises Fault where the numbers are no counts any more."""
        if self.measure() != "count":
            raise Fault(
                f"{self.name}: its numbers are {self.measure()}, and this method needs counts. Name the row that these were made of"
            )

    def refused(self, n: int, first: tuple[int, int, float]) -> Fault:
        """For numbers that no gate lets past, in a matrix that was made or changed by hand."""
        row, col, count = int(first[0]), int(first[1]), float(first[2])
        return Fault(
            f"{self.name}: {n:,} counts are no number above 0, first {count} of row {row}, col {col}. Look at the stage that made it"
        )

    def words_only(self, sightings: bool = True) -> None:
        """Raises Fault where rows are documents, and, unless `sightings` is false, where the numbers are no counts any more."""
        if sightings:
            self.sightings_only()
        if self.n_rows("documents"):
            raise Fault(f"{self.name}: its rows are documents; this method needs words near words, as the method `windowed` counts them")

    def word_items(self) -> pa.Table:
        """item, count, label of each word: the token, its sightings, and no label."""
        vocab = self.vocab()
        return pa.table({"item": vocab["token"], "count": vocab["count"], "label": pa.nulls(len(vocab), pa.string())})

    def row_items(self) -> pa.Table:
        """item, count, label of each row: of a word as above, or a document with its label, but for those of test, and count 0."""
        if not self.n_rows("documents"):
            return self.word_items()
        table = self.read("documents")
        label = pc.if_else(pc.equal(table["split"], "test"), pa.scalar(None, pa.string()), table["label"])
        return pa.table({"item": table["doc_id"], "count": np.zeros(len(table), np.int64), "label": label})

    def blocks(self, n_pairs: int = ROW_GROUP) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(row int32, col int32, count float32) of at most `n_pairs` pairs, in the matrix' order."""
        for batch in self.batches(rows=n_pairs):
            row, col, count = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("row", "col", "count"))
            yield row, col, count

    def checked(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """As `blocks`; after the last, raises Fault for counts that are no number above 0."""
        wrong, first = 0, None
        for row, col, count in self.blocks():
            good = (count > 0) & (count < np.inf)
            if not good.all():
                at, wrong = int(good.argmin()), wrong + int((~good).sum())
                first = first or (row[at], col[at], count[at])
            yield row, col, count
        if first:
            raise self.refused(wrong, first)

    def sparse(self) -> csr_array:
        """(rows, vocabulary) float32, the whole matrix in memory: 8 bytes a pair. Raises Fault for a count that is no number above 0."""
        n_rows, n_columns = self.n_rows("documents") or self.n_rows("vocab"), self.n_rows("vocab")
        table = self.read()
        row, col, count = (table.column(name).to_numpy() for name in ("row", "col", "count"))
        good = ((np.abs(count) if self.measure() in SIGNED else count) > 0) & (np.abs(count) < np.inf)
        if not good.all():
            at = int(good.argmin())
            raise self.refused(int((~good).sum()), (row[at], col[at], count[at]))
        starts = np.searchsorted(row, np.arange(n_rows + 1))
        return csr_array((count, col, starts), shape=(n_rows, n_columns))

    def profile(self) -> pd.DataFrame:
        """One row per token, or document: n_pairs, total, and how many of its pairs are not positive, out of order, outside.

        asymmetry: how far its row is from its column, 0 to 1; 0 for all where they need not be alike.
        implied, sum_off: what its total has to be, and how far it is from that, relative to it; 0 where that is not known.
        Of a measure with signs, sizes are summed.
        """
        measure = self.measure()
        vocab, documents = self.vocab(), self.read("documents", ["doc_id"])
        names = (documents if len(documents) else vocab.select(["token"])).column(0).to_pylist()
        n_rows, n_vocab = len(names), vocab.num_rows
        n_pairs, n_not_positive, n_unsorted, n_outside = (np.zeros(n_rows, np.int64) for _ in range(4))
        total, along = np.zeros(n_rows), np.zeros(n_rows)
        across = np.zeros(n_vocab)
        # sums with random weights: equal for all tokens only where the matrix is its own transpose (Freivalds 1977)
        weight = np.random.default_rng(1).uniform(0.5, 1.5, max(n_rows, n_vocab))
        last = -1
        for row, col, count in self.blocks():
            count = np.abs(count) if measure in SIGNED else count
            home = np.clip(row, 0, n_rows - 1)  # where a fault is booked when the row itself is the fault
            position = row.astype(np.int64) * n_vocab + col
            n_pairs += np.bincount(home, minlength=n_rows)
            clean, other = np.nan_to_num(count), np.clip(col, 0, n_vocab - 1)
            total += np.bincount(home, weights=clean, minlength=n_rows)
            along += np.bincount(home, weights=clean * weight[other], minlength=n_rows)
            across += np.bincount(other, weights=clean * weight[home], minlength=n_vocab)
            # not (count > 0) is also true of a NaN
            n_not_positive += np.bincount(home[~(count > 0)], minlength=n_rows)
            n_unsorted += np.bincount(home[np.diff(position, prepend=last) <= 0], minlength=n_rows)
            n_outside += np.bincount(home[(row < 0) | (row >= n_rows) | (col < 0) | (col >= n_vocab)], minlength=n_rows)
            last = position[-1] if len(position) else last
        asymmetry, implied, off = (np.zeros(n_rows) for _ in range(3))
        if self.symmetric():
            both = np.abs(along) + np.abs(across)
            asymmetry = np.abs(along - across) / np.maximum(both, 1e-30)
        if self.n_rows("row_sums"):
            implied = self.read("row_sums", ["sum"]).column("sum").to_numpy()
            off = np.abs(total - implied) / np.maximum(np.maximum(total, implied), 1e-30)
        return pd.DataFrame({
            "token_id": np.arange(n_rows), "token": names,
            "n_pairs": n_pairs, "total": total, "asymmetry": asymmetry, "implied": implied, "sum_off": off,
            "n_not_positive": n_not_positive, "n_unsorted": n_unsorted, "n_outside": n_outside,
        })  # fmt: skip
