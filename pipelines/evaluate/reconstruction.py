"""Reconstruction: how much of the vectors their codings keep, and what a coding costs.

reads   vectors   what was compressed
        codings   one or more compressions of them, each with the squared error of every item
writes  scores    explained_variance, 1 for codings that lose nothing, 0 for ones that know only the mean;
                  mean_squared_error of a number; bytes_per_item; whole_bytes, with an equal share of the
                  decoder's weights; ratio, how many times smaller it all is, these weights counted in
source  Jolliffe 2002, ch. 6: the share of variance kept; the decoder counted, as Shu, Nakayama 2018 count it
shapes  N items, D = vector_size
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.coding import DECODERS, cost, decoder
from pipelines.errors import Fault
from pipelines.kernels.intervals import interval, mean_draws
from pipelines.method import Knobs, Run

FLOAT_BYTES = 4
ALIKE = 0.01  # share of the vectors' variance by which errors may differ that were found on another device


class Params(Knobs):
    n_bootstrap: int = Field(1000, ge=100)  # draws of items for an interval


def evaluate(vectors: Vectors, codings: list[Codings], params: Params, run: Run) -> Scores:
    rows = {item: row for row, item in enumerate(vectors.items())}
    _check_items(rows, vectors, codings)
    away = _distances_from_mean(vectors)
    if faults := [fault for coding in codings for fault in _of_others(rows, away, vectors, coding)]:
        raise Fault(faults)
    with run.open(Scores) as out:
        for coding in codings:
            mine = [rows[item] for item in coding.items()]
            error = coding.read(columns=["error"]).column("error").to_numpy().astype(np.float64)
            figures = _figures(error, away[mine], coding, vectors, params, run)
            out.append(**columns({"of": coding.name, "on": vectors.name, "n": len(error), **figure} for figure in figures))
            run.say(f"{coding.name}: {1 - error.sum() / max(away[mine].sum(), 1e-30):.1%} of the variance of {vectors.name} kept")
    return out.artifact


def _check_items(rows: dict[str, int], vectors: Vectors, codings: list[Codings]) -> None:
    """Raises Fault for codings of other items: their errors are not distances from these vectors."""
    faults = []
    for coding in codings:
        if coding.settings().get("model") == "recurrent":
            faults.append(f"{coding.name}: its errors are nats a token, not distances from vectors. Leave it out")
            continue
        strange = [item for item in coding.items() if item not in rows]
        if strange:
            faults.append(
                f"{coding.name}: {len(strange)} of its items are not in {vectors.name}, first {strange[0]!r}. Name the vectors that it was made from"
            )
    if faults:
        raise Fault(faults)


def _of_others(rows: dict[str, int], away: np.ndarray, vectors: Vectors, coding: Codings) -> list[str]:
    """A fault, where the errors that stand beside the first codings are not how far these decode from the vectors."""
    if coding.settings().get("model") not in DECODERS:  # a method's own
        return []
    if not coding.n_rows():
        return [f"{coding.name}: it has no codings. Look at the stage that made them"]
    back = decoder(coding)(next(coding.pieces()))
    mine = np.array([rows[item] for item in coding.items()[: len(back)]])
    order = np.argsort(mine)
    if back.shape[1] == vectors.size:
        seen = ((back[order] - vectors.rows(mine[order])) ** 2).sum(axis=1, dtype=np.float64)
        told = coding.read(columns=["error"]).column("error").to_numpy()[: len(back)][order]
        if abs(seen - told).mean() <= ALIKE * max(away[mine].mean(), 1e-30):
            return []
    return [f"{coding.name}: its errors are not distances from {vectors.name}. Name the vectors that it was made from"]


def _distances_from_mean(vectors: Vectors) -> np.ndarray:
    """(N,) float64 squared distance of each vector from the mean vector."""
    mean = sum(piece.sum(axis=0, dtype=np.float64) for piece in vectors.pieces()) / vectors.n_rows()
    return np.concatenate([((piece - mean) ** 2).sum(axis=1) for piece in vectors.pieces()])


def _figures(error: np.ndarray, away: np.ndarray, coding: Codings, vectors: Vectors, params: Params, run: Run) -> Iterator[dict]:
    size = vectors.size
    both = np.stack([error, away], axis=1)
    mean_error, mean_away = mean_draws(both, params.n_bootstrap, np.random.default_rng(run.seed)).T  # (draws,) each
    if away.sum() > 0:
        kept = 1 - error.sum() / away.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = interval(kept, 1 - mean_error / mean_away)
        yield {"metric": "explained_variance", "value": kept, "low": low, "high": high}
    low, high = interval(error.mean() / size, mean_error / size)
    yield {"metric": "mean_squared_error", "value": error.mean() / size, "low": low, "high": high, "note": f"of each of {size} numbers"}
    each, decoder = cost(coding)
    note = f"{coding.size} numbers, where the vector has {size}: {size * FLOAT_BYTES} bytes"
    yield {"metric": "bytes_per_item", "value": each, "note": note}
    whole = len(error) * each + decoder
    yield {"metric": "whole_bytes", "value": whole / len(error), "note": f"{decoder:,} bytes of decoder, shared out"}
    yield {"metric": "ratio", "value": len(error) * size * FLOAT_BYTES / whole, "note": f"{decoder:,} bytes of decoder counted in"}
