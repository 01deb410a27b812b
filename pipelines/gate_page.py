"""The page of a gate that a person reads: what was expected, what was seen, ten rows, and how the numbers lie."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines import charts
from pipelines.artifacts.parquet import Artifact

BINS = 40
WIDE = 10  # times the median: numbers that reach so far are drawn on a logarithmic axis


def page(artifact: Artifact, results: list[dict[str, Any]], profile: pd.DataFrame | None, facts: dict[str, list[dict[str, Any]]]) -> str:
    """The HTML, in one file that fetches nothing; Jinja escapes all that comes from data."""
    jinja = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    jinja.globals.update(said=said, limits=limits, cell=cell)
    groups: dict[str, list[dict[str, Any]]] = {"failed": [], "warns": [], "holds": [], "not asked": []}
    for result in results:
        wrong = "failed" if result["severity"] == "fail" else "warns"
        groups["not asked" if not result["asked"] else "holds" if result["success"] else wrong].append(result)
    plots = [] if profile is None or not len(profile) else [plot for name in artifact.plots if (plot := _plot(profile, name))]
    return jinja.get_template("gate.html.j2").render(
        name=artifact.name, groups=groups, facts=facts, plots=plots, rows=0 if profile is None else len(profile)
    )


def limits(result: dict[str, Any]) -> str:
    """The numbers of an expectation, as they stand in it: at least 0.5, in 99.9 % of rows."""
    _, _, text = result["expectation"].partition(" ")
    kwargs = json.loads(text) if text.startswith("{") else {}
    words = []
    if "min_value" in kwargs:
        words.append(f"{'above' if kwargs.get('strict_min') else 'at least'} {_figure(kwargs['min_value'])}")
    if "max_value" in kwargs:
        words.append(f"at most {_figure(kwargs['max_value'])}")
    if "value_set" in kwargs:
        values = ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in kwargs["value_set"])
        words.append(f"{'not ' if '_not_be_in_set' in result['expectation'] else ''}{values}")
    if "be_unique" in result["expectation"]:
        words.append("unique")
    if "not_be_null" in result["expectation"]:
        words.append("not null")
    if kwargs.get("mostly", 1) < 1:
        words.append(f"in {kwargs['mostly']:.6g} of rows")
    return ", ".join(words)


def said(result: dict[str, Any]) -> str:
    """What was seen."""
    if not result["asked"]:
        return "nothing accepted, or too little" if str(result["column"]).startswith("drift_") else "too little to measure"
    if not result["why"]:  # what we ask before all others
        return "it is not"
    if result["observed"] is not None:
        return _figure(result["observed"])
    return f"{result['n_failed']:,} rows ({result['share_failed']:.2%}) are not" if result["n_failed"] else "all rows"


def cell(value: Any) -> str:
    """A value in a table."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}" if isinstance(value, float) else str(value)


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _plot(profile: pd.DataFrame, name: str) -> dict[str, Any] | None:
    """The distribution of a column, of each split where there are some."""
    values = profile[name].astype(float)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    log = low >= 0 and high > WIDE * max(float(values.median()), 1e-9)
    if low == high:
        low, high = low - 0.5, high + 0.5
    if log:
        low = float(values[values > 0].min())
        borders = np.geomspace(low, high, BINS + 1)
    else:
        borders = np.linspace(low, high, BINS + 1)
    groups = profile.loc[values.index].groupby("split", sort=False)[name] if "split" in profile else [("all", values)]
    counts = {str(group): np.histogram(np.clip(rows.astype(float), low, high), borders)[0].tolist() for group, rows in groups}
    counts = dict(list(counts.items())[:6])
    return {"column": name, "names": list(counts), "picture": charts.histogram(borders.tolist(), counts, name, log)}
