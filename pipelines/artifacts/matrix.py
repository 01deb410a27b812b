"""What vectors and codings share: a list of items, each with one row of float32 numbers."""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from pipelines.artifacts.parquet import Artifact
from pipelines.artifacts.suite import Measure, Thresholds, expect, expect_measure
from pipelines.errors import Fault

DRAWN = 2_000  # rows that are compared with each other, drawn by seed
FEWEST = 50  # of fewer rows nothing is said about how they lie
PIECE = 4096  # rows at a time: of a few hundred numbers they stay in a core's cache, where a network codes them twice as fast
CROWDED = 3  # numbers: in so few dimensions rows have little room
ALIKE = 0.999  # cosine from which on two rows count as the same


class MatrixThresholds(Thresholds):
    largest_norm: float = Field(1e4, gt=0)  # of any row
    effective_rank: float = Field(1.5, ge=1)  # of the rows about their mean; 1 when all lie on a line
    near_identical: float = Field(0.2, ge=0, le=1)  # share of rows that point where another does
    dead_coordinates: float = Field(0.0, ge=0, le=1)  # share of coordinates that are the same for all rows


class Matrix(Artifact):
    """An artifact whose main table has `item` and a sized column of float32."""

    values: str  # the sized column
    key: ClassVar = ["item"]
    plots: ClassVar = ["norm"]
    thresholds = MatrixThresholds

    @classmethod
    def expectations(cls, t: Any) -> list[dict[str, Any]]:
        return [
            expect("table_row_count_to_be_between", "there is at least one row", min_value=1),
            expect("column_values_to_be_unique", "an item is there once", column="item"),
            expect("column_values_to_be_between", "every number is finite; a lower lr often helps", column="n_not_finite", max_value=0),
            expect("column_max_to_be_between", "no row has blown up; a lower lr often helps", "largest_norm", column="norm", max_value=t.largest_norm),
            expect_measure("effective_rank", "rows lie in more than one direction", at_least=t.effective_rank),
            expect_measure("near_identical", f"rows differ; share with another of cosine above {ALIKE}", at_most=t.near_identical),
            expect_measure("dead_coordinates", "every coordinate says something; share that is the same for all rows", "warn", at_most=t.dead_coordinates),
        ]  # fmt: skip

    def items(self) -> list[str]:
        """row -> what it stands for: a word, a document, an image."""
        return self.read(columns=["item"]).column("item").to_pylist()

    def finite(self, x: np.ndarray, items: Sequence[str] | None = None) -> np.ndarray:
        """`x`, a row for each of these items, else of all. Raises Fault where it holds what is no number."""
        wrong = np.flatnonzero(~np.isfinite(x).all(axis=1))
        if len(wrong):
            first = (self.items() if items is None else items)[wrong[0]]
            raise Fault(f"{self.name}: {len(wrong):,} {self.noun} hold a number that is not finite, first {first!r}. Train it anew")
        return x

    @property
    def size(self) -> int:
        """How many numbers a row has."""
        return self.file().schema_arrow.field(self.values).type.list_size

    @property
    def crowded(self) -> bool:
        """Whether it is normal that rows point where others do."""
        return self.size <= CROWDED

    def pieces(self, rows: int = PIECE) -> Iterator[np.ndarray]:
        """(at most `rows`, size) float32, in order. The next one is read while whoever asked works on this one."""
        size, batches = self.size, self.batches([self.values], rows)
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(next, batches, None)
            while (batch := ahead.result()) is not None:
                ahead = reader.submit(next, batches, None)
                yield batch.column(0).flatten().to_numpy(zero_copy_only=False).reshape(-1, size)

    def matrix(self) -> np.ndarray:
        """(n, size) float32 in memory."""
        return self._fill(np.empty((self.n_rows(), self.size), np.float32))

    def memmap(self, n: int | None = None) -> np.ndarray:
        """(n, size) float32 on disk, for what is larger than memory: all rows, or the first n. The file is gone with the array."""
        shape = (self.n_rows() if n is None else min(n, self.n_rows()), self.size)
        if not all(shape):
            return np.empty(shape, np.float32)
        with tempfile.TemporaryFile(dir=self.folder.parent) as file:
            return self._fill(np.memmap(file, np.float32, mode="w+", shape=shape))

    def _fill(self, matrix: np.ndarray) -> np.ndarray:
        start = 0
        for piece in self.pieces(max(1, min(PIECE, len(matrix)))):
            part = matrix[start : start + len(piece)]
            part[:] = piece[: len(part)]
            start += len(part)
            if start == len(matrix):
                break
        return matrix

    def profile(self) -> pd.DataFrame:
        """item, norm, n_not_finite, spread (of the numbers within a row; 0 when all are the same)."""
        norm, n_not_finite, spread = [], [], []
        for piece in self.pieces():
            finite = np.isfinite(piece)
            clean = np.where(finite, piece, 0).astype(np.float64)
            norm.append(np.sqrt((clean**2).sum(axis=1)))
            n_not_finite.append((~finite).sum(axis=1))
            spread.append(clean.std(axis=1))
        if not norm:
            return pd.DataFrame(columns=["item", "norm", "n_not_finite", "spread"])
        return pd.DataFrame({
            "item": self.items(), "norm": np.concatenate(norm),
            "n_not_finite": np.concatenate(n_not_finite), "spread": np.concatenate(spread),
        })  # fmt: skip

    def measures(self, profile: pd.DataFrame) -> dict[str, Measure]:
        """Of DRAWN rows: the effective rank of Roy and Vetterli 2007, rows that are near another, coordinates without variance."""
        n = len(profile)
        if n < FEWEST or not self.size:
            return {name: Measure(None) for name in ("effective_rank", "near_identical", "dead_coordinates")}
        rows = np.sort(np.random.default_rng(1).choice(n, min(DRAWN, n), replace=False))
        x = np.nan_to_num(self.rows(rows), posinf=0.0, neginf=0.0).astype(np.float64)
        variance = x.var(axis=0)
        dead = np.flatnonzero(variance <= 1e-12 * max(variance.mean(), 1e-30))
        values = np.maximum(np.linalg.eigvalsh(np.cov(x, rowvar=False).reshape(self.size, self.size)), 0)
        shares = values[values > 0] / values.sum() if values.sum() > 0 else np.ones(1)
        rank = float(np.exp(-(shares * np.log(shares)).sum()))
        norm = np.linalg.norm(x, axis=1, keepdims=True)
        unit = x / np.maximum(norm, 1e-30)
        cosine = unit @ unit.T
        np.fill_diagonal(cosine, -1)
        cosine[norm[:, 0] == 0] = -1  # a row of zeros points nowhere
        nearest = cosine.argmax(axis=1)
        alike = np.flatnonzero(cosine.max(axis=1) > ALIKE)
        items = profile["item"].to_numpy()[rows]
        examples = [
            {"item": items[i], "near": items[nearest[i]], "cosine": round(float(cosine[i, nearest[i]]), 6)} for i in alike[:10].tolist()
        ]
        return {
            "effective_rank": Measure(rank if self.size > 1 else None, [{"rows": len(rows), "size": self.size}]),
            "near_identical": Measure(None) if self.crowded else Measure(len(alike) / len(rows), examples),
            "dead_coordinates": Measure(len(dead) / self.size, [{"coordinate": i} for i in dead[:10].tolist()]),
        }

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Some rows, which are sorted, without the others in memory."""
        start, found = 0, []
        for piece in self.pieces():
            found.append(piece[rows[(rows >= start) & (rows < start + len(piece))] - start])
            start += len(piece)
        return np.concatenate(found)
