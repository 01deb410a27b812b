"""What the autoencoders share: knobs, the network, its training on the rows of a matrix, the codings it leaves.

shapes  N rows of D numbers; sizes are D, ..., K, the widths from the vector to its coding
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar, get_args

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipelines import coding
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.fit import Recipe, apply, arrays, fit, prepare
from pipelines.kernels.uniform import clipped, codes, from_zero, middles
from pipelines.method import Knobs, Run

Network = TypeVar("Network", bound="Autoencoder")
Loss = Literal["squared", "cross_entropy", "cosine"]
FEW = 1 / 16  # of a batch: rows that would have a whole step of their own


class RoundedKnobs(Knobs):
    bits: Literal[32, 8, 6, 4, 2, 1] = (
        32  # that each number of a coding is kept in; below 32 it is rounded to the middle of one of 2^bits cells
    )


class TrainingKnobs(RoundedKnobs):
    loss: Loss = "squared"  # cross_entropy: of numbers in [0, 1], given back by a sigmoid
    epochs: int = Field(100, ge=1)
    batch_size: int = Field(256, ge=1)  # vectors a step
    lr: float = Field(0.003, gt=0)  # Adam, falling to 0 over the epochs along a half cosine
    mixed: bool = False  # products of matrices in bfloat16: for a GPU, where they are several times as fast

    def recipe(self, epochs: int | None = None) -> Recipe:
        return Recipe(epochs=epochs or self.epochs, lr=self.lr, decay="cosine", clip=1.0, mixed=self.mixed)


class DeepKnobs(TrainingKnobs):
    sizes: list[Annotated[int, Field(ge=1)]] = Field([64, 32], min_length=1)  # widths down to the coding
    activation: Literal["selu", "relu", "tanh", "sigmoid"] = "selu"  # between layers


class Sign(torch.autograd.Function):
    """-1 or 1; its gradient is that of the identity where the number is in [-1, 1], and 0 elsewhere (Bengio et al. 2013; Hubara et al. 2016)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "selu": functional.selu, "relu": functional.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "sign": Sign.apply,
}  # fmt: skip


class Layers(nn.ModuleList):
    """Linear layers with an activation between two, and one after the last where it is named."""

    def __init__(self, widths: Sequence[int], activation: str | None, last: str | None):
        super().__init__(nn.Linear(wide, narrow) for wide, narrow in pairwise(widths))
        self.activations = [activation] * (len(widths) - 2) + [last]
        for layer in self:
            # orthogonal: no direction of the input is lost, or counted twice, before training begins
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """Through the layers first, ..., last - 1; through all when these are not given."""
        for i in range(len(self))[first:last]:
            x = self[i](x)
            if activation := self.activations[i]:
                x = ACTIVATIONS[activation](x)
        return x


class Transposed(nn.Module):
    """The layers of an encoder the other way round, their weights transposed, with biases of their own."""

    def __init__(self, layers: Layers):
        super().__init__()
        self.layers = [layers]  # in a list: the weights are kept once, as the encoder's
        self.bias = nn.ParameterList(torch.zeros(layer.in_features) for layer in reversed(layers))

    def forward(self, x: Tensor) -> Tensor:
        (layers,) = self.layers
        for layer, bias, activation in zip(reversed(layers), self.bias, [None, *reversed(layers.activations[:-1])], strict=True):
            x = functional.linear(x if activation is None else ACTIVATIONS[activation](x), layer.weight.T, bias)
        return x


class Autoencoder(nn.Module):
    """D numbers through ever narrower layers to K, and back through the mirror image.

    Args:
        sizes: D, ..., K.
        mean, scale: of the vectors. The encoder sees (vector - mean) / scale, so that one learning rate
            serves vectors of any size, and a linear output starts from the best constant answer.
        activation: between two layers, or None.
        code: the activation of the coding itself; None lets it take any value.
        loss: what reconstructions are judged by; cross_entropy has them pass a sigmoid, the others leave them linear.
        tied: the decoder's weights are the encoder's, transposed.
    """

    def __init__(
        self, sizes: Sequence[int], mean: np.ndarray, scale: float,
        activation: str | None = None, code: str | None = None, loss: str = "squared", tied: bool = False,
    ):  # fmt: skip
        super().__init__()
        network = {"activation": activation, "code": code, "loss": loss, "tied": tied}
        self.settings = {"model": "autoencoder", "sizes": list(sizes), **network}
        if code == "sign":
            self.settings["bits"] = sizes[-1]
        self.encoder = Layers(sizes, activation, code)
        self.decoder = Transposed(self.encoder) if tied else Layers(sizes[::-1], activation, None)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.rounding: tuple[np.ndarray, np.ndarray, int] | None = None  # low, step, cells of each number of a coding that is kept

    def encode(self, vectors: Tensor) -> Tensor:
        """(n, D) -> (n, K), as they are before they are rounded"""
        return self.encoder(self.standard(vectors))

    def standard(self, vectors: Tensor) -> Tensor:
        """(n, D) -> (n, D), as the encoder sees them."""
        return (vectors - self.mean) / self.scale

    def decode(self, codings: Tensor) -> Tensor:
        """(n, K) -> (n, D)"""
        made = self.decoder(codings)
        return torch.sigmoid(made) if self.settings["loss"] == "cross_entropy" else made * self.scale + self.mean

    def lost(self, vectors: Tensor, codings: Tensor) -> Tensor:
        """(n,) what the reconstructions from these codings lose: by `squared` in units of the mean squared distance from the mean."""
        made = self.decoder(codings)
        match self.settings["loss"]:
            case "cross_entropy":
                return functional.binary_cross_entropy_with_logits(made, vectors, reduction="none").mean(dim=1)
            case "cosine":
                # by the scale, as torch takes vectors shorter than 1e-8 for longer ones
                return 1 - functional.cosine_similarity(made + self.mean / self.scale, vectors / self.scale)
        return functional.mse_loss(made, self.standard(vectors), reduction="none").mean(dim=1)

    def code(self, vectors: Tensor) -> Tensor:
        """(n, D) -> (n, K), as they are kept: rounded, where numbers have few bits."""
        coding = self.encode(vectors)
        if self.rounding:
            low, step, n_cells = self.rounding
            coding = torch.from_numpy(middles(codes(coding.cpu().numpy(), low, step, n_cells), low, step)).to(vectors.device)
        return coding

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, D) -> (n, K + 1): the coding, and the squared distance of the vector and its reconstruction."""
        coding = self.code(vectors)
        error = ((self.decode(coding) - vectors) ** 2).sum(dim=1, keepdim=True)
        return torch.cat([coding, error], dim=1)


def train(
    vectors: Vectors, params: TrainingKnobs, sizes: Sequence[int], run: Run,
    loss: Callable[[Any, Tensor], Tensor] | None = None, wide: bool = False, make: Callable[..., Autoencoder] = Autoencoder, **network: Any,
) -> Codings:  # fmt: skip
    """Trains an autoencoder with the hidden widths `sizes` on all vectors, and writes their codings.

    The vectors themselves are what is to be made small, so there is no slice to validate on: the error
    is that of the rows that are kept.

    Args:
        loss: (model, (n, D) vectors) -> (n,); what the reconstruction loses, when it is not given.
        wide: whether a coding may be as long as the vector, or longer.
        make: Autoencoder, or what is built on it; called with `network`, too.

    Raises:
        Fault: vectors that cannot be coded so.
    """
    mean, variance = coding.checked(vectors, sizes[-1], wide, params.loss)
    x = rows_of(vectors, run)
    prepare(run)
    model = make([vectors.size, *sizes], mean, float(np.sqrt(variance / vectors.size)), loss=params.loss, **network)

    def lost(model: Autoencoder, batch: Tensor) -> Tensor:
        return model.lost(batch, model.encode(batch))

    fit(model, lambda rng: batches(x, params.batch_size, rng), loss or lost, run, params.recipe(), n_items=len(x))
    return write(vectors, model, variance, run, params.bits)


def rows_of(vectors: Vectors, run: Run) -> np.ndarray | Tensor:
    """(N, D): on a GPU where they fill less than half of its free memory; else on disk, paged in as needed."""
    x = vectors.memmap()
    if torch.device(run.device).type == "cuda" and x.nbytes < torch.cuda.mem_get_info(run.device)[0] / 2:
        return torch.from_numpy(x).to(run.device)
    return x


def batches(
    x: np.ndarray | Tensor, batch_size: int, rng: np.random.Generator, *beside: np.ndarray | Tensor
) -> Iterator[tuple[np.ndarray | Tensor, ...]]:
    """The rows of x in an order drawn anew, each with those of what lies beside it, on the same device.

    The last batch may be the smallest, or, where few rows are left, a little larger.
    """
    order, ends = rng.permutation(len(x)), [*range(batch_size, len(x), batch_size), len(x)]
    if len(ends) > 1 and ends[-1] - ends[-2] < batch_size * FEW:
        del ends[-2]
    for start, end in pairwise([0, *ends]):
        order[start:end].sort()  # a page that several rows share is read once
    places = torch.from_numpy(order).to(x.device) if isinstance(x, Tensor) else order
    for start, end in pairwise([0, *ends]):
        yield tuple(it[places[start:end]] for it in (x, *beside))


def write(vectors: Vectors, model: Autoencoder, variance: float, run: Run, bits: int = 32) -> Codings:
    """The codings of all vectors, each number of them in so many bits, and the model."""
    weights = arrays(model)
    if bits < 32 and not coding.are_bits(model.settings):  # which are rounded already
        (seen,) = apply(model, [(coding.drawn(vectors, run),)], run)
        codings = seen[:, :-1]
        sparse = model.settings.get("code") in ("relu", "sigmoid")  # what is 0 stays so, and nothing falls below
        ranges = from_zero(codings, 2**bits) if sparse else clipped(codings, 2**bits)
        low, step = (part.astype(np.float32) for part in ranges)
        model.rounding = low, step, 2**bits
        model.settings |= {"bits": coding.whole_bytes(len(low), bits), "levels": 2**bits}
        weights |= {"low": low, "step": step}
    coded = ((rows[:, :-1], rows[:, -1]) for rows in apply(model, ((piece,) for piece in vectors.pieces()), run))
    return coding.write(vectors, model.settings, weights, coded, variance, run)


def rebuild(settings: dict, weights: dict[str, np.ndarray]) -> Autoencoder:
    """The autoencoder that `write` left in an artifact. Raises ValueError, KeyError or RuntimeError where weights and settings do not fit."""
    knobs = ("activation", "code", "loss", "tied")
    # svd trains nothing, and writes none of the others
    return restored(Autoencoder, settings, weights, knobs if settings.keys() & set(knobs[1:]) else knobs[:1])


def restored(make: Callable[..., Network], settings: dict, weights: dict[str, np.ndarray], knobs: Sequence[str]) -> Network:
    """As `rebuild`, of Autoencoder or what is built on it, which takes these settings, all of them."""
    sizes, network = settings["sizes"], {key: settings[key] for key in knobs}
    unknown = [value for key, value in network.items() if key in ("activation", "code") and value not in (None, *ACTIVATIONS)]
    if network["activation"] is None and (len(sizes) > 2 or "channels" in network):  # a linear map alone has none
        unknown.append(None)
    if len(sizes) < 2 or unknown:
        raise ValueError(f"sizes {sizes}, unknown activations {unknown}")
    if "loss" in network and network["loss"] not in get_args(Loss):
        raise ValueError(f"unknown loss {network['loss']!r}")
    if weights["mean"].shape != (sizes[0],):
        raise ValueError(f"a mean of shape {weights['mean'].shape} for vectors of {sizes[0]} numbers")
    made = make(sizes, weights["mean"], float(weights["scale"]), **network)
    made.load_state_dict({name: torch.from_numpy(weights[name]) for name in made.state_dict()})
    if "levels" in settings or {"low", "step"} & weights.keys():
        made.rounding = weights["low"], weights["step"], settings["levels"]
        if not weights["low"].shape == weights["step"].shape == (sizes[-1],):
            raise ValueError(f"low and step of shapes {weights['low'].shape}, {weights['step'].shape} for codings of {sizes[-1]} numbers")
    return made.eval()
