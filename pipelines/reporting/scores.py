"""Scores as the report tells them: the best of each kind, bake-offs, a table for each figure, and bytes against quality.

reads   scores   of, metric, on, value, low, high, n, note
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipelines import charts
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.vectors import Vectors
from pipelines.charts import figure
from pipelines.reporting.block import Block
from pipelines.reporting.metrics import meaning, sign_of
from pipelines.reporting.stages import Stage, above

FLOAT_BYTES = 4
FEW_SETS = 4  # of more a figure has a table of sets by artifacts
MOST_COLUMNS = 4  # of one evaluation, in a bake-off
MOST_PICTURES = 8  # of bytes against quality
KINDS = {"predictions": "classifier", "vectors": "vectors", "codings": "codings"}  # noun -> what it is called; the first is told first
# figures about the set that was asked, not about how well
NOT_QUALITY = {"coverage", "words_known", "bytes_per_item", "whole_bytes", "ratio", "mean_squared_error"}

Tables = dict[str, tuple[Stage, pd.DataFrame]]  # row of evaluate -> its stage and scores


def finite(stage: Stage, frame: pd.DataFrame, missing: list[str]) -> pd.DataFrame:
    """The figures that are numbers; of those that are none, such as of vectors that hold NaN, `missing` is told."""
    kept = np.isfinite(frame["value"].astype(float))
    lost = [f"{row['metric']} of {row['of']} on {row['on']}" for row in frame[~kept].to_dict("records")]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        missing.append(f"{stage.key}: {', '.join(lost[:3])}{more}: no finite number. Look at the gates of what was scored")
    return frame[kept]


def bests(tables: Tables, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """The best of each kind, by each evaluation's first figure; beside it the best rival that no row makes, such as BM25.

    What other evaluations scored by the same figure of the same documents counts, too: evaluations of the same give one line.
    """
    by_key, pool = {stage.key: stage for stage in stages}, _pool(tables, stages)
    lines: dict[Any, dict[str, Any]] = {}
    for row, (stage, _) in tables.items():
        asked = pool[pool["evaluation"] == row]
        for kind in (kind for kind in KINDS.values() if (asked["kind"] == kind).any()):
            mine = asked[asked["kind"] == kind]
            metric = mine["metric"].iloc[0]
            for on in _sets(mine[mine["metric"] == metric]) if _has_best(metric) else []:
                same = pool[(pool["method"] == stage.method) & (pool["metric"] == metric) & (pool["on"] == on)]
                own = same["evaluation"] == row
                theirs = same["asked"].isin(set(same[own & (same["kind"] == kind)]["asked"]))
                among = pd.concat([same[own], same[~own & theirs]])
                among = among[among["kind"] == kind].drop_duplicates("of")
                rivals = same[same["evaluation"].isin(set(among["evaluation"])) & (same["kind"] == "")]
                best = _best(among)
                made = by_key.get(best["of"])
                rival = _best(rivals) if len(rivals) else None
                lines.setdefault((stage.method, metric, on, frozenset(among["of"])), best | {
                    "kind": kind, "method": made.method if made else "", "setting": made.setting if made else "",
                    "rival": f"{rival['of']} has {figure(rival['value'])}" if rival else "",
                })  # fmt: skip
    return list(lines.values())


def _pool(tables: Tables, stages: Sequence[Stage]) -> pd.DataFrame:
    """All scores, each with its evaluation, the kind of what was scored, and what was asked of it.

    Two evaluations asked the same of two artifacts where n is the same, and of classifiers the corpora, too.
    """
    corpora = {stage.key: " ".join(sorted(key for key in above(stages, stage.key) if key.startswith("corpus/"))) for stage in stages}
    parts = [frame.assign(evaluation=row, method=stage.method) for row, (stage, frame) in tables.items() if len(frame)]
    if not parts:
        return pd.DataFrame(columns=["evaluation", "method", "kind", "asked", "of", "metric", "on"])
    pool = pd.concat(parts, ignore_index=True)
    pool["kind"] = [KINDS.get(of.partition("/")[0], "") for of in pool["of"]]
    pool["asked"] = [
        f"{n} {corpora.get(of, '') if of.startswith('predictions/') else ''}" for of, n in zip(pool["of"], pool["n"], strict=True)
    ]
    return pool


def _has_best(metric: str) -> bool:
    return bool(sign_of(metric)) and metric not in NOT_QUALITY


def winners(best: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each kind the best in its first figure, and in how many of the kind's figures it is the best."""
    found = []
    for kind in KINDS.values():
        mine = [line for line in best if line["kind"] == kind]
        if mine:
            found.append(mine[0] | {"n_best": sum(line["of"] == mine[0]["of"] for line in mine), "n_figures": len(mine)})
    return found


def _best(among: pd.DataFrame) -> dict[str, Any]:
    """The best of what was scored by one figure on one set, and what its interval overlaps with."""
    order = (sign_of(among["metric"].iloc[0]) * among["value"]).sort_values(ascending=False, kind="stable").index
    first, others = among.loc[order[0]], among.loc[order[1:]]
    # where draws did not differ there is no interval, and the figure itself has to lie in the other's
    low, high = (among[end].astype(float).fillna(among["value"]) for end in ("low", "high"))
    overlap = others[(high[order[1:]] >= low[order[0]]) & (low[order[1:]] <= high[order[0]]) & among["low"].notna().any()]
    return {
        **{key: first[key] for key in ("evaluation", "metric", "on", "of", "note")}, "value": float(first["value"]),
        "low": number(first["low"]), "high": number(first["high"]), "n": int(first["n"]),
        "among": len(among), "overlap": list(overlap["of"]),
    }  # fmt: skip


def _sets(frame: pd.DataFrame) -> list[str]:
    return ["all"] if (frame["on"] == "all").any() else list(dict.fromkeys(frame["on"]))


def number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def bake_offs(tables: Tables, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """A table for classifiers and one for vectors and codings: a line an artifact, its figures, its cost; the best in the first figure first."""
    found, pool = [], _pool(tables, stages)
    for title, nouns in (("Classifiers", {"predictions"}), ("Vectors and codings", {"vectors", "codings"})):
        made = {stage.key: stage for stage in stages if stage.noun in nouns}
        columns = _columns(pool[pool["of"].isin(list(made))], title == "Classifiers")
        scored = dict.fromkeys(of for column in columns for of in column["cells"])
        if not scored:
            continue
        heads = [(column["metric"], column["on"]) for column in columns]
        for column in columns:  # two methods may call their figures the same
            column["by"] = column["method"] if heads.count((column["metric"], column["on"])) > 1 else ""
        lead = columns[0]
        order = sorted(scored, key=lambda of: -lead["sign"] * lead["cells"][of]["value"] if of in lead["cells"] else float("inf"))
        lines = [{"stage": made[of], "cells": [column["cells"].get(of) for column in columns]} for of in order]
        found.append({"title": title, "columns": columns, "lines": lines})
    return found


def _columns(pool: pd.DataFrame, every: bool) -> list[dict[str, Any]]:
    """A column for each figure that has a best, whichever evaluation took it: of each evaluation the first metric, or every one."""
    wanted = dict[tuple[str, str, str], None]()
    for _, frame in pool.groupby("evaluation", sort=False):
        metrics = [metric for metric in dict.fromkeys(frame["metric"]) if _has_best(metric)]
        pairs = [(metric, on) for metric in (metrics if every else metrics[:1]) for on in _sets(frame[frame["metric"] == metric])]
        wanted |= dict.fromkeys((frame["method"].iloc[0], *pair) for pair in pairs[: 2 * MOST_COLUMNS if every else MOST_COLUMNS])
    found = []
    for method, metric, on in wanted:
        rows = pool[(pool["method"] == method) & (pool["metric"] == metric) & (pool["on"] == on)]
        cells: dict[str, dict[str, Any]] = {}
        for row in rows.to_dict("records"):
            cell = cells.setdefault(row["of"], row | {"low": number(row["low"]), "high": number(row["high"]), "others": []})
            if cell["evaluation"] != row["evaluation"]:
                cell["others"].append((row["evaluation"], row["value"]))
        best = _best_rows(rows.drop_duplicates("of").assign(on=rows["asked"] if every else on), sign_of(metric))
        for i, of in rows.drop_duplicates("of")["of"].items():
            cells[of]["best"] = i in best
        evaluations = ", ".join(dict.fromkeys(rows["evaluation"]))
        found.append({
            "method": method, "metric": metric, "on": on, "sign": sign_of(metric), "what": meaning(metric), "evaluations": evaluations, "cells": cells,
        })  # fmt: skip
    return found


def tables_of(frame: pd.DataFrame, settings: dict[str, str]) -> dict[str, Any]:
    """A card per metric and set, or, of many sets, a grid of sets by artifacts; what is the same for all needs neither.

    Args:
        settings: artifact -> inductive, transductive, unknown.
    """
    found: dict[str, Any] = {"cards": [], "grids": [], "alike": []}
    for metric in dict.fromkeys(frame["metric"]):
        rows = frame[frame["metric"] == metric]
        head = {"metric": metric, "what": meaning(metric)}
        if rows["on"].nunique() > FEW_SETS:
            found["grids"].append({**head, **_grid(rows, sign_of(metric))})
            continue
        for on, among in rows.groupby("on", sort=False):
            if len(among) > 1 and among["value"].nunique() == 1 and not among["low"].notna().any():
                n = sorted(set(among["n"].tolist()))
                found["alike"].append(
                    f"{metric} on {on}: {figure(among['value'].iloc[0])}, n = {' to '.join(f'{it:,}' for it in n[:: max(len(n) - 1, 1)])}"
                )
            else:
                found["cards"].append({**head, "on": on, **_card(among, sign_of(metric), settings)})
    return found


def _card(rows: pd.DataFrame, sign: int, settings: dict[str, str]) -> dict[str, Any]:
    """The best first, intervals drawn on one axis."""
    ends = pd.concat([rows["value"], rows["low"].astype(float), rows["high"].astype(float)]).dropna()
    low, high = float(ends.min()), float(ends.max())
    span = (low, high) if high > low else (low - 0.5, high + 0.5)
    best = _best_rows(rows, sign)
    ordered = rows.assign(better=-sign * rows["value"]).sort_values("better", kind="stable")
    lines = [
        {
            "of": row["of"], "value": row["value"], "low": number(row["low"]), "high": number(row["high"]), "n": row["n"],
            "setting": settings.get(row["of"], ""),
            "best": i in best, "picture": charts.interval(row["value"], number(row["low"]), number(row["high"]), span),
        }
        for i, row in ordered.iterrows()
    ]  # fmt: skip
    of_all = {line["setting"] for line in lines if line["setting"]}  # a rival has none
    notes = _notes(rows) + [f"setting: {setting}" for setting in of_all if len(of_all) == 1]
    return {"lines": lines, "interval": bool(rows["low"].notna().any()), "settings": len(of_all) > 1, "notes": notes}


def _notes(rows: pd.DataFrame) -> list[str]:
    """The notes, each once, saying of whom it is where they differ."""
    notes = rows[rows["note"] != ""]
    same = notes["note"].nunique() == 1 and len(notes) == len(rows)
    return [note if same else f"{', '.join(group['of'])}: {note}" for note, group in notes.groupby("note", sort=False)]


def _grid(rows: pd.DataFrame, sign: int) -> dict[str, Any]:
    """A row per set, a column per artifact."""
    artifacts = list(dict.fromkeys(rows["of"]))
    best = _best_rows(rows, sign)
    lines = []
    for on, among in rows.groupby("on", sort=False):
        cells = {
            row["of"]: {**row, "low": number(row["low"]), "high": number(row["high"]), "best": i in best} for i, row in among.iterrows()
        }
        n = sorted({int(cell["n"]) for cell in cells.values()})
        lines.append(
            {"on": on, "n": f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}", "cells": [cells.get(of) for of in artifacts]}
        )
    first = rows[rows["on"] == rows["on"].iloc[0]]
    return {"artifacts": artifacts, "lines": lines, "top": float(rows["value"].abs().max()) or 1.0, "notes": _notes(first)}


def _best_rows(rows: pd.DataFrame, sign: int) -> set[Any]:
    """The labels of the best row of each set, where it is better than another."""
    best: set[Any] = set()
    for _, among in rows.groupby("on"):
        if sign and among["value"].nunique() > 1:
            best |= set(among.index[among["value"] * sign == (among["value"] * sign).max()])
    return best


def pareto(tables: Tables, stages: Sequence[Stage]) -> list[Block]:
    """Quality over bytes an item: of codings with their share of the decoder, of vectors as they are, a picture for each figure."""
    n_bytes = {stage.key: float(FLOAT_BYTES * stage.artifact.size) for stage in stages if isinstance(stage.artifact, Vectors)}
    for _, frame in tables.values():
        whole = frame[frame["metric"] == "whole_bytes"]
        n_bytes |= dict(zip(whole["of"], whole["value"], strict=True))
    coded = {stage.key for stage in stages if isinstance(stage.artifact, Codings)}
    readers = _readers(stages, n_bytes)
    found = []
    for row, (_, frame) in tables.items():
        metric = next((metric for metric in dict.fromkeys(frame["metric"]) if sign_of(metric) > 0 and metric not in NOT_QUALITY), "")
        rows = frame[frame["metric"] == metric]
        for on in _sets(rows):
            among = rows[(rows["on"] == on) & rows["of"].isin(list(n_bytes) + list(readers))]
            size = {of: n_bytes.get(of, n_bytes.get(readers.get(of, ""), 0.0)) for of in among["of"]}
            if len(among) < 2 or not any(of in coded or readers.get(of) in coded for of in among["of"]):
                continue
            named = [(of.rpartition("/")[2], size[of], value) for of, value in zip(among["of"], among["value"], strict=True)]
            about = f"{metric} on {on}, n = {int(among['n'].max()):,}; of classifiers, bytes of a word that they read"
            if not any(of in readers for of in among["of"]):
                about = about.partition(";")[0]
            picture = charts.points(named, "bytes an item", metric)
            found.append(Block(row, about, picture))
    return found[:MOST_PICTURES]


def _readers(stages: Sequence[Stage], n_bytes: dict[str, float]) -> dict[str, str]:
    """Classifier -> the one vectors or codings that it reads."""
    found = {}
    for stage in stages:
        if isinstance(stage.artifact, Predictions):
            sized = [key for key in stage.reads if key in n_bytes]
            if len(sized) == 1:
                found[stage.key] = sized[0]
    return found


def knobs(stage: Stage) -> list[tuple[str, str]]:
    """(name, value) of all knobs that the artifact says it was made with, else of those that are written in params.yaml."""
    settings: dict[str, Any] = {}
    if stage.artifact and (path := stage.artifact.folder / "model.json").exists():
        try:
            settings = json.loads(path.read_text(encoding="utf-8")).get("params") or {}
        except (OSError, ValueError, AttributeError):
            settings = {}
    return [(name, json.dumps(value, ensure_ascii=False, default=str)) for name, value in {**settings, **stage.written}.items()]
