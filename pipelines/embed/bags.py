"""Bags: rows of documents and words as dense vectors, one number for each of the columns that say most.

reads   counts    rows of documents (cooccur, method documents): counts, binary, TF-IDF, hashed
writes  vectors   one float32 vector per document, with its label, but for the labels of test; a document without any of the
                  columns is left out. The model holds what the columns are called, and what each is divided by
source  Salton, Wong, Yang 1975, A vector space model for automatic indexing
shapes  N documents, D = vector_size columns. In memory: 24 bytes a pair, and a piece of the documents
"""

from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.method import Knobs, Run

ROWS = 1024  # documents that are dense at a time


class Params(Knobs):
    vector_size: int = Field(2000, ge=1)  # D
    # frequent: the columns of the most documents; variance: those whose weights differ most from document to document
    choose: Literal["frequent", "variance"] = "frequent"
    max_df: float = Field(1.0, gt=0, le=1)  # a column of a larger share of the documents is left out, such as `the`
    normalise: Literal["none", "sum", "length"] = "none"  # each document's numbers, to a sum or a length of 1
    scale: bool = False  # then each column by its largest number, so that all are from 0 to 1, as loss cross_entropy needs
    # of these documents columns and largest numbers are; those of `infer` get vectors, too, cut off at 1 where scale holds
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)
    infer: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["valid", "test"])


def embed(counts: Counts, params: Params, run: Run) -> Vectors:
    split = counts.documents().column("split").to_numpy()
    matrix = counts.sparse()
    if params.scale and (matrix.data < 0).any():
        raise Fault(f"{counts.name}: its numbers are {counts.measure()}, some below 0; scale is for numbers from 0 on. Leave scale out")
    learned = np.isin(split, params.splits)
    columns = _columns(matrix[np.flatnonzero(learned)], counts.name, params)
    bags = _normalised(matrix[:, columns], params.normalise)
    largest = np.ones(params.vector_size, np.float32)
    if params.scale:
        largest = bags[np.flatnonzero(learned)].max(axis=0).toarray().ravel()
    wanted = np.isin(split, [*params.splits, *params.infer])
    kept = np.flatnonzero(wanted & (np.diff(bags.indptr) > 0))
    items = counts.row_items()
    with run.open(Vectors) as out:
        for start in range(0, len(kept), ROWS):
            rows = kept[start : start + ROWS]
            vector = bags[rows].toarray() / largest
            piece = items.take(rows)
            out.append(
                item=piece["item"], count=piece["count"], label=piece["label"], vector=np.minimum(vector, 1) if params.scale else vector
            )
        names = counts.words()
        out.model(
            {"model": "bags", **params.model_dump(), "columns": [names[i] for i in columns]},
            {"column": columns.astype(np.int32), "largest": largest},
        )
    run.say(
        f"{len(kept):,} documents of {params.vector_size:,} numbers, {bags[kept].nnz / (len(kept) * params.vector_size):.2%} other than 0"
    )
    if empty := wanted.sum() - len(kept):
        run.say(f"{empty:,} documents have none of the columns, and get no vector")
    return out.artifact


def _columns(learned: csr_array, name: str, params: Params) -> np.ndarray:
    """(D,) int64, the places of the columns that say most, the most frequent first. Raises Fault where there are fewer."""
    n = learned.shape[0]
    df = np.bincount(learned.indices, minlength=learned.shape[1])
    there = (df > 0) & (df <= params.max_df * n)
    if there.sum() < params.vector_size:
        beyond = f" and in no more than {params.max_df:.4g} of them" if params.max_df < 1 else ""
        raise Fault(
            f"{name}: {there.sum():,} columns are in a document of {', '.join(params.splits)}{beyond}; vector_size asks for "
            f"{params.vector_size:,}. Lower vector_size{', or raise max_df' * (params.max_df < 1)}"
        )
    says = df.astype(np.float64)
    if params.choose == "variance":
        total, squares = (
            np.bincount(learned.indices, weights=learned.data.astype(np.float64) ** power, minlength=len(df)) for power in (1, 2)
        )
        says = squares / n - (total / n) ** 2
    chosen = np.argsort(np.where(there, -says, np.inf), kind="stable")[: params.vector_size]
    return chosen[np.argsort(-df[chosen], kind="stable")]


def _normalised(bags: csr_array, how: str) -> csr_array:
    """Each row to a sum, or a length, of 1; an empty one stays so."""
    if how == "none":
        return bags
    row = np.repeat(np.arange(bags.shape[0]), np.diff(bags.indptr))
    size = np.bincount(row, weights=np.abs(bags.data.astype(np.float64)) ** {"sum": 1, "length": 2}[how], minlength=bags.shape[0])
    size = size if how == "sum" else np.sqrt(size)
    return csr_array(((bags.data / size[row]).astype(np.float32), bags.indices, bags.indptr), shape=bags.shape)
