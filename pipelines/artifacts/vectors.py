"""Vectors: one row of float32 numbers per item (word, document, image).

table vectors   item, count, vector; may hold a model (context vectors, biases) and a training curve
"""

from typing import ClassVar

import pyarrow as pa

from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.parquet import Table, column, list_of


class Vectors(Matrix):
    noun = "vectors"
    values = "vector"
    tables: ClassVar = {
        "vectors": Table(
            column("item", pa.string(), "what the vector stands for, unique"),
            column("count", pa.int64(), "sightings in what it was trained on, 0 when that is not counted", "tokens"),
            column("vector", list_of(pa.float32()), "its vector"),
            sized="vector",
        )
    }
    key: ClassVar = ["item"]
    expectations: ClassVar = [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "item"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "n_not_finite", "max_value": 0}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "norm", "min_value": 0, "strict_min": True}},
        {"type": "expect_column_max_to_be_between", "kwargs": {"column": "norm", "max_value": 1e4}},
    ]
