"""What changed since the last commit's run: the scores of dvc.lock as git HEAD has it, beside those of now.

reads   dvc.lock of HEAD, by git; and the scores that it names, from DVC's cache

An object of the cache is a file under files/md5, named by the MD5 of its content; one that ends in .dir is a JSON list of the files of
a folder. That layout is all of DVC that is used here. An experiment's dvc.lock is in no commit, so it has no run to be held against:
the report compares it with the other experiments.
"""

import configparser
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import layout
from pipelines.charts import figure
from pipelines.reporting.metrics import sign_of
from pipelines.workspaces import MAIN, name_of

LOCK = "dvc.lock"
OID = re.compile(r"[0-9a-f]{32}(\.dir)?")
KEY = ["evaluation", "of", "metric", "on"]
FIGURES = ["value", "low", "high", "n"]
SAME = 1e-12  # of the figures themselves: the same code on the same data gives the same bits


def since(root: Path, now: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """The commit, the figures that are others, new or gone since it, how many are as they were, and what cannot be told.

    Args:
        now: row of evaluate -> its scores.
    """
    found: dict[str, Any] = {"commit": "", "why": "", "lines": [], "same": 0, "compared": False}
    if name_of(root) != MAIN:
        return found | {"why": "An experiment's runs are in no commit; the experiments are compared below."}
    commit, lock = _git(root, "rev-parse", "--short", "HEAD").strip(), _git(root, "show", f"HEAD:./{LOCK}")
    if not lock:
        return found | {"why": f"No commit here has a {LOCK}, so there is no earlier run to compare with."}
    found["commit"] = commit
    frames, lost = _kept(root, lock)
    found["compared"] = bool(frames) or not lost
    if lost:
        found["why"] = f"The scores of the last commit, {commit}, are not in DVC's cache here: {', '.join(lost)}."
    before, after = _table(frames), _table({row: frame for row, frame in now.items() if row not in lost})
    both = before.merge(after, on=KEY, how="outer", suffixes=("_before", "_now"), sort=False)
    for line in both.to_dict("records"):
        was, is_now = line["value_before"], line["value_now"]
        if pd.notna(was) and pd.notna(is_now) and abs(is_now - was) <= SAME * max(abs(was), abs(is_now)):
            found["same"] += 1
            continue
        change = None if pd.isna(was) or pd.isna(is_now) else is_now - was
        found["lines"].append({
            **{key: line[key] for key in KEY},
            "before": None if pd.isna(was) else was, "then": _ends(line, "before"),
            "now": None if pd.isna(is_now) else is_now, "ends": _ends(line, "now"),
            "change": change, "better": (change or 0) * sign_of(line["metric"]), "apart": change is not None and _apart(line),
        })  # fmt: skip
    found["lines"].sort(key=lambda line: (not line["apart"], line["change"] is None))
    return found


def _apart(line: dict[str, Any]) -> bool:
    """Whether the two intervals do not meet."""
    ends = [line[key] for key in ("low_before", "high_before", "low_now", "high_now")]
    return not any(pd.isna(end) for end in ends) and (ends[1] < ends[2] or ends[3] < ends[0])


def _ends(line: dict[str, Any], when: str) -> str:
    """The interval and n of one of the two, as text."""
    if pd.isna(line[f"value_{when}"]):
        return ""
    n = f"n = {int(line[f'n_{when}']):,}"
    if pd.isna(line[f"low_{when}"]):
        return n
    return f"{figure(line[f'low_{when}'])} to {figure(line[f'high_{when}'])}, {n}"


def _table(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    parts = [frame[["of", "metric", "on", *FIGURES]].assign(evaluation=row) for row, frame in frames.items()]
    columns = [*KEY, *FIGURES]
    table = pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)
    return table.astype(dict.fromkeys(FIGURES, float) | dict.fromkeys(KEY, object))


def _kept(root: Path, lock: str) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Row of evaluate -> its scores as a lock names them, and the rows whose scores the cache does not have."""
    cache, frames, lost = _cache(root), {}, []
    folder = re.escape(layout.DATA["scores"])
    for row, oid in re.findall(rf"path: {folder}/(\S+)\n(?: +hash: md5\n)? +md5: (\S+)", lock):
        if row in frames or row in lost:
            continue
        try:
            listed = json.loads(_object(cache, oid).read_text())
            frames[row] = pq.read_table(_object(cache, next(it["md5"] for it in listed if it["relpath"] == "scores.parquet"))).to_pandas()
        except (OSError, ValueError, KeyError, TypeError, StopIteration, pa.ArrowException):
            lost.append(row)
    return frames, lost


def _object(cache: Path, oid: str) -> Path:
    if not OID.fullmatch(oid):
        raise ValueError(f"{oid!r} names no object")
    return cache / "files" / "md5" / oid[:2] / oid[2:]


def _cache(root: Path) -> Path:
    """Where DVC's cache is, by the project's own configuration."""
    folder = root / ".dvc"
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read([folder / "config", folder / "config.local"], encoding="utf-8")
    except (configparser.Error, ValueError):
        return folder / "cache"
    return folder / config.get("cache", "dir", fallback="cache")


def _git(root: Path, *args: str) -> str:
    """What a git command prints; nothing where it fails, or there is no git."""
    try:
        done = subprocess.run(["git", *args], cwd=root, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
