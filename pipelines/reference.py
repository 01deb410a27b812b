"""The reference: what an artifact was like when a person accepted it, and how far another is from that.

reads   the gate's profile of an artifact, and its distributions over names
writes  reference/NOUN/ROW.json, committed: histograms and counts, without clock or path; no text and no name but
        those of labels and of frequent words
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines import layout
from pipelines.artifacts import drift
from pipelines.artifacts.parquet import Artifact
from pipelines.artifacts.suite import Measure
from pipelines.errors import Fault

NAMES = ("split", "label", "predicted")  # columns of a profile that are compared by name
MOST_NAMES = 1000  # different values of such a column
DRIFT = ("drift_rows", "drift_psi", "drift_distance")


def summary(artifact: Artifact, profile: pd.DataFrame) -> dict[str, Any]:
    """Of numbers the borders of ten bins and how many lie in each, of names how often each came."""
    numbers: dict[str, Any] = {}
    names: dict[str, dict[str, int]] = dict(artifact.distributions(profile))
    for column in profile.columns:
        values = profile[column]
        if column in artifact.plots:
            clean = values[np.isfinite(values.astype(float))].to_numpy(dtype=float)
            borders = drift.edges(clean)
            numbers[column] = {"borders": [float(f"{border:.6g}") for border in borders.tolist()]}
            numbers[column]["counts"] = drift.binned(clean, np.array(numbers[column]["borders"])).tolist()
        elif column in NAMES:
            counts = values.astype(str).where(values.notna(), "none").value_counts()
            if len(counts) <= MOST_NAMES:
                names[column] = {name: int(counts[name]) for name in sorted(counts.index)}
    return {"artifact": artifact.noun, "rows": len(profile), "numbers": numbers, "names": names}


def read(root: Path, noun: str, row: str) -> dict[str, Any] | None:
    """None when nothing was accepted. Raises Fault for a file that is none of ours."""
    path = root / layout.reference(noun, row)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        _ = found["rows"], found["numbers"].items(), found["names"].items()
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise Fault(f"{layout.reference(noun, row)} is no reference ({err!r}). Write it anew: wordloom accept {noun}/{row}") from err
    return found


def drifted(before: dict[str, Any] | None, artifact: Artifact, profile: pd.DataFrame) -> dict[str, Measure]:
    """How far the artifact is from what was accepted; nothing is measured without that."""
    if before is None:
        return {name: Measure(None) for name in DRIFT}
    now = summary(artifact, profile)
    n_before, n = before["rows"], now["rows"]
    enough = min(n_before, n) >= drift.FEWEST
    shifts, apart = [], []
    for column, was in before["numbers"].items():
        if enough and column in profile and column in now["numbers"]:
            values = profile[column].astype(float)
            seen = drift.binned(values[np.isfinite(values)].to_numpy(), np.array(was["borders"]))
            shifts.append({"column": column, "PSI": round(drift.psi(np.array(was["counts"]), seen), 4)})
    for name, counts in before["names"].items():
        mine = now["names"].get(name, {})
        if enough and sum(counts.values()) and sum(mine.values()):
            far, most = drift.distance_of(counts, mine)
            shares = (f"{each.get(most, 0) / sum(each.values()):.2%}" for each in (counts, mine))
            apart.append({"of": name, "distance": round(far, 4), "differs most": most, "was": next(shares), "is": next(shares)})
    shifts.sort(key=lambda line: -line["PSI"])
    apart.sort(key=lambda line: -line["distance"])
    return {
        "drift_rows": Measure(abs(n - n_before) / max(n_before, 1), [{"rows accepted": n_before, "rows now": n}]),
        "drift_psi": Measure(shifts[0]["PSI"] if shifts else None, shifts[:10]),
        "drift_distance": Measure(apart[0]["distance"] if apart else None, apart[:10]),
    }


def accept(root: Path, noun: type[Artifact], row: str) -> str:
    """Writes the reference of an artifact; gives its path."""
    artifact = noun(root / layout.artifact(noun.noun, row))
    text = json.dumps(summary(artifact, artifact.profile()), indent=1, sort_keys=True, ensure_ascii=False)
    path = layout.reference(noun.noun, row)
    layout.write_aside(root / path, text + "\n")
    return path
