"""Vectors whose model holds letter n-grams of three letters, written out: what fastText leaves."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipelines.artifacts.vectors import Vectors
from pipelines.kernels.letter_ngrams import subwords
from pipelines.method import Run


def spelled(folder: Path, words: Mapping[str, list[float]], ngrams: Mapping[str, list[float]]) -> Vectors:
    """An n-gram is written with the marks of a word's begin and end: <se sea ea>."""
    n_buckets = 2**31 - 1
    buckets = [int(subwords([gram.strip("<>").encode()], 3, 3, n_buckets)[0][_place(gram)]) for gram in ngrams]
    order = np.argsort(buckets)
    weights = {"buckets": np.array(buckets, np.int64)[order], "ngrams": np.array(list(ngrams.values()), np.float32)[order]}
    with Run(folder).open(Vectors) as out:
        out.append(item=list(words), count=range(len(words), 0, -1), vector=np.array(list(words.values()), np.float32))
        out.model({"model": "fasttext", "n_min": 3, "n_max": 3, "bucket": n_buckets}, weights)
    return out.artifact


def _place(gram: str) -> int:
    """Of an n-gram among those of its letters as a word: of <se> they are <se, se>; of <sea> they are <se, sea, ea>."""
    return 0 if gram.startswith("<") else 1 if not gram.endswith(">") else -1
