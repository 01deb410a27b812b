"""How good a classifier's answers are: accuracy, macro F1, log loss, each with its bootstrap interval.

shapes  n documents, C classes; a confusion matrix counts [actual, predicted]
"""

from collections.abc import Sequence

import numpy as np

from pipelines.kernels.intervals import blocks, interval, mean_draws

Array = np.ndarray
Figure = tuple[float, float, float]  # value, and the ends of its 95 % interval


def score(actual: Array, predicted: Array, probabilities: Array, n_classes: int, n_bootstrap: int, seed: int) -> dict[str, Figure]:
    """accuracy, macro_f1 and log_loss, over documents drawn anew n_bootstrap times.

    Args:
        actual, predicted: (n,) class ids below n_classes, n > 0.
        probabilities: (n, at most n_classes) float32; a class that has no column has probability 0.
        seed: the same for two classifiers, so that both are asked of the same documents.
    """
    seen = confusion(actual, predicted, n_classes)
    loss = log_losses(probabilities, actual)
    accuracies, f1s = _draw_confusions(seen, n_bootstrap, np.random.default_rng(seed))
    means = mean_draws(loss, n_bootstrap, np.random.default_rng(seed))
    return {
        "accuracy": _figure(float(accuracy(seen)), accuracies),
        "macro_f1": _figure(float(macro_f1(seen)), f1s),
        "log_loss": _figure(float(loss.mean()), means),
    }


def _figure(value: float, samples: Array) -> Figure:
    return value, *interval(value, samples)


def _draw_confusions(seen: Array, n_bootstrap: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """(n_bootstrap,) accuracies and macro F1s.

    Both are functions of the confusion matrix, and n documents drawn with replacement are n draws from
    its cells: so the cells that hold any are drawn, which are far fewer than the documents.
    """
    cells = np.flatnonzero(seen)
    count = seen.ravel()[cells]
    accuracies, f1s = [], []
    for b in blocks(seen.size, n_bootstrap):
        drawn = np.zeros((b, seen.size))
        drawn[:, cells] = rng.multinomial(count.sum(), count / count.sum(), size=b)
        drawn = drawn.reshape(b, *seen.shape)
        accuracies.append(accuracy(drawn))
        f1s.append(macro_f1(drawn))
    return np.concatenate(accuracies), np.concatenate(f1s)


def confusion(actual: Array, predicted: Array, n_classes: int) -> Array:
    """(C, C) int64: how many documents of class [row] were taken for class [column]."""
    return np.bincount(actual * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy(confusion: Array) -> Array:
    """(...,) share of documents on the diagonal of (..., C, C)."""
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1))


def per_class(confusion: Array) -> dict[str, Array]:
    """precision, recall, f1: (..., C) each, 0 where nothing was predicted, or nothing is there; n: documents of the class."""
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    taken, there = confusion.sum(axis=-2), confusion.sum(axis=-1)
    return {
        "precision": hit / np.maximum(taken, 1),
        "recall": hit / np.maximum(there, 1),
        "f1": 2 * hit / np.maximum(taken + there, 1),
        "n": there,
    }


def macro_f1(confusion: Array) -> Array:
    """(...,) mean F1 over the classes that are there or were predicted."""
    occurs = (confusion.sum(axis=-2) + confusion.sum(axis=-1)) > 0
    return (per_class(confusion)["f1"] * occurs).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)


def log_losses(probabilities: Array, actual: Array) -> Array:
    """(n,) float64 -log of the probability that was given to the true class, in nats.

    No probability counts as less than float32's step at 1 (1.2e-7, so a loss of 15.9), as in scikit-learn:
    one document that was ruled out would else make the mean infinite.
    """
    known = actual < probabilities.shape[1]
    given = np.zeros(len(actual))
    given[known] = probabilities[known, actual[known]]
    floor = float(np.finfo(np.float32).eps)
    return -np.log(np.clip(given, floor, 1 - floor))


def class_ids(labels: Sequence[str], classes: Sequence[str]) -> Array:
    """(n,) int64 places of labels in `classes`. Raises KeyError for one that is not there."""
    place = {label: i for i, label in enumerate(classes)}
    return np.array([place[label] for label in labels], np.int64)
