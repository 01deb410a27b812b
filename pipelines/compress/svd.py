"""Truncated SVD of sparse rows: the K directions that keep most of a matrix of documents, or of words.

reads   counts    rows of documents (cooccur, method documents), or of words
writes  codings   one float32 coding of K numbers per row, the squared error of its reconstruction, the model
source  Deerwester et al. 1990 (latent semantic analysis); Halko, Martinsson, Tropp 2011, algorithm 4.4: randomised
        subspace iteration, by scikit-learn
shapes  N rows, V columns, K = coding_size. In memory: the sparse matrix, and 4 K (N + V) bytes
"""

import numpy as np
from pydantic import Field
from sklearn.utils.extmath import randomized_svd

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.counts import Counts
from pipelines.errors import Fault
from pipelines.method import Knobs, Run


class Params(Knobs):
    coding_size: int = Field(100, ge=1)  # K
    n_iter: int = Field(5, ge=0, le=100)  # subspace iterations: more where singular values fall slowly


def compress(counts: Counts, params: Params, run: Run) -> Codings:
    x, k = counts.sparse(), params.coding_size
    if k >= min(x.shape):
        raise Fault(
            f"{counts.name}: a matrix of {x.shape[0]:,} rows and {x.shape[1]:,} columns has no {k} directions to choose. Lower coding_size"
        )
    _, _, directions = randomized_svd(x, k, n_iter=params.n_iter, random_state=run.seed)
    directions = directions.astype(np.float32)  # (K, V), orthonormal rows
    codings = np.asarray(x @ directions.T)
    squares = x.power(2).sum(axis=1).astype(np.float64)
    error = np.maximum(squares - (codings.astype(np.float64) ** 2).sum(axis=1), 0)
    documents = counts.n_rows("documents") > 0
    items = (counts.documents().column("doc_id") if documents else counts.vocab().column("token")).to_pylist()
    with run.open(Codings) as out:
        out.append(item=items, coding=codings, error=error.astype(np.float32))
        # a linear autoencoder with the encoder's transpose for its decoder
        zeros = {"mean": np.zeros(x.shape[1], np.float32), "scale": np.float32(1)}
        layers = {"encoder.0.weight": directions, "encoder.0.bias": np.zeros(k, np.float32),
                  "decoder.0.weight": directions.T, "decoder.0.bias": zeros["mean"]}  # fmt: skip
        out.model({"model": "autoencoder", "sizes": [x.shape[1], k], "activation": None}, {**layers, **zeros})
    run.say(f"{x.shape[1]:,} -> {k} numbers keep {1 - error.sum() / max(squares.sum(), 1e-30):.1%} of the squared weights")
    return out.artifact
