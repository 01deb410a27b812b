"""The gate after an artifact: its noun's expectations, asked of its profile by Great Expectations.

reads   the artifact; never its list columns, only the scalars of `profile()`
writes  the full report, always, where a person can read it: runs/checks/NOUN/ROW.json and .html
        the pass token, only when all hold: {artifact, suite: hashes; checked: what was seen}
"""

import html
import json
import math
import os
import re
from pathlib import Path
from typing import Any

from pipelines import layout, records
from pipelines.artifacts.parquet import Artifact
from pipelines.errors import Fault, nearest
from pipelines.params import ROW_NAME
from pipelines.registry import NOUNS

READABLE = "is a readable artifact"  # asked before all others, by us
N_EXAMPLES = 10  # failed rows shown per expectation


def suite_hash(noun: type[Artifact]) -> str:
    return layout.hash_json([[wanted["type"], wanted["kwargs"]] for wanted in noun.expectations])


def known(noun: str, row: str) -> None:
    """Raises Fault for what can be no artifact, before a path is made of it."""
    if noun not in NOUNS:
        raise Fault(f"{noun!r} is not a noun; the nouns are {', '.join(NOUNS)}.{nearest(noun, NOUNS)}")
    if not ROW_NAME.fullmatch(row):
        raise Fault(f"{row!r} is not the name of a row: letters, digits and hyphens")


def check(root: Path, noun: str, row: str) -> None:
    """Opens or closes the gate. Raises Fault naming the failed rows; then there is no pass token."""
    known(noun, row)
    artifact = NOUNS[noun](root / layout.artifact(noun, row))
    token = root / layout.pass_token(noun, row)
    token.unlink(missing_ok=True)
    digest = layout.hash_path(artifact.folder)
    results, page = validate(artifact)
    failed = [result for result in results if not result["success"]]
    report = {"artifact": digest, "suite": suite_hash(type(artifact)), "success": not failed, "results": results}
    layout.write_aside(root / layout.gate_report(noun, row, "html"), page)
    layout.write_aside(root / layout.gate_report(noun, row), json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if failed:
        raise Fault([
            *(f"{artifact.name}: {line.removeprefix(artifact.name + ': ')}" for result in failed for line in sentences(result)),
            f"The gate after {artifact.name} is closed. Full report: {layout.gate_report(noun, row, 'html')}",
        ])  # fmt: skip
    checked = [{key: result[key] for key in ("expectation", "column", "observed")} for result in results]
    token_text = json.dumps({"artifact": digest, "suite": report["suite"], "checked": checked}, indent=1, ensure_ascii=False)
    layout.write_aside(token, token_text + "\n")
    records.write(root, f"check/{noun}", row, digest)
    print(f"check {artifact.name}: all {len(results)} expectations hold", flush=True)


def validate(artifact: Artifact) -> tuple[list[dict[str, Any]], str]:
    """What each expectation saw, as plain data without clock or path, and Great Expectations' page of it."""
    try:
        artifact.verify()
        profile = artifact.profile()
    except Fault as fault:  # not even readable: nothing to ask
        seen = [_result(READABLE, None, False, examples=[{"fault": line} for line in fault.faults])]
        return seen, f"<pre>{html.escape(str(fault))}</pre>"
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = gx.ExpectationSuite(name=artifact.noun)
    for wanted in artifact.expectations:
        suite.add_expectation_configuration(
            ExpectationConfiguration(type=wanted["type"], kwargs=wanted["kwargs"], meta={"why": wanted["why"]})
        )
    batch = (
        context.data_sources.add_pandas("profile")
        .add_dataframe_asset(artifact.name)
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": profile})
    )
    found = batch.validate(
        suite,
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": artifact.key,
            "partial_unexpected_count": N_EXAMPLES,
        },
    )
    results = [_plain(result.to_json_dict()) for result in found.results]
    return results, _page(artifact.name, results, found)


def _plain(result: dict[str, Any]) -> dict[str, Any]:
    """One Great Expectations result, without what differs from run to run."""
    config, seen = result["expectation_config"], result["result"]
    error = result["exception_info"].get("exception_message") if result["exception_info"].get("raised_exception") else None
    kwargs = {key: value for key, value in config["kwargs"].items() if key not in ("column", "batch_id")}
    examples = seen.get("partial_unexpected_index_list") or []
    return _result(
        f"{config['type']} {json.dumps(kwargs, sort_keys=True)}" if kwargs else config["type"],
        config["kwargs"].get("column"),
        bool(result["success"]),
        why=config["meta"]["why"],
        observed=_number(seen.get("observed_value")),
        n_failed=seen.get("unexpected_count", 0 if result["success"] else 1),
        share_failed=(seen.get("unexpected_percent") or 0.0) / 100,
        examples=[{"error": error}] if error else examples[:N_EXAMPLES],
    )


def _result(expectation: str, column: str | None, success: bool, **seen: Any) -> dict[str, Any]:
    base = {"expectation": expectation, "why": "", "column": column, "success": success}
    return {**base, "observed": None, "n_failed": int(not success), "share_failed": 0.0, "examples": [], **seen}


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sentences(result: dict[str, Any]) -> list[str]:
    """A failed result in a line: what was expected, how many rows fail, the first of them; or a line per fault."""
    if result["expectation"] == READABLE:
        return [example["fault"] for example in result["examples"]]
    where = (
        f"{result['column']}: {result['why']} ({result['expectation']})"
        if result["column"]
        else f"{result['why']} ({result['expectation']})"
    )
    if result["observed"] is not None:
        return [f"{where}; it was {result['observed']}"]
    rows = ", ".join(json.dumps(example, ensure_ascii=False, default=str) for example in result["examples"][:3])
    return [f"{where}; {result['n_failed']} rows fail ({result['share_failed']:.2%}), first {rows}"]


def _page(name: str, results: list[dict[str, Any]], found: Any) -> str:
    """The failed rows, then Great Expectations' own Data Docs page of the result; fetches nothing."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    for result in found.results:  # the renderer cannot print a NumPy number
        seen = result.result.get("observed_value")
        result.result["observed_value"] = seen.item() if hasattr(seen, "item") else seen
    page = DefaultJinjaPageView().render(ValidationResultsPageRenderer(run_info_at_end=True).render(found))
    page = re.sub(r"<(script|footer|nav)\b[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    page = re.sub(r"<(?:link|img)\b[^>]*>", "", page)
    page = re.sub(r"url\([^)]*//[^)]*\)", "none", page)
    page = page.replace("</head>", f"<style>{STYLE}</style></head>", 1)
    failed = "".join(
        f"<li>{html.escape(chr(10).join(sentences(result)))}{_rows(result['examples'])}</li>" for result in results if not result["success"]
    )
    verdict = f"<h2>Closed</h2><ul>{failed}</ul>" if failed else f"<h2>Open</h2><p>All {len(results)} expectations hold.</p>"
    return re.sub(r"(<body\b[^>]*>)", lambda body: f"{body[1]}<h1>The gate after {html.escape(name)}</h1>{verdict}", page, count=1)


def _rows(examples: list[dict[str, Any]]) -> str:
    """The failed rows as an HTML table."""
    if not examples:
        return ""
    head = "".join(f"<th>{html.escape(str(key))}</th>" for key in examples[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row.values()) + "</tr>" for row in examples)
    return f"<table><tr>{head}</tr>{body}</table>"


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
table { border-collapse: collapse; margin: .5rem 0 }
td, th { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top }
.modal, button, label, input { display: none }
.fa-check-circle::before { content: "holds" } .fa-times::before, .fa-exclamation-triangle::before { content: "fails" }
"""
