"""Ridge regression on weighted n-grams, TF-IDF or a plain bag of words: for labels that are numbers, the baseline of a sequence model.

reads   tokens        documents as token ids, with labels that are numbers, and splits
writes  predictions   a number for each document of valid and test; the model
source  Hoerl, Kennard 1970; Spärck Jones 1972 (idf); Salton, Buckley 1988 (weights); solved by Paige, Saunders 1982 (LSQR), in scikit-learn
shapes  N documents, F n-grams
"""

from typing import Literal

import numpy as np
from pydantic import Field

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.kernels.bags import fit_ridge, ridge_numbers
from pipelines.labels import documents, publish
from pipelines.linear import GramKnobs, learn, rows, unsettled
from pipelines.method import Run


class Params(GramKnobs):
    target: Literal["number"] = "number"
    class_weights: Literal["none"] = "none"
    l2: float = Field(1.0, gt=0)  # strength of the penalty on large weights, beside the sum of squared errors; scikit-learn's alpha
    tol: float = Field(1e-6, gt=0)  # of LSQR: how near to the solution it counts as settled
    max_iter: int = Field(1000, ge=1)  # steps of LSQR


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    classes, train, valid, test = documents(tokens, params.n_train, run, params.target)
    x, weights = learn(tokens, train, params, run)
    fitted, settled = fit_ridge(x, train.numbers, params.l2, params.tol, params.max_iter)
    if not settled:
        unsettled(run, params.max_iter)
    weights |= fitted
    settings = {"model": "tfidf_ridge", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
    # what is written comes from the weights that are kept, so a later reader gets the same
    return publish(run, (valid, test), lambda it: probabilities_of(it.values, it.offsets, settings, weights, run), settings, weights)


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(N, 1) float32 numbers, from the model as an artifact keeps it."""
    params = Params(**settings["params"])
    return ridge_numbers(rows(values, offsets, len(settings["words"]), params, weights), weights)
