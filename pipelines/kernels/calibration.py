"""From scores to probabilities that can be believed: one temperature for all, found where the model has not learned.

source  Guo, Pleiss, Sun, Weinberger 2017, On calibration of modern neural networks; Platt 1999, who takes a sigmoid
        for the margins of a support vector machine: this one has no offset, so that no decision changes
shapes  N documents, C classes
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

COLDEST, HOTTEST = 1e-3, 1e3


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """float64; of a probability that float32 has rounded to 0 that of the smallest there is."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny, dtype=np.float64))


def log_loss(scores: np.ndarray, class_ids: np.ndarray) -> float:
    """Mean of -ln p of the true classes, nats, for p = softmax(scores), (N, C)."""
    return float(-log_softmax(scores.astype(np.float64), axis=1)[np.arange(len(class_ids)), class_ids].mean())


def temperature(scores: np.ndarray, class_ids: np.ndarray) -> float:
    """The T between COLDEST and HOTTEST for which softmax(scores / T) has the least `smoothed_loss`; it is convex in 1 / T."""
    scores = scores.astype(np.float64)
    found = minimize_scalar(
        lambda log_t: smoothed_loss(scores / np.exp(log_t), class_ids),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def smoothed_loss(scores: np.ndarray, class_ids: np.ndarray) -> float:
    """The log loss against (N + 1) / (N + C) for the true class, and 1 / (N + C) for each other.

    As Platt smooths his targets: by few documents that are all right nobody is sure of the next one.
    """
    n, n_classes = scores.shape
    of_all = -log_softmax(scores, axis=1).mean()
    return (n * log_loss(scores, class_ids) + n_classes * of_all) / (n + n_classes)


def cross_validated(
    scores_of: Callable[[np.ndarray, np.ndarray], np.ndarray], class_ids: np.ndarray, n_folds: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of documents by models that did not learn from them.

    A class's documents are dealt out to the folds one by one, so that each model knows all classes; the only document of
    its class is learned from by all, and held out by none.

    Args:
        scores_of: (rows to learn from, rows to score) -> (rows to score, C).

    Returns:
        (scores, class_ids) of the documents that were held out; (0, ...) where every class has one document.
    """
    fold = np.full(len(class_ids), -1)
    for c in np.unique(class_ids):
        mine = rng.permutation(np.flatnonzero(class_ids == c))
        if len(mine) > 1:
            fold[mine] = np.arange(len(mine)) % n_folds
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]
    parts = [(learned, held_out) for learned, held_out in parts if len(held_out)]
    if not parts:
        return np.empty((0, 0)), np.empty(0, np.int64)
    scores = [scores_of(learned, held_out) for learned, held_out in parts]
    return np.concatenate(scores), class_ids[np.concatenate([held_out for _, held_out in parts])]
