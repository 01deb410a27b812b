"""Compiles the numba kernels once, when the environment is made, by doing their work on two sentences."""

import tempfile
from pathlib import Path

from pipelines.artifacts.tokens import Tokens
from pipelines.cooccur import windowed
from pipelines.embed import glove
from pipelines.method import Run


def warm() -> None:
    # the real methods, since a kernel is compiled anew for each kind of array that it is given
    with tempfile.TemporaryDirectory() as folder:
        with Run(Path(folder) / "tokens").open(Tokens) as out:
            out.append(doc_id=["a"], split=["train"], label=[None], token_ids=([1, 2, 1, 2, 1], [0, 5]))
            out.append("vocab", token_id=[0, 1, 2], token=["<unk>", "a", "b"], count=[0, 3, 2])
        counts = windowed.cooccur(out.artifact, params=windowed.Params(), run=Run(Path(folder) / "counts"))
        glove.embed(counts, params=glove.Params(epochs=1), run=Run(Path(folder) / "vectors"))
