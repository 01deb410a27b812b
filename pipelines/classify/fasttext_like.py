"""fastText-like: a document is the weighted mean of learned vectors of its words and hashed n-grams, and a softmax says its class.

reads   tokens        documents as token ids, with labels and splits
writes  predictions   a probability per class for each document of valid and test; the model
source  Joulin, Grave, Bojanowski, Mikolov 2017, Bag of tricks for efficient text classification; unlike theirs each n-gram counts once
        a document and is left out where few documents have it, and what it weighs is told beforehand, by its inverse document
        frequency and by how much more often one class has it than the others, |r| of Wang, Manning 2012 (weights: flat and
        min_df: 1 are theirs)
shapes  N documents, V words, K rows that are kept of V + buckets, D = vector_size, C classes

One thread, whatever `threads` says: five passes over 20,000 reviews take 3 s, so no checkpoint is kept.
"""

from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array
from scipy.special import softmax

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.errors import Fault
from pipelines.kernels.averaged import features, means, only
from pipelines.kernels.averaged import train as descend
from pipelines.kernels.bags import inverse_frequency, log_ratio
from pipelines.labels import Split, documents, publish
from pipelines.method import Knobs, Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}
SMOOTHING = 1.0  # sightings that every word and n-gram is given in every class
READ = 50_000  # documents that each class is learned from, each as often as there are epochs
LEAST = np.float32(1e-3)  # ratio of what all classes have as often: a document of nothing else is still some mean


class Params(Knobs):
    ngrams: int = Field(3, ge=1, le=5)  # words of the longest n-gram; the shorter ones count too
    buckets: int = Field(2**23, ge=1, le=2**26)  # that n-grams of two words or more are hashed to
    min_df: int = Field(2, ge=1)  # training documents that a word or bucket must be in
    # of words and n-grams: idf times the largest |r| of a class, idf, or 1; on IMDb, one seed: 92.0, 90.8 and 90.4 % of valid
    weights: Literal["ratio", "idf", "flat"] = "ratio"
    vector_size: int = Field(16, ge=1)  # D
    dropout: float = Field(0.3, ge=0, lt=1)  # share of a document's words and n-grams that a step does not look at
    # 0: as many as read READ documents a class, from 5 to 100; IMDb has 5 then, and 20 Newsgroups, at 30 % with 5, 75 %
    epochs: int = Field(0, ge=0)
    lr: float = Field(0.5, gt=0)  # falls in a line to 0
    class_weights: Literal["none", "balanced"] = "none"  # balanced: every class counts the same, however few its documents
    n_train: int = Field(0, ge=0)  # documents to learn from, drawn by seed of each class its share; 0: all of train


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    classes, train, valid, test = documents(tokens, params.n_train, run)
    n_vocab = tokens.n_rows("vocab")
    rows, offsets = features(train.values, train.offsets, n_vocab, params.ngrams, params.buckets)
    df = np.bincount(rows, minlength=n_vocab + params.buckets)
    kept = np.flatnonzero(df >= params.min_df)
    if not len(kept):
        raise Fault(f"{tokens.name}: no word is in {params.min_df} or more of the {len(train)} training documents. Lower min_df")
    rows, offsets = only(rows, offsets, kept, len(df))
    share = shares(rows, offsets, len(kept), train.class_ids, params.weights)
    run.say(f"{len(train)} documents, {len(kept)} words and buckets, {len(rows)} sightings")
    vectors, outputs = learned(rows, offsets, train, share, len(classes), params, run)
    weights = {"rows": kept.astype(np.int32), "share": share, "vectors": vectors, "outputs": outputs}
    settings = {"model": "fasttext_like", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
    return publish(run, (valid, test), lambda it: probabilities_of(it.values, it.offsets, settings, weights, run), settings, weights)


def shares(rows: np.ndarray, offsets: np.ndarray, n_rows: int, class_ids: np.ndarray, weights: str) -> np.ndarray:
    """(K,) float32, above 0: what each word and n-gram weighs in a mean."""
    if weights == "flat":
        return np.ones(n_rows, np.float32)
    idf = inverse_frequency(np.bincount(rows, minlength=n_rows), len(class_ids))
    if weights == "idf":
        return idf
    x = csr_array((np.ones(len(rows), np.float32), rows, offsets), shape=(len(class_ids), n_rows))
    ratio = np.stack([np.abs(log_ratio(x, class_ids == c, SMOOTHING)) for c in range(class_ids.max() + 1)]).max(axis=0)
    return idf * np.maximum(ratio, LEAST)


def learned(
    rows: np.ndarray, offsets: np.ndarray, train: Split, share: np.ndarray, n_classes: int, params: Params, run: Run
) -> tuple[np.ndarray, np.ndarray]:
    """(K, D) vectors and (C, D) outputs, float32. Raises Fault where the loss is no number any more."""
    vectors = run.rng.uniform(-1 / params.vector_size, 1 / params.vector_size, (len(share), params.vector_size)).astype(np.float32)
    outputs = np.zeros((n_classes, params.vector_size), np.float32)
    n_of = np.bincount(train.class_ids, minlength=n_classes)
    weigh = np.ones(n_classes) if params.class_weights == "none" else len(train) / (n_classes * n_of)
    n_epochs = params.epochs or int(np.clip(round(READ * n_classes / len(train)), 5, 100))
    with run.progress(n_epochs * len(train), "documents") as bar:
        for epoch in range(n_epochs):
            lr, last_lr = (params.lr * (1 - at / n_epochs) for at in (epoch, epoch + 1))
            loss = descend(
                rows, offsets, train.class_ids, weigh.astype(np.float32), run.rng.permutation(len(train)), params.dropout,
                int(run.rng.integers(2**63)), lr, last_lr, share, vectors, outputs,
            )  # fmt: skip
            run.log(epoch=epoch + 1, loss=loss / len(train))
            if not (np.isfinite(loss) and np.isfinite(outputs).all()):
                raise Fault(
                    f"{run.name}: the loss is no number any more in epoch {epoch + 1}, with lr {params.lr:.4g}. Lower lr (0.5 is usual)"
                )
            bar.advance(len(train))
    return vectors, outputs


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(N, C) float32, from the model as an artifact keeps it. A document without a kept word is of all classes alike."""
    params, n_vocab = Params(**settings["params"]), len(settings["words"])
    found = only(*features(values, offsets, n_vocab, params.ngrams, params.buckets), weights["rows"], n_vocab + params.buckets)
    scores = means(*found, weights["share"], weights["vectors"]) @ weights["outputs"].T
    return softmax(scores.astype(np.float64), axis=1).astype(np.float32)
