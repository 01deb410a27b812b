"""Codings: vectors made shorter, with what was lost.

table codings   item, coding, error; holds the model whose decoder gives the vector back
"""

import json
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa

from pipelines.artifacts.matrix import Matrix, MatrixThresholds
from pipelines.artifacts.parquet import Table, column, list_of
from pipelines.artifacts.suite import Measure, expect

FEW_BITS = 64  # of a coding: with so few it is normal that items have the same


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

    def measures(self, profile: pd.DataFrame) -> dict[str, Measure]:
        """As of every matrix; of codings of FEW_BITS not whether some are near identical."""
        measured = super().measures(profile)
        path = self.folder / "model.json"
        bits = json.loads(path.read_text(encoding="utf-8")).get("bits") if path.exists() else None
        return measured | {"near_identical": Measure(None)} if bits is not None and bits <= FEW_BITS else measured
