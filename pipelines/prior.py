"""Laws from which codings can be drawn that no item has: a model's settings["prior"] names one.

normal      each number from N(0, 1), which training held the codings near to
generator   what a network of the model makes of such draws
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.autoencoder import Layers
from pipelines.coding import fitting
from pipelines.errors import Fault


class Generator(nn.Module):
    """Draws from N(0, 1) to codings, (n, K) both.

    Args:
        sizes: K, ..., K.
        mean, scale: (K,) of the codings; the layers make them less the mean, by the scale.
    """

    def __init__(self, sizes: Sequence[int], mean: np.ndarray, scale: np.ndarray):
        super().__init__()
        self.layers = Layers(sizes, "relu", None)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def forward(self, drawn: Tensor) -> Tensor:
        return self.layers(drawn) * self.scale + self.mean


def draws(codings: Codings, n: int, seed: int) -> np.ndarray:
    """(n, K) float32 new codings; the first of them are the same for any n. Raises Fault for codings that follow no law."""
    settings, weights = codings.model()
    drawn = np.random.default_rng(seed).standard_normal((n, codings.size), np.float32)
    match settings.get("prior"):
        case "normal":
            return drawn
        case "generator":
            own = {
                name.removeprefix("generator."): torch.from_numpy(array) for name, array in weights.items() if name.startswith("generator.")
            }
            with fitting(f"{codings.name}: the weights of its generator"):
                generator = Generator(settings["generator"], own["mean"].numpy(), own["scale"].numpy())
                generator.load_state_dict(own)
                if not own["mean"].shape == own["scale"].shape == (codings.size,) or settings["generator"][-1] != codings.size:
                    raise ValueError(f"it makes no codings of {codings.size} numbers")
            with torch.no_grad():
                return generator(torch.from_numpy(drawn)).numpy()
    raise Fault(
        f"{codings.name} follows no law that new codings could be drawn from; those of variational and adversarial do. Name a row of these"
    )
