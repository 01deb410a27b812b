"""Transform coding: principal components, the wide ones in many bits, the narrow ones in few or none.

A bit goes, one after the other, to the component whose error it lowers most; the levels of each component are those of
least squared error for its numbers. For normal numbers this comes near what the theory of rates allows ("reverse water-filling").

reads   vectors   one float32 vector of D numbers per item
writes  codings   K whole numbers per item, n_bits bits in all; the squared error of its reconstruction, the model
source  Huang, Schultheiss 1963 (block quantisation); Gersho, Gray 1992, ch. 8, for bits one after the other; Max 1960 for the levels
shapes  N items, D = vector_size, K components that have a bit. In memory: 16 D^2 bytes, and DRAWN items twice
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from pipelines import coding
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.lloyd import levels, nearest
from pipelines.method import Knobs, Run
from pipelines.principal import directions

Array = np.ndarray
MOST = 8  # bits of a component


class Params(Knobs):
    n_bits: int = Field(128, ge=8, multiple_of=8)  # of an item


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    size = vectors.size
    if params.n_bits > MOST * size:
        raise Fault(f"{vectors.name}: {size} numbers hold {MOST * size} bits at most, not {params.n_bits}. Lower n_bits")
    mean, variance = coding.checked(vectors)
    along = directions(vectors, mean, size, run)  # (D, D)
    tables = allotted(np.sort((coding.drawn(vectors, run) - mean) @ along.T, axis=0), params.n_bits)
    used = [j for j, table in enumerate(tables) if len(table) > 1]
    weights = {
        "levels": np.concatenate([tables[j] for j in used]).astype(np.float32),
        "bits": np.array([len(tables[j]).bit_length() - 1 for j in used], np.uint8),
        "directions": along[used].astype(np.float32),
        "mean": mean.astype(np.float32),
    }
    settings = {"model": "transform", "bits": params.n_bits}
    back = coding.DECODERS["transform"](settings, weights)
    run.say(f"{len(used)} of {size} components have bits, at most {weights['bits'].max()}")

    def coded() -> Iterator[tuple[Array, Array]]:
        for piece in vectors.pieces():
            numbers = (piece - mean) @ along[used].T
            codes = np.stack([nearest(numbers[:, i], tables[j]) for i, j in enumerate(used)], axis=1).astype(np.float32)
            yield codes, ((back(codes) - piece) ** 2).sum(axis=1)

    return coding.write(vectors, settings, weights, coded(), variance, run)


def allotted(x: Array, n_bits: int) -> list[Array]:
    """The levels of each column, 2^b of them, b as many of all bits as lower the error most.

    Args:
        x: (n, D), each column sorted.
    """
    tables = [np.array([column.mean()]) for column in x.T]
    errors = x.var(axis=0)
    offers = [levels(column, 2) for column in x.T]  # what one more bit would make of each
    for _ in range(n_bits):
        gain = [error - offer[1] if len(table) < 2**MOST else -1.0 for error, offer, table in zip(errors, offers, tables, strict=True)]
        best = int(np.argmax(gain))
        tables[best], errors[best] = offers[best]
        if len(tables[best]) < 2**MOST:
            offers[best] = levels(x[:, best], 2 * len(tables[best]))
    return tables
