"""Latent semantic analysis: words and documents in the K directions that say most of a matrix of documents and words.

reads   counts    rows of documents (cooccur, method documents; their weights: tfidf, log ...)
writes  vectors   one float32 vector per word, or per document with its label, but for the labels of test; what has
                  nothing of the directions is left out. The model holds the words' directions and the singular
                  values: any other document is folded in by them
source  Deerwester, Dumais, Furnas, Landauer, Harshman 1990, Indexing by latent semantic analysis: words V S, documents
        U S, folding in; pipelines/kernels/svd.py
shapes  N documents, V words, K = vector_size. In memory: 24 bytes a pair, and about 40 (K + 20) bytes a document and a word
"""

from typing import Literal

import numpy as np
from pydantic import Field

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, too_few_words
from pipelines.kernels.svd import multiply, rank, svd
from pipelines.method import Knobs, Run


class Params(Knobs):
    vector_size: int = Field(100, ge=1)  # K
    of: Literal["words", "documents"] = "words"
    exponent: float = Field(1.0, ge=0, le=1)  # of the singular values; 1 keeps the products of rows, 0 makes all directions equal
    # of these documents the directions are; documents of other splits are folded in, and words of none get no vector
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)
    n_iter: int = Field(4, ge=0, le=100)  # passes of the solver: more where singular values fall slowly


def embed(counts: Counts, params: Params, run: Run) -> Vectors:
    mine = np.isin(counts.documents().column("split").to_numpy(), params.splits)
    matrix = counts.sparse()
    learned = matrix[np.flatnonzero(mine)]
    n_words, n_documents = len(np.unique(learned.indices)), int((np.diff(learned.indptr) > 0).sum())
    if min(n_words, n_documents) < params.vector_size:
        raise Fault(
            f"{counts.name}: {n_documents:,} documents of {', '.join(params.splits)} with {n_words:,} words have no {params.vector_size} "
            "directions. Lower vector_size, or name other splits"
        )
    if n_words < 2:
        raise too_few_words(f"{counts.name}: the documents of {', '.join(params.splits)}", n_words)
    with run.progress(2 + 2 * params.n_iter, "products") as bar:
        _, s, v = svd(learned, params.vector_size, params.n_iter, run.rng, bar.advance)
    if rank(s) < params.vector_size:
        raise Fault(f"{counts.name}: its matrix has rank {rank(s)}, so no {params.vector_size} directions. Lower vector_size")
    if params.of == "words":
        items, vector = counts.word_items(), v * s**params.exponent
    else:
        items, vector = counts.row_items(), multiply(matrix, v) * s ** (params.exponent - 1)
    vector = vector.astype(np.float32)
    length = np.linalg.norm(vector, axis=1)
    kept = np.flatnonzero(length > 1e-6 * length.max())  # what is less is rounding
    if len(kept) < len(vector):
        run.say(f"{len(vector) - len(kept):,} {params.of} have nothing in common with the directions, and get no vector")
    items = items.take(kept)
    with run.open(Vectors) as out:
        out.append(item=items["item"], count=items["count"], label=items["label"], vector=vector[kept])
        out.model({"model": "lsa", **params.model_dump()}, {"directions": v, "singular_values": s})
    run.say(f"{len(kept):,} {params.of}; singular values from {s[0]:.4g} to {s[-1]:.4g}")
    return out.artifact
