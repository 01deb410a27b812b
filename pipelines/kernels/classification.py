"""How good a classifier's answers are: accuracy, macro F1, log loss and their like, each with its bootstrap interval.

source  Sokolova, Lapalme 2009, also for several classes of a document; Cohen 1968 (kappa with weights); Guo et al. 2017, eq. 3
        (calibration error); McNemar 1947, exact: of the documents that one of two alone has right, half should be each one's
shapes  n documents, C classes; a confusion matrix counts [actual, predicted]
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.stats import binom

from pipelines.kernels.intervals import blocks, interval, mean_draws

Array = np.ndarray
Figure = tuple[float, float | None, float | None]  # value, and the ends of its 95 % interval, where it has one
SHARES = ("accuracy", "macro_f1", "micro_f1")  # 0 where nothing is right, 1 where all is
BINS = 15  # of confidence, of the same width; the paper's


def score(
    actual: Array, predicted: Array, probabilities: Array, n_classes: int, n_bootstrap: int, seed: int, values: Array | None = None
) -> dict[str, Figure]:
    """accuracy, macro_f1, micro_f1 (of one class a document it is the accuracy), log_loss and calibration_error, over documents drawn anew.

    Args:
        actual, predicted: (n,) class ids below n_classes, n > 0.
        probabilities: (n, at most n_classes) float32; a class that has no column has probability 0.
        seed: the same for two classifiers, so that both are asked of the same documents.
        values: (n_classes,) the numbers that the classes are, where they are such: then mean_absolute_error and quadratic_kappa, too.
    """
    seen = confusion(actual, predicted, n_classes)
    loss = log_losses(probabilities, actual)
    of_confusion: dict[str, Callable[[Array], Array]] = {"accuracy": accuracy, "macro_f1": macro_f1, "micro_f1": accuracy}
    if values is not None:
        of_confusion["mean_absolute_error"] = partial(mean_absolute_error, values=values)
        of_confusion["quadratic_kappa"] = partial(quadratic_kappa, values=values)
    drawn = _draw_confusions(seen, list(of_confusion.values()), n_bootstrap, np.random.default_rng(seed))
    figures = {
        name: _figure(float(of(seen)), samples, len(actual) if name in SHARES else None)
        for (name, of), samples in zip(of_confusion.items(), drawn, strict=True)
    }
    # of both in one: what is drawn is what takes the time
    each = np.column_stack([loss, gaps(probabilities.max(axis=1), actual == predicted)])
    means, samples = each.mean(axis=0), mean_draws(each, n_bootstrap, np.random.default_rng(seed))
    figures["log_loss"] = _figure(float(means[0]), samples[:, 0])
    figures["calibration_error"] = _figure(float(np.abs(means[1:]).sum()), np.abs(samples[:, 1:]).sum(axis=1))
    return figures


def score_several(actual: Array, predicted: Array, n_bootstrap: int, seed: int) -> dict[str, Figure]:
    """micro_f1, macro_f1, accuracy (all classes of a document told, and no other) and hamming_loss (share of the n C answers that are wrong).

    Args:
        actual, predicted: (n, C) bool, the classes that each document is of, n > 0.
        seed: as for `score`.
    """
    n_classes = actual.shape[1]
    wrong = actual != predicted
    seen = np.concatenate([actual & predicted, predicted, actual, ~wrong.any(axis=1, keepdims=True), wrong.mean(axis=1, keepdims=True)], 1)

    def figures(means: Array) -> dict[str, Array]:
        hit, taken, there = np.moveaxis(means[..., : 3 * n_classes].reshape(*means.shape[:-1], 3, n_classes), -2, 0)
        f1 = ratio(2 * hit, taken + there)
        return {
            "micro_f1": ratio(2 * hit.sum(axis=-1), (taken + there).sum(axis=-1)),
            "macro_f1": f1.sum(axis=-1) / np.maximum((taken + there > 0).sum(axis=-1), 1),
            "accuracy": means[..., -2],
            "hamming_loss": means[..., -1],
        }

    found, drawn = figures(seen.mean(axis=0)), figures(mean_draws(seen, n_bootstrap, np.random.default_rng(seed)))
    return {name: _figure(float(value), drawn[name], len(actual)) for name, value in found.items()}


def _figure(value: float, samples: Array, share_of: int | None = None) -> Figure:
    return value, *interval(value, samples, share_of)


def _draw_confusions(seen: Array, figures: Sequence[Callable[[Array], Array]], n_bootstrap: int, rng: np.random.Generator) -> list[Array]:
    """(n_bootstrap,) of each figure.

    All are functions of the confusion matrix, and n documents drawn with replacement are n draws from
    its cells: so the cells that hold any are drawn, which are far fewer than the documents.
    """
    cells = np.flatnonzero(seen)
    count = seen.ravel()[cells]
    parts: list[list[Array]] = [[] for _ in figures]
    for b in blocks(seen.size, n_bootstrap):
        drawn = np.zeros((b, seen.size))
        drawn[:, cells] = rng.multinomial(count.sum(), count / count.sum(), size=b)
        drawn = drawn.reshape(b, *seen.shape)
        for part, figure in zip(parts, figures, strict=True):
            part.append(figure(drawn))
    return [np.concatenate(part) for part in parts]


def likeliest(scores: Array, n_classes: Array) -> Array:
    """(n, C) bool: of each document the classes of the highest scores, as many as it is told; of equal ones the first.

    Args:
        scores: (n, C). n_classes: (n,) int.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(scores.shape[1])[None, :], axis=1)
    return place < n_classes[:, None]


def confusion(actual: Array, predicted: Array, n_classes: int) -> Array:
    """(C, C) int64: how many documents of class [row] were taken for class [column]."""
    return np.bincount(actual * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy(confusion: Array) -> Array:
    """(...,) share of documents on the diagonal of (..., C, C)."""
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1))


def per_class(confusion: Array) -> dict[str, Array]:
    """precision, recall, f1: (..., C) each, 0 where nothing was predicted, or nothing is there; n: documents of the class."""
    return precision_recall_f1(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-2), confusion.sum(axis=-1))


def precision_recall_f1(hit: Array, taken: Array, there: Array) -> dict[str, Array]:
    """Of how many were told rightly, how many were told, and how many there are."""
    return {"precision": ratio(hit, taken), "recall": ratio(hit, there), "f1": ratio(2 * hit, taken + there), "n": there}


def ratio(of: Array, whole: Array) -> Array:
    """of / whole, and 0 where both are."""
    return of / np.where(whole, whole, 1)


def macro_f1(confusion: Array) -> Array:
    """(...,) mean F1 over the classes that are there or were predicted."""
    occurs = (confusion.sum(axis=-2) + confusion.sum(axis=-1)) > 0
    return (per_class(confusion)["f1"] * occurs).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)


def mean_absolute_error(confusion: Array, values: Array) -> Array:
    """(...,) how far the predicted number is from the actual one."""
    far = np.abs(values[:, None] - values)
    return (confusion * far).sum(axis=(-2, -1)) / confusion.sum(axis=(-2, -1))


def quadratic_kappa(confusion: Array, values: Array) -> Array:
    """(...,) 1 - the squared error over that of predictions drawn without looking; 0 where those have none."""
    far = (values[:, None] - values) ** 2
    by_chance = confusion.sum(axis=-1)[..., :, None] * confusion.sum(axis=-2)[..., None, :] / confusion.sum(axis=(-2, -1))[..., None, None]
    expected = (far * by_chance).sum(axis=(-2, -1))
    return ratio(expected - (far * confusion).sum(axis=(-2, -1)), expected)


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


def bins(confidence: Array) -> Array:
    """(n,) int64 from 0 to BINS - 1: the m-th holds what is above (m - 1) / BINS, up to m / BINS."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def gaps(confidence: Array, right: Array) -> Array:
    """(n, BINS): confidence less rightness of each document in its bin; the sizes of the bins' means sum to the calibration error."""
    found = np.zeros((len(confidence), BINS))
    found[np.arange(len(confidence)), bins(confidence)] = confidence - right
    return found


def mcnemar(only_a: int, only_b: int) -> float:
    """How probable it is that two classifiers, each as often right as the other, differ so much or more: two-sided, exact.

    Args:
        only_a, only_b: documents that the one has right and the other wrong.
    """
    return float(min(1.0, 2 * binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)))


def class_ids(labels: Sequence[str], classes: Sequence[str]) -> Array:
    """(n,) int64 places of labels in `classes`. Raises KeyError for one that is not there."""
    place = {label: i for i, label in enumerate(classes)}
    return np.array([place[label] for label in labels], np.int64)
