"""Logistic regression on the rows of a sparse matrix of documents: bags of words, TF-IDF, hashed or not.

reads   counts        documents as sparse rows (cooccur, method documents), with labels and splits
writes  predictions   a probability per class for each document of valid and test; the model
source  Cox 1958; solved by scikit-learn's L-BFGS, several classes as one multinomial model
shapes  N documents, F columns, C classes
"""

import warnings

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.predictions import Predictions
from pipelines.labels import classes_of, read, write, write_classes
from pipelines.method import Knobs, Run


class Params(Knobs):
    l2: float = Field(0.03, gt=0)  # strength of the penalty on large weights; scikit-learn's C is 1 / l2
    tol: float = Field(1e-5, gt=0)  # largest slope of the loss at which it counts as settled
    max_iter: int = Field(500, ge=1)  # steps of L-BFGS


def classify(counts: Counts, params: Params, run: Run) -> Predictions:
    classes = classes_of(counts)
    x = counts.sparse()
    train, valid, test = (read(counts, split, classes) for split in ("train", "valid", "test"))
    model = LogisticRegression(C=1 / params.l2, tol=params.tol, max_iter=params.max_iter)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x[train.rows], train.class_ids)
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        run.say(f"not settled after max_iter = {params.max_iter} steps; a larger max_iter or a larger l2 would settle it")
    weights = {"coefficients": model.coef_.astype(np.float32), "intercept": model.intercept_.astype(np.float32)}
    with run.open(Predictions) as out:
        write_classes(out, classes)
        for split in (valid, test):
            p = probabilities(x[split.rows], weights)
            write(out, split, classes, p)
            if (split.class_ids >= 0).any():
                run.say(f"accuracy on {split.name} {split.accuracy(p):.4f}")
        out.model({"model": "logreg", "classes": classes, "params": params.model_dump()}, weights)
    return out.artifact


def probabilities(x: csr_array, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, C) float32, from the model as an artifact keeps it."""
    score = x @ weights["coefficients"].T + weights["intercept"]  # (N, C), or (N, 1) for two classes
    if score.shape[1] == 1:
        score = np.hstack([np.zeros_like(score), score])
    return softmax(score.astype(np.float64), axis=1).astype(np.float32)
