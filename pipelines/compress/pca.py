"""PCA: the plane of K directions that lies nearest to the vectors; the mark that autoencoders are measured by.

reads   vectors   one float32 vector of D numbers per item
writes  codings   K numbers per item, the coordinates in the plane; the squared error of its reconstruction, the model
source  Jolliffe 2002; exact: the eigenvectors of the covariance, summed in float64 piece by piece. randomised: Halko,
        Martinsson, Tropp 2011, by scikit-learn, for vectors so long that D x D numbers are too many
shapes  N items, D = vector_size, K = coding_size. In memory: exact 16 D^2 bytes, randomised the vectors
"""

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import write
from pipelines.coding import checked
from pipelines.method import Run
from pipelines.principal import PrincipalKnobs, directions, projection


class Params(PrincipalKnobs):
    pass


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    mean, variance = checked(vectors, params.coding_size)
    along = directions(vectors, mean, params.coding_size, run, params.solver, params.n_iter)
    return write(vectors, projection(mean, along), variance, run, params.bits)
