"""Sparse rows of documents: TF-IDF weights, and linear models on them.

shapes  N documents, F columns (tokens, n-grams, buckets), C classes
"""

import warnings

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC


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
    return unit(csr_array((weight, counts.indices, counts.indptr), shape=counts.shape))


def unit(x: csr_array) -> csr_array:
    """(N, F) float32, each row divided by its length; an empty one stays so."""
    row = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
    length = np.sqrt(np.bincount(row, weights=x.data.astype(np.float64) ** 2, minlength=x.shape[0]))
    length[length == 0] = 1
    return csr_array(((x.data / length[row]).astype(np.float32), x.indices, x.indptr), shape=x.shape)


def log_ratio(x: csr_array, own: np.ndarray, smoothing: float) -> np.ndarray:
    """(F,) float32: ln((p / |p|) / (q / |q|)) of what a class' documents have of each column and what all others have (Wang, Manning 2012, eq. 2).

    Args:
        own: (N,) bool, the documents of the class.
        smoothing: that each column is given in both, > 0.
    """
    p, q = (smoothing + x[np.flatnonzero(rows)].sum(axis=0, dtype=np.float64) for rows in (own, ~own))
    return np.log((p / p.sum()) / (q / q.sum())).astype(np.float32)


def fit_logistic(
    x: csr_array | np.ndarray, class_ids: np.ndarray, l2: float, tol: float, max_iter: int, balanced: bool = False
) -> tuple[dict[str, np.ndarray], bool]:
    """(coefficients and intercept, float32; whether the solver settled), by scikit-learn's L-BFGS.

    Args:
        balanced: the documents of every class weigh the same together.
    """
    return _fitted(LogisticRegression(C=1 / l2, tol=tol, max_iter=max_iter, class_weight="balanced" if balanced else None), x, class_ids)


def fit_standardised(
    x: np.ndarray, class_ids: np.ndarray, l2: float, tol: float, max_iter: int, balanced: bool = False
) -> tuple[dict[str, np.ndarray], bool]:
    """The same of columns made to mean 0 and variance 1; what it gives is of the columns as they were, so that nothing else need be."""
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    model, settled = fit_logistic((x - mean) / spread, class_ids, l2, tol, max_iter, balanced)
    coefficients = model["coefficients"] / spread
    return {"coefficients": coefficients, "intercept": model["intercept"] - coefficients @ mean}, settled


def fit_several(
    x: csr_array | np.ndarray, truth: np.ndarray, l2: float, tol: float, max_iter: int, balanced: bool = False
) -> tuple[dict[str, np.ndarray], bool]:
    """The same for classes of which a document may have several: each by itself, against its absence.

    Args:
        truth: (N, C), 1 where a document is of a class. One that all or none are of has no weights; its intercept is the logarithm of
            its odds, half a document added to both sides.
    """
    parts, settled = [], True
    for column in truth.T:
        n = column.sum()
        if 0 < n < len(column):
            fitted, quiet = fit_logistic(x, column.astype(np.int64), l2, tol, max_iter, balanced)
            settled &= quiet
        else:
            odds = np.log((n + 0.5) / (len(column) - n + 0.5))
            fitted = {"coefficients": np.zeros((1, x.shape[1]), np.float32), "intercept": np.array([odds], np.float32)}
        parts.append(fitted)
    return {name: np.concatenate([part[name] for part in parts]) for name in ("coefficients", "intercept")}, settled


def several_probabilities(x: csr_array, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, C) float32, a sigmoid of each score, of the weights that `fit_several` gave."""
    return expit((x @ weights["coefficients"].T + weights["intercept"]).astype(np.float64)).astype(np.float32)


def fit_margins(
    x: csr_array, class_ids: np.ndarray, loss: str, l2: float, tol: float, max_iter: int, seed: int, balanced: bool = False
) -> tuple[dict[str, np.ndarray], bool]:
    """The same by liblinear's dual coordinate descent, of several classes each against the rest.

    Args:
        loss: `hinge`, `squared_hinge`, or for two classes `logistic`.
        tol: of liblinear, how far the dual's slopes may lie apart.
    """
    kind = {"C": 1 / l2, "tol": tol, "max_iter": max_iter, "random_state": seed, "class_weight": "balanced" if balanced else None}
    solver = LogisticRegression(solver="liblinear", dual=True, **kind) if loss == "logistic" else LinearSVC(loss=loss, dual=True, **kind)
    # liblinear counts in int32
    x = csr_array((x.data, x.indices.astype(np.int32, copy=False), x.indptr.astype(np.int32, copy=False)), shape=x.shape)
    return _fitted(solver, x, class_ids)


def fit_ridge(x: csr_array, y: np.ndarray, l2: float, tol: float, max_iter: int) -> tuple[dict[str, np.ndarray], bool]:
    """(coefficients (1, F) float32 and intercept (1,) float64; whether the solver settled) of the numbers y, (N,), by scikit-learn's LSQR.

    Args:
        l2: times the squared coefficients, beside the sum of squared errors; > 0.
    """
    model = Ridge(alpha=l2, solver="lsqr", tol=tol, max_iter=max_iter).fit(x.astype(np.float64), y)
    weights = {"coefficients": model.coef_[None].astype(np.float32), "intercept": np.array([model.intercept_])}
    return weights, int(np.max(model.n_iter_)) < max_iter


def ridge_numbers(x: csr_array, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, 1) float32, of the weights that `fit_ridge` gave."""
    return ((x @ weights["coefficients"].T).astype(np.float64) + weights["intercept"]).astype(np.float32)


def _fitted(model: LogisticRegression | LinearSVC, x: csr_array | np.ndarray, class_ids: np.ndarray) -> tuple[dict[str, np.ndarray], bool]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, class_ids)
    settled = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return {"coefficients": model.coef_.astype(np.float32), "intercept": model.intercept_.astype(np.float32)}, settled


def class_scores(x: csr_array | np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, C), of the weights that a model above gave; for two classes that of the first is 0."""
    score = x @ weights["coefficients"].T + weights["intercept"]  # (N, C), or (N, 1) for two classes
    return np.hstack([np.zeros_like(score), score]) if score.shape[1] == 1 else score


def class_probabilities(x: csr_array | np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, C) float32, softmax of the scores."""
    return softmax(class_scores(x, weights).astype(np.float64), axis=1).astype(np.float32)
