"""Linear autoencoder: the K numbers from which a linear map gives the vectors back best.

reads   vectors   one float32 vector of D numbers per item
writes  codings   one float32 coding of K numbers per item, the squared error of its reconstruction, the model
source  Baldi, Hornik 1989: without activations the squared error has no local minimum, and its lowest
        value is that of the first K principal components; they span the same plane, in other coordinates
shapes  N items, D = vector_size, K = coding_size
"""

import math

from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import TrainingKnobs, train
from pipelines.method import Run

PLOTS = {"curve": {"x": "epoch", "y": ["loss"]}}


STEPS = 4_000  # that few vectors take to come within 0.001 of PCA


class Params(TrainingKnobs):
    coding_size: int = Field(32, ge=1)  # K
    epochs: int = Field(0, ge=0)  # 0: 100, or as many as make 4,000 steps
    batch_size: int = Field(64, ge=1)  # vectors a step; of few vectors larger ones are too few steps to come within 0.001 of PCA
    lr: float = Field(0.03, gt=0)  # Adam, falling to 0 over the epochs along a half cosine


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    n_batches = max(1, math.ceil(vectors.n_rows() / params.batch_size))
    epochs = params.epochs or max(100, math.ceil(STEPS / n_batches))
    return train(vectors, params.model_copy(update={"epochs": epochs}), [params.coding_size], run)
