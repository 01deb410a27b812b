"""Postprocess: vectors without their mean and the directions that all share, of length 1, summed with their contexts.

reads   vectors   any; for add_context those whose model holds context vectors, as of skipgram, glove and ppmi_svd
writes  vectors   the same items; the model holds the mean and the directions that were taken away
source  Mu, Viswanath 2018, All-but-the-top (mean and first components; they take D / 100); Pennington, Socher, Manning 2014
        (word + context)
shapes  N items, D numbers. In memory: three times the vectors
"""

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.nearest import unit
from pipelines.method import Knobs, Run


class Params(Knobs):
    # in this order; nothing is done by default but what Mu and Viswanath begin with
    add_context: bool = False  # word + context vector, of what the model holds; glove has done so unless it was told not to
    remove_mean: bool = True
    remove: int = Field(0, ge=0)  # principal components, the largest first; of the vectors about 0 where the mean stays
    normalise: bool = False  # to length 1


def embed(vectors: Vectors, params: Params, run: Run) -> Vectors:
    if params.remove >= vectors.size:
        raise Fault(f"{vectors.name}: its vectors have {vectors.size} numbers, so {params.remove} directions cannot go. Lower remove")
    x = vectors.finite(with_context(vectors) if params.add_context else vectors.matrix())
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        x, mean, components = without_top(x, params.remove_mean, params.remove)
    if params.normalise:
        x = unit(x)
    with run.open(Vectors) as out:
        out.append(**vectors.named(), vector=x)
        out.model({"model": "postprocess", **params.model_dump()}, {"mean": mean, "components": components})
    return out.artifact


def with_context(vectors: Vectors) -> np.ndarray:
    """(N, D) float32, word + context. Raises Fault where the model holds no context vectors of these items."""
    settings, weights = vectors.model()
    word = weights.get("word")  # where it is not kept, it is the vector itself
    word, context = vectors.matrix() if word is None else word, weights.get("context")
    if word.shape[1] != vectors.size:
        raise Fault(
            f"{vectors.name}: its vectors have {vectors.size} numbers, and its word and context vectors {word.shape[1]} each: as with "
            "side: concatenate of ppmi_svd the context is in them already. Leave add_context out, or say side: left"
        )
    if context is None or context.shape != word.shape or len(word) != vectors.n_rows():
        raise Fault(
            f"{vectors.name}: its model, {settings.get('model')}, holds no context vector of {word.shape[1]} numbers for each item. "
            "Leave add_context out, or name a row that has: glove, ppmi_svd, skipgram or cbow against noise words"
        )
    return word + context


def without_top(x: np.ndarray, remove_mean: bool, remove: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x less its mean, where that is asked, and less its `remove` first components.

    Returns:
        (N, D) float32, the mean (D,), zeros where it stayed, and the components (remove, D), of length 1.
    """
    mean = x.mean(axis=0, dtype=np.float64) if remove_mean else np.zeros(x.shape[1])
    x = x - mean  # float64
    components = np.linalg.eigh(x.T @ x)[1][:, ::-1][:, :remove].T
    components = components * np.sign(np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1))
    x = x - (x @ components.T) @ components
    return x.astype(np.float32), mean.astype(np.float32), components.astype(np.float32)
