"""Random projection: rows of counts in K random directions, which keep their distances nearly as they were; nothing is trained.

reads   counts    rows of words, or of documents (their weights, or a measure of `association`)
writes  vectors   one float32 vector per row, with the label of a document, but for those of test; an empty row is left out
source  Johnson, Lindenstrauss 1984; Achlioptas 2003: numbers of +1, 0, -1 will do; by scikit-learn
shapes  N rows, V columns, K = vector_size. In memory: the sparse matrix, and 8 K (N + V) bytes
"""

from typing import Literal

import numpy as np
from pydantic import Field
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.svd import multiply
from pipelines.method import Knobs, Run


class Params(Knobs):
    vector_size: int = Field(100, ge=1)  # K; squared distances are off by about sqrt(2 / K) of their size
    directions: Literal["sparse", "gaussian"] = "sparse"
    density: float = Field(1 / 3, gt=0, le=1)  # of `sparse`: share of numbers other than 0, as Achlioptas has it


def embed(counts: Counts, params: Params, run: Run) -> Vectors:
    matrix, k = counts.sparse(), params.vector_size
    if k > matrix.shape[1]:
        raise Fault(f"{counts.name}: it has {matrix.shape[1]:,} columns, fewer than the {k} numbers of a vector. Lower vector_size")
    if not matrix.nnz:
        raise Fault(f"{counts.name}: it has no pairs, so there is nothing to project. Look at the stage that made it")
    chance = {"n_components": k, "random_state": run.seed}
    made = (
        GaussianRandomProjection(**chance) if params.directions == "gaussian" else SparseRandomProjection(density=params.density, **chance)
    )
    directions = made.fit(matrix).components_.T  # (V, K)
    directions = np.asarray(directions if params.directions == "gaussian" else directions.toarray(), np.float32)
    vector = multiply(matrix, directions)
    kept = np.flatnonzero(vector.any(axis=1))
    if not len(kept):
        raise Fault(f"{counts.name}: all of its rows fell on no direction. Raise vector_size or density, or say directions: gaussian")
    if len(kept) < len(vector):
        run.say(f"{len(vector) - len(kept):,} rows are empty, or fell on no direction, and get no vector")
    items = counts.row_items().take(kept)
    with run.open(Vectors) as out:
        out.append(item=items["item"], count=items["count"], label=items["label"], vector=vector[kept])
        out.model({"model": "random_projection", **params.model_dump()}, {"directions": directions})
    return out.artifact
