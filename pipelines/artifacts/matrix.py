"""What vectors and codings share: a list of items, each with one row of float32 numbers."""

import tempfile
from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipelines.artifacts.parquet import ROW_GROUP, Artifact


class Matrix(Artifact):
    """An artifact whose main table has `item` and a sized column of float32."""

    values: str  # the sized column

    def items(self) -> list[str]:
        """row -> what it stands for: a word, a document, an image."""
        return self.read(columns=["item"]).column("item").to_pylist()

    @property
    def size(self) -> int:
        """How many numbers a row has."""
        return self.file().schema_arrow.field(self.values).type.list_size

    def pieces(self, rows: int = ROW_GROUP) -> Iterator[np.ndarray]:
        """(at most `rows`, size) float32, in order."""
        for batch in self.batches([self.values], rows):
            yield batch.column(0).flatten().to_numpy(zero_copy_only=False).reshape(-1, self.size)

    def matrix(self) -> np.ndarray:
        """(n, size) float32 in memory."""
        return self._fill(np.empty((self.n_rows(), self.size), np.float32))

    def memmap(self) -> np.ndarray:
        """(n, size) float32 on disk, for what is larger than memory; the file is gone with the array."""
        shape = (self.n_rows(), self.size)
        if not all(shape):
            return np.empty(shape, np.float32)
        with tempfile.TemporaryFile(dir=self.folder.parent) as file:
            return self._fill(np.memmap(file, np.float32, mode="w+", shape=shape))

    def _fill(self, matrix: np.ndarray) -> np.ndarray:
        start = 0
        for piece in self.pieces():
            matrix[start : start + len(piece)] = piece
            start += len(piece)
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
