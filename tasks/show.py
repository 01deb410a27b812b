"""What the Prefect UI shows of a stage: the gate's table, scores, plots, the report, what the run took.

All of it is read from files that the stage wrote for people. Nothing here can fail a run. A closed gate
and a finished model are Prefect events besides, which an automation can wait for:

    wordloom.gate.failed      resource wordloom.gate.NOUN.ROW; payload: expectations, failed, page
    wordloom.model.finished   resource wordloom.model.VERB.ROW; payload: what the run took, figures
"""

import base64
import csv
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from pipelines import charts, layout
from pipelines.workspaces import name_of

Log = logging.Logger | logging.LoggerAdapter
N_ROWS = 500  # of a table; the UI is no data store
N_EXAMPLES = 3  # failed rows shown per expectation
IMAGE_BYTES = 500_000  # a larger picture is in the report alone
MODELS = {"embed": "vectors", "compress": "codings", "classify": "predictions"}  # verbs that train, and what they make
PORT = 4201  # of the pages server
PAGES_WAIT_S = 1.0  # for a pages server that does not answer


def artifacts(root: Path, label: str, since: float, done: bool, log: Log) -> None:
    """Creates the artifacts of a stage that ran from `since` (seconds of time.time()) to now, and ended well or did not."""
    verb, _, row = label.partition("/")
    steps: list[tuple[Callable[..., None], tuple[Any, ...]]]
    if verb == "check":
        steps = [(_gate, (root, row, since))]
    elif not done:
        return  # what lies there is not what it made
    elif verb == "report":
        steps = [(_report, (root,))]
    else:
        steps = [(_record, (root, label, since))]
        if verb in MODELS:
            steps.append((_curve, (root, verb, row)))
        if verb == "evaluate":
            steps += [(_scores, (root, row)), (_confusion, (root, row))]
    for step, args in steps:
        try:
            step(*args)
        except Exception as err:  # whatever it is: the stage did its work
            log.warning("not everything of %s is shown (%s): %r", label, step.__name__.strip("_"), err)


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
    page = layout.gate_report(noun, row, "html")
    if told and not report["success"]:
        emit("gate", "failed", (noun, row), root, **gate_facts(report), page=address(root, page) or page)
    verdict = "open" if report["success"] else "CLOSED"
    n_warnings = sum(not result["success"] and warns(result) for result in report["results"])
    warned = f", with {n_warnings} warning{'s' * (n_warnings > 1)}" if n_warnings else ""
    told = f"The gate after {noun}/{row} is **{verdict}**{warned}. Full report: {where(root, page)}"
    _table(key("gate", noun, row), gate_rows(report), told)
    if not report["success"] or n_warnings:  # of an open one the line above is enough
        _link(root, page, key("page-gate", noun, row), f"The gate after {noun}/{row} is {verdict}: what was expected, and seen")


def gate_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A line per expectation, the failed ones first, then those that warn."""
    return [
        {
            "passed": "yes" if result["success"] else "warning" if warns(result) else "NO",
            "column": result["column"] or "",
            "rows that fail": result["n_failed"],
            "share": f"{result['share_failed']:.2%}",
            "what has to hold": result.get("why", ""),
            "examples": "; ".join(json.dumps(example, ensure_ascii=False, default=str) for example in result["examples"][:N_EXAMPLES]),
            "observed": "" if result["observed"] is None else str(result["observed"]),
            "expectation": result["expectation"],
        }
        for result in sorted(report["results"], key=lambda result: (result["success"], warns(result)))
    ]


def warns(result: dict[str, Any]) -> bool:
    """Whether an expectation does not close its gate."""
    return bool(result.get("severity") == "warn")


def gate_facts(report: dict[str, Any]) -> dict[str, Any]:
    """What the event of a closed gate says: which artifact, how many expectations, and those that fail."""
    said = ("column", "expectation", "why", "observed", "n_failed", "share_failed")
    failed = [result for result in report["results"] if not result["success"] and not warns(result)]
    return {
        "artifact": report["artifact"],
        "expectations": len(report["results"]),
        "failed": [{**{name: result.get(name) for name in said}, "examples": result["examples"][:N_EXAMPLES]} for result in failed],
    }


def _scores(root: Path, row: str) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(root / layout.artifact("scores", row) / "scores.parquet").to_pylist()
    rows = [{name: "" if value is None else charts.figure(value) if isinstance(value, float) else value for name, value in line.items()} for line in table]  # fmt: skip
    _table(key("scores", row), rows, f"Scores of evaluate/{row}")


def _record(root: Path, label: str, since: float) -> None:
    """What the run took: the newest record, where the stage really ran."""
    verb, _, row = label.partition("/")
    newest = newest_record(root, verb, row)
    if newest is None or newest.stat().st_mtime < since - 1:
        return
    record = json.loads(newest.read_text())
    if verb in MODELS:
        curve = _curve_of(root, verb, row)
        emit("model", "finished", (verb, row), root, **record, figures=curve[-1] if curve else {})
    _table(key("run", label), [{"what": what, "value": str(value)} for what, value in record.items()], f"What {label} took")


def newest_record(root: Path, verb: str, row: str) -> Path | None:
    """The record of a row's last run here. A row's name may begin with another's."""
    of_row = re.compile(rf"{re.escape(row)}-[0-9a-f]{{12}}")
    found = [path for path in (root / layout.RECORDS).glob(f"*/{row}-*.json") if of_row.fullmatch(path.stem)]
    found = [path for path in found if f'"verb": "{verb}"' in path.read_text(encoding="utf-8")]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _curve_of(root: Path, verb: str, row: str) -> list[dict[str, float]]:
    path = root / layout.artifact(MODELS[verb], row) / "curve.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in line.items() if value} for line in csv.DictReader(file)]


def _curve(root: Path, verb: str, row: str) -> None:
    made = charts.curves(curve) if (curve := _curve_of(root, verb, row)) else []
    _image(key("curve", verb, row), [(one["quantity"], one["names"], one["picture"]) for one in made], f"How {verb}/{row} was trained")


def _confusion(root: Path, row: str) -> None:
    path = root / layout.artifact("scores", row) / "confusion.csv"
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        found = charts.confusions(list(csv.DictReader(file)))
    _image(
        key("confusion", row),
        [(one["of"], (), one["picture"]) for one in found if one["picture"]],
        f"Which classes evaluate/{row} saw taken for which",
    )


def _report(root: Path) -> None:
    from prefect.artifacts import create_markdown_artifact

    summary = root / layout.SUMMARY
    if summary.exists():
        head = f"With plots: {where(root, layout.REPORT)}\n\n"
        create_markdown_artifact(key="report", markdown=head + summary.read_text(), description="The report in short")
    _link(root, layout.REPORT, "page-report", "The report with its plots")


def _table(name: str, rows: list[dict[str, Any]], description: str) -> None:
    from prefect.artifacts import create_table_artifact

    create_table_artifact(key=name, table=rows[:N_ROWS], description=description)


def _image(name: str, pictures: Sequence[tuple[str, Sequence[str], Any]], description: str) -> None:
    """Charts as one picture, which the artifact itself holds."""
    from prefect.artifacts import create_markdown_artifact

    svg = charts.image(pictures).encode() if pictures else b""
    if 0 < len(svg) <= IMAGE_BYTES:
        # not an image artifact: of one, the UI prints the address below the picture, and this address is all of it
        picture = f"![{description}](data:image/svg+xml;base64,{base64.b64encode(svg).decode()})"
        create_markdown_artifact(key=name, markdown=picture, description=description)


def _link(root: Path, page: str, name: str, description: str) -> None:
    from prefect.artifacts import create_link_artifact

    if url := address(root, page):
        create_link_artifact(url, link_text=description, key=name, description=description)


def where(root: Path, page: str) -> str:
    """Markdown that leads a person to a page: a link when it is served, else its path."""
    url = address(root, page)
    return f"[{page}]({url})" if url else f"`{(root / page).resolve()}`"


def address(root: Path, page: str) -> str | None:
    """A page's address, when the pages server (flows/pages.py) has this very file: it may serve another project, or no machine's but its own."""
    url = f"{pages_url()}/{name_of(root)}/{page}"
    try:
        wanted = version((root / page).stat())
        # not by a proxy: it is this machine's, or a tunnel to it
        with build_opener(ProxyHandler({})).open(Request(url, method="HEAD"), timeout=PAGES_WAIT_S) as answer:
            return url if answer.headers.get("ETag") == wanted else None
    except (OSError, ValueError, HTTPException):
        return None


def pages_url() -> str:
    """Where people reach the pages server."""
    return os.environ.get("WORDLOOM_PAGES_URL", f"http://127.0.0.1:{PORT}").rstrip("/")


def version(file: os.stat_result) -> str:
    """An entity tag: another for every writing of a file."""
    return f'"{file.st_mtime_ns:x}-{file.st_size:x}"'


def emit(kind: str, what: str, of: tuple[str, str], root: Path, **payload: Any) -> None:
    """Tells Prefect's event bus; it adds the flow run, its deployment and the tags by itself."""
    from prefect.events import emit_event

    name = "/".join(of)
    resource = {
        "prefect.resource.id": f"wordloom.{kind}.{'.'.join(of)}",
        "prefect.resource.name": name,
        "wordloom.experiment": name_of(root),
    }
    emit_event(event=f"wordloom.{kind}.{what}", resource=resource, payload={kind: name, **payload})
