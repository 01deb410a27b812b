"""Product quantisation: the columns in M parts, each with the nearest of the 2^bits centroids that k-means finds for it.

    code_m = argmin_k ||x_m - C_mk||^2        back: the centroids C_m,code_m side by side

Columns that vary together are best in one part. `rotate` looks for the rotation R under which the parts lose least, R and
the centroids in turn (OPQ): given the codes, min_R ||X R^T - C||_F is solved by the SVD of X^T C. Where it ends depends on
where it begins: with the columns as they are, or with principal components dealt out so that the parts' products of variances
are alike, whichever loses less.

reads   vectors   one float32 vector of D numbers per item
writes  codings   M whole numbers per item, each of so many bits; the squared error of its reconstruction, the codebooks
source  Jégou, Douze, Schmid 2011; rotated: Ge, He, Ke, Sun 2013. Both by faiss (Douze et al. 2024)
shapes  N items, D = vector_size, M = n_parts; where M does not divide D some parts have a column more. In memory: the vectors
        twice, rotated four times
"""

import faiss
import numpy as np
from pydantic import Field

from pipelines import codebooks
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.codebooks import CodeKnobs, columns, unpacked
from pipelines.errors import Fault
from pipelines.method import Run

LOOKED_AT = 5_000  # rows, for numbers that come again


class Params(CodeKnobs):
    n_iter: int = Field(25, ge=1, le=1000)  # of k-means
    rotate: bool = True  # where there are as many rows as numbers
    n_turns: int = Field(20, ge=1, le=1000)  # of the rotation and the centroids


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    n_parts, size = params.n_parts, vectors.size
    if n_parts > size:
        raise Fault(f"{vectors.name}: its vectors have {size} numbers, which are no {n_parts} parts. Lower n_parts")
    mean, variance = codebooks.checked(vectors, params)
    # a second one waits in a loop for the first, and takes more of the processor than it saves
    faiss.omp_set_num_threads(1)
    width, places, more = -(-size // n_parts), columns(size, n_parts), {"mean": mean.astype(np.float32)}
    x = np.zeros((vectors.n_rows(), n_parts * width), np.float32)
    x[:, places] = vectors.matrix() - more["mean"]  # beside a large mean float32 has no digits left for what tells the vectors apart
    quantiser, lost = _trained(params, x, run)
    if params.rotate and not 1 < x.shape[1] <= len(x):  # faiss writes past its memory where numbers are more than rows
        run.say(f"{len(x)} rows do not say how to turn {x.shape[1]} numbers: the parts are of columns as they stand")
    elif params.rotate:
        dealt = balanced(x, n_parts)
        begin = dealt if _trained(params, x @ dealt.T, run)[1] < lost else np.eye(len(dealt), dtype=np.float32)
        more["rotation"] = _turned(params, x, begin, run)[:, places]  # (M W, D)
        x = x[:, places] @ more["rotation"].T
        quantiser, _ = _trained(params, x, run)
    found = faiss.vector_to_array(quantiser.centroids).reshape(n_parts, 2**params.bits, width)
    codes = unpacked(quantiser.compute_codes(x), params)
    return codebooks.write(vectors, params, "concatenate", codes, variance, run, codebooks=found, **more)


def balanced(x: np.ndarray, n_parts: int) -> np.ndarray:
    """(M W, M W), orthogonal: the principal directions, the widest first, each to the part of the smallest product of variances that has room."""
    values, directions = np.linalg.eigh(np.cov(x.T.astype(np.float64)))
    weight = np.log(np.maximum(values / values.max(), 1e-9) * 1e9)  # logarithms of products, none below 0
    parts: list[list[int]] = [[] for _ in range(n_parts)]
    for i in range(len(values))[::-1]:
        open_parts = (part for part in parts if len(part) < len(values) // n_parts)
        min(open_parts, key=lambda part: sum(weight[part])).append(i)
    return np.ascontiguousarray(directions.T[np.concatenate(parts)], np.float32)


def _quantiser(params: Params, x: np.ndarray, run: Run) -> faiss.ProductQuantizer:
    quantiser = faiss.ProductQuantizer(x.shape[1], params.n_parts, params.bits)
    quantiser.cp.niter, quantiser.cp.seed = params.n_iter, run.seed % 2**31
    # all rows, and no warning of few
    quantiser.cp.min_points_per_centroid, quantiser.cp.max_points_per_centroid = 1, len(x)
    if _repeated(x, params.n_parts):  # of drawn rows many would be the same, and centroids that begin as one stay one
        quantiser.cp.init_method = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    return quantiser


def _repeated(x: np.ndarray, n_parts: int) -> bool:
    """Whether some part of the first rows has the same numbers twice."""
    parts = np.split(x[:LOOKED_AT], n_parts, axis=1)
    return any(len(np.unique(part, axis=0)) < len(part) for part in parts)


def _trained(params: Params, x: np.ndarray, run: Run) -> tuple[faiss.ProductQuantizer, float]:
    """And what it loses."""
    quantiser = _quantiser(params, x, run)
    quantiser.train(x)
    return quantiser, float(((quantiser.decode(quantiser.compute_codes(x)) - x) ** 2).sum(dtype=np.float64))


def _turned(params: Params, x: np.ndarray, begin: np.ndarray, run: Run) -> np.ndarray:
    """(M W, M W), orthogonal, from at most 65,536 rows."""
    wide = x.shape[1]
    turn, quantiser = faiss.OPQMatrix(wide, params.n_parts), _quantiser(params, x, run)
    turn.niter, turn.niter_pq, turn.pq = params.n_turns, 1, quantiser
    faiss.copy_array_to_vector(begin.ravel(), turn.A)
    turn.train(x)
    return faiss.vector_to_array(turn.A).reshape(wide, wide)
