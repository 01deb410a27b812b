"""What a gate asks of an artifact, as plain data: expectations, thresholds, and what is measured of the whole."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipelines.errors import nearest

Severity = Literal["fail", "warn"]


class Thresholds(BaseModel):
    """The numbers in a noun's expectations, which `gates:` in params.yaml may change; its own are named by each noun."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    warn: list[str] = []  # thresholds that do not close the gate, whatever the noun says
    fail: list[str] = []  # thresholds that do
    # beside the last accepted run, where there is one
    drift_rows: float = Field(0.5, ge=0)  # more or fewer rows, as a share of those there were
    drift_psi: float = Field(0.25, ge=0)  # of any number's distribution; from 0.25 on a shift counts as major
    drift_distance: float = Field(0.3, ge=0, le=1)  # Jensen-Shannon, of any distribution over names: labels, words

    @field_validator("warn", "fail")
    @classmethod
    def _are_thresholds(cls, names: list[str]) -> list[str]:
        known = [name for name in cls.model_fields if name not in ("warn", "fail")]
        wrong = [f"{name!r} is no threshold.{nearest(name, known)}" for name in names if name not in known]
        if wrong:
            raise ValueError(f"must name some of {', '.join(known)}; {' '.join(wrong)}")
        return names

    @model_validator(mode="after")
    def _one_severity_each(self) -> Self:
        for name in self.warn:
            if name in self.fail:
                raise ValueError(f"{name!r} is in warn and in fail")
        return self


class Measure(NamedTuple):
    """A figure of the whole artifact, and the rows that explain it; None where there is too little to measure."""

    value: float | None
    examples: Sequence[dict[str, Any]] = ()


def expect(
    what: str, why: str, threshold: str = "", severity: Severity = "fail", show: tuple[str, ...] = (), **kwargs: Any
) -> dict[str, Any]:
    """An expectation of profile(), in the words of Great Expectations, and what it means, for who reads of its failing.

    Args:
        threshold: the one that its numbers come from.
        severity: whether the gate closes when it fails.
        show: columns of the profile that explain a failed row, besides the noun's `key`.
    """
    return {"type": f"expect_{what}", "kwargs": kwargs, "why": why, "threshold": threshold, "severity": severity, "show": show, "measure": False}  # fmt: skip


def expect_measure(
    name: str,
    why: str,
    severity: Severity = "fail",
    threshold: str | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> dict[str, Any]:
    """An expectation of one of measures(); the threshold has its name, unless another is given, or "" for none."""
    kwargs: dict[str, Any] = {"column": name}
    if at_least is not None:
        kwargs["min_value"] = at_least
    if at_most is not None:
        kwargs["max_value"] = at_most
    return {**expect("column_max_to_be_between", why, name if threshold is None else threshold, severity, **kwargs), "measure": True}


def drift_expectations(t: Thresholds) -> list[dict[str, Any]]:
    """What every noun is asked where a run was accepted; pipelines/reference.py measures it."""
    return [
        expect_measure("drift_rows", "about as many rows as in the accepted run; share more or fewer", "warn", at_most=t.drift_rows),
        expect_measure("drift_psi", "numbers are distributed as in the accepted run; the largest PSI", "warn", at_most=t.drift_psi),
        expect_measure(
            "drift_distance",
            "names come as often as in the accepted run; the largest Jensen-Shannon distance",
            "warn",
            at_most=t.drift_distance,
        ),
    ]
