"""What there is to run and what became of it: each row's artifact, gate, and the record of the run that made it.

reads   dvc.yaml (the rows), params.yaml (their knobs), data/ (artifacts, pass tokens), runs/ (gate reports, records)
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from safetensors import SafetensorError, safe_open

from pipelines import charts, layout
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.parquet import Artifact
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.expect import sentences
from pipelines.registry import MAKER, NOUNS, VERBS
from pipelines.reporting.text import seconds
from pipelines.setting import Read, held_out_text, sentence, setting

T = TypeVar("T")
HASH = 12  # digits of an artifact's hash that are shown, as many as a record is called by


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
    artifact: Artifact | None = None  # None: missing, or its main table cannot be read
    hash: str = ""  # the first digits of what its gate let pass
    holds: str = ""
    n_bytes: int | None = None
    gate: Gate = field(default_factory=Gate)
    record: dict[str, Any] = field(default_factory=dict)
    setting: str = ""  # inductive, transductive, unknown
    seen: str = ""  # which held-out text took part in making it, and by which row

    @property
    def noun(self) -> str:
        return VERBS[self.verb].noun

    @property
    def key(self) -> str:
        return f"{self.noun}/{self.row}"

    @property
    def seconds(self) -> float | None:
        return self.record.get("seconds")


def stages_of(root: Path, dag: dict[str, Any], params: dict[str, Any], missing: list[str], unread: list[str]) -> list[Stage]:
    """The rows of dvc.yaml.

    Args:
        missing: is told what is not there of data/, or cannot be read.
        unread: the same of runs/, which no artifact decides.
    """
    found = (_stage(root, item, params, missing, unread) for item in (dag.get("stages") or {}).values())
    stages = [stage for stage in found if stage]
    rows = {stage.key: Read(stage.verb, stage.method, stage.written, stage.reads) for stage in stages}
    for stage in stages:
        held_out = held_out_text(rows, stage.key)
        stage.setting, stage.seen = setting(held_out), sentence(held_out)
    return stages


def _stage(root: Path, item: dict[str, Any], params: dict[str, Any], missing: list[str], unread: list[str]) -> Stage | None:
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
        stage.artifact = _whole(NOUNS[stage.noun](folder), missing)
    else:
        missing.append(f"{stage.key} is missing. Run: dvc repro")
    if stage.artifact:
        stage.n_bytes = stage.artifact.n_bytes()
        stage.holds = or_missing(missing, "", _holds, stage.artifact)
    token = read_json(root / layout.pass_token(stage.noun, row), missing)
    stage.gate = or_missing(unread, Gate(), _gate, root, stage, token, unread)
    if digest := str(token.get("artifact") or ""):
        stage.hash = digest[:HASH]
        stage.record = read_json(root / layout.record(stage.noun, row, digest), unread)
        stage.gate.seconds = read_json(root / layout.record(f"check/{stage.noun}", row, digest), unread).get("seconds")
    return stage


def _whole(artifact: Artifact, missing: list[str]) -> Artifact | None:
    """The artifact, whose files that are missing or broken are told; None where its main table is one of them."""
    broken = [table for table in artifact.tables if not or_missing(missing, None, artifact.file, table)]
    if any((artifact.folder / name).exists() for name in ("model.json", "model.safetensors")):
        or_missing(missing, None, _find_model, artifact)
    for path in sorted(artifact.folder.glob("*.csv")):
        or_missing(missing, None, _find_lines, artifact, path)
    return None if next(iter(artifact.tables)) in broken else artifact


def _find_model(artifact: Artifact) -> None:
    """Raises Fault for a model that cannot be loaded, and loads none: the head of the weights says how long they are."""
    try:
        json.loads((artifact.folder / "model.json").read_text(encoding="utf-8"))
        with safe_open(artifact.folder / "model.safetensors", "np"):
            return
    except (OSError, ValueError, SafetensorError):
        artifact.model()  # says what is wrong


def _find_lines(artifact: Artifact, path: Path) -> None:
    """Raises Fault for a CSV without a head, or with a line of more or fewer cells than it."""
    again = "Delete the folder and run: dvc repro"
    if not path.stat().st_size:
        raise Fault(f"{artifact.name}: {path} is empty, and had to have a head. {again}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *lines = csv.reader(file)
    except (ValueError, csv.Error) as err:
        raise Fault(f"{artifact.name}: {path} is not a readable CSV ({err}). {again}") from err
    uneven = [i for i, line in enumerate(lines, 2) if line and len(line) != len(head)]
    if uneven:
        raise Fault(
            f"{artifact.name}: {path} has {len(head)} columns, and {len(uneven)} rows of another length, first row {uneven[0]}. {again}"
        )


def _gate(root: Path, stage: Stage, token: dict[str, Any], unread: list[str]) -> Gate:
    """The token counts, which downstream stages read; the full report may be that of an earlier run."""
    full = read_json(root / layout.gate_report(stage.noun, stage.row), unread)
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
        classes = f"{artifact.n_rows('classes')} classes"
        told = {"one": classes, "several": f"{classes}, several a document", "text": "answers in texts", "number": "answers in numbers"}
        return f"{n:,} documents, {told[artifact.answer()]}"
    if isinstance(artifact, Counts):
        return f"{n:,} pairs"
    return f"{n:,} {'documents' if isinstance(artifact, Corpus) else 'figures'}"


def settings_of(stages: Iterable[Stage]) -> list[dict[str, Any]]:
    """What was trained inductively and what was not, those of the same story together."""
    found: dict[tuple[str, str], list[str]] = {}
    for stage in stages:
        if stage.noun in ("vectors", "codings", "predictions"):
            found.setdefault((stage.setting, stage.seen), []).append(stage.key)
    return [{"setting": setting, "seen": seen, "of": of} for (setting, seen), of in found.items()]


def above(stages: Iterable[Stage], key: str) -> list[str]:
    """The artifacts that `key` is made from, directly or not, those nearest to it first."""
    reads = {stage.key: stage.reads for stage in stages}
    found, waiting = dict[str, None](), list(reads.get(key, []))
    while waiting:
        it = waiting.pop(0)
        if it not in found:
            found[it] = None
            waiting += reads.get(it, [])
    return list(found)


def graph(stages: Sequence[Stage]) -> Any:
    """The rows as a picture, with their times and gates."""
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


def read_each(
    stages: Iterable[Stage], noun: type[Artifact], missing: list[str], read: Callable[[Any], T | None]
) -> Iterable[tuple[Stage, T]]:
    """(stage, read(artifact)) of every artifact of a noun that can be read."""
    for stage in stages:
        if isinstance(stage.artifact, noun):
            seen = or_missing(missing, None, read, stage.artifact)
            if seen is not None:
                yield stage, seen


def or_missing(missing: list[str], instead: T, call: Callable[..., T], *args: Any) -> T:
    """call(*args); what is wrong with a file is told in the report, which has the rest all the same."""
    try:
        return call(*args)
    except Fault as fault:
        missing += fault.faults
    except (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as err:
        whose = [it.key if isinstance(it, Stage) else it.name for it in args if isinstance(it, Stage | Artifact)]
        missing.append(": ".join([*whose[:1], type(err).__name__, str(err)]))
    return instead


def read_json(path: Path, unread: list[str]) -> dict[str, Any]:
    """{} when there is none, or when it is not whole, of which `unread` is told."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return value
        unread.append(f"{path} is {type(value).__name__}, and had to be a JSON object. Delete it; its row writes it again when it runs")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as err:
        unread.append(f"{path} cannot be read as JSON ({err}). Delete it; its row writes it again when it runs")
    return {}


def read_csv(path: Path, mark: str = ",") -> list[dict[str, str]]:
    """[] when there is none, or when it cannot be read; a line without a value in any column is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [line for line in csv.DictReader(file, delimiter=mark) if None not in line and any(line.values())]
    except (OSError, ValueError, csv.Error):
        return []
