"""Where things lie in a project, and how their content is named by a hash."""

import hashlib
import json
from pathlib import Path
from typing import Any

DATA = {
    "corpus": "data/1_corpus",
    "tokens": "data/2_tokens",
    "counts": "data/3_counts",
    "vectors": "data/4_vectors",
    "codings": "data/5_codings",
    "predictions": "data/6_predictions",
    "scores": "data/7_scores",
}
RAW = "data/0_raw"  # downloads, kept from run to run
PARAMS = "params.yaml"
DAG = "dvc.yaml"
PARAMS_TOKEN = "data/checks/params.json"
REPORT = "report.html"
RECORDS = "runs/records"
READINGS = "docs/test_readings.tsv"  # how often the test set was read, and by whom
SUMMARY = "data/report.md"  # the report's deterministic part
LOCKS = ".wordloom/locks"  # one that is held for each row that runs, called as its stage
CHECKPOINTS = ".wordloom/checkpoints"


def artifact(noun: str, row: str) -> str:
    return f"{DATA[noun]}/{row}"


def pass_token(noun: str, row: str) -> str:
    """Written by the gate when all expectations hold; what comes after depends on it."""
    return f"data/checks/{noun}/{row}.json"


def gate_report(noun: str, row: str, kind: str = "json") -> str:
    """Written by the gate always; lies outside DVC, so that a failing one reaches a person."""
    return f"runs/checks/{noun}/{row}.{kind}"


def reference(noun: str, row: str) -> str:
    """What the last accepted artifact was like, committed; the gate compares with it."""
    return f"reference/{noun}/{row}.json"


def record(noun: str, row: str, digest: str) -> str:
    """What the run of a stage took; keyed by what it made, since artifacts carry no clock."""
    return f"{RECORDS}/{noun}/{row}-{digest[:12]}.json"


def hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def hash_path(path: Path) -> str:
    """SHA-256 of a file, or of a folder's relative names and contents; `missing` when there is nothing."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return "missing"
    files = sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return hash_json([[p.relative_to(path).as_posix(), hash_path(p)] for p in files])


def write_aside(path: Path, text: str) -> None:
    """Writes a small file in one step: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
