"""Sparse rows of documents: TF-IDF weights, and logistic regression on them.

shapes  N documents, F columns (tokens, n-grams, buckets), C classes
"""

import warnings

import numpy as np
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


def inverse_frequency(df: np.ndarray, n: int) -> np.ndarray:
    """(F,) float32: ln((1 + n) / (1 + df)) + 1, as scikit-learn smooths it.

    Args:
        df: (F,) int, of `n` documents, how many have each column.
    """
    return (np.log((1 + n) / (1 + df)) + 1).astype(np.float32)


def weigh(counts: csr_array, idf: np.ndarray, sublinear: bool) -> csr_array:
    """(N, F) float32 rows of length 1; an empty row keeps its zeros.

    Args:
        sublinear: 1 + ln(count) in the place of count.
    """
    weight = (1 + np.log(counts.data) if sublinear else counts.data) * idf[counts.indices]
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    length = np.sqrt(np.bincount(row, weights=weight.astype(np.float64) ** 2, minlength=counts.shape[0]))
    return csr_array(((weight / length[row]).astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)


def fit_logistic(x: csr_array, class_ids: np.ndarray, l2: float, tol: float, max_iter: int) -> tuple[dict[str, np.ndarray], bool]:
    """(coefficients and intercept, float32; whether the solver settled), by scikit-learn's L-BFGS."""
    model = LogisticRegression(C=1 / l2, tol=tol, max_iter=max_iter)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, class_ids)
    settled = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return {"coefficients": model.coef_.astype(np.float32), "intercept": model.intercept_.astype(np.float32)}, settled


def class_probabilities(x: csr_array, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, C) float32, of the weights that `fit_logistic` gave."""
    score = x @ weights["coefficients"].T + weights["intercept"]  # (N, C), or (N, 1) for two classes
    if score.shape[1] == 1:
        score = np.hstack([np.zeros_like(score), score])
    return softmax(score.astype(np.float64), axis=1).astype(np.float32)
