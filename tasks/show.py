"""What the Prefect UI shows of a stage: the gate's table, scores, the report, what the run took.

All of it is read from files that the stage wrote for people. Nothing here can fail a run.
"""

import json
import logging
import re
from pathlib import Path
from typing import Any

from pipelines import layout

Log = logging.Logger | logging.LoggerAdapter
N_ROWS = 500  # of a table; the UI is no data store


def artifacts(root: Path, label: str, since: float, log: Log) -> None:
    """Creates the artifacts of a stage that ran from `since` (seconds of time.time()) to now."""
    verb, _, row = label.partition("/")
    try:
        if verb == "check":
            _gate(root, row, since)
        elif verb == "report":
            _report(root)
        else:
            _record(root, label, since)
        if verb == "evaluate":
            _scores(root, row)
    except Exception as err:  # whatever it is: the stage did its work
        log.warning("no artifact for %s: %r", label, err)


def key(*words: str) -> str:
    """A name that Prefect allows: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def _gate(root: Path, noun_row: str, since: float) -> None:
    noun, _, row = noun_row.partition("-")
    path = root / layout.gate_report(noun, row)
    if not path.exists():
        return
    report = json.loads(path.read_text())
    token = root / layout.pass_token(noun, row)
    told = path.stat().st_mtime >= since - 1
    # a token from the run-cache comes without its report; one that lies there may be of another artifact
    if not told and (not token.exists() or json.loads(token.read_text()).get("artifact") != report["artifact"]):
        return
    verdict = "open" if report["success"] else "CLOSED"
    page = layout.gate_report(noun, row, "html")
    _table(key("gate", noun, row), gate_rows(report), f"The gate after {noun}/{row} is **{verdict}**. Full report: `{page}`")


def gate_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A line per expectation, the failed ones first."""
    return [
        {
            "passed": "yes" if result["success"] else "NO",
            "column": result["column"] or "",
            "expectation": result["expectation"],
            "observed": "" if result["observed"] is None else str(result["observed"]),
            "rows that fail": result["n_failed"],
            "share": f"{result['share_failed']:.2%}",
            "examples": "; ".join(json.dumps(example, ensure_ascii=False, default=str) for example in result["examples"][:3]),
        }
        for result in sorted(report["results"], key=lambda result: result["success"])
    ]


def _scores(root: Path, row: str) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(root / layout.artifact("scores", row) / "scores.parquet").to_pylist()
    _table(key("scores", row), table, f"Scores of evaluate/{row}: `{layout.artifact('scores', row)}`")


def _record(root: Path, label: str, since: float) -> None:
    """What the run took: the newest record, where the stage really ran."""
    verb, _, row = label.partition("/")
    records = [
        path for path in (root / layout.RECORDS).glob(f"*/{row}-*.json") if re.fullmatch(rf"{re.escape(row)}-[0-9a-f]{{12}}", path.stem)
    ]
    records = [path for path in records if json.loads(path.read_text()).get("verb") == verb]
    newest = max(records, key=lambda path: path.stat().st_mtime, default=None)
    if newest is not None and newest.stat().st_mtime >= since - 1:
        record = json.loads(newest.read_text())
        _table(key("run", label), [{"what": what, "value": str(value)} for what, value in record.items()], f"What {label} took")


def _report(root: Path) -> None:
    from prefect.artifacts import create_markdown_artifact

    summary = root / layout.SUMMARY
    if summary.exists():
        where = f"With plots: `{(root / layout.REPORT).resolve()}`\n\n"
        create_markdown_artifact(key="report", markdown=where + summary.read_text(), description="The report in short")


def _table(name: str, rows: list[dict[str, Any]], description: str) -> None:
    from prefect.artifacts import create_table_artifact

    create_table_artifact(key=name, table=rows[:N_ROWS], description=description)
