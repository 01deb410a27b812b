"""Scalar quantisation: each number on its own, in 1 to 8 bits.

    code = floor((number - low) / step), at least 0 and at most 2^bits - 1;  back: low + (code + 1/2) step

The range that the codes cover goes from the smallest number to the largest, or, clipped, is that or one about the mean, whichever
loses least: far numbers may then be cut to its ends, and the many near ones are told apart more finely. This is a uniform
quantiser clipped by its squared error, which matches far cleverer codes in use (May et al. 2019). Principal components, or an
autoencoder's coding, are quantised so by the knob `bits` of their own methods.

reads   vectors   one float32 vector of D numbers per item
writes  codings   D whole numbers per item, each of so many bits; the squared error of its reconstruction, the model
source  May, Zhang, Dao, Ré 2019; int8 as Jacob et al. 2018: symmetric, with 0 for 0; Max 1960 for the best ranges
shapes  N items, D = vector_size. In memory: DRAWN items
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import model_validator

from pipelines import coding
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.coding import drawn
from pipelines.kernels.uniform import clipped, codes, outermost
from pipelines.method import Knobs, Run


class Params(Knobs):
    bits: Literal[1, 2, 4, 6, 8] = 8  # of a number
    ranges: Literal["column", "one"] = "column"  # a range for each column, or one for all
    clip: bool = True  # the range that loses least, else from the smallest to the largest number
    symmetric: bool = False  # about 0, which stays 0: int8, int4 as processors know them; one code less

    @model_validator(mode="after")
    def _more_than_0(self) -> "Params":
        if self.symmetric and self.bits == 1:
            raise ValueError("symmetric codes of 1 bit would all be 0; take bits 2 or more")
        return self


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    _, variance = coding.checked(vectors)
    n_levels = 2**params.bits - params.symmetric
    low, step = _range(vectors, n_levels, params, run)
    settings = {"model": "scalar", "bits": coding.whole_bytes(vectors.size, params.bits), "levels": n_levels}
    weights = {"low": low.astype(np.float32), "step": step.astype(np.float32)}
    back = coding.DECODERS["scalar"](settings, weights)

    def coded() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for piece in vectors.pieces():
            cells = codes(piece, weights["low"], weights["step"], n_levels)
            yield cells, ((back(cells) - piece) ** 2).sum(axis=1)

    return coding.write(vectors, settings, weights, coded(), variance, run)


def _range(vectors: Vectors, n_levels: int, params: Params, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(D,) or (1,) low, and step."""
    one = params.ranges == "one"
    if params.clip:
        x = drawn(vectors, run).reshape(-1, 1 if one else vectors.size)
        return clipped(x, n_levels, params.symmetric)
    extremes = [(piece.min(axis=0), piece.max(axis=0)) for piece in vectors.pieces()]
    low, high = np.min([low for low, _ in extremes], axis=0), np.max([high for _, high in extremes], axis=0)
    if one:
        low, high = low.min(keepdims=True), high.max(keepdims=True)
    return outermost(low, high, n_levels, params.symmetric)
