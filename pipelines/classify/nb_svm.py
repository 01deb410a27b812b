"""NB-SVM: a linear model on n-grams, each of which counts by how much more often one class has it than the others.

reads   tokens        documents as token ids, with labels and splits
writes  predictions   a probability per class for each document of valid and test; the model
source  Wang, Manning 2012, Baselines and bigrams: r = ln((p / |p|) / (q / |q|)) of p = smoothing + what the documents of a class
        have of an n-gram, and q the same of all others (eq. 2); rows are r times the n-gram's sightings; w' = (1 - beta) mean |w|
        + beta w (eq. 5). Solver and probabilities as in linear_svm. Theirs is weighting: binary, normalise: false
shapes  N documents, F n-grams, C classes, of which two need one model
"""

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array
from scipy.special import softmax

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.kernels.bags import fit_margins, inverse_frequency, log_ratio, unit
from pipelines.labels import documents, publish
from pipelines.linear import GramKnobs, learn, margin_temperature, rows, unsettled
from pipelines.method import Run


class Params(GramKnobs):
    ngrams: int = Field(3, ge=1, le=5)  # words of the longest n-gram; the shorter ones count too
    weighting: Literal["tfidf", "counts", "binary"] = "tfidf"  # on IMDb, one seed: 92.4 % of valid, and 91.9 with binary
    normalise: bool = True  # rows to length 1 after they are multiplied by r; of binary ones 91.4 % without it
    smoothing: float = Field(1.0, gt=0)  # the paper's alpha: sightings that every n-gram is given in every class
    beta: float = Field(1.0, ge=0, le=1)  # 0: every n-gram as far as r says, 1: as far as the solver says; the paper takes .25
    loss: Literal["squared_hinge", "hinge", "logistic"] = "squared_hinge"
    l2: float = Field(1.0, gt=0)  # strength of the penalty on large weights; scikit-learn's C is 1 / l2
    tol: float = Field(0.1, gt=0)  # how far the dual's slopes may lie apart when it counts as settled
    max_iter: int = Field(1000, ge=1)  # passes over the documents
    folds: int = Field(3, ge=2)  # models that are fitted for the temperature of the probabilities alone


class Model(NamedTuple):
    """One row per class, or one for two classes: the second against the first."""

    ratio: np.ndarray  # (C, F) float32, r, times the inverse document frequencies where weighting is tfidf
    coefficients: np.ndarray  # (C, F) float32, of the rows times r
    intercept: np.ndarray  # (C,) float32


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    classes, train, valid, test = documents(tokens, params.n_train, run)
    x, weights = learn(tokens, train, unscaled(params), run)

    def scored(learned: np.ndarray, others: np.ndarray) -> np.ndarray:
        return scores(x[others], fit(x[learned], train.class_ids[learned], params, run)[0], params.normalise)

    t = margin_temperature(scored, train.class_ids, params.folds, run)
    model, settled = fit(x, train.class_ids, params, run)
    if not settled:
        unsettled(run, params.max_iter)
    weights |= {"ratio": model.ratio, "coefficients": model.coefficients / np.float32(t), "intercept": model.intercept / np.float32(t)}
    settings = {"model": "nb_svm", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
    return publish(run, (valid, test), lambda it: probabilities_of(it.values, it.offsets, settings, weights, run), settings, weights)


def unscaled(params: Params) -> Params:
    """r is of sightings as they are; inverse document frequencies multiply it, and rows get their length after that."""
    return params.model_copy(update={"normalise": False, "weighting": "binary" if params.weighting == "binary" else "counts"})


def fit(x: csr_array, class_ids: np.ndarray, params: Params, run: Run) -> tuple[Model, bool]:
    """Each class against the rest, and whether the solver settled for all. `class_ids` holds all C classes."""
    n_classes = class_ids.max() + 1
    rare = inverse_frequency(np.bincount(x.indices, minlength=x.shape[1]), x.shape[0]) if params.weighting == "tfidf" else np.float32(1)
    parts, settled = [], True
    for c in range(n_classes) if n_classes > 2 else [1]:
        own = class_ids == c
        r = log_ratio(x, own, params.smoothing) * rare
        fitted, quiet = fit_margins(
            times(x, r, params.normalise), own.astype(np.int64),
            params.loss, params.l2, params.tol, params.max_iter, run.seed, params.class_weights == "balanced",
        )  # fmt: skip
        w = fitted["coefficients"][0]
        parts.append((r, (1 - params.beta) * np.abs(w).mean() + params.beta * w, fitted["intercept"][0]))
        settled &= quiet
    ratio, coefficients, intercept = (np.stack(part).astype(np.float32) for part in zip(*parts, strict=True))
    return Model(ratio, coefficients, intercept), settled


def times(x: csr_array, r: np.ndarray, normalise: bool) -> csr_array:
    product = csr_array((x.data * r[x.indices], x.indices, x.indptr), shape=x.shape)
    return unit(product) if normalise else product


def scores(x: csr_array, model: Model, normalise: bool) -> np.ndarray:
    """(N, C) margins; of two classes the first one's is 0."""
    margins = [times(x, r, normalise) @ w + b for r, w, b in zip(*model, strict=True)]
    return np.stack([np.zeros_like(margins[0]), *margins] if len(margins) == 1 else margins, axis=1)


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(N, C) float32, from the model as an artifact keeps it."""
    params = Params(**settings["params"])
    x = rows(values, offsets, len(settings["words"]), unscaled(params), weights)
    model = Model(weights["ratio"], weights["coefficients"], weights["intercept"])
    return softmax(scores(x, model, params.normalise).astype(np.float64), axis=1).astype(np.float32)
