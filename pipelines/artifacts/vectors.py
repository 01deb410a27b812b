"""Vectors: one row of float32 numbers per item (word, document, image).

table vectors   item, count, label or null, vector; may hold a model (context vectors, biases) and a training curve,
                and image.csv, which says that the vectors are images: height, width, channels
"""

import csv
from typing import Any, ClassVar

import pyarrow as pa

from pipelines.artifacts.matrix import Matrix, MatrixThresholds
from pipelines.artifacts.parquet import Table, column, list_of
from pipelines.artifacts.suite import expect


class Vectors(Matrix):
    noun = "vectors"
    values = "vector"
    tables: ClassVar = {
        "vectors": Table(
            column("item", pa.string(), "what the vector stands for, unique"),
            column("count", pa.int64(), "sightings in what it was trained on, 0 when that is not counted", "tokens"),
            column("label", pa.string(), "its class, where the source of the numbers gives one", nullable=True),
            column("vector", list_of(pa.float32()), "its vector"),
            sized="vector",
        )
    }

    @classmethod
    def expectations(cls, t: MatrixThresholds) -> list[dict[str, Any]]:
        nonzero = expect("column_values_to_be_between", "no vector is all zeros", column="norm", min_value=0, strict_min=True)
        return [*super().expectations(t), nonzero]

    def image(self) -> tuple[int, int, int] | None:
        """Height, width and channels of the images that the vectors are, pixel after pixel; None where they are none."""
        path = self.folder / "image.csv"
        if not path.exists():
            return None
        with path.open(newline="") as file:
            (row,) = csv.DictReader(file)
        return int(row["height"]), int(row["width"]), int(row["channels"])

    def named(self) -> dict[str, pa.ChunkedArray]:
        """item, count and label of all rows: what stays where other numbers take the vectors' place."""
        table = self.read(columns=["item", "count", "label"])
        return dict(zip(table.column_names, table.columns, strict=True))
