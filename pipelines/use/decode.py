"""From codings back to vectors."""

import numpy as np

from pipelines.artifacts.codings import Codings
from pipelines.errors import Fault


def decode(codings: Codings) -> np.ndarray:
    """The vectors that the codings stand for, as well as their decoder gives them back.

    Returns:
        (n, D) float32, in the codings' order.
    """
    settings, weights = codings.model()
    if settings.get("model") != "autoencoder":
        raise Fault(f"{codings.name}: its model is {settings.get('model')!r}, which this version cannot decode. It knows 'autoencoder'")
    import torch

    from pipelines.autoencoder import rebuild

    model = rebuild(settings, weights)
    with torch.no_grad():
        return np.concatenate([model.decode(torch.from_numpy(piece.copy())).numpy() for piece in codings.pieces()])
