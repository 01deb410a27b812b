"""PPMI and SVD: a matrix of how much more often than by chance words meet, and the K directions that say most of it.

reads   counts    (row, col, count) of words near words; or a measure of `association`, with measure `none`
writes  vectors   one float32 vector per word that is in a pair, in the vocabulary's order; the model holds word and context
                  vectors of the same rows, and the singular values
source  Levy, Goldberg, Dagan 2015, Improving distributional similarity with lessons learned from word embeddings: smoothed
        contexts (3.1), shift (3.2), word + context and the singular values' exponent (3.3); pipelines/kernels/svd.py
shapes  V words, P pairs other than 0, K = vector_size. In memory: 24 bytes a pair, and about 40 (K + 20) bytes a word
"""

from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.sparse import csr_array

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, too_few_words
from pipelines.kernels import association
from pipelines.kernels.svd import rank, svd
from pipelines.method import Knobs, Run


class Params(Knobs):
    vector_size: int = Field(100, ge=1)  # K; of side `concatenate` a vector has twice as many numbers
    measure: Literal["ppmi", "pmi", "shifted_ppmi", "log", "ratio", "none"] = "ppmi"  # none: the numbers as they are
    smoothing: float = Field(0.75, gt=0, le=1)  # exponent of the contexts' sums; 1 leaves them
    shift: float = Field(1.0, ge=1)  # k: as skip-gram with k noise words. Of shifted_ppmi alone
    # of the singular values: 1 is the plain SVD; Levy et al. found 0 and .5 to serve similarity better. In between was best on
    # one half of MEN (Wikipedia, window 10): .689 at .25, .685 at 0, .686 at .5, with vectors of 200 numbers
    exponent: float = Field(0.25, ge=0, le=1)
    # left: words as rows; right: words as contexts; sum, or concatenate: both
    side: Literal["left", "right", "sum", "concatenate"] = "sum"
    n_iter: int = Field(4, ge=0, le=100)  # passes of the solver: more where singular values fall slowly

    @model_validator(mode="after")
    def _shifts(self) -> Self:
        association.check_shift(self.measure, self.shift)
        return self


def embed(counts: Counts, params: Params, run: Run) -> Vectors:
    counts.words_only(sightings=params.measure != "none")
    matrix = counts.sparse() if params.measure == "none" else _associations(counts, params)
    word_ids = _met(counts, matrix, params)
    with run.progress(2 + 2 * params.n_iter, "products") as bar:
        u, s, v = svd(matrix, params.vector_size, params.n_iter, run.rng, bar.advance)
    if rank(s) < params.vector_size:
        raise Fault(
            f"{counts.name}: its {params.measure} matrix has rank {rank(s)}, so no {params.vector_size} directions. Lower vector_size"
        )
    word, context = ((side[word_ids] * s**params.exponent).astype(np.float32) for side in (u, v))
    vocab = counts.vocab().take(word_ids)
    with run.open(Vectors) as out:
        out.append(item=vocab.column("token"), count=vocab.column("count"), vector=_side(word, context, params.side))
        out.model({"model": "ppmi_svd", **params.model_dump()}, {"word": word, "context": context, "singular_values": s})
    run.say(f"{matrix.nnz:,} pairs other than 0, {len(word_ids):,} words; singular values from {s[0]:.4g} to {s[-1]:.4g}")
    return out.artifact


def _associations(counts: Counts, params: Params) -> csr_array:
    """(V, V) float32, of the pairs that are other than 0; the counts are read twice, and never held."""
    n_vocab = counts.n_rows("vocab")
    of = association.sums(counts.blocks(), n_vocab, n_vocab)
    if of.first:
        raise counts.refused(of.wrong, of.first)
    n, cols, values = np.zeros(n_vocab, np.int64), [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for row, col, value in association.associated(counts.blocks(), association.chance(of, params.smoothing), params.measure, params.shift):
        n += np.bincount(row, minlength=n_vocab)
        cols.append(col)
        values.append(value)
    return csr_array((np.concatenate(values), np.concatenate(cols), np.concatenate([[0], np.cumsum(n)])), shape=(n_vocab, n_vocab))


def _met(counts: Counts, matrix: csr_array, params: Params) -> np.ndarray:
    """The words with a number other than 0, of the side that is asked. Raises Fault where they are too few."""
    row, col = np.diff(matrix.indptr) > 0, np.bincount(matrix.indices, minlength=matrix.shape[1]) > 0
    met = {"left": row, "right": col}.get(params.side, row | col)
    met[UNKNOWN_ID] = False
    n = min(row.sum(), col.sum())
    if n < params.vector_size:
        raise Fault(
            f"{counts.name}: {n:,} words have a {params.measure} other than 0, so there are no {params.vector_size} directions. "
            "Lower vector_size, or min_count of the tokenize row"
        )
    if met.sum() < 2:
        raise too_few_words(f"{counts.name}: its pairs", int(met.sum()))
    return np.flatnonzero(met)


def _side(word: np.ndarray, context: np.ndarray, side: str) -> np.ndarray:
    if side == "sum":
        return word + context
    return np.hstack([word, context]) if side == "concatenate" else {"left": word, "right": context}[side]
