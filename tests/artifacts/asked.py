"""What the tests of the nouns ask of their gates."""

from typing import Any

from pipelines.artifacts.parquet import Artifact
from pipelines.expect import suite, validate
from pipelines.reference import DRIFT


def failing(artifact: Artifact, **thresholds: Any) -> dict[str, dict[str, Any]]:
    """Column or measure -> the result, of each expectation that does not hold, warnings among them."""
    results, _ = validate(artifact, artifact.thresholds(**thresholds))
    return {result["column"]: result for result in results if not result["success"]}


def closing(artifact: Artifact, **thresholds: Any) -> list[str]:
    """Columns and measures for which the gate closes."""
    return [name for name, result in failing(artifact, **thresholds).items() if result["severity"] == "fail"]


def assert_asks_only_what_there_is(artifact: Artifact) -> None:
    profile = artifact.profile()
    asked = suite(type(artifact), artifact.thresholds())
    rows = {one["kwargs"]["column"] for one in asked if not one["measure"] and "column" in one["kwargs"]}
    shown = {column for one in asked for column in one["show"]}
    measured = {one["kwargs"]["column"] for one in asked if one["measure"]} - set(DRIFT)
    assert rows
    assert rows | shown | set(artifact.key) | set(artifact.plots) <= set(profile.columns)
    assert measured <= set(artifact.measures(profile))
    fields = set(artifact.thresholds.model_fields)
    assert {one["threshold"] for one in asked} - {""} <= fields
