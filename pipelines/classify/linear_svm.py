"""Linear support vector machine on weighted n-grams, TF-IDF or a plain bag of words.

reads   tokens        documents as token ids, with labels and splits
writes  predictions   a probability per class for each document of valid and test; the model
source  Cortes, Vapnik 1995; Joachims 1998 for text; Hsieh et al. 2008 for the solver (scikit-learn's LinearSVC), several classes
        each against the rest. Probabilities are the softmax of the margins over one temperature, which is Platt's 1999 sigmoid
        without an offset; it is fitted on margins of training documents that were held out by cross-validation
shapes  N documents, F n-grams, C classes
"""

from typing import Literal

import numpy as np
from pydantic import Field

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.kernels.bags import class_probabilities, class_scores, fit_margins
from pipelines.labels import documents, publish
from pipelines.linear import GramKnobs, learn, margin_temperature, rows, unsettled
from pipelines.method import Run


class Params(GramKnobs):
    loss: Literal["squared_hinge", "hinge"] = "squared_hinge"
    l2: float = Field(1.0, gt=0)  # strength of the penalty on large weights; scikit-learn's C is 1 / l2. On IMDb 10 is 1.1 points worse
    tol: float = Field(1e-3, gt=0)  # how far the dual's slopes may lie apart when it counts as settled
    max_iter: int = Field(1000, ge=1)  # passes over the documents
    folds: int = Field(3, ge=2)  # models that are fitted for the temperature alone


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    classes, train, valid, test = documents(tokens, params.n_train, run)
    x, weights = learn(tokens, train, params, run)

    def fitted(of: np.ndarray) -> tuple[dict[str, np.ndarray], bool]:
        knobs = params.loss, params.l2, params.tol, params.max_iter, run.seed, params.class_weights == "balanced"
        return fit_margins(x[of], train.class_ids[of], *knobs)

    t = margin_temperature(lambda learned, others: class_scores(x[others], fitted(learned)[0]), train.class_ids, params.folds, run)
    model, settled = fitted(np.arange(len(train)))
    if not settled:
        unsettled(run, params.max_iter)
    weights |= {name: array / np.float32(t) for name, array in model.items()}
    settings = {"model": "linear_svm", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
    return publish(run, (valid, test), lambda it: probabilities_of(it.values, it.offsets, settings, weights, run), settings, weights)


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(N, C) float32, from the model as an artifact keeps it."""
    params = Params(**settings["params"])
    return class_probabilities(rows(values, offsets, len(settings["words"]), params, weights), weights)
