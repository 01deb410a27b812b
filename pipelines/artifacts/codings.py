"""Codings: vectors made shorter, with what was lost.

table codings   item, coding, error; holds the model whose decoder gives the vector back
"""

from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa

from pipelines.artifacts.matrix import Matrix, MatrixThresholds
from pipelines.artifacts.parquet import Table, column, list_of
from pipelines.artifacts.suite import expect

FEW_BITS = 64  # of a coding


class Codings(Matrix):
    noun = "codings"
    values = "coding"
    tables: ClassVar = {
        "codings": Table(
            column("item", pa.string(), "what the coding stands for, unique"),
            column("coding", list_of(pa.float32()), "its coding"),
            column("error", pa.float32(), "squared distance between the vector and its reconstruction; of a text, nats a token"),
            sized="coding",
        )
    }
    plots: ClassVar = ["norm", "error"]

    @classmethod
    def expectations(cls, t: MatrixThresholds) -> list[dict[str, Any]]:
        return [
            *super().expectations(t),
            expect("column_values_to_not_be_null", "every coding has an error", column="error"),
            expect("column_values_to_be_between", "an error is a squared distance, or a cross-entropy, so at least 0", column="error", min_value=0),
        ]  # fmt: skip

    def profile(self) -> pd.DataFrame:
        """As of every matrix, and error."""
        return super().profile().assign(error=self.read(columns=["error"]).column("error").to_numpy())

    @property
    def crowded(self) -> bool:
        """As of every matrix, and where codings have so few bits that many items have the same."""
        bits = self.settings().get("bits")
        return super().crowded or (isinstance(bits, int) and bits <= FEW_BITS)
