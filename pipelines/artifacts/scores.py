"""Scores: figures, each with what it was measured on, how many cases, and an interval where there is one.

table scores   of, metric, on, value, low, high, n, note; one row per figure
beside it      metrics.json, the values for `dvc metrics`; small CSV tables for plots and the report
"""

import json
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.artifacts.parquet import Artifact, Table, column
from pipelines.artifacts.suite import Thresholds, expect

# what a metric can be; one that is not here can be any number
UNIT = (0.0, 1.0)
RANGES: dict[str, tuple[float, float]] = {
    "accuracy": UNIT, "accuracy_all": UNIT, "accuracy_majority": UNIT, "macro_f1": UNIT, "coverage": UNIT, "words_known": UNIT,
    "spearman": (-1.0, 1.0), "spearman_all": (-1.0, 1.0), "nearest_cosine": (-1.0, 1.0), "explained_variance": (-np.inf, 1.0),
    "spearman_composed": (-1.0, 1.0), "recall": UNIT, "recall_reranked": UNIT, "coherence": (-1.0, 1.0), "diversity": UNIT,
    "micro_f1": UNIT, "hamming_loss": UNIT, "mean_absolute_error": (0.0, np.inf), "rmse": (0.0, np.inf), "quadratic_kappa": (-1.0, 1.0),
    "exact_match": UNIT, "tokens_right": UNIT, "character_errors": (0.0, np.inf), "perplexity": (1.0, np.inf),
    "entity_f1": UNIT, "entity_precision": UNIT, "entity_recall": UNIT,
    "p_value": UNIT, "purity": UNIT, "adjusted_rand": (-1.0, 1.0), "normalised_mutual_information": UNIT, "outlier_position": UNIT,
    "isotropy": UNIT, "mean_cosine": (-1.0, 1.0), "top_variance": UNIT, "overlap": UNIT, "jaccard": UNIT, "silhouette": (-1.0, 1.0),
    "trustworthiness": UNIT, "agreement": UNIT,
    "calibration_error": UNIT, "ndcg": UNIT, "reciprocal_rank": UNIT, "hit_rate": UNIT, "r_squared": (-np.inf, 1.0), "pearson": (-1.0, 1.0),
    "accuracy_control": UNIT, "selectivity": (-1.0, 1.0),
    "accuracy_gain": (-1.0, 1.0), "probability": UNIT, "probability_ratio": (0.0, np.inf),
    "log_loss": (0.0, np.inf), "mean_squared_error": (0.0, np.inf), "bytes_per_item": (0.0, np.inf), "whole_bytes": (0.0, np.inf), "ratio": (0.0, np.inf),
}  # fmt: skip
ROUNDING = 1e-6


class Scores(Artifact):
    noun = "scores"
    tables: ClassVar = {
        "scores": Table(
            column("of", pa.string(), "the artifact that was scored, noun/row"),
            column("metric", pa.string(), "name of the figure"),
            column("on", pa.string(), "what it was measured on: a split, a word-pair set"),
            column("value", pa.float64(), "the figure"),
            column("low", pa.float64(), "lower end of the 95 % interval", nullable=True),
            column("high", pa.float64(), "upper end of the 95 % interval", nullable=True),
            column("n", pa.int64(), "how many cases it rests on", "cases"),
            column("note", pa.string(), "what a reader must know: coverage, cap, protocol; may be empty"),
        )
    }
    key: ClassVar = ["of", "metric", "on"]

    @classmethod
    def expectations(cls, t: Thresholds) -> list[dict[str, Any]]:
        return [
            expect("table_row_count_to_be_between", "there is at least one figure", min_value=1),
            expect("column_values_to_be_between", "every figure is finite", column="n_not_finite", max_value=0),
            expect("column_values_to_be_between", "n is a number of cases", column="n", min_value=0),
            expect("column_values_to_be_in_set", "a figure lies inside its interval", column="inside_interval", value_set=[True], show=("value", "low", "high")),
            expect("column_values_to_be_in_set", "a figure is one that its metric can have", column="in_range", value_set=[True], show=("value",)),
            expect("column_values_to_be_unique", "a figure is named once", column="name"),
        ]  # fmt: skip

    def frame(self) -> pd.DataFrame:
        return self.read().to_pandas()

    def metrics(self) -> dict:
        """{of: {metric: {on: value}}}, as `dvc metrics show` wants it."""
        nested: dict = {}
        for row in self.read(columns=["of", "metric", "on", "value"]).to_pylist():
            nested.setdefault(row["of"], {}).setdefault(row["metric"], {})[row["on"]] = row["value"]
        return nested

    def finish(self) -> None:
        """Writes metrics.json from the table, so that the two cannot disagree."""
        (self.folder / "metrics.json").write_text(json.dumps(self.metrics(), indent=1, sort_keys=True, ensure_ascii=False) + "\n")

    def profile(self) -> pd.DataFrame:
        """The table without its note, and name, n_not_finite, inside_interval, in_range."""
        frame = self.frame().drop(columns="note")
        bounds = frame[["value", "low", "high"]].astype(float)
        least, most = np.array([RANGES.get(metric, (-np.inf, np.inf)) for metric in frame["metric"]]).reshape(-1, 2).T
        return frame.assign(
            name=frame["of"] + " " + frame["metric"] + " " + frame["on"],
            n_not_finite=(~np.isfinite(bounds["value"])).astype(int),
            in_range=~((bounds["value"] < least - ROUNDING) | (bounds["value"] > most + ROUNDING)),
            inside_interval=~((bounds["value"] < bounds["low"]) | (bounds["value"] > bounds["high"])),
        )


def columns(figures: Iterable[dict[str, Any]]) -> dict[str, list]:
    """What `out.append` takes, from one dict per figure; low, high and note may be left out."""
    rows = [{"low": None, "high": None, "note": "", **figure} for figure in figures]
    return {name: [row[name] for row in rows] for name in Scores.tables["scores"].fields}
