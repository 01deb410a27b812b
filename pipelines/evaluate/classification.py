"""Classification: how often a classifier is right, and where it errs, on the validation split.

reads   predictions   a class, or several, and probabilities per document
writes  scores    accuracy, macro_f1, micro_f1 (of one class each it is the accuracy), log_loss, calibration_error (how far
                  confidence is from accuracy); where all classes are numbers, as ratings are, mean_absolute_error and
                  quadratic_kappa; where a document may be of several, micro_f1, macro_f1, accuracy (all of them told, and no
                  other) and hamming_loss; accuracy_majority, that of always saying what the split's documents are most often
        beside it confusion.csv: of, actual, predicted, count (of several: each of the one with each of the other);
                  classes.csv: of, label, precision, recall, f1, n; calibration.csv: of, bin, confidence, accuracy, n, where an
                  answer is one class; mcnemar.csv: a, b, n, only_a, only_b, p, of each two rows, over the documents of both
source  Sokolova, Lapalme 2009 (the figures); Cohen 1968 (kappa); Efron, Tibshirani 1993, ch. 13 (percentile intervals);
        Guo, Pleiss, Sun, Weinberger 2017 (calibration); McNemar 1947, exact; p is of one pair, and not corrected for there being many
shapes  n documents, C classes
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from pipelines import scoring
from pipelines.artifacts.predictions import SEPARATOR, Predictions
from pipelines.artifacts.scores import Scores, columns
from pipelines.kernels.classification import BINS, bins, confusion, mcnemar, per_class, precision_recall_f1
from pipelines.method import Run

# DVC's own template counts rows; ours sums `count`, and sets the classifiers below each other
PLOTS = {
    "confusion": {"template": "pipelines/evaluate/confusion.json", "x": "predicted", "y": "actual", "title": "confusion"},
    "calibration": {"template": "scatter", "x": "confidence", "y": "accuracy", "title": "accuracy by confidence"},
}


class Params(scoring.OnValid):
    pass


def evaluate(predictions: list[Predictions], params: Params, run: Run) -> Scores:
    answers = scoring.labelled(predictions, params.on, "classes")
    cells, classes, calibration, right = [], [], [], {}
    with run.open(Scores) as out:
        for artifact, (frame, probabilities) in zip(predictions, answers, strict=True):
            several = artifact.answer() == "several"
            figures = scoring.figures(artifact, frame["label"], frame["predicted"], probabilities, params.n_bootstrap, run.seed)
            rows = [{"metric": metric, "value": value, "low": low, "high": high} for metric, (value, low, high) in figures.items()]
            most, share = _majority(frame["label"], several)
            rows.append({"metric": "accuracy_majority", "value": share, "note": f"of always saying {most!r}"})
            out.append(**columns({"of": artifact.name, "on": params.on, "n": len(frame), **row} for row in rows))
            labels, actual, predicted = scoring.places(artifact, frame["label"], frame["predicted"])
            if several:
                matrix = actual.T.astype(np.int64) @ predicted
                by_class = precision_recall_f1((actual & predicted).sum(axis=0), predicted.sum(axis=0), actual.sum(axis=0))
                is_right = (actual == predicted).all(axis=1)
            else:
                matrix = confusion(actual, predicted, len(labels))
                by_class = per_class(matrix)
                is_right = actual == predicted
                calibration += _bins(artifact.name, probabilities.max(axis=1), is_right)
            right[artifact.name] = dict(zip(zip(frame["doc_id"], frame["label"], strict=True), is_right, strict=True))
            cells += _cells(artifact.name, labels, matrix)
            classes += _class_rows(artifact.name, labels, by_class)
            run.say(f"{artifact.name}: " + ", ".join(f"{metric} {value:.4f}" for metric, (value, _, _) in figures.items()))
        out.csv("confusion", cells)
        out.csv("classes", classes)
        out.csv("calibration", calibration or [dict.fromkeys(("of", "bin", "confidence", "accuracy", "n"), "")])
        out.csv("mcnemar", list(_pairs(right)) or [dict.fromkeys(("a", "b", "n", "only_a", "only_b", "p"), "")])
    return out.artifact


def _majority(labels, several: bool) -> tuple[str, float]:
    if several:
        labels = labels.map(lambda label: SEPARATOR.join(sorted(scoring.names(label))))
    names, counts = np.unique(labels.to_numpy(dtype=str), return_counts=True)
    return str(names[counts.argmax()]), float(counts.max() / counts.sum())


def _cells(name: str, labels: list[str], matrix: np.ndarray) -> list[dict]:
    """The cells that hold a document."""
    return [
        {"of": name, "actual": labels[i], "predicted": labels[j], "count": int(matrix[i, j])}
        for i, j in zip(*np.nonzero(matrix), strict=True)
    ]  # fmt: skip


def _class_rows(name: str, labels: list[str], figures: dict[str, np.ndarray]) -> list[dict]:
    return [
        {
            "of": name,
            "label": label,
            **{key: round(float(figures[key][i]), 4) for key in ("precision", "recall", "f1")},
            "n": int(figures["n"][i]),
        }
        for i, label in enumerate(labels)
    ]


def _bins(name: str, confidence: np.ndarray, right: np.ndarray) -> list[dict]:
    """The bins that hold a document, numbered from 1: means of its confidences and of whether it is right."""
    place = bins(confidence)
    n = np.bincount(place, minlength=BINS)
    means = [np.bincount(place, weights=values, minlength=BINS) / np.maximum(n, 1) for values in (confidence, right)]
    return [
        {"of": name, "bin": i + 1, "confidence": f"{means[0][i]:.4f}", "accuracy": f"{means[1][i]:.4f}", "n": int(n[i])}
        for i in np.flatnonzero(n).tolist()
    ]


def _pairs(right: dict[str, dict[tuple[str, str], bool]]) -> Iterator[dict]:
    """Each two rows that have documents in common, by doc_id and label."""
    place = {key: i for i, key in enumerate(dict.fromkeys(key for found in right.values() for key in found))}
    table = np.full((len(right), len(place)), -1, np.int8)  # 1 right, 0 wrong, -1 not asked
    for line, found in zip(table, right.values(), strict=True):
        line[[place[key] for key in found]] = list(found.values())
    for (a, x), (b, y) in combinations(zip(right, table, strict=True), 2):
        n, only_a, only_b = (int(some.sum()) for some in ((x >= 0) & (y >= 0), (x == 1) & (y == 0), (x == 0) & (y == 1)))
        if n:
            yield {"a": a, "b": b, "n": n, "only_a": only_a, "only_b": only_b, "p": f"{mcnemar(only_a, only_b):.4g}"}
