"""What the linear classifiers share: rows of weighted n-grams, and margins that become probabilities.

source  Spärck Jones 1972 (idf); Salton, Buckley 1988 (weights); Wang, Manning 2012 for how strong bigrams and a linear
        model are; pipelines/kernels/calibration.py for the probabilities
shapes  N documents, F n-grams, C classes
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from pipelines.artifacts.tokens import Tokens
from pipelines.errors import Fault
from pipelines.kernels.bags import inverse_frequency, unit
from pipelines.kernels.calibration import cross_validated, temperature
from pipelines.kernels.grams import count, frequent
from pipelines.labels import Split
from pipelines.method import Knobs, Run


class GramKnobs(Knobs):
    ngrams: int = Field(2, ge=1, le=5)  # words of the longest n-gram; the shorter ones count too
    min_df: int = Field(2, ge=1)  # training documents that an n-gram must be in
    weighting: Literal["tfidf", "counts", "binary"] = "tfidf"
    sublinear: bool = True  # 1 + ln(count) instead of count; of tfidf and counts
    normalise: bool = True  # rows to length 1
    class_weights: Literal["none", "balanced"] = "none"  # balanced: every class counts the same, however few its documents
    n_train: int = Field(0, ge=0)  # documents to learn from, drawn by seed of each class its share; 0: all of train


def learn(tokens: Tokens, train: Split, params: GramKnobs, run: Run) -> tuple[csr_array, dict[str, np.ndarray]]:
    """The training documents as rows of weighted n-grams, and what makes such rows of others. Raises Fault where no n-gram is left."""
    n_vocab = tokens.n_rows("vocab")
    grams = frequent(train.values, train.offsets, n_vocab, params.ngrams, params.min_df)
    if not sum(map(len, grams)):
        raise Fault(f"{tokens.name}: no n-gram is in {params.min_df} or more of the {len(train)} training documents. Lower min_df")
    counts = count(train.values, train.offsets, n_vocab, grams)
    weights = {f"grams{n}": keys for n, keys in enumerate(grams, 1)}
    if params.weighting == "tfidf":
        weights["idf"] = inverse_frequency(np.bincount(counts.indices, minlength=counts.shape[1]), counts.shape[0])
    run.say(f"{counts.shape[0]} documents, {counts.shape[1]} n-grams, {counts.nnz} weights")
    return _weighted(counts, params, weights), weights


def rows(values: np.ndarray, offsets: np.ndarray, n_vocab: int, params: GramKnobs, weights: dict[str, np.ndarray]) -> csr_array:
    """(N, F) float32: any documents as `learn` gave those of train."""
    grams = [weights[f"grams{n + 1}"] for n in range(params.ngrams)]
    return _weighted(count(values, offsets, n_vocab, grams), params, weights)


def _weighted(counts: csr_array, params: GramKnobs, weights: dict[str, np.ndarray]) -> csr_array:
    data = np.ones_like(counts.data) if params.weighting == "binary" else 1 + np.log(counts.data) if params.sublinear else counts.data
    if params.weighting == "tfidf":
        data = data * weights["idf"][counts.indices]
    x = csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
    return unit(x) if params.normalise else x


def margin_temperature(scores_of: Callable[[np.ndarray, np.ndarray], np.ndarray], class_ids: np.ndarray, folds: int, run: Run) -> float:
    """What margins are divided by before the softmax: a temperature for margins of training documents that were held out."""
    scores, held_out = cross_validated(scores_of, class_ids, folds, run.rng)
    if not len(scores):
        run.say("each class has one training document, so nothing can be held out: probabilities are the softmax of margins as they are")
        return 1.0
    return temperature(scores, held_out)


def unsettled(run: Run, max_iter: int) -> None:
    run.say(f"not settled after max_iter = {max_iter} steps; a larger max_iter or a larger l2 would settle it")
