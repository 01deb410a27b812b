"""The convolutional autoencoder's network; `compress/convolutional.py` has the method.

shapes  N images of height x width pixels of C numbers each, as rows of D = height * width * C, pixel after pixel
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor, nn

from pipelines.autoencoder import ACTIVATIONS, Autoencoder, restored

STRIDE = 2  # pixels from one place of a kernel to the next: each layer halves an image's sides, rounded up


class Convolutional(Autoencoder):
    """D numbers through ever smaller images of ever more channels to K, and back through the mirror image.

    Args:
        sizes: D, K.
        mean, scale, loss: as of Autoencoder.
        shape: height, width, C.
        channels: of the images between, C_1, ...
        kernel_size: odd; side of the square that a number of an image is made from.
    """

    def __init__(
        self, sizes: Sequence[int], mean: np.ndarray, scale: float,
        shape: Sequence[int], channels: Sequence[int], kernel_size: int, activation: str, loss: str = "squared",
    ):  # fmt: skip
        super().__init__(sizes, mean, scale, loss=loss)
        self.settings = {
            "model": "convolutional", "sizes": list(sizes), "shape": list(shape), "channels": list(channels),
            "kernel_size": kernel_size, "activation": activation, "loss": loss,
        }  # fmt: skip
        height, width, colours = shape
        depths, sides = [colours, *channels], [(height, width)]
        for _ in channels:
            height, width = -(-height // STRIDE), -(-width // STRIDE)
            sides.append((height, width))
        last = (depths[-1], *sides[-1])
        down: list[nn.Module] = [ChannelsFirst(shape)]
        for narrow, wide in pairwise(depths):
            down += [nn.Conv2d(narrow, wide, kernel_size, STRIDE, kernel_size // 2), Activation(activation)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(int(np.prod(last)), sizes[-1]))  # type: ignore[assignment]
        up: list[nn.Module] = [nn.Linear(sizes[-1], int(np.prod(last))), Activation(activation), nn.Unflatten(1, last)]
        for i in reversed(range(len(channels))):
            # the side that was halved may have been even or odd
            even = [int(side % STRIDE == 0) for side in sides[i]]
            up += [nn.ConvTranspose2d(depths[i + 1], depths[i], kernel_size, STRIDE, kernel_size // 2, even), Activation(activation)]  # type: ignore[arg-type]
        self.decoder = nn.Sequential(*up[:-1], ChannelsLast())  # type: ignore[assignment]


class Activation(nn.Module):
    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.name](x)


class ChannelsFirst(nn.Module):
    """(n, D) -> (n, C, height, width), as torch has images."""

    def __init__(self, shape: Sequence[int]):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape).permute(0, 3, 1, 2)


class ChannelsLast(nn.Module):
    """The way back of ChannelsFirst."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def rebuild(settings: dict, weights: dict[str, np.ndarray]) -> Convolutional:
    """The network whose settings and weights an artifact holds."""
    return restored(Convolutional, settings, weights, ("shape", "channels", "kernel_size", "activation", "loss"))
