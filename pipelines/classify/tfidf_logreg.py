"""Logistic regression on weighted n-grams, TF-IDF or a plain bag of words: the baseline that a sequence model has to beat.

reads   tokens        documents as token ids, with labels and splits
writes  predictions   a probability per class for each document of valid and test; the model
source  Spärck Jones 1972 (idf); Salton, Buckley 1988 (weights); Wang, Manning 2012 for how strong bigrams
        and a linear model are; solved by scikit-learn's L-BFGS
shapes  N documents, F n-grams, C classes
"""

from typing import Literal

import numpy as np
from pydantic import Field

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.kernels.bags import class_probabilities, fit_logistic, fit_several, several_probabilities
from pipelines.labels import documents, publish
from pipelines.linear import GramKnobs, learn, rows, unsettled
from pipelines.method import Run


class Params(GramKnobs):
    target: Literal["one", "several"] = "one"  # several: a document may be of several classes, each asked for by itself
    l2: float = Field(0.03, gt=0)  # strength of the penalty on large weights; scikit-learn's C is 1 / l2
    # Largest slope of the loss at which it counts as settled. At scikit-learn's 1e-4 the solver stops early: on IMDb
    # 91.1 % of valid are right then, and 91.5 at 1e-5 as well as at 1e-6.
    tol: float = Field(1e-5, gt=0)
    max_iter: int = Field(500, ge=1)  # steps of L-BFGS


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    classes, train, valid, test = documents(tokens, params.n_train, run, params.target)
    x, weights = learn(tokens, train, params, run)
    several = params.target == "several"
    fit, truth = (fit_several, train.truth) if several else (fit_logistic, train.class_ids)
    fitted, settled = fit(x, truth, params.l2, params.tol, params.max_iter, params.class_weights == "balanced")
    if not settled:
        unsettled(run, params.max_iter)
    weights |= fitted
    settings = {"model": "tfidf_logreg", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
    # what is written comes from the weights that are kept, so a later reader gets the same
    return publish(run, (valid, test), lambda it: probabilities_of(it.values, it.offsets, settings, weights, run), settings, weights)


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(N, C) float32, from the model as an artifact keeps it."""
    params = Params(**settings["params"])
    said = several_probabilities if params.target == "several" else class_probabilities
    return said(rows(values, offsets, len(settings["words"]), params, weights), weights)
