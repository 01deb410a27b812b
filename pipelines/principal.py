"""Principal components: knobs, the directions, and codings that are coordinates along some of them."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, RoundedKnobs
from pipelines.method import Run


class PrincipalKnobs(RoundedKnobs):
    coding_size: int = Field(32, ge=1)  # K
    solver: Literal["exact", "randomised"] = "exact"
    n_iter: int = Field(5, ge=0, le=100)  # of randomised: more where the variances fall slowly


def directions(vectors: Vectors, mean: np.ndarray, k: int, run: Run, solver: str = "exact", n_iter: int = 5) -> np.ndarray:
    """(k, D), orthonormal: those along which the vectors vary most, the most first."""
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        if solver == "exact":
            return leading(vectors, mean, k)
        return randomized_svd(vectors.matrix() - mean, k, n_iter=n_iter, random_state=run.seed)[2]


def leading(vectors: Vectors, mean: np.ndarray, k: int) -> np.ndarray:
    """(k, D), orthonormal: the eigenvectors of the covariance with the largest eigenvalues, the first number of each not negative."""
    covariance = np.zeros((vectors.size, vectors.size))
    for piece in vectors.pieces():
        centred = piece - mean
        covariance += centred.T @ centred
    found = np.linalg.eigh(covariance)[1][:, ::-1][:, :k].T
    return found * np.where(found[:, :1] < 0, -1, 1)


def projection(mean: np.ndarray, along: np.ndarray) -> Autoencoder:
    """The linear autoencoder whose encoder are these directions, and whose decoder are their transposes."""
    model = Autoencoder([along.shape[1], len(along)], mean, 1.0, tied=True)
    with torch.no_grad():
        model.encoder[0].weight[:] = torch.from_numpy(np.ascontiguousarray(along))
    return model
