"""Logistic regression on weighted n-grams: the baseline that a sequence model has to beat.

reads   tokens        documents as token ids, with labels and splits
writes  predictions   a probability per class for each document of valid and test; the model
source  Spärck Jones 1972 (idf); Salton, Buckley 1988 (weights); Wang, Manning 2012 for how strong bigrams
        and a linear model are; solved by scikit-learn's L-BFGS
shapes  N documents, F n-grams, C classes
"""

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.kernels.bags import class_probabilities, fit_logistic, inverse_frequency, weigh
from pipelines.labels import classes_of, read, write, write_classes
from pipelines.method import Knobs, Run

Grams = list[np.ndarray]  # for n = 1, 2, ...: (F_n,) int64 keys, sorted; what a key stands for is told in `_keys`


class Params(Knobs):
    ngrams: int = Field(2, ge=1, le=5)  # words of the longest n-gram; the shorter ones count too
    min_df: int = Field(2, ge=1)  # training documents that an n-gram must be in
    sublinear: bool = True  # 1 + ln(count) instead of count
    l2: float = Field(0.03, gt=0)  # strength of the penalty on large weights; scikit-learn's C is 1 / l2
    # Largest slope of the loss at which it counts as settled. At scikit-learn's 1e-4 the solver stops early: on IMDb
    # 91.1 % of valid are right then, and 91.5 at 1e-5 as well as at 1e-6.
    tol: float = Field(1e-5, gt=0)
    max_iter: int = Field(500, ge=1)  # steps of L-BFGS


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    classes = classes_of(tokens)
    train, valid, test = (read(tokens, split, classes) for split in ("train", "valid", "test"))
    n_vocab = tokens.n_rows("vocab")
    grams = frequent(train.values, train.offsets, n_vocab, params)
    if not sum(map(len, grams)):
        raise Fault(f"{tokens.name}: no n-gram is in {params.min_df} or more of the {len(train)} training documents. Lower min_df")
    counts = count(train.values, train.offsets, n_vocab, grams)
    weights = {"idf": inverse_frequency(np.bincount(counts.indices, minlength=counts.shape[1]), counts.shape[0])}
    x = weigh(counts, weights["idf"], params.sublinear)
    run.say(f"{x.shape[0]} documents, {x.shape[1]} n-grams, {x.nnz} weights")
    fitted, settled = fit_logistic(x, train.class_ids, params.l2, params.tol, params.max_iter)
    if not settled:
        run.say(f"not settled after max_iter = {params.max_iter} steps; a larger max_iter or a larger l2 would settle it")
    weights |= fitted
    weights |= {f"grams{n}": keys for n, keys in enumerate(grams, 1)}

    settings = {"model": "tfidf_logreg", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
    with run.open(Predictions) as out:
        write_classes(out, classes)
        for split in (valid, test):
            # what is written comes from the weights that are kept, so a later reader gets the same
            p = probabilities(split.values, split.offsets, settings, weights)
            write(out, split, classes, p)
            if (split.class_ids >= 0).any():
                run.say(f"accuracy on {split.name} {split.accuracy(p):.4f}")
        out.model(settings, weights)
    return out.artifact


def frequent(values: np.ndarray, offsets: np.ndarray, n_vocab: int, params: Params) -> Grams:
    """The n-grams of known words that are in at least min_df documents.

    Grown word by word: an n-gram can only be frequent when the n - 1 words that it begins with are.
    """
    document = _document(offsets)
    grams: Grams = []
    for _ in range(params.ngrams):
        place, key = _keys(values, document, n_vocab, grams)
        order = np.argsort(key, kind="stable")  # equal ones stay in the documents' order
        key, home = key[order], document[place[order]]
        new = (np.diff(key, prepend=-1) != 0) | (np.diff(home, prepend=-1) != 0)  # each n-gram once a document
        found, df = np.unique(key[new], return_counts=True)
        grams.append(found[df >= params.min_df])
    return grams


def count(values: np.ndarray, offsets: np.ndarray, n_vocab: int, grams: Grams) -> csr_array:
    """(N, F) float32: how often each document has each n-gram."""
    document = _document(offsets)
    rows, columns, before = [], [], 0
    for n, keys in enumerate(grams):
        place, key = _keys(values, document, n_vocab, grams[:n])
        column, known = _lookup(keys, key)
        rows.append(document[place[known]])
        columns.append(before + column[known])
        before += len(keys)
    row, column = np.concatenate(rows), np.concatenate(columns)
    counts = csr_array((np.ones(len(row), np.float32), (row, column)), shape=(len(offsets) - 1, before))
    counts.sum_duplicates()
    return counts


def probabilities(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, C) float32, from the model as an artifact keeps it."""
    params = Params(**settings["params"])
    grams = [weights[f"grams{n + 1}"] for n in range(params.ngrams)]
    x = weigh(count(values, offsets, len(settings["words"]), grams), weights["idf"], params.sublinear)
    return class_probabilities(x, weights)


def _keys(values: np.ndarray, document: np.ndarray, n_vocab: int, grams: Grams) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams of a text, one longer than the longest of `grams`.

    Returns:
        (place, key): where each one begins, and a number that names it: the place of the n-gram without
        its last word in its own list, times n_vocab, plus the last word. int64, since the product
        outgrows int32 from about 46,341 words on.
    """
    known = values != UNKNOWN_ID
    place, key = np.flatnonzero(known), values[known].astype(np.int64)
    for n, keys in enumerate(grams, 1):
        prefix, frequent = _lookup(keys, key)
        # ends within the text, in the same document, and not with an unknown word
        frequent &= place + n < len(values)
        place, prefix = place[frequent], prefix[frequent]
        whole = (document[place] == document[place + n]) & known[place + n]
        place, prefix = place[whole], prefix[whole]
        key = prefix * n_vocab + values[place + n]
    return place, key


def _lookup(keys: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each key is in the sorted `keys`, and whether it is there at all."""
    if not len(keys):
        return np.zeros(len(key), np.int64), np.zeros(len(key), bool)
    column = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    return column, keys[column] == key


def _document(offsets: np.ndarray) -> np.ndarray:
    """The document that each token is in."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
