"""Additive quantisation: a vector as the sum of M entries, one from each codebook.

    code = argmin ||x - sum_m C_m,code_m||^2        back: the sum

Every codebook holds whole vectors, so that no columns have to be parted. Codes are first found codebook by codebook: k-means of
what the ones before have left, the `beam` best beginnings kept. Then codebooks by least squares for the codes as they are,
and each code anew, one part after the other, for these codebooks, in turn.

The codebooks are M 2^bits D numbers, M times as many as product quantisation has: for a small vocabulary they weigh more than the codes,
and few bits a part are kept.

reads   vectors   one float32 vector of D numbers per item
writes  codings   M whole numbers per item, each of so many bits; the squared error of its reconstruction, the codebooks
source  Chen, Guan, Wang 2010, by faiss (Douze et al. 2024); refined as Babenko, Lempitsky 2014 and Martinez et al. 2018
shapes  N items, D = vector_size, M = n_parts. In memory: the vectors twice
"""

import faiss
import numpy as np
from pydantic import Field

from pipelines import codebooks
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.codebooks import CodeKnobs, unpacked
from pipelines.errors import Fault
from pipelines.kernels.sums import refined
from pipelines.method import Run

MEMORY = 2**28  # bytes of distances held at once


class Params(CodeKnobs):
    beam: int = Field(5, ge=1, le=64)  # beginnings that are kept
    n_iter: int = Field(10, ge=1, le=1000)  # of k-means
    n_refine: int = Field(20, ge=0)  # turns of codebooks and codes


def compress(vectors: Vectors, params: Params, run: Run) -> Codings:
    if vectors.n_rows() < vectors.size:  # faiss begins with as many principal components
        raise Fault(
            f"{vectors.name}: {vectors.n_rows()} rows of {vectors.size} numbers; rows must be as many. Or take product_quantisation"
        )
    mean, variance = codebooks.checked(vectors, params)
    # a second one waits in a loop for the first, and takes more of the processor than it saves
    faiss.omp_set_num_threads(1)
    quantiser = faiss.ResidualQuantizer(vectors.size, params.n_parts, params.bits)
    quantiser.max_beam_size, quantiser.max_mem_distances = params.beam, MEMORY
    quantiser.cp.niter, quantiser.cp.seed, quantiser.cp.min_points_per_centroid = params.n_iter, run.seed % 2**31, 1
    x = (vectors.matrix() - mean).astype(np.float32)
    quantiser.train(x)
    books = faiss.vector_to_array(quantiser.codebooks).reshape(params.n_parts, 2**params.bits, vectors.size)
    books, codes = refined(x, books, unpacked(quantiser.compute_codes(x), params), params.n_refine)
    return codebooks.write(vectors, params, "sum", codes, variance, run, codebooks=codebooks.about(mean, books))
