"""Compiles the numba kernels once, when the environment is made, by doing their work on two sentences."""

import tempfile
from pathlib import Path

import numpy as np

from pipelines.artifacts.corpus import Corpus
from pipelines.cooccur import windowed
from pipelines.embed import glove, skipgram
from pipelines.kernels import walks
from pipelines.method import Run
from pipelines.tokenize import words


def warm() -> None:
    # the real methods, since a kernel is compiled anew for each kind of array that it is given
    with tempfile.TemporaryDirectory() as folder:
        with Run(Path(folder) / "corpus").open(Corpus) as out:
            out.append(doc_id=["a"], text=["a b a b a"], label=[None], split=["unlabelled"], group=[None])
        tokens = words.tokenize(out.artifact, words.Params(min_count=1), Run(Path(folder) / "tokens"))
        counts = windowed.cooccur(tokens, windowed.Params(), Run(Path(folder) / "counts"))
        glove.embed(counts, glove.Params(epochs=1), Run(Path(folder) / "vectors"))
        skipgram.embed(tokens, skipgram.Params(epochs=1, sample=0), Run(Path(folder) / "skipgram"))
    for weights in (None, np.ones(2, np.float32)):
        walks.walk(walks.graph(np.array([0, 1, 2]), np.int32([1, 0]), weights), np.int32([0, 1]), 0, 4, 0.5, 2.0, 1)
