"""Convolutional autoencoder: images through filters that look at a few pixels each and are the same everywhere.

reads   vectors   one image per item, height * width * channels numbers, pixel after pixel, row after row
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model
source  Masci et al. 2011; a layer of the encoder, with stride s and padding p (LeCun et al. 1989):
            h_c(i, j) = a(b_c + sum_k sum_uv W_ckuv x_k(s i + u - p, s j + v - p))
        a layer of the decoder is its transpose, with weights of its own (Zeiler et al. 2010):
            y_k(s i + u - p, s j + v - p) = b_k + the sum of W_ckuv h_c(i, j) over all c, i, j, u, v that fall there
        between them the coding, linear in the last hidden image; strides in the place of pooling (Springenberg et al. 2015)
shapes  N items, D = vector_size = the product of shape, K = coding_size
"""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import TrainingKnobs, train
from pipelines.convolution import Convolutional
from pipelines.errors import Fault
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}
Size = Annotated[int, Field(ge=1)]


class Params(TrainingKnobs):
    coding_size: int = Field(32, ge=1)  # K
    shape: list[Size] | None = Field(None, min_length=2, max_length=3)  # height, width[, channels]; none: as the vectors say
    channels: list[Size] = Field([16, 32], min_length=1)  # of the hidden images, each half as high and as wide as the one before it
    kernel_size: Literal[3, 5, 7] = 3  # pixels, the side of what a filter looks at
    activation: Literal["selu", "relu", "tanh"] = "selu"  # between layers


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    network = {"channels": params.channels, "kernel_size": params.kernel_size, "activation": params.activation}
    return train(vectors, params, [params.coding_size], run, make=Convolutional, shape=shape_of(vectors, params.shape), **network)


def shape_of(vectors: Vectors, named: list[int] | None) -> tuple[int, int, int]:
    """Height, width and channels, as named, else as the vectors say. Raises Fault where that is not what a vector holds."""
    if named is None:
        if found := vectors.image():
            return found
        raise Fault(f"{vectors.name} does not say that its vectors are images. Set shape: [HEIGHT, WIDTH], or [HEIGHT, WIDTH, CHANNELS]")
    height, width, channels = [*named, 1][:3]
    if height * width * channels != vectors.size:
        raise Fault(
            f"{vectors.name}: its vectors have {vectors.size} numbers, images of {' x '.join(map(str, named))} have "
            f"{height * width * channels}. Set shape to their height, width and, if there are several, channels"
        )
    return height, width, channels
