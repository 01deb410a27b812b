"""Mean of words: a document's vector is the mean of its words' vectors, rare words weighing more where that is asked.

reads   tokens    documents as token ids; the unknown token is left out
        vectors   of words, matched to the vocabulary by the word itself
        codings   instead of vectors: their compressed form
writes  vectors   one float32 vector per document that has a known word, with its label, but for the labels of test; count
                  is its known words. The model holds the words' weights and what was taken away
source  Arora, Liang, Ma 2017, A simple but tough-to-beat baseline for sentence embeddings (sif): v = 1/n sum_w a / (a + p(w)) v_w
        over a document's n known words, less its part in the first component of all; the other weights in the place of a / (a + p)
shapes  N documents, V words, D = vector_size. In memory: 4 D (V + N) bytes
"""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.bags import inverse_frequency
from pipelines.lookup import lookup
from pipelines.method import Knobs, Run

ROWS = 4096  # documents at a time
ZERO = 1e-6  # of the longest vector; what is shorter is rounding


class Params(Knobs):
    weights: Literal["flat", "idf", "sif"] = "flat"  # of words: 1, their inverse document frequency, or a / (a + p)
    a: float = Field(1e-3, gt=0)  # of sif; the paper's value
    remove: int = Field(0, ge=0)  # first components that are taken away, of the documents' vectors about 0; the paper takes 1
    # document frequencies, p and the components are of these documents
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)


def embed(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Vectors:
    if (vectors is None) == (codings is None):
        raise Fault(f"{run.name}: words have either vectors or codings. Name a row of one of them")
    given: Matrix = vectors if vectors is not None else codings  # type: ignore[assignment]
    if params.remove >= given.size:
        raise Fault(f"{given.name}: its rows have {given.size} numbers, so {params.remove} directions cannot go. Lower remove")
    word, known = _matched(tokens, given, run)
    weight = _weights(tokens, params)
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        x, n_known = _means(tokens, word * weight[:, None], known, run)
        table = tokens.read(columns=["doc_id", "split", "label"])
        mine = np.isin(table["split"].to_numpy(), params.splits)
        components = np.linalg.eigh(x[mine].T @ x[mine])[1][:, ::-1][:, : params.remove].T
        x = (x - (x @ components.T) @ components).astype(np.float32)
    length = np.linalg.norm(x, axis=1)
    kept = np.flatnonzero((n_known > 0) & (length > ZERO * length.max(initial=0)))
    if not len(kept):
        raise Fault(f"{tokens.name}: none of its {len(x):,} documents is left with a vector. Lower remove")
    if len(kept) < len(x):
        run.say(f"{len(x) - len(kept):,} of {len(x):,} documents have no word with a vector, or words that cancel out; they get no vector")
    label = pc.if_else(pc.equal(table["split"], "test"), pa.scalar(None, pa.string()), table["label"])
    with run.open(Vectors) as out:
        out.append(item=table["doc_id"].take(kept), count=n_known[kept], label=label.take(kept), vector=x[kept])
        out.model(
            {"model": "mean_of_words", **params.model_dump()},
            {"weight": weight.astype(np.float32), "components": components.astype(np.float32)},
        )
    return out.artifact


def _matched(tokens: Tokens, given: Matrix, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """((V, D) float32, zeros for a word that has none; (V,) bool, which have one). Raises Fault where no word has."""
    words, count = tokens.words(), tokens.vocab()["count"].to_numpy()
    found = lookup(given, words, compose=False)
    known = found.row >= 0
    known[UNKNOWN_ID] = False  # its vector, where there is one, is of no word
    if not known.any():
        raise Fault(
            f"{run.name}: none of the {len(words) - 1:,} words of {tokens.name} is in {given.name}, whose first items are "
            f"{', '.join(map(repr, given.items()[:3]))}. Take vectors of words, made from these tokens or spelled the same way"
        )
    if not np.isfinite(found.vector).all():
        raise Fault(f"{given.name}: it holds numbers that are not finite. Look at the stage that made it")
    share = count[known].sum() / max(count.sum(), 1)
    run.say(f"{known.sum():,} of {len(words):,} words have a vector in {given.name}, {share:.1%} of the running text")
    return np.where(known[:, None], found.vector, np.float32(0)), known


def _weights(tokens: Tokens, params: Params) -> np.ndarray:
    """(V,) float64."""
    n_vocab = tokens.n_rows("vocab")
    if params.weights == "flat":
        return np.ones(n_vocab)
    seen, df, n = np.zeros(n_vocab), np.zeros(n_vocab), 0
    for values, offsets in tokens.documents(params.splits, ROWS):
        document = np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))
        seen += np.bincount(values, minlength=n_vocab)
        df += np.bincount(np.unique(document * n_vocab + values) % n_vocab, minlength=n_vocab)
        n += len(offsets) - 1
    if not seen.sum():
        raise Fault(f"{tokens.name}: no word is in {', '.join(params.splits)}, so words have no frequency. Name other splits")
    return inverse_frequency(df, n).astype(np.float64) if params.weights == "idf" else params.a / (params.a + seen / seen.sum())


def _means(tokens: Tokens, word: np.ndarray, known: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """((N, D) float64 means of the weighted vectors of each document's known words, (N,) int64 how many these are)."""
    means, counts = [], []
    with run.progress(tokens.n_rows(), "documents") as bar:
        for batch in tokens.batches(["token_ids"], ROWS):
            ids = batch.column("token_ids")
            offsets = np.concatenate([[0], np.cumsum(ids.value_lengths().to_numpy(zero_copy_only=False))])
            values = ids.flatten().to_numpy(zero_copy_only=False)
            bags = csr_array((known[values].astype(np.float64), values, offsets), shape=(len(ids), len(word)))
            n = bags.sum(axis=1)
            means.append((bags @ word) / np.maximum(n, 1)[:, None])
            counts.append(n.astype(np.int64))
            bar.advance(len(ids))
    return np.concatenate(means), np.concatenate(counts)
