"""Vectors: one row of float32 numbers per item (word, document, image).

table vectors   item, count, vector; may hold a model (context vectors, biases) and a training curve
"""

from typing import ClassVar

import pyarrow as pa

from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.parquet import Table, column, expect, list_of


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
        expect("table_row_count_to_be_between", "there is at least one vector", min_value=1),
        expect("column_values_to_be_unique", "an item has one vector", column="item"),
        expect(
            "column_values_to_be_between", "every number of a vector is finite; a lower lr often helps", column="n_not_finite", max_value=0
        ),
        expect("column_values_to_be_between", "no vector is all zeros", column="norm", min_value=0, strict_min=True),
        expect("column_max_to_be_between", "no vector has blown up; a lower lr often helps", column="norm", max_value=1e4),
    ]
