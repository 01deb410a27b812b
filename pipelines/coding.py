"""What all codings share: the check of what is to be coded, how they are written, and the way back to vectors.

    mean, variance = checked(vectors, coding_size)
    write(vectors, settings, weights, coded, variance, run)     # in a method
    decode(codings)                                             # of any method

settings["model"] says which decoder the weights are for: DECODERS. A method whose numbers take fewer than 32 bits says
in settings["bits"] how many an item takes.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.uniform import middles
from pipelines.method import Run

Settings = dict[str, Any]
Weights = dict[str, np.ndarray]
DRAWN = 20_000  # rows that ranges are chosen by
NAMED = 5  # vectors with a number that is none, in a message; the first such number of each
LARGEST, SMALLEST = 1e15, 1e-15  # beyond them squares of float32, of which errors are made, soon are no numbers any more, or 0
Decoder = Callable[[np.ndarray], np.ndarray]  # (n, K) float32 -> (n, D) float32


def checked(vectors: Vectors, coding_size: int = 0, wide: bool = False, loss: str = "squared") -> tuple[np.ndarray, float]:
    """(D,) mean, and the mean squared distance from it. Raises Fault for all that forbids to code the vectors so.

    Args:
        coding_size: of a coding whose numbers are learned directions; 0 of other codes.
        wide: whether it may be as long as the vector, or longer.
    """
    faults, n, start, first = [], vectors.n_rows(), 0, np.zeros(vectors.size)
    if not n:
        faults.append(f"{vectors.name}: it has no vectors. Look at the stage that made them")
    if coding_size >= vectors.size and not wide:
        faults.append(
            f"{vectors.name}: its vectors have {vectors.size} numbers, a coding of {coding_size} is not shorter. "
            "Ask for fewer, or take a sparse method, whose codings may be wide"
        )
    if n < coding_size:
        faults.append(f"{vectors.name}: {n} rows cannot show {coding_size} directions. Ask for a shorter coding, or bring more rows")
    total, squares, bad, n_bad, low, high = np.zeros(vectors.size), np.zeros(vectors.size), [], 0, np.inf, -np.inf
    for piece in vectors.pieces():
        if not (finite := np.isfinite(piece)).all():
            rows = np.flatnonzero(~finite.all(axis=1))
            n_bad += len(rows)
            columns = finite[rows[:NAMED]].argmin(axis=1)  # the first of each
            bad += zip((start + rows[:NAMED]).tolist(), columns.tolist(), piece[rows[:NAMED], columns].tolist(), strict=True)
        if not start:  # sums are of differences from it: of numbers far from zero float64 would lose how they differ
            first = np.where(finite[0], piece[0], 0).astype(np.float64)
        start += len(piece)
        apart = piece - first
        total += apart.sum(axis=0)
        squares += (apart**2).sum(axis=0)
        low, high = min(low, float(piece.min())), max(high, float(piece.max()))
    if bad:
        items = vectors.items()
        named = ", ".join(f"{items[i]!r} has {value} in column {column}" for i, column, value in bad[:NAMED]) + ", ..." * (n_bad > NAMED)
        faults.append(f"{vectors.name}: {n_bad} of {n} vectors hold numbers that are not finite: {named}. Look at the stage that made them")
    elif n and max(-low, high) > LARGEST:
        faults.append(
            f"{vectors.name}: its numbers go from {low:.4g} to {high:.4g}, and {LARGEST:.0e} is the largest that can be coded. "
            "Look at the stage that made them, or divide them by a number"
        )
    elif n and 0 < max(-low, high) < SMALLEST:
        faults.append(
            f"{vectors.name}: its numbers go from {low:.4g} to {high:.4g}, and {SMALLEST:.0e} is the least that the largest may be. "
            "Look at the stage that made them, or multiply them by a number"
        )
    elif n and (variance := float((squares / n - (total / n) ** 2).sum())) <= 0:
        faults.append(f"{vectors.name}: all {n} vectors are the same, there is nothing to code. Look at the stage that made them")
    elif n and loss == "cross_entropy" and not 0 <= low <= high <= 1:
        faults.append(
            f"{vectors.name}: its numbers go from {low:.4g} to {high:.4g}; loss cross_entropy is for numbers from 0 to 1. Take loss squared"
        )
    if faults:
        raise Fault(faults)
    return first + total / n, variance


def write(
    vectors: Vectors, settings: Settings, weights: Weights, coded: Iterable[tuple[np.ndarray, np.ndarray]], variance: float, run: Run
) -> Codings:
    """The codings of all vectors, and the model.

    Args:
        coded: (n, K) codings and (n,) squared errors, piece by piece, in the vectors' order.
        variance: mean squared distance of the vectors from their mean.
    """
    items, lost, start, size = vectors.items(), 0.0, 0, 0
    with run.open(Codings) as out:
        out.model(settings, weights)
        for codings, error in coded:
            out.append(item=items[start : start + len(codings)], coding=codings, error=error)
            start, size = start + len(codings), codings.shape[1]
            lost += float(error.sum(dtype=np.float64))
    run.say(f"{vectors.size} -> {size} numbers keep {1 - lost / (variance * start):.1%} of the variance")
    return out.artifact


def decode(codings: Codings) -> np.ndarray:
    """The vectors that the codings stand for, as well as their decoder gives them back: (n, D) float32, in their order."""
    back = decoder(codings)
    none = back(np.empty((0, codings.size), np.float32))  # (0, D), all there is of codings without rows
    return np.concatenate([none, *map(back, codings.pieces())])


def decoded(codings: Codings) -> Iterator[np.ndarray]:
    """`decode`, piece by piece."""
    back = decoder(codings)
    return (back(piece) for piece in codings.pieces())


def decoder(codings: Codings, of: str = "") -> Decoder:
    """Raises Fault where the codings' model is not known, its weights do not fit each other, or are of other codings.

    Args:
        of: what is to be decoded, where it is not these codings: a file.
    """
    settings, weights = codings.model()
    kind = settings.get("model")
    if kind not in DECODERS:
        raise Fault(f"{codings.name}: its model is {kind!r}, which has no way back to vectors. {', '.join(DECODERS)} have one")
    with fitting(f"{codings.name}: its weights", weights):
        back = DECODERS[kind](settings, weights)
        size, n_codes = _takes(codings, settings, weights)
        bits(settings, size)
    if size != codings.size:
        raise Fault(
            f"{codings.name}: its model is of other codings: it takes {size} numbers, and these have {codings.size}. Run again: dvc repro -f"
        )
    mend = f"Mend them, or name the row that made them: codings of {codings.name} have none" if of else "Run again: dvc repro -f"

    def known(piece: np.ndarray) -> np.ndarray:
        wrong = ""
        if not np.isfinite(piece).all():
            wrong = "numbers that are not finite"
        elif are_bits(settings) and (np.abs(piece) != 1).any():
            wrong = "numbers that are no bits, which are -1 and 1"
        elif n_codes is not None and ((piece < 0) | (piece >= n_codes) | (piece != np.floor(piece))).any():
            wrong = f"numbers that are no codes of its model, which are whole, from 0 to {np.max(n_codes) - 1}"
        if wrong:
            raise Fault(f"{of or codings.name} holds {wrong}. {mend}")
        return back(piece)

    return known


@contextlib.contextmanager
def fitting(what: str, weights: Weights | None = None) -> Iterator[None]:
    """Raises Fault where a model cannot be built of its settings and weights, or these weights hold what is no number."""
    try:
        if broken := sorted(name for name, weight in (weights or {}).items() if not np.isfinite(weight).all()):
            raise ValueError(f"{', '.join(broken)} hold numbers that are not finite")
        yield
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError) as err:  # RuntimeError: torch's, for weights of another shape
        reason = str(err).strip().splitlines()[-1].strip()
        raise Fault(f"{what} are not those of its settings ({reason}). Run again: dvc repro -f") from err


def _takes(codings: Codings, settings: Settings, weights: Weights) -> tuple[int, np.ndarray | int | None]:
    """How many numbers a coding has to have, and how many codes there are for each, where they are codes."""
    match settings["model"]:
        case "codebooks":
            return weights["codebooks"].shape[0], weights["codebooks"].shape[1]
        case "transform":
            return len(weights["bits"]), 1 << weights["bits"].astype(np.int64)
        case "scalar":
            if not len(weights["low"]) == len(weights["step"]) in (1, codings.size):
                raise ValueError(f"low and step are {len(weights['low'])} and {len(weights['step'])} numbers")
            return codings.size, settings["levels"]
        case _:
            return settings["sizes"][-1], None


def drawn(vectors: Vectors, run: Run) -> np.ndarray:
    """(at most DRAWN, D): rows from which the ranges of a quantiser are chosen."""
    n = vectors.n_rows()
    return vectors.rows(np.sort(np.random.default_rng(run.seed).choice(n, min(n, DRAWN), replace=False)))


def are_names(settings: Settings) -> bool:
    """Whether the numbers of a coding only name something, a codebook's entry or a cell, so that sums and cosines of them say nothing."""
    return settings.get("model") in ("codebooks", "scalar", "transform")


def are_bits(settings: Settings) -> bool:
    """Whether the numbers of a coding are -1 and 1 alone."""
    return settings.get("code") == "sign"


def no_coordinates(codings: Codings) -> list[str]:
    """What is to be said where codings stand for vectors, and their numbers only name something: nothing, or a fault."""
    if not are_names(codings.settings()):
        return []
    return [
        f"{codings.name}: its numbers only name entries of codebooks or cells, and say nothing as coordinates. Name the vectors that they "
        f"stand for, a row of embed: {{method: decoded, codings: {codings.row}}}"
    ]


def whole_bytes(n: int, bits: int) -> int:
    """Bits of an item whose n numbers take so many bits each: a whole number of bytes, as they would lie in memory."""
    return -(-n * bits // 8) * 8


def bits(settings: Settings, size: int) -> int:
    """Of an item whose coding has so many numbers. Raises KeyError or ValueError where settings do not say, or say what cannot be."""
    few = are_names(settings) or "levels" in settings or are_bits(settings)
    if not few and "bits" not in settings:
        return 32 * size
    n, levels = settings["bits"], settings.get("levels", 2)
    whole = type(n) is type(levels) is int and 0 < n <= 32 * size and levels > 1
    if not (few and whole and ("levels" not in settings or n == whole_bytes(size, (levels - 1).bit_length()))):
        said = ", ".join(f"{key} {settings[key]!r}" for key in ("bits", "levels", "code") if key in settings)
        raise ValueError(f"{said} for codings of {size} numbers")
    return n


def cost(codings: Codings) -> tuple[float, int]:
    """Bytes of a coding, and bytes of what has to be kept once to get vectors back: all weights but the encoder's and a generator's."""
    settings, weights = codings.model()
    kept = [name for name in weights if not name.startswith(("encoder", "generator")) or (settings.get("tied") and name.endswith("weight"))]
    with fitting(f"{codings.name}: its bits"):
        return bits(settings, codings.size) / 8, sum(weights[name].nbytes for name in kept)


def _autoencoder(settings: Settings, weights: Weights) -> Decoder:
    from pipelines.autoencoder import rebuild

    return _of_network(rebuild(settings, weights))


def _convolutional(settings: Settings, weights: Weights) -> Decoder:
    from pipelines.convolution import rebuild

    return _of_network(rebuild(settings, weights))


def _of_network(model: Any) -> Decoder:
    import torch

    @torch.no_grad()
    def back(piece: np.ndarray) -> np.ndarray:
        return model.decode(torch.from_numpy(piece.copy())).numpy()

    return back


def _codebooks(settings: Settings, weights: Weights) -> Decoder:
    from pipelines.codebooks import decoder

    return decoder(settings, weights)


def _scalar(settings: Settings, weights: Weights) -> Decoder:
    """Weights: low and step, one for each number of a coding or one for all."""
    return lambda codes: middles(codes, weights["low"], weights["step"])


def _transform(settings: Settings, weights: Weights) -> Decoder:
    """Weights: levels, those of each number one after the other; bits, (K,); directions, (K, D); mean, (D,)."""
    *first, n_levels = np.concatenate([[0], np.cumsum(1 << weights["bits"].astype(np.int64))])
    shapes = {name: weights[name].shape for name in ("levels", "directions", "mean")}
    if shapes["levels"] != (n_levels,) or shapes["directions"] != (len(first), *shapes["mean"]):
        raise ValueError(f"shapes {shapes} for {len(first)} numbers of {n_levels} levels")
    return lambda codes: weights["levels"][np.array(first) + codes.astype(np.int64)] @ weights["directions"] + weights["mean"]


DECODERS: dict[str, Callable[[Settings, Weights], Decoder]] = {
    "autoencoder": _autoencoder, "convolutional": _convolutional, "codebooks": _codebooks, "scalar": _scalar,
    "transform": _transform,
}  # fmt: skip
