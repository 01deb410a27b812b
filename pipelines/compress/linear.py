"""Linear autoencoder: the K numbers from which a linear map gives the vectors back best.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model
source  Baldi, Hornik 1989: without activations the squared error has no local minimum, and its lowest
        value is that of the first K principal components; they span the same plane, in other coordinates
shapes  N items, D = vector_size, K = coding_size
"""

from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import TrainingKnobs, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


class Params(TrainingKnobs):
    coding_size: int = Field(32, ge=1)  # K
    batch_size: int = Field(64, ge=1)  # vectors a step; of few vectors larger ones are too few steps to come within 0.001 of PCA
    lr: float = Field(0.03, gt=0)  # Adam, falling to 0 over the epochs along a half cosine


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    return train(vectors, params, [params.coding_size], run)
