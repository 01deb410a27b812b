"""Documents: the bag of each document, how often it has each token, as a sparse matrix of documents and tokens.

reads   tokens   documents as token ids, all splits; the unknown token is in no bag
writes  counts   (row, col, count): row is a document of table documents, col a token of the vocabulary, or a bucket;
                 collisions.csv when tokens are hashed into buckets
source  Spärck Jones 1972 (inverse document frequency); Salton, Buckley 1988 (weights, rows of length 1);
        Weinberger et al. 2009 (hashing)
shapes  N documents, V tokens or buckets. In memory: a batch of documents, and 8 bytes a token of the vocabulary
"""

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from scipy.sparse import csr_array
from sklearn.utils import murmurhash3_32

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.kernels.bags import inverse_frequency, weigh
from pipelines.method import Knobs, Run

ROWS = 4096  # documents in memory


class Params(Knobs):
    # count: how often; binary: 1 for what is there, a multi-hot row; log: 1 + ln(count); tfidf: log, or count, times the
    # inverse document frequency, in rows of length 1
    weighting: Literal["count", "binary", "log", "tfidf"] = "count"
    sublinear: bool = True  # of tfidf: 1 + ln(count) in the place of count
    # of tfidf: the splits that document frequencies are of; with others than train the weights have seen other texts
    idf_splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train"], min_length=1)
    buckets: int = Field(0, ge=0, le=2**30)  # tokens are hashed into so many columns; 0 gives each one of its own


def cooccur(tokens: Tokens, params: Params, run: Run) -> Counts:
    column_of, vocab = _columns(tokens, params, run)
    idf = _inverse_frequency(tokens, column_of, len(vocab), params) if params.weighting == "tfidf" else None
    with run.open(Counts) as out, run.progress(tokens.n_rows(), "documents") as bar:
        n_documents = n_pairs = 0
        for batch in tokens.batches(rows=ROWS):
            bags = _bags(batch.column("token_ids"), column_of, len(vocab))
            row = np.repeat(np.arange(n_documents, n_documents + bags.shape[0]), np.diff(bags.indptr))
            out.append(row=row, col=bags.indices, count=_weighed(bags, params, idf))
            out.append("documents", **{name: batch.column(name) for name in ("doc_id", "split", "label")})
            n_documents += bags.shape[0]
            n_pairs += bags.nnz
            bar.advance(bags.shape[0])
        if not n_pairs:
            raise Fault(f"{tokens.name}: none of its {n_documents} documents has a known token, so all bags are empty. Lower min_count")
        out.append("vocab", token_id=np.arange(len(vocab)), **vocab.to_pydict())
        if params.buckets:
            out.csv("collisions", [_collisions(column_of, params.buckets, run)])
    run.say(f"{n_documents:,} documents, {len(vocab):,} columns, {n_pairs:,} weights")
    return out.artifact


def _columns(tokens: Tokens, params: Params, run: Run) -> tuple[np.ndarray, pa.Table]:
    """token_id -> column, the unknown token's is never asked for; and what a column is called, with its sightings."""
    vocab = tokens.vocab().select(["token", "count"])
    if not params.buckets:
        return np.arange(len(vocab)), vocab
    column_of = np.array([murmurhash3_32(word, positive=True) % params.buckets for word in vocab.column("token").to_pylist()])
    count = np.zeros(params.buckets, np.int64)
    known = np.arange(len(vocab)) != UNKNOWN_ID
    np.add.at(count, column_of[known], vocab.column("count").to_numpy()[known])
    return column_of, pa.table({"token": [f"bucket-{i}" for i in range(params.buckets)], "count": count})


def _collisions(column_of: np.ndarray, buckets: int, run: Run) -> dict[str, float]:
    """How many tokens share their bucket with another."""
    known = np.delete(column_of, UNKNOWN_ID)
    size = np.bincount(known, minlength=buckets)
    sharing = int(size[size > 1].sum())
    run.say(
        f"{sharing:,} of {len(known):,} tokens share their bucket with another ({sharing / max(len(known), 1):.1%}); {buckets:,} buckets"
    )
    return {"tokens": len(known), "buckets": buckets, "buckets_used": int((size > 0).sum()), "tokens_sharing": sharing}


def _bags(ids: pa.ListArray, column_of: np.ndarray, n_columns: int) -> csr_array:
    """(documents, columns) float32: how often each document has each column."""
    values = ids.flatten().to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(ids)), ids.value_lengths().to_numpy(zero_copy_only=False))
    known = values != UNKNOWN_ID
    cells = (np.ones(known.sum(), np.float32), (row[known], column_of[values[known]]))
    return csr_array(cells, shape=(len(ids), n_columns), dtype=np.float32)  # equal cells are summed


def _inverse_frequency(tokens: Tokens, column_of: np.ndarray, n_columns: int, params: Params) -> np.ndarray:
    """(columns,) float32, of the documents of `idf_splits`."""
    df, n = np.zeros(n_columns, np.int64), 0
    for batch in tokens.batches(["split", "token_ids"], ROWS):
        mine = np.isin(batch.column("split").to_numpy(zero_copy_only=False), params.idf_splits)
        bags = _bags(batch.column("token_ids").filter(pa.array(mine)), column_of, n_columns)
        df += np.bincount(bags.indices, minlength=n_columns)
        n += bags.shape[0]
    if not n:
        raise Fault(
            f"{tokens.name}: no document is in {', '.join(params.idf_splits)}, so there is no document frequency. Name other idf_splits"
        )
    return inverse_frequency(df, n)


def _weighed(bags: csr_array, params: Params, idf: np.ndarray | None) -> np.ndarray:
    """(weights,) float32, in the order of `bags`."""
    if params.weighting == "count":
        return bags.data
    if params.weighting == "binary":
        return np.ones_like(bags.data)
    if params.weighting == "log":
        return 1 + np.log(bags.data)
    assert idf is not None
    return weigh(bags, idf, params.sublinear).data
