"""Mean vectors: logistic regression on a few numbers a document that are made of its words' vectors, without their order.

reads   tokens        documents as token ids, with labels and splits; the unknown token is left out
        vectors       of words, matched to the vocabulary by the word itself
        codings       instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Arora, Liang, Ma 2017, A simple but tough-to-beat baseline for sentence embeddings (sif); De Boom et al. 2016 for mean, max
        and min side by side; pipelines/kernels/pooling.py
shapes  N documents, V words, D numbers of a word, F of a document, C classes
"""

from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.bags import class_probabilities, fit_standardised, inverse_frequency
from pipelines.kernels.pooling import components, extremes, leading, means
from pipelines.labels import documents, publish
from pipelines.linear import unsettled
from pipelines.method import Knobs, Run
from pipelines.reading import matched


class Params(Knobs):
    pooling: Literal["mean", "mean_max_min", "components"] = "mean"  # components: the first of the matrix of a document's words
    weights: Literal["flat", "idf", "sif"] = "flat"  # of words: 1, their inverse document frequency, or a / (a + p)
    a: float = Field(1e-3, gt=0)  # of sif; the paper's value
    remove: int = Field(0, ge=0)  # first components that are taken away, of all documents' means; the paper takes 1
    n_components: int = Field(3, ge=1)  # of a document, for pooling: components
    # document frequencies, p and what is taken away are of these documents; no label is asked
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)
    l2: float = Field(1.0, gt=0)  # strength of the penalty on large weights; scikit-learn's C is 1 / l2
    tol: float = Field(1e-4, gt=0)  # largest slope of the loss at which it counts as settled
    max_iter: int = Field(500, ge=1)  # steps of L-BFGS
    class_weights: Literal["none", "balanced"] = "none"  # balanced: every class counts the same, however few its documents
    n_train: int = Field(0, ge=0)  # documents to learn from, drawn by seed of each class its share; 0: all of train


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    if (vectors is None) == (codings is None):
        raise Fault(f"{run.name}: words have either vectors or codings. Name a row of one of them")
    given: Matrix = vectors if vectors is not None else codings  # type: ignore[assignment]
    if params.remove and params.pooling != "mean":
        raise Fault(f"{run.name}: remove is of pooling: mean, and this row's is {params.pooling}. Leave remove out")
    if max(params.remove, params.n_components - 1) >= given.size:
        raise Fault(f"{given.name}: its rows have {given.size} numbers, so there are no more components. Lower remove and n_components")
    classes, train, valid, test = documents(tokens, params.n_train, run)
    word = matched(tokens, given.items(), given.matrix(), given.name, run, scaled=False)
    word[UNKNOWN_ID] = 0  # its vector, where there is one, is of no word
    if not np.isfinite(word).all():
        raise Fault(f"{given.name}: it holds numbers that are not finite. Look at the stage that made it")
    weights = {"word": word, "weight": weights_of(tokens, params)}
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        if params.remove:
            weights["removed"] = leading(means(*tokens.ids(params.splits), word, weights["weight"]), params.remove)
        x = numbers(train.values, train.offsets, params, weights)
        model, settled = fit_standardised(x, train.class_ids, params.l2, params.tol, params.max_iter, params.class_weights == "balanced")
        weights |= model
    if not settled:
        unsettled(run, params.max_iter)
    settings = {"model": "mean_vectors", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
    return publish(run, (valid, test), lambda it: probabilities_of(it.values, it.offsets, settings, weights, run), settings, weights)


def weights_of(tokens: Tokens, params: Params) -> np.ndarray:
    """(V,) float64, of words."""
    n_vocab = tokens.n_rows("vocab")
    if params.weights == "flat":
        return np.ones(n_vocab)
    values, offsets = tokens.ids(params.splits)
    if not len(values):
        raise Fault(f"{tokens.name}: no word is in {', '.join(params.splits)}, so words have no frequency. Name other splits")
    if params.weights == "sif":
        return params.a / (params.a + np.bincount(values, minlength=n_vocab) / len(values))
    bags = csr_array((np.ones(len(values), bool), values.copy(), offsets), shape=(len(offsets) - 1, n_vocab))
    bags.sum_duplicates()  # each word once a document
    df = np.bincount(bags.indices, minlength=n_vocab)
    return inverse_frequency(df, len(offsets) - 1).astype(np.float64)


def numbers(values: np.ndarray, offsets: np.ndarray, params: Params, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, F) float64; zeros of a document without a word that has a vector."""
    word, weight = weights["word"], weights["weight"]
    if params.pooling == "components":
        return components(values, offsets, word, weight, params.n_components).astype(np.float64)
    x = means(values, offsets, word, weight)
    if params.remove:
        x = x - (x @ weights["removed"].T) @ weights["removed"]
    return np.hstack([x, extremes(values, offsets, word)]) if params.pooling == "mean_max_min" else x


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(N, C) float32, from the model as an artifact keeps it."""
    with threadpool_limits(1, "blas"):
        return class_probabilities(numbers(values, offsets, Params(**settings["params"]), weights), weights)
