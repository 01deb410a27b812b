"""Figures: what rows of evaluate have found, as lines."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines import layout


def of(root: Path, name: str) -> list[dict[str, Any]]:
    """by (the row of evaluate), metric, on, value, low, high, n, note: every figure of an artifact, noun/row."""
    paths = sorted((root / layout.DATA["scores"]).glob("*/scores.parquet"))
    return [{"by": path.parent.name, **line} for path in paths for line in pq.read_table(path).to_pylist() if line.pop("of") == name]


def readings(root: Path, row: str) -> list[dict[str, str]]:
    """The lines of docs/test_readings.tsv about a row of classify: commit, seed, metric, value, low, high, n.

    That of the main checkout, whose experiments have their worktrees in .wordloom/NAME.
    """
    place = root.resolve()
    inside = place.parent.name == ".wordloom"
    path, experiment = (place.parent.parent if inside else place) / layout.READINGS, place.name if inside else "main"
    if not path.exists():
        return []
    head, *lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    found = [dict(zip(head, line, strict=False)) for line in lines]
    return [line for line in found if (line.get("experiment"), line.get("row")) == (experiment, f"classify/{row}")]


def spelled(line: dict[str, Any], sign: str = "") -> str:
    """Value and interval, for people; `sign` + of a difference."""
    ends = [line.get(name) for name in ("low", "high")]
    told = f"{line['value']:{sign}.4g}"
    return told if None in ends else f"{told} [{', '.join(f'{end:{sign}.4g}' for end in ends)}]"
