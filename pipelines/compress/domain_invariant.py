"""Domain-invariant autoencoder: codings of two corpora's vectors, by which it cannot be said of which corpus an item is.

reads   vectors   of two corpora, in the same coordinates: one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the first corpus' items first; the squared error of its
                  reconstruction; the model, whose settings say how well the corpora are told apart before and after
source  Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand, Lempitsky 2016: L(x, g(z)) + L_d(d(R(z))),
        z = f(x), the adversary d says of which corpus z is, and R turns its gradient round, `weight` times as long. What they
        learn beside is a class, here it is the vector itself
shapes  N items of both corpora, D = vector_size, sizes = hidden widths, the last of them is K
"""

from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.parquet import Writer
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, DeepKnobs, Layers, batches, rows_of, write
from pipelines.coding import checked
from pipelines.errors import Fault
from pipelines.fit import fit, prepare
from pipelines.method import Run
from pipelines.reversal import Reversed

ASKED = 5_000  # items of a corpus that the probe learns from or is asked of, at most
HELD_OUT = 4  # every so many of them are those that it is asked of
AHEAD = 10  # the adversary's answers move so many times as far in a step: the one who is fled from has to be the faster
ADAM = partial(torch.optim.Adam, fused=True, betas=(0.5, 0.999))  # Radford et al. 2016: less momentum, lest the two circle
PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(DeepKnobs):
    # between layers; of experiments/domains.yaml 56 % are told apart with relu, 86 % with selu, one seed
    activation: Literal["selu", "relu", "tanh", "sigmoid"] = "relu"
    weight: float = Field(0.3, ge=0)  # of the turned gradient; 0 leaves an autoencoder of both corpora
    hidden_size: int = Field(256, ge=1)  # of the adversary
    prefixes: list[str] = Field([], max_length=2)  # of the items of each corpus, for corpora that have items in common

    @field_validator("prefixes")
    @classmethod
    def _one_each(cls, prefixes: list[str]) -> list[str]:
        if prefixes and len(set(prefixes)) != 2:
            raise ValueError("prefixes are two, one of each corpus, and differ; or none")
        return prefixes


class Invariant(Autoencoder):
    """An autoencoder, and an adversary that says of which corpus a coding is."""

    def __init__(self, *args: Any, hidden_size: int, **network: Any):
        super().__init__(*args, **network)
        self.encoder_adversary = Layers([self.settings["sizes"][-1], hidden_size, 1], "selu", None)

    def odds(self, codings: Tensor) -> Tensor:
        """(n, K) -> (n,) logarithms of the odds for the second corpus."""
        # with a spread of 1 each, so that nothing is hidden by being small
        seen = (codings - codings.mean(dim=0)) * torch.rsqrt(codings.var(dim=0, correction=0) + 1e-6)
        return AHEAD * self.encoder_adversary(seen)[:, 0]


def compress(vectors: list[Vectors], params: Params, run: Run) -> Codings:
    items = named(vectors, params.prefixes)
    first, n = vectors[0].n_rows(), len(items)  # the second corpus begins at `first`
    with run.scratch() as place:
        both = joined(vectors, items, place)
        mean, variance = checked(both, params.sizes[-1], loss=params.loss)
        x = rows_of(both, run)
        second = (np.arange(n) >= first).astype(np.float32)  # (N,)
        of = torch.from_numpy(second).to(x.device) if isinstance(x, Tensor) else second
        prepare(run)
        model = Invariant(
            [both.size, *params.sizes], mean, float(np.sqrt(variance / both.size)),
            hidden_size=params.hidden_size, activation=params.activation, loss=params.loss,
        )  # fmt: skip

        def loss(model: Invariant, x: Tensor, second: Tensor) -> Tensor:
            z = model.encode(x)
            odds = model.odds(Reversed.apply(z, params.weight))
            balance = torch.where(second > 0, n / (2 * (n - first)), n / (2 * first))  # a smaller corpus weighs as much
            return model.lost(x, z) + balance * nn.functional.binary_cross_entropy_with_logits(odds, second, reduction="none")

        fit(model, lambda rng: batches(x, params.batch_size, rng, of), loss, run, replace(params.recipe(), optimiser=ADAM), n_items=n)
        asked = np.random.default_rng(run.seed)
        rows = np.sort(np.concatenate([asked.permutation(part)[:ASKED] for part in (range(first), range(first, n))]))
        some = both.rows(rows)
        with torch.no_grad():
            codings = model.encode(torch.from_numpy(some).to(run.device)).cpu().numpy()
        before, after = (told_apart(part, rows >= first, asked) for part in (some, codings))
        run.say(
            f"a logistic regression tells the corpora apart in {before:.1%} of the vectors, in {after:.1%} of the codings; 50 % is chance"
        )
        model.settings["told_apart"] = {"vectors": round(before, 4), "codings": round(after, 4)}
        return write(both, model, variance, run, params.bits)


def told_apart(x: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> float:
    """The share of held-out rows whose corpus a logistic regression names rightly, the mean of both corpora's.

    Args:
        x: (n, D). second: (n,) bool, which of them are of the second corpus.
    """
    held_out = np.zeros(len(x), bool)
    for corpus in (False, True):
        held_out[rng.permutation(np.flatnonzero(second == corpus))[::HELD_OUT]] = True
    probe = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        probe.fit(x[~held_out].astype(np.float64), second[~held_out])
        return float(balanced_accuracy_score(second[held_out], probe.predict(x[held_out].astype(np.float64))))


def named(vectors: list[Vectors], prefixes: list[str]) -> list[str]:
    """The items of both corpora. Raises Fault unless there are two of one size, no item in both."""
    if len(vectors) != 2:
        raise Fault(
            f"{', '.join(part.name for part in vectors)}: {len(vectors)} rows of vectors, where two corpora are told apart. Name two"
        )
    faults, (one, other) = [], vectors
    if one.size != other.size:
        faults.append(
            f"{one.name} has {one.size} numbers a vector, {other.name} {other.size}. Take vectors in the same coordinates, "
            "such as means of the same word vectors"
        )
    faults += [
        f"{part.name}: {part.n_rows()} items are too few to learn what they are told by and ask of others. Bring {2 * HELD_OUT}"
        for part in vectors
        if part.n_rows() < 2 * HELD_OUT
    ]
    parts = [[prefix + item for item in part.items()] for prefix, part in zip(prefixes or ["", ""], vectors, strict=True)]
    common = sorted(set(parts[0]) & set(parts[1]))
    if common:
        faults.append(
            f"{len(common)} items are in {one.name} and in {other.name}, first {common[0]!r}. Tell them apart by `prefixes`: [a/, b/]"
        )
    if faults:
        raise Fault(faults)
    return parts[0] + parts[1]


def joined(vectors: list[Vectors], items: list[str], folder: Path) -> Vectors:
    """Both corpora as one."""
    start = 0
    with Writer(Vectors, folder / "both") as out:
        for piece in chain.from_iterable(part.pieces() for part in vectors):
            out.append(item=items[start : start + len(piece)], count=np.zeros(len(piece), np.int64), vector=piece)
            start += len(piece)
    out.artifact.name = " and ".join(part.name for part in vectors)
    return out.artifact
