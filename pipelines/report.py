"""The report of a run: report.html for people, data/report.md for machines and diffs, a summary for the terminal.

reads   dvc.yaml and params.yaml (what there is to run), data/ (artifacts and pass tokens), runs/ (gate
        reports and run records), docs/test_readings.tsv
writes  report.html   one file, no network; times and memory included
        data/report.md   scores, corpus and gates alone, so that the same artifacts give the same bytes

What is not there is shown as missing; a report of half a run is still a report.
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines import charts, layout, report_codings
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.corpus import SPLITS, Corpus
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.parquet import Artifact
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.charts import figure
from pipelines.errors import Fault
from pipelines.expect import sentences
from pipelines.params import World, load_yaml
from pipelines.registry import MAKER, NOUNS, VERBS
from pipelines.report_text import markdown, seconds, sharing, size, splits_of, terminal
from pipelines.setting import Read, held_out_text, sentence, setting

T = TypeVar("T")

# 1: higher is better, -1: lower is better; a metric that is not here has no best
METRICS: dict[str, tuple[int, str]] = {
    "spearman": (1, "rank correlation with people's scores, pairs of known words only"),
    "spearman_all": (1, "as spearman, where a pair with an unknown word counts as similarity 0"),
    "spearman_composed": (1, "as spearman_all, with unknown words made of their letter n-grams"),
    "coverage": (1, "share of the set that could be asked"),
    "accuracy": (1, "share of right answers"),
    "accuracy_all": (1, "as accuracy, where a question that cannot be asked counts as wrong"),
    "accuracy_majority": (0, "what always naming the most frequent class would reach"),
    "macro_f1": (1, "F1, every class weighing the same"),
    "log_loss": (-1, "nats; how surprised the classifier was by the truth"),
    "recall": (1, "share of the nearest by the vectors that the codings find"),
    "recall_reranked": (1, "as recall, where the vectors order the best that the codings find"),
    "coherence": (1, "mean NPMI of a topic's top words"),
    "diversity": (1, "different words among all top words"),
    "accuracy_gain": (1, "accuracy over the rival's, same draws"),
    "explained_variance": (1, "share of the vectors' variance that the codings keep"),
    "mean_squared_error": (-1, "of each number of a vector"),
    "bytes_per_item": (-1, "of a coding"),
    "whole_bytes": (-1, "of a coding and its share of the decoder"),
    "ratio": (1, "times smaller than the vectors, decoder included"),
    "nearest_cosine": (0, "mean cosine of a word and its nearest neighbour"),
    "hubness": (-1, "skewness of how often a word is a neighbour; 0 is even"),
    "words_known": (1, "share of the named words that are in the vocabulary"),
    "probability": (0, "of a word near another"),
    "probability_ratio": (0, "how much likelier a word is near the first than near the second; about 1 tells nothing"),
}


@dataclass
class Gate:
    state: str = "not run"  # passed, failed
    n_expectations: int = 0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # what failed and does not close the gate
    page: str = ""  # link to the full report
    seconds: float | None = None


@dataclass
class Stage:
    """One row of params.yaml, and what became of it."""

    verb: str
    row: str
    reads: list[str]  # noun/row
    method: str = ""
    written: dict[str, Any] = field(default_factory=dict)  # its own knobs
    knobs: str = ""  # the same as text
    artifact: Artifact | None = None  # None: missing
    holds: str = ""
    n_bytes: int | None = None
    gate: Gate = field(default_factory=Gate)
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def noun(self) -> str:
        return VERBS[self.verb].noun

    @property
    def key(self) -> str:
        return f"{self.noun}/{self.row}"

    @property
    def seconds(self) -> float | None:
        return self.record.get("seconds")


def report(root: Path) -> None:
    """Writes both reports and prints the summary."""
    run = gather(root)
    layout.write_aside(root / layout.SUMMARY, markdown(run))
    layout.write_aside(root / layout.REPORT, page(run))
    print(terminal(run) + f"\n\nreport: {layout.REPORT}", flush=True)


def gather(root: Path) -> dict[str, Any]:
    """All that the reports show, as plain data."""
    missing: list[str] = []
    params = _or_missing(missing, {}, load_yaml, root / layout.PARAMS)
    dag = _or_missing(missing, {}, load_yaml, root / layout.DAG)
    stages = [stage for stage in (_stage(root, item, params) for item in (dag.get("stages") or {}).values()) if stage]
    missing += [f"{stage.key} is missing. Run: dvc repro" for stage in stages if stage.artifact is None]
    world = _or_missing(missing, World(), lambda: World(**(params.get("run") or {})))
    tables = {stage.row: (stage, frame) for stage, frame in _read_each(stages, Scores, missing, lambda scores: scores.frame())}
    return {
        "missing": missing,
        "world": world,
        "stages": stages,
        "corpora": [(stage.row, facts) for stage, facts in _read_each(stages, Corpus, missing, _splits)],
        "tokens": [(stage.row, facts) for stage, facts in _read_each(stages, Tokens, missing, _token_facts)],
        "settings": _settings(stages),
        "collisions": [(stage.row, facts) for stage, facts in _read_each(stages, Counts, missing, _collisions)],
        **_codings(stages, missing, world.seed),
        "scores": tables,
        "best": [line for stage, frame in tables.values() for line in _best(stage.row, frame)],
        "curves": [(stage.key, stage.artifact.curve()) for stage in stages if stage.artifact and stage.artifact.curve()],
        "readings": _read_csv(root / layout.READINGS, "\t"),
    }


def _or_missing(missing: list[str], instead: T, call: Callable[..., T], *args: Any) -> T:
    """call(*args); what is wrong with a file is told in the report, which has the rest all the same."""
    try:
        return call(*args)
    except Fault as fault:
        missing += fault.faults
    except (OSError, ValueError, KeyError, TypeError) as err:
        missing.append(f"{type(err).__name__}: {err}")
    return instead


def _read_each(
    stages: Iterable[Stage], noun: type[Artifact], missing: list[str], read: Callable[[Any], T | None]
) -> Iterable[tuple[Stage, T]]:
    """(stage, read(artifact)) of every artifact of a noun that can be read."""
    for stage in stages:
        if isinstance(stage.artifact, noun):
            seen = _or_missing(missing, None, read, stage.artifact)
            if seen is not None:
                yield stage, seen


def _stage(root: Path, item: dict[str, Any], params: dict[str, Any]) -> Stage | None:
    """A stage of dvc.yaml that makes an artifact; None for the others."""
    meta = item.get("meta") or {}
    verb, row = meta.get("verb"), str(meta.get("row"))
    if verb not in VERBS:
        return None
    nouns = {folder: noun for noun, folder in layout.DATA.items()}
    reads = [f"{nouns[folder]}/{name}" for folder, _, name in (str(dep).rpartition("/") for dep in item.get("deps", [])) if folder in nouns]
    written = (params.get(verb) or {}).get(row) or {}
    stage = Stage(verb, row, reads, str(written.get("method", "")))
    stage.written = {key: value for key, value in written.items() if key not in ("method", *NOUNS)}
    stage.knobs = ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False, default=str)}" for key, value in stage.written.items())
    folder = root / layout.artifact(stage.noun, row)
    if folder.is_dir():
        stage.artifact = NOUNS[stage.noun](folder)
        stage.n_bytes = stage.artifact.n_bytes()
        stage.holds = _or_missing([], "", _holds, stage.artifact)
    token = _read_json(root / layout.pass_token(stage.noun, row))
    stage.gate = _gate(root, stage, token)
    if token.get("artifact"):
        stage.record = _read_json(root / layout.record(stage.noun, row, token["artifact"]))
        stage.gate.seconds = _read_json(root / layout.record(f"check/{stage.noun}", row, token["artifact"])).get("seconds")
    return stage


def _gate(root: Path, stage: Stage, token: dict[str, Any]) -> Gate:
    """The token counts, which downstream stages read; the full report may be that of an earlier run."""
    full = _read_json(root / layout.gate_report(stage.noun, stage.row))
    link = layout.gate_report(stage.noun, stage.row, "html")
    gate = Gate(page=link if (root / link).is_file() else "")
    if token:
        gate.state, gate.n_expectations = "passed", len(token.get("checked", []))
    elif full:
        failed = [result for result in full.get("results", []) if not result["success"] and result.get("severity") != "warn"]
        gate.state, gate.n_expectations = "failed", len(full["results"])
        gate.failures = [line for result in failed for line in sentences(result)]
    if full.get("artifact") == token.get("artifact") or not token:
        warned = [result for result in full.get("results", []) if not result["success"] and result.get("severity") == "warn"]
        gate.warnings = [line for result in warned for line in sentences(result)]
    return gate


def _holds(artifact: Artifact) -> str:
    n = artifact.n_rows()
    if isinstance(artifact, Tokens):
        return f"{n:,} documents, {artifact.n_rows('vocab'):,} words"
    if isinstance(artifact, Vectors | Codings):
        return f"{n:,} × {artifact.size}"
    if isinstance(artifact, Predictions):
        return f"{n:,} documents, {artifact.n_rows('classes')} classes"
    if isinstance(artifact, Counts):
        return f"{n:,} pairs"
    return f"{n:,} {'documents' if isinstance(artifact, Corpus) else 'figures'}"


def _splits(corpus: Corpus) -> dict[str, Any]:
    """Documents and labels of each split; the texts are not read."""
    labels = pd.concat([batch.to_pandas() for batch in corpus.batches(["split", "label"])])
    splits = []
    for split in (name for name in SPLITS if (labels["split"] == name).any()):
        counts = labels.loc[labels["split"] == split, "label"].value_counts()
        splits.append({
            "split": split, "documents": int((labels["split"] == split).sum()), "labelled": int(counts.sum()),
            "classes": len(counts), "largest": int(counts.max()) if len(counts) else 0, "smallest": int(counts.min()) if len(counts) else 0,
        })  # fmt: skip
    return {"splits": splits, "classes": sorted(labels["label"].dropna().unique())}


def _token_facts(tokens: Tokens) -> dict[str, Any]:
    profile = tokens.profile()
    unknown = (profile["unknown_share"] * profile["n_tokens"]).groupby(profile["split"]).sum()
    lengths = profile.groupby("split")["n_tokens"]
    splits = [
        {"split": split, "tokens": int(n), "median": float(lengths.median()[split]), "longest": int(lengths.max()[split]), "unknown": float(unknown[split] / max(n, 1))}
        for split, n in ((split, lengths.sum()[split]) for split in SPLITS if split in lengths.groups)
    ]  # fmt: skip
    return {"splits": splits, "vocabulary": tokens.n_rows("vocab")}


def _collisions(counts: Counts) -> dict[str, int] | None:
    """Of tokens hashed into buckets, as the method `documents` counts them; None where each has a column of its own."""
    rows = _read_csv(counts.folder / "collisions.csv")
    return {key: int(value) for key, value in rows[0].items()} if rows else None


def _codings(stages: Sequence[Stage], missing: list[str], seed: int) -> dict[str, Any]:
    """Images beside their reconstructions, maps of what has classes, and how active sparse codings are."""
    shown: dict[str, list[Any]] = {"images": [], "maps": [], "activities": []}
    made = {stage.key: stage.artifact for stage in stages if stage.artifact}
    shorter = [
        stage
        for stage in stages
        if isinstance(stage.artifact, Codings) and _or_missing(missing, False, report_codings.whole, stage.artifact)
    ]
    for key, vectors in made.items():
        of = [stage.artifact for stage in shorter if key in stage.reads]
        if isinstance(vectors, Vectors) and of:
            shown["images"].append(_or_missing(missing, None, report_codings.images, vectors, of, seed))
            shown["maps"] += [_or_missing(missing, None, report_codings.map_of, it, vectors, seed) for it in (vectors, *of)]
    shown["activities"] = [_or_missing(missing, None, report_codings.activity, stage.artifact) for stage in shorter]
    return {name: [it for it in found if it] for name, found in shown.items()}


def _settings(stages: Sequence[Stage]) -> list[dict[str, str]]:
    """Of each classifier, whether it is inductive or transductive, and by which rows."""
    rows = {stage.key: Read(stage.verb, stage.method, stage.written, stage.reads) for stage in stages}
    seen = {stage.key: held_out_text(rows, stage.key) for stage in stages if stage.noun == Predictions.noun}
    return [{"of": key, "setting": setting(it), "seen": sentence(it)} for key, it in seen.items()]


def _best(row: str, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The best of an evaluation's first metric, for the total where there is one, else for each set."""
    metric = frame["metric"].iloc[0] if len(frame) else ""
    sign = METRICS.get(metric, (0, ""))[0]
    if not sign:
        return []
    frame = frame[frame["metric"] == metric]
    sets = ["all"] if (frame["on"] == "all").any() else list(dict.fromkeys(frame["on"]))
    lines = []
    for on in sets:
        among = frame[frame["on"] == on].assign(better=lambda f: sign * f["value"]).sort_values("better", ascending=False, kind="stable")
        first, others = among.iloc[0], among.iloc[1:]
        overlap = others[(others["high"] >= first["low"]) & (others["low"] <= first["high"])]
        lines.append({
            "evaluation": row, "metric": metric, "on": on, "of": first["of"], "value": float(first["value"]),
            "low": _number(first["low"]), "high": _number(first["high"]), "n": int(first["n"]), "note": first["note"],
            "among": len(among), "overlap": list(overlap["of"]),
        })  # fmt: skip
    return lines


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _read_json(path: Path) -> dict[str, Any]:
    """{} when there is none, or when it is not whole."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _read_csv(path: Path, mark: str = ",") -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file, delimiter=mark))
    except (OSError, ValueError, csv.Error):
        return []


def page(run: dict[str, Any]) -> str:
    """The HTML; Jinja escapes all that comes from data."""
    here = Path(__file__).parent
    jinja = Environment(loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.globals.update(
        figure=figure, seconds=seconds, size=size, metrics=METRICS, n_readings=n_readings, splits_of=splits_of, sharing=sharing
    )
    stages = run["stages"]
    times = [stage.seconds for stage in stages if stage.seconds is not None]
    evaluations = [_evaluation(stage, frame) for stage, frame in run["scores"].values()]
    sources = [row for row, _ in run["corpora"]] or [
        stage.row for stage in stages if isinstance(stage.artifact, Vectors) and not stage.reads
    ]
    return jinja.get_template("report.html.j2").render(
        **run,
        title=", ".join(sources),
        graph=_graph(stages) if stages else "",
        evaluations=evaluations,
        sparse=[{**it, "pictures": report_codings.pictures(it)} for it in run["activities"]],
        charts=[{"of": key, **chart} for key, curve in run["curves"] for chart in charts.curves(curve)],
        total_seconds=sum(times),
        gate_seconds=sum(stage.gate.seconds or 0 for stage in stages),
        most_seconds=max(times, default=0) or 1,
        hosts=sorted({stage.record["host"] for stage in stages if stage.record.get("host")}),
        n_passed=sum(stage.gate.state == "passed" for stage in stages),
    )


def _graph(stages: Sequence[Stage]) -> Any:
    most = max((stage.seconds or 0 for stage in stages), default=0) or 1
    nouns = [noun for noun in layout.DATA if any(stage.noun == noun for stage in stages)]
    columns = [
        [
            {
                "key": stage.key, "name": stage.row, "state": stage.gate.state.replace(" ", "-"), "share": (stage.seconds or 0) / most,
                "below": f"{stage.method} · {seconds(stage.seconds)}" if stage.artifact else f"{stage.method} · missing",
                "title": f"{stage.verb}/{stage.row}: {stage.method}; {stage.holds or 'missing'}; {seconds(stage.seconds)}; gate {stage.gate.state}"
                + (f"\n{stage.knobs}" if stage.knobs else ""),
            }
            for stage in stages
            if stage.noun == noun
        ]
        for noun in nouns
    ]  # fmt: skip
    keys = {stage.key for stage in stages}
    edges = [(source, stage.key) for stage in stages for source in stage.reads if source in keys]
    return charts.graph(columns, [MAKER[noun] for noun in nouns], edges)


def _evaluation(stage: Stage, frame: pd.DataFrame) -> dict[str, Any]:
    """A card per metric and set, or, of many sets, a grid of sets by artifacts; and what lies beside the scores."""
    cards: list[dict[str, Any]] = []
    grids: list[dict[str, Any]] = []
    alike: list[str] = []  # what is the same for all needs no table
    for metric in dict.fromkeys(frame["metric"]):
        rows = frame[frame["metric"] == metric]
        sign, what = METRICS.get(metric, (0, ""))
        head = {"metric": metric, "what": "; ".join(filter(None, [what, {1: "higher is better", -1: "lower is better"}.get(sign, "")]))}
        if rows["on"].nunique() > 4:
            grids.append({**head, **_grid(rows, sign)})
        else:
            for on, among in rows.groupby("on", sort=False):
                if len(among) > 1 and among["value"].nunique() == 1 and not among["low"].notna().any():
                    alike.append(f"{metric} on {on}: {figure(among['value'].iloc[0])}")
                else:
                    cards.append({**head, "on": on, **_card(among, sign)})
    assert stage.artifact is not None
    folder = stage.artifact.folder
    return {
        "name": stage.row,
        "method": stage.method,
        "cards": cards,
        "grids": grids,
        "alike": alike,
        "confusions": charts.confusions(_read_csv(folder / "confusion.csv")),
        "classes": _read_csv(folder / "classes.csv"),
        "neighbours": _neighbours(_read_csv(folder / "neighbours.csv")),
        "topics": _grouped(_read_csv(folder / "topics.csv"), "of"),
        "few_labels": _few_labels(_read_csv(folder / "few_labels.csv")),
        "sizes": _sizes(frame),
    }


def _grouped(rows: list[dict[str, str]], key: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def _sizes(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Of codings whose cost is known: the variance they keep over bytes an item, decoder included, a chart for each vectors."""
    shown = []
    for on, rows in frame[frame["metric"].isin(["explained_variance", "whole_bytes"])].groupby("on", sort=False):
        wide = rows.pivot_table(index="of", columns="metric", values="value", sort=False).dropna()
        if len(wide) > 2 and wide.shape[1] == 2:
            named = [(of.rpartition("/")[2], it["whole_bytes"], it["explained_variance"]) for of, it in wide.iterrows()]
            shown.append({"on": on, "picture": charts.points(named, "bytes an item, decoder included", "variance kept")})
    return shown


def _few_labels(rows: list[dict[str, str]]) -> dict[str, Any] | None:
    """Mean accuracy over the number of labels, a line for each way to learn."""
    ways: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        sizes = ways.setdefault(f"{row['of'].rpartition('/')[2]}, {row['classifier']}", {})
        sizes.setdefault(float(row["labels"]), []).append(float(row["accuracy"]))
    series = {way: [(size, float(np.mean(found))) for size, found in sizes.items()] for way, sizes in ways.items()}
    return {"names": list(series), "picture": charts.lines(series, "labels")} if series else None


def _card(rows: pd.DataFrame, sign: int) -> dict[str, Any]:
    """The best first, intervals drawn on one axis."""
    ends = pd.concat([rows["value"], rows["low"].astype(float), rows["high"].astype(float)]).dropna()
    low, high = float(ends.min()), float(ends.max())
    span = (low, high) if high > low else (low - 0.5, high + 0.5)
    best = _best_rows(rows, sign)
    ordered = rows.assign(better=-sign * rows["value"]).sort_values("better", kind="stable")
    lines = [
        {
            "of": row["of"], "value": row["value"], "low": _number(row["low"]), "high": _number(row["high"]), "n": row["n"],
            "best": i in best, "picture": charts.interval(row["value"], _number(row["low"]), _number(row["high"]), span),
        }
        for i, row in ordered.iterrows()
    ]  # fmt: skip
    return {"lines": lines, "interval": bool(rows["low"].notna().any()), "notes": _notes(rows)}


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
            row["of"]: {**row, "low": _number(row["low"]), "high": _number(row["high"]), "best": i in best} for i, row in among.iterrows()
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


def _neighbours(rows: list[dict[str, str]]) -> dict[str, Any]:
    """word -> artifact -> its neighbours, the nearest first."""
    artifacts = list(dict.fromkeys(row["of"] for row in rows))
    words: dict[str, dict[str, list[dict[str, str]]]] = {}
    for row in rows:
        words.setdefault(row["word"], {of: [] for of in artifacts})[row["of"]].append(row)
    return {"artifacts": artifacts, "words": words}


def n_readings(readings: list[dict[str, str]]) -> int:
    """How often test was scored: one reading gives a line for each of its metrics."""
    return sum(row.get("metric") == readings[0].get("metric") for row in readings)
