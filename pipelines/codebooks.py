"""Codes that name entries of codebooks: what their methods share, and the way back to vectors.

concatenate  codebook m holds what stands in the columns of part m (Jégou, Douze, Schmid 2011)
sum          each codebook holds whole vectors; those that are named are added up (Chen, Guan, Wang 2010)

shapes  N items of D numbers; M = n_parts codebooks of 2^bits entries: (M, 2^bits, D) of a sum, (M, 2^bits, W) of
        concatenated parts, W = ceil(D / M). An item's coding are M whole numbers, which take M bits bits
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pipelines import coding
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.method import Knobs, Run

Array = np.ndarray


class CodeKnobs(Knobs):
    n_parts: int = Field(16, ge=1, le=512)  # M
    bits: int = Field(8, ge=1, le=12)  # of a part: its codebook has 2^bits entries

    @model_validator(mode="after")
    def _whole_bytes(self) -> "CodeKnobs":
        if self.n_parts * self.bits % 8:
            raise ValueError(f"n_parts x bits must be a multiple of 8, and is {self.n_parts * self.bits}")
        return self


def checked(vectors: Vectors, params: CodeKnobs) -> tuple[Array, float]:
    """As coding.checked. Raises Fault for fewer rows than a codebook has entries, too."""
    n, entries = vectors.n_rows(), 2**params.bits
    if n < entries:
        raise Fault(f"{vectors.name}: {n} rows cannot fill codebooks of {entries} entries. Lower bits, or bring more rows")
    return coding.checked(vectors)


def write(
    vectors: Vectors, params: CodeKnobs, form: Literal["concatenate", "sum"], codes: Array, variance: float, run: Run, **weights: Array
) -> Codings:
    """The codings of all vectors, and the codebooks.

    Args:
        codes: (N, M) whole numbers.
        weights: `codebooks`, and what else its decoder takes.
    """
    settings: dict[str, Any] = {"model": "codebooks", "form": form, "size": vectors.size, "bits": params.n_parts * params.bits}
    if form == "concatenate":
        settings["rotated"] = "rotation" in weights
    back = decoder(settings, weights)

    def coded() -> Iterator[tuple[Array, Array]]:
        start = 0
        for piece in vectors.pieces():
            part = codes[start : start + len(piece)].astype(np.float32)
            yield part, ((back(part) - piece) ** 2).sum(axis=1)
            start += len(piece)

    return coding.write(vectors, settings, weights, coded(), variance, run)


def about(mean: Array, books: Array) -> Array:
    """Codebooks of a sum, (M, 2^bits, D), for vectors less their mean, as float32 ones for the vectors themselves.

    The mean is shared out, for an item's sum has each codebook once. Codes are found without it: beside a large mean float32 has
    no digits left for what tells the vectors apart.
    """
    return (books + mean / len(books)).astype(np.float32)


def decoder(settings: dict[str, Any], weights: dict[str, Array]) -> coding.Decoder:
    """Of either form.

    Weights: codebooks; of concatenated parts mean, (D,), and, where settings say `rotated`, rotation, (M W, D).
    """
    codebooks, size, rotation = weights["codebooks"], settings["size"], weights.get("rotation")
    n_parts, _, width = codebooks.shape
    if type(size) is not int or not codebooks.size or width != (size if settings["form"] == "sum" else -(-size // n_parts)):
        raise ValueError(f"codebooks of shape {codebooks.shape} for vectors of {size!r} numbers")
    if settings["form"] == "concatenate" and settings["rotated"] != (rotation is not None):
        raise ValueError(f"rotated is {settings['rotated']!r}, and there is {'no' if rotation is None else 'a'} rotation")
    if settings["form"] == "concatenate" and weights["mean"].shape != (size,):
        raise ValueError(f"a mean of shape {weights['mean'].shape} for vectors of {size} numbers")
    if rotation is not None and rotation.shape != (n_parts * width, size):
        raise ValueError(f"a rotation of shape {rotation.shape} for {n_parts} parts of {width} numbers, and vectors of {size}")

    def summed(codes: Array) -> Array:
        made = np.zeros((len(codes), size), np.float32)
        for book, numbers in zip(codebooks, codes.T.astype(np.intp), strict=True):
            made += book[numbers]
        return made

    def concatenated(codes: Array) -> Array:
        parts = codebooks[np.arange(n_parts), codes.astype(np.intp)].reshape(len(codes), n_parts * width)
        return (parts[:, columns(size, n_parts)] if rotation is None else parts @ rotation) + weights["mean"]

    return {"sum": summed, "concatenate": concatenated}[settings["form"]]


def columns(size: int, n_parts: int) -> Array:
    """(D,) where among n_parts x W columns those of a vector lie: parts differ by one column at most, the shorter end in zeros."""
    width = -(-size // n_parts)
    parts = np.array_split(np.arange(size), n_parts)
    return np.concatenate([part_number * width + np.arange(len(part)) for part_number, part in enumerate(parts)])


def unpacked(packed: Array, params: CodeKnobs) -> Array:
    """(n, M) whole numbers of faiss' codes, (n, M bits / 8) uint8, which it writes one after the other, the lowest bit first."""
    bits = np.unpackbits(packed, axis=1, bitorder="little").reshape(len(packed), params.n_parts, params.bits)
    return bits @ (1 << np.arange(params.bits))
