"""Codings: vectors made shorter, with what was lost.

table codings   item, coding, error; holds the model whose decoder gives the vector back
"""

from typing import ClassVar

import pandas as pd
import pyarrow as pa

from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.parquet import Table, column, list_of


class Codings(Matrix):
    noun = "codings"
    values = "coding"
    tables: ClassVar = {
        "codings": Table(
            column("item", pa.string(), "what the coding stands for, unique"),
            column("coding", list_of(pa.float32()), "its coding"),
            column("error", pa.float32(), "squared distance between the vector and its reconstruction, at least 0"),
            sized="coding",
        )
    }
    key: ClassVar = ["item"]
    expectations: ClassVar = [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "item"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "n_not_finite", "max_value": 0}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "error"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "error", "min_value": 0}},
        # codings that are all the same carry nothing
        {"type": "expect_column_stdev_to_be_between", "kwargs": {"column": "norm", "min_value": 0, "strict_min": True}},
    ]

    def profile(self) -> pd.DataFrame:
        """As of every matrix, and error."""
        return super().profile().assign(error=self.read(columns=["error"]).column("error").to_numpy())
