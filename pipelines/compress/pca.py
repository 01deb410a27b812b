"""PCA: the plane of K directions that lies nearest to the vectors; the mark that autoencoders are measured by.

reads   vectors   one float32 vector of D numbers per item
writes  codings   K numbers per item, the coordinates in the plane; the squared error of its reconstruction, the model
source  Jolliffe 2002; exact: the eigenvectors of the covariance, summed in float64 piece by piece. randomised: Halko,
        Martinsson, Tropp 2011, by scikit-learn, for vectors so long that D x D numbers are too many
shapes  N items, D = vector_size, K = coding_size. In memory: exact 16 D^2 bytes, randomised the vectors
"""

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, write
from pipelines.coding import checked
from pipelines.method import Knobs, Run


class Params(Knobs):
    coding_size: int = Field(32, ge=1)  # K
    solver: Literal["exact", "randomised"] = "exact"
    n_iter: int = Field(5, ge=0, le=100)  # of randomised: more where the variances fall slowly


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    mean, variance = checked(vectors, params.coding_size)
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        if params.solver == "exact":
            directions = leading(vectors, mean, params.coding_size)
        else:
            _, _, directions = randomized_svd(vectors.matrix() - mean, params.coding_size, n_iter=params.n_iter, random_state=run.seed)
    return write(vectors, projection(mean, directions), variance, run)


def leading(vectors: Vectors, mean: np.ndarray, k: int) -> np.ndarray:
    """(k, D), orthonormal: the eigenvectors of the covariance with the largest eigenvalues, the first number of each not negative."""
    covariance = np.zeros((vectors.size, vectors.size))
    for piece in vectors.pieces():
        centred = piece - mean
        covariance += centred.T @ centred
    directions = np.linalg.eigh(covariance)[1][:, ::-1][:, :k].T
    return directions * np.where(directions[:, :1] < 0, -1, 1)


def projection(mean: np.ndarray, directions: np.ndarray) -> Autoencoder:
    """The linear autoencoder whose encoder are these directions, and whose decoder are their transposes."""
    model = Autoencoder([directions.shape[1], len(directions)], mean, 1.0, tied=True)
    with torch.no_grad():
        model.encoder[0].weight[:] = torch.from_numpy(np.ascontiguousarray(directions))
    return model
