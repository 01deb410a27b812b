"""Predictions against the truth, by what kind of answer they are: what evaluate asks of valid, and `wordloom final` of test."""

import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from pipelines.artifacts.predictions import Predictions, as_number, names_of
from pipelines.errors import Fault
from pipelines.kernels import answers, regression
from pipelines.kernels.classification import Figure, class_ids, score, score_several
from pipelines.method import Knobs

# how the answers of rows are scored -> the method that does so
METHODS = {"classes": "classification", "texts": "answers", "numbers": "regression"}


class OnValid(Knobs):
    on: Literal["valid"] = "valid"  # the split that is scored
    n_bootstrap: int = Field(1000, ge=100)  # draws of documents for an interval

    @field_validator("on", mode="before")
    @classmethod
    def _not_test(cls, on: object) -> object:
        if on != "valid":
            raise ValueError("must be valid; test is scored by `wordloom final ROW` alone, which writes down that it was read")
        return on


def labelled(predictions: list[Predictions], split: str, answers: str) -> list[tuple[pd.DataFrame, np.ndarray]]:
    """(frame, probabilities) of the documents of the split whose truth is known, of each.

    Args:
        answers: `classes`, `texts` or `numbers`.

    Raises:
        Fault: there are none, or a row's answers are of another kind.
    """
    found, faults = [], []
    for artifact in predictions:
        theirs = {"text": "texts", "number": "numbers"}.get(artifact.answer(), "classes")
        if theirs != answers:
            faults.append(
                f"{artifact.name} answers with {theirs}, and not with {answers}. Score it in a row of evaluate with method: {METHODS[theirs]}"
            )
            continue
        frame, probabilities = artifact.frame(split)
        known = frame["label"].notna().to_numpy()
        if not known.any():
            faults.append(
                f"{artifact.name} has no labelled document of split {split!r}. Give its corpus a validation split, and run: dvc repro"
            )
        found.append((frame[known], probabilities[known]))
    if faults:
        raise Fault(faults)
    return found


def figures(
    predictions: Predictions, labels: Sequence[str], predicted: Sequence[str], probabilities: np.ndarray, n_bootstrap: int, seed: int
) -> dict[str, Figure]:
    """metric -> value and the ends of its 95 % interval.

    Args:
        labels, predicted, probabilities: of the n documents that are scored, n > 0.

    Raises:
        Fault: answers are numbers, and a label is none.
    """
    kind = predictions.answer()
    if kind == "text":
        found = answers.score(labels, predicted, n_bootstrap, seed)
        return found | perplexity(predictions, probabilities, n_bootstrap, seed)
    if kind == "number":
        return regression.score(numbers(predictions, labels), numbers(predictions, predicted), n_bootstrap, seed)
    classes, actual, told = places(predictions, labels, predicted)
    if kind == "several":
        return score_several(actual, told, n_bootstrap, seed)
    ratings = [as_number(name) for name in classes]
    values = None if None in ratings else np.array(ratings, np.float64)
    return score(actual, told, probabilities, len(classes), n_bootstrap, seed, values)


def numbers(predictions: Predictions, labels: Sequence[str]) -> np.ndarray:
    """(n,) float64. Raises Fault for a label that is no finite number."""
    found = [as_number(label) for label in labels]
    others = [label for label, number in zip(labels, found, strict=True) if number is None]
    if others:
        raise Fault(
            f"{predictions.name} answers with numbers, and {len(others)} of {len(found)} labels are none that is finite, first {others[0]!r}. "
            "Correct them in the source"
        )
    return np.array(found, np.float64)


def perplexity(predictions: Predictions, probabilities: np.ndarray, n_bootstrap: int, seed: int) -> dict[str, Figure]:
    """That of the documents, where the model's settings say that a probability is that of a document's token."""
    if not is_language_model(predictions):
        return {}
    return {"perplexity": answers.perplexity(probabilities[:, 0], n_bootstrap, seed)}


def is_language_model(predictions: Predictions) -> bool:
    """Whether its texts are continuations, whose truth is the document itself and no label of a corpus."""
    path = predictions.folder / "model.json"
    return path.exists() and bool(json.loads(path.read_text(encoding="utf-8")).get("perplexity"))


def places(predictions: Predictions, labels: Sequence[str], predicted: Sequence[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The classes in the order of the probabilities, then those that training never saw; and which of them documents are of, and were told.

    Returns:
        (n,) int64 places among the classes, twice; where the answer is several, (n, C) bool, twice.
    """
    known = predictions.classes()
    if predictions.answer() != "several":
        classes = known + sorted(set(labels) - set(known))
        return classes, class_ids(labels, classes), class_ids(predicted, classes)
    classes = known + sorted({name for label in labels for name in names(label)} - set(known))
    place = {name: i for i, name in enumerate(classes)}
    found = np.zeros((2, len(labels), len(classes)), bool)
    for column, texts in zip(found, (labels, predicted), strict=True):
        for row, text in enumerate(texts):
            column[row, [place[name] for name in names(text)]] = True
    return classes, found[0], found[1]


def names(label: str) -> set[str]:
    """The classes of a document that may be of several."""
    return set(names_of(label))
