"""Classification: how often a classifier is right, and where it errs, on the validation split.

reads   predictions   a class and probabilities per document
writes  scores    accuracy, macro_f1, log_loss; accuracy_majority, that of always naming the split's most
                  frequent class
        beside it confusion.csv: of, actual, predicted, count; classes.csv: of, label, precision, recall,
                  f1, n
source  Sokolova, Lapalme 2009 (the figures); Efron, Tibshirani 1993, ch. 13 (percentile intervals)
shapes  n documents, C classes
"""

from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores, columns
from pipelines.errors import Fault
from pipelines.kernels.classification import class_ids, confusion, per_class, score
from pipelines.method import Knobs, Run

# DVC's own template counts rows; ours sums `count`, and sets the classifiers below each other
PLOTS = {"confusion": {"template": "pipelines/evaluate/confusion.json", "x": "predicted", "y": "actual", "title": "confusion"}}


class Params(Knobs):
    on: Literal["valid"] = "valid"  # the split that is scored
    n_bootstrap: int = Field(1000, ge=100)  # draws of documents for an interval

    @field_validator("on", mode="before")
    @classmethod
    def _not_test(cls, on: object) -> object:
        if on != "valid":
            raise ValueError("must be valid; test is scored by `wordloom final ROW` alone, which writes down that it was read")
        return on


def evaluate(predictions: list[Predictions], params: Params, run: Run) -> Scores:
    answers = _labelled(predictions, params.on)
    cells, classes = [], []
    with run.open(Scores) as out:
        for artifact, (frame, probabilities) in zip(predictions, answers, strict=True):
            labels = _all_classes(artifact, frame)
            actual, predicted = class_ids(frame["label"], labels), class_ids(frame["predicted"], labels)
            figures = score(actual, predicted, probabilities, len(labels), params.n_bootstrap, run.seed)
            rows = [{"metric": metric, "value": value, "low": low, "high": high} for metric, (value, low, high) in figures.items()]
            most, share = _majority(frame["label"])
            rows.append({"metric": "accuracy_majority", "value": share, "note": f"of always saying {most!r}"})
            out.append(**columns({"of": artifact.name, "on": params.on, "n": len(frame), **row} for row in rows))
            matrix = confusion(actual, predicted, len(labels))
            cells += _cells(artifact.name, labels, matrix)
            classes += _class_rows(artifact.name, labels, matrix)
            run.say(f"{artifact.name}: " + ", ".join(f"{metric} {value:.4f}" for metric, (value, _, _) in figures.items()))
        out.csv("confusion", cells)
        out.csv("classes", classes)
    return out.artifact


def _labelled(predictions: list[Predictions], split: str) -> list[tuple]:
    """(frame, probabilities) of the documents of the split that have a label. Raises Fault where there are none."""
    answers, faults = [], []
    for artifact in predictions:
        frame, probabilities = artifact.frame(split)
        labelled = frame["label"].notna().to_numpy()
        if not labelled.any():
            faults.append(
                f"{artifact.name} has no labelled document of split {split!r}. Give its corpus a validation split, and run: dvc repro"
            )
        answers.append((frame[labelled], probabilities[labelled]))
    if faults:
        raise Fault(faults)
    return answers


def _all_classes(artifact: Predictions, frame) -> list[str]:
    """The classes in the order of the probabilities, then those that training never saw."""
    known = artifact.classes()
    return known + sorted(set(frame["label"]) - set(known))


def _majority(labels) -> tuple[str, float]:
    names, counts = np.unique(labels.to_numpy(dtype=str), return_counts=True)
    return str(names[counts.argmax()]), float(counts.max() / counts.sum())


def _cells(name: str, labels: list[str], matrix: np.ndarray) -> list[dict]:
    """The cells that hold a document."""
    return [
        {"of": name, "actual": labels[i], "predicted": labels[j], "count": int(matrix[i, j])}
        for i, j in zip(*np.nonzero(matrix), strict=True)
    ]  # fmt: skip


def _class_rows(name: str, labels: list[str], matrix: np.ndarray) -> list[dict]:
    figures = per_class(matrix)
    return [
        {
            "of": name,
            "label": label,
            **{key: round(float(figures[key][i]), 4) for key in ("precision", "recall", "f1")},
            "n": int(figures["n"][i]),
        }
        for i, label in enumerate(labels)
    ]
