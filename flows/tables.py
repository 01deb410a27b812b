"""Tables for a terminal: scores side by side, runs, readings of the test set."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines import layout
from pipelines.layout import READINGS

READINGS_HEADER = ("commit", "experiment", "row", "seed", "metric", "value", "low", "high", "n")


def figures(root: Path, row: str) -> list[dict[str, Any]]:
    """What a row of evaluate found, a line per figure."""
    import pyarrow.parquet as pq

    return pq.read_table(root / layout.artifact("scores", row) / "scores.parquet").to_pylist()


def sweep(entries: list[dict[str, Any]]) -> Any:
    """The points of a sweep as a table: their knobs, their scores. A column says of which row it is where there are several."""
    from rich.table import Table

    knobs = list(dict.fromkeys((row, knob) for entry in entries for row, point in entry["point"].items() for knob in point))
    scored = list(dict.fromkeys((s["row"], s["metric"], s["on"]) for entry in entries for s in entry["scores"]))
    many = {len({row for row, *_ in columns}) > 1 for columns in (knobs, scored)}
    table = Table(
        *(f"{row.partition('.')[2]} {knob}" if True in many else knob for row, knob in knobs),
        *(f"{row.partition('/')[2]} {metric} {on}" if True in many else f"{metric} {on}" for row, metric, on in scored),
        *([""] if not all(entry["done"] for entry in entries) else []),
    )
    for entry in entries:
        got = {(s["row"], s["metric"], s["on"]): s for s in entry["scores"]}
        table.add_row(
            *(_value(entry["point"].get(row, {}), knob) for row, knob in knobs),
            *(_figure(got.get(column)) for column in scored),
            *([] if entry["done"] else ["not done"]),
        )
    return table


def _value(point: dict[str, Any], knob: str) -> str:
    from rich.markup import escape

    return escape(str(point[knob])) if knob in point else ""


def compared(entries: list[dict[str, Any]], names: Iterable[str]) -> Any:
    """The scores as a table, a column per workspace."""
    from rich.table import Table

    names = list(names)
    table = Table("of", "metric", "on", *names)
    for entry in entries:
        table.add_row(entry["of"], entry["metric"], entry["on"], *(_figure(entry["values"].get(name)) for name in names))
    return table


def _figure(got: dict[str, Any] | None) -> str:
    if got is None:
        return ""
    if got["low"] is None or got["high"] is None:
        return f"{got['value']:.4g}"
    return f"{got['value']:.4g} [{got['low']:.4g}, {got['high']:.4g}]"


def records(root: Path) -> list[dict[str, Any]]:
    """The records of runs, the newest first."""
    paths = sorted((root / layout.RECORDS).glob("*/*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [{**json.loads(path.read_text()), "when": path.stat().st_mtime} for path in paths]


def runs(found: list[dict[str, Any]]) -> Any:
    """What each run took, as a table."""
    from datetime import datetime

    from rich.table import Table

    table = Table("stage", "method", "seconds", "memory", "device", "threads", "when")
    for record in found:
        table.add_row(
            f"{record['verb']}/{record['row']}", str(record.get("method", "")), f"{record['seconds']:.1f}",
            f"{record['peak_bytes'] / 2**20:,.0f} MB", str(record["device"]), str(record["threads"]),
            datetime.fromtimestamp(record["when"]).strftime("%Y-%m-%d %H:%M"),
        )  # fmt: skip
    return table


def readings(main: Path, at: str | None = None) -> dict[tuple[str, str], int]:
    """(experiment, row) -> how many times its test set was read; at one commit, when it is given."""
    path = main / READINGS
    if not path.exists():
        return {}
    seen: dict[tuple[str, str], dict[str, int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        commit, experiment, row, _, metric, *_ = line.split("\t")
        if at not in (None, commit):
            continue
        # one reading writes a line per metric
        counts = seen.setdefault((experiment, row), {})
        counts[metric] = counts.get(metric, 0) + 1
    return {key: max(counts.values()) for key, counts in seen.items()}


def readings_text(main: Path) -> str:
    found = readings(main)
    if not found:
        return "The test set has not been read."
    return "Test set read: " + ", ".join(f"{experiment} {row} {n} x" for (experiment, row), n in found.items()) + f" ({READINGS})"
