"""What the autoencoders share: the network, its training on the rows of a matrix, the codings it leaves.

shapes  N rows of D numbers; sizes are D, ..., K, the widths from the vector to its coding
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.fit import Recipe, apply, arrays, fit, prepare
from pipelines.method import Run

ACTIVATIONS: dict[str, type[nn.Module]] = {"selu": nn.SELU, "relu": nn.ReLU, "tanh": nn.Tanh}


class Autoencoder(nn.Module):
    """D numbers through ever narrower layers to K, and back through the mirror image.

    Args:
        sizes: D, ..., K.
        activation: between two layers, or None; the coding and the reconstruction themselves are
            linear, so that they may take any value.
        mean, scale: of the vectors. The layers see (vector - mean) / scale, so that one learning rate
            serves vectors of any size, and the network starts from the best constant answer.
    """

    def __init__(self, sizes: Sequence[int], activation: str | None, mean: np.ndarray, scale: float):
        super().__init__()
        self.settings = {"model": "autoencoder", "sizes": list(sizes), "activation": activation}
        self.encoder = _layers(list(sizes), activation)
        self.decoder = _layers(list(sizes)[::-1], activation)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def encode(self, vectors: Tensor) -> Tensor:
        """(n, D) -> (n, K)"""
        return self.encoder((vectors - self.mean) / self.scale)

    def decode(self, codings: Tensor) -> Tensor:
        """(n, K) -> (n, D)"""
        return self.decoder(codings) * self.scale + self.mean

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, D) -> (n, K + 1): the coding, and the squared distance of the vector and its reconstruction."""
        coding = self.encode(vectors)
        error = ((self.decode(coding) - vectors) ** 2).sum(dim=1, keepdim=True)
        return torch.cat([coding, error], dim=1)


def _layers(widths: list[int], activation: str | None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (wide, narrow) in enumerate(pairwise(widths)):
        if i and activation:
            layers.append(ACTIVATIONS[activation]())
        layer = nn.Linear(wide, narrow)
        # orthogonal: no direction of the input is lost, or counted twice, before training begins
        nn.init.orthogonal_(layer.weight)
        nn.init.zeros_(layer.bias)
        layers.append(layer)
    return nn.Sequential(*layers)


def train(vectors: Vectors, sizes: Sequence[int], activation: str | None, recipe: Recipe, batch_size: int, run: Run) -> Codings:
    """Trains an autoencoder with the hidden widths `sizes` on all vectors, and writes their codings.

    The vectors themselves are what is to be made small, so there is no slice to validate on: the error
    is that of the rows that are kept.

    Raises:
        Fault: a coding that is not shorter than the vector, more codings than rows, numbers that are not finite.
    """
    mean, variance = _checked(vectors, sizes)
    x = vectors.memmap()  # (N, D) on disk, paged in as needed
    prepare(run)
    model = Autoencoder([vectors.size, *sizes], activation, mean, scale=float(np.sqrt(variance / vectors.size)))

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray]]:
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch_size):
            # sorted: a page that several rows share is read once
            yield (x[np.sort(order[start : start + batch_size])],)

    def share_lost(model: Autoencoder, batch: Tensor) -> Tensor:
        return model(batch)[:, -1] / variance

    fit(model, batches, share_lost, run, recipe, n_items=len(x))

    items, lost, start = vectors.items(), 0.0, 0
    with run.open(Codings) as out:
        out.model(model.settings, arrays(model))
        for rows in apply(model, ((piece,) for piece in vectors.pieces()), run):
            out.append(item=items[start : start + len(rows)], coding=rows[:, :-1], error=rows[:, -1])
            start += len(rows)
            lost += float(rows[:, -1].sum(dtype=np.float64))
    run.say(f"{vectors.size} -> {sizes[-1]} numbers keep {1 - lost / (variance * len(x)):.1%} of the variance")
    return out.artifact


def rebuild(settings: dict, weights: dict[str, np.ndarray]) -> Autoencoder:
    """The autoencoder that `train` left in an artifact."""
    model = Autoencoder(settings["sizes"], settings["activation"], weights["mean"], float(weights["scale"]))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model.eval()


def _checked(vectors: Vectors, sizes: Sequence[int]) -> tuple[np.ndarray, float]:
    """(D,) mean, and the mean squared distance from it."""
    faults, n, start = [], vectors.n_rows(), 0
    if sizes[-1] >= vectors.size:
        faults.append(f"{vectors.name}: its vectors have {vectors.size} numbers, a coding of {sizes[-1]} is not shorter. Ask for fewer")
    if n < sizes[-1]:
        faults.append(f"{vectors.name}: {n} rows cannot show {sizes[-1]} directions. Ask for a shorter coding, or bring more rows")
    total, squares, bad = np.zeros(vectors.size), np.zeros(vectors.size), []
    for piece in vectors.pieces():
        bad += (start + np.flatnonzero(~np.isfinite(piece).all(axis=1))).tolist()
        start += len(piece)
        wide = piece.astype(np.float64)
        total += wide.sum(axis=0)
        squares += (wide**2).sum(axis=0)
    if bad:
        items = vectors.items()
        named = ", ".join(repr(items[i]) for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        faults.append(
            f"{vectors.name}: {len(bad)} of {n} vectors hold numbers that are not finite: {named}. Look at the stage that made them"
        )
    elif n and (variance := float((squares / n - (total / n) ** 2).sum())) <= 0:
        faults.append(f"{vectors.name}: all {n} vectors are the same, there is nothing to code. Look at the stage that made them")
    if faults:
        raise Fault(faults)
    return total / n, variance
