"""The gate after an artifact: its noun's expectations, asked of its profile by Great Expectations.

reads   the artifact; never its list columns, only the scalars of `profile()` and `measures()`
        `gates:` of params.yaml: thresholds, and what closes the gate or warns
        reference/NOUN/ROW.json, where somebody accepted an earlier artifact
writes  the full report, always, where a person can read it: runs/checks/NOUN/ROW.json and .html
        the pass token, only when all hold that may close it: {artifact, suite: hashes; checked: what was seen}
"""

import json
import math
import os
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines import layout, records, reference
from pipelines.artifacts.parquet import Artifact
from pipelines.artifacts.suite import Measure, Thresholds, drift_expectations
from pipelines.errors import Fault, nearest
from pipelines.params import ROW_NAME, thresholds
from pipelines.registry import NOUNS

READABLE = "is a readable artifact"  # asked before all others, by us
N_EXAMPLES = 10  # failed rows shown per expectation
PLACE = "__place__"  # a row's place in the profile


def suite(noun: type[Artifact], t: Thresholds) -> list[dict[str, Any]]:
    """All that the gate asks, each with the severity that it has here."""
    wanted = [*noun.expectations(t), *drift_expectations(t)]
    severity = dict.fromkeys(t.warn, "warn") | dict.fromkeys(t.fail, "fail")
    return [{**one, "severity": severity.get(one["threshold"], one["severity"])} for one in wanted]


def suite_hash(noun: type[Artifact], t: Thresholds) -> str:
    return layout.hash_json([[wanted["type"], wanted["kwargs"], wanted["severity"]] for wanted in suite(noun, t)])


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
    t, before = thresholds(root, noun, row), reference.read(root, noun, row)
    digest = layout.hash_path(artifact.folder)
    results, page = validate(artifact, t, before)
    failed = [result for result in results if not result["success"] and result["severity"] == "fail"]
    warned = [result for result in results if not result["success"] and result["severity"] == "warn"]
    report = {"artifact": digest, "suite": suite_hash(type(artifact), t), "success": not failed, "results": results}
    layout.write_aside(root / layout.gate_report(noun, row, "html"), page)
    layout.write_aside(root / layout.gate_report(noun, row), json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    for line in _lines(artifact, warned):
        print(f"warning: {line}", flush=True)
    if failed:
        raise Fault([
            *_lines(artifact, failed),
            f"The gate after {artifact.name} is closed. Full report: {layout.gate_report(noun, row, 'html')}",
        ])  # fmt: skip
    # without what was seen beside a reference: accepting one would otherwise run all again that comes after
    own = [result for result in results if result["column"] not in reference.DRIFT]
    checked = [{key: result[key] for key in ("expectation", "column", "observed", "severity", "success", "n_failed")} for result in own]
    token_text = json.dumps({"artifact": digest, "suite": report["suite"], "checked": checked}, indent=1, ensure_ascii=False)
    layout.write_aside(token, token_text + "\n")
    records.write(root, f"check/{noun}", row, digest)
    print(f"check {artifact.name}: {_told(results)}", flush=True)


def _told(results: list[dict[str, Any]]) -> str:
    """Of an open gate: what was not asked does not hold."""
    n_unasked = sum(not result["asked"] for result in results)
    n_warned = sum(not result["success"] for result in results)
    n_hold = len(results) - n_unasked - n_warned
    parts = [f"{n_hold} expectations hold"] + [f"{n_warned} warn"] * bool(n_warned) + [f"{n_unasked} could not be asked"] * bool(n_unasked)
    return ", ".join(parts) if len(parts) > 1 else f"all {parts[0]}"


def _lines(artifact: Artifact, results: list[dict[str, Any]]) -> list[str]:
    return [f"{artifact.name}: {line.removeprefix(artifact.name + ': ')}" for result in results for line in sentences(result)]


def validate(artifact: Artifact, t: Thresholds | None = None, before: dict[str, Any] | None = None) -> tuple[list[dict[str, Any]], str]:
    """What each expectation saw, as plain data without clock or path, and the page of it.

    Args:
        t: thresholds; the noun's own when none are given.
        before: the reference that the artifact is compared with.
    """
    from pipelines.gate_page import page

    asked = suite(type(artifact), t or artifact.thresholds())
    try:
        artifact.verify()
        profile = artifact.profile().reset_index(drop=True)
    except Fault as fault:  # not even readable: nothing to ask
        seen = [_result(READABLE, None, False, examples=[{"fault": line} for line in fault.faults])]
        return seen, page(artifact, seen, None, {})
    # an artifact of no rows has nothing that could be measured, which its own expectation says
    measures = {**artifact.measures(profile), **reference.drifted(before, artifact, profile)} if len(profile) else {}
    results = _validated(artifact, [one for one in asked if not one["measure"]], profile)
    results += _measured(artifact, [one for one in asked if one["measure"]], measures)
    return results, page(artifact, results, profile, artifact.facts(profile) if len(profile) else {})


def _validated(artifact: Artifact, asked: list[dict[str, Any]], profile: pd.DataFrame) -> list[dict[str, Any]]:
    """Expectations of rows; a failed one with examples by the noun's key."""
    found = _ask(artifact.name, asked, profile.assign(**{PLACE: range(len(profile))}))
    results = []
    for wanted, (seen, error) in zip(asked, found, strict=True):
        column = wanted["kwargs"].get("column")
        shown = dict.fromkeys([*artifact.key, *([column] if column else []), *wanted["show"]])
        places = [example[PLACE] for example in seen.get("partial_unexpected_index_list") or []][:N_EXAMPLES]
        examples = [{name: _number(profile[name].iloc[place]) for name in shown} for place in places]
        results.append(
            _said(
                wanted,
                seen["success"],
                observed=_number(seen.get("observed_value")),
                n_failed=seen.get("unexpected_count", 0 if seen["success"] else 1),
                share_failed=(seen.get("unexpected_percent") or 0.0) / 100,
                examples=[{"error": error}] if error else examples,
            )
        )
    return results


def _measured(artifact: Artifact, asked: list[dict[str, Any]], measures: dict[str, Measure]) -> list[dict[str, Any]]:
    """Expectations of figures; one that could not be measured is not asked."""
    there = {name: float(measure.value) for name, measure in measures.items() if measure.value is not None}
    able = [wanted for wanted in asked if wanted["kwargs"]["column"] in there]
    found = iter(_ask(artifact.name, able, pd.DataFrame([there])) if able else [])
    results = []
    for wanted in asked:
        name = wanted["kwargs"]["column"]
        if name not in there:
            results.append(_said(wanted, True, asked=False))
            continue
        seen, error = next(found)
        examples = [{key: _number(value) for key, value in example.items()} for example in measures[name].examples[:N_EXAMPLES]]
        shown = [{"error": error}] if error else examples
        results.append(
            _said(wanted, seen["success"], observed=float(f"{there[name]:.6g}"), n_failed=int(not seen["success"]), examples=shown)
        )
    return results


@cache
def _source() -> Any:
    """Of data frames, in a context that is of this process alone and tells nobody."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context.data_sources.add_pandas("profile")


def _ask(name: str, asked: list[dict[str, Any]], frame: pd.DataFrame) -> list[tuple[dict[str, Any], str | None]]:
    """What Great Expectations saw of each expectation, with `success`, and the error where it could not be asked."""
    source = _source()
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    # all at once: the suite's methods that add one put it in the place of another of the same kind and column
    configured = [ExpectationConfiguration(type=one["type"], kwargs=one["kwargs"], meta={PLACE: i}) for i, one in enumerate(asked)]
    of_gx = gx.ExpectationSuite(name="gate", expectations=configured)
    asset = source.add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    keys = {"unexpected_index_column_names": [PLACE]} if PLACE in frame else {}
    found = batch.validate(of_gx, result_format={"result_format": "SUMMARY", "partial_unexpected_count": N_EXAMPLES, **keys})
    source.delete_asset(name)
    seen = {}
    for result in found.results:
        plain = result.to_json_dict()
        raised = plain["exception_info"].get("raised_exception")
        error = plain["exception_info"].get("exception_message") if raised else None
        seen[plain["expectation_config"]["meta"][PLACE]] = {**plain["result"], "success": bool(plain["success"])}, error
    return [seen[place] for place in range(len(asked))]


def _said(wanted: dict[str, Any], success: bool, **seen: Any) -> dict[str, Any]:
    kwargs = {key: value for key, value in wanted["kwargs"].items() if key != "column"}
    name = f"{wanted['type']} {json.dumps(kwargs, sort_keys=True)}" if kwargs else wanted["type"]
    said = {"why": wanted["why"], "severity": wanted["severity"], "threshold": wanted["threshold"]}
    return _result(name, wanted["kwargs"].get("column"), success, **said, **seen)


def _result(expectation: str, column: str | None, success: bool, **seen: Any) -> dict[str, Any]:
    base = {"expectation": expectation, "why": "", "column": column, "success": success, "severity": "fail", "threshold": "", "asked": True}
    return {**base, "observed": None, "n_failed": int(not success), "share_failed": 0.0, "examples": [], **seen}


def _number(value: Any) -> Any:
    """As JSON has it."""
    value = value.item() if hasattr(value, "item") else value
    return None if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)) else value


def sentences(result: dict[str, Any]) -> list[str]:
    """A failed result in a line: what was expected, how many rows fail, the first of them; or a line per fault."""
    if result["expectation"] == READABLE:
        return [example["fault"] for example in result["examples"]]
    where = (
        f"{result['column']}: {result['why']} ({result['expectation']})"
        if result["column"]
        else f"{result['why']} ({result['expectation']})"
    )
    rows = ", ".join(json.dumps(example, ensure_ascii=False, default=str) for example in result["examples"][:3])
    if result["observed"] is not None:
        return [f"{where}; it was {result['observed']}" + (f": {rows}" if rows else "")]
    return [f"{where}; {result['n_failed']:,} rows fail ({result['share_failed']:.2%}), first {rows}"]
