"""Document vectors: logistic regression on one vector a document, such as doc2vec's, lsa's, or of bags.

reads   tokens        documents with labels and splits; what their tokens are is not looked at
        vectors       of documents, the item being the doc_id
        codings       instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Le, Mikolov 2014, 3.2, for doc2vec; Mesnil, Mikolov, Ranzato, Bengio 2015, who put it beside NB-SVM
shapes  N documents, D numbers of each, C classes

Inductive only where the vectors are: a row of doc2vec that infers valid and test has learned nothing from these. A document without a
vector, which had no known word, has zeros. What is kept is of vectors, so a text cannot be asked; `wordloom search` gives it one.
"""

from typing import Literal

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.bags import class_probabilities, fit_standardised
from pipelines.kernels.nearest import unit
from pipelines.labels import Split, documents, publish
from pipelines.linear import unsettled
from pipelines.method import Knobs, Run


class Params(Knobs):
    normalise: bool = False  # each vector to length 1
    l2: float = Field(1.0, gt=0)  # on columns of mean 0 and variance 1; scikit-learn's C is 1 / l2
    tol: float = Field(1e-4, gt=0)  # largest slope of the loss at which it counts as settled
    max_iter: int = Field(500, ge=1)  # steps of L-BFGS
    class_weights: Literal["none", "balanced"] = "none"  # balanced: every class counts the same, however few its documents
    n_train: int = Field(0, ge=0)  # documents to learn from, drawn by seed of each class its share; 0: all of train


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    if (vectors is None) == (codings is None):
        raise Fault(f"{run.name}: documents have either vectors or codings. Name a row of one of them")
    given: Matrix = vectors if vectors is not None else codings  # type: ignore[assignment]
    classes, train, valid, test = documents(tokens, params.n_train, run)
    place, matrix = {item: row for row, item in enumerate(given.items())}, given.finite(given.matrix())

    def numbers(split: Split) -> np.ndarray:
        """(N, D) float64, zeros of a document without a vector."""
        rows = np.array([place.get(doc_id, -1) for doc_id in split.doc_ids.to_pylist()], np.int64)
        x = matrix[rows]
        x[rows < 0] = 0
        return (unit(x) if params.normalise else x).astype(np.float64)

    found = [sum(doc_id in place for doc_id in split.doc_ids.to_pylist()) for split in (train, valid, test)]
    if not found[0]:
        raise Fault(
            f"{given.name}: none of the {len(train):,} training documents of {tokens.name} has a vector; its first items are "
            f"{', '.join(map(repr, given.items()[:3]))}. Name vectors of documents: doc2vec, lsa (of: documents), mean_of_words or bags, "
            "of the same corpus, split train included"
        )
    n_documents = len(train) + len(valid) + len(test)
    if sum(found) < n_documents:
        run.say(f"{n_documents - sum(found):,} of {n_documents:,} documents have no vector, and are read as zeros")
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        weights, settled = fit_standardised(
            numbers(train), train.class_ids, params.l2, params.tol, params.max_iter, params.class_weights == "balanced"
        )
        if not settled:
            unsettled(run, params.max_iter)
        settings = {"model": "document_vectors", "classes": classes, "params": params.model_dump()}
        return publish(run, (valid, test), lambda split: class_probabilities(numbers(split), weights), settings, weights)
