"""Additive quantisation."""

import faiss
import numpy as np
import pytest

from pipelines.coding import cost, decode
from pipelines.compress.additive_quantisation import Params, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import files, vectors_of


def cloud(n=300, size=6):
    return (np.random.default_rng(0).normal(size=(n, size)) * np.geomspace(3, 0.3, size) + 1).astype(np.float32)


def made(folder, x, seed=1, **knobs):
    return compress(vectors_of(folder / "v", [f"w{i}" for i in range(len(x))], x), Params(**knobs), Run(folder / "c", seed=seed))


def errors(codings):
    return codings.read(columns=["error"]).column("error").to_numpy()


@pytest.mark.parametrize(("n_parts", "bits"), [(4, 4), (8, 2), (8, 3)])
def test_without_refining_all_is_as_faiss_has_it(tmp_path, n_parts, bits):
    x = cloud()
    codings = made(tmp_path, x, n_parts=n_parts, bits=bits, n_refine=0, seed=3)
    reference = faiss.ResidualQuantizer(6, n_parts, bits)
    reference.max_beam_size, reference.cp.niter, reference.cp.seed, reference.cp.min_points_per_centroid = 5, 10, 3, 1
    reference.train(x)
    assert decode(codings) == pytest.approx(reference.decode(reference.compute_codes(x)), abs=1e-4)
    assert codings.matrix().max() < 2**bits
    assert cost(codings) == (n_parts * bits / 8, 4 * n_parts * 2**bits * 6)


def test_refining_loses_less_and_the_error_is_what_the_reconstruction_is_off(tmp_path):
    x = cloud(1000)
    plain, refined = (made(tmp_path / str(n), x, n_parts=4, bits=4, n_refine=n) for n in (0, 10))
    assert errors(refined).sum() < 0.95 * errors(plain).sum()
    assert errors(refined) == pytest.approx(((decode(refined) - x) ** 2).sum(axis=1), rel=1e-3, abs=1e-5)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    one, again, other = (made(tmp_path / name, cloud(), seed=seed, n_parts=4, bits=4) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert files(one) == files(again)
    assert files(one)["codings.parquet"] != files(other)["codings.parquet"]


def test_what_cannot_be_coded_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="300 rows cannot fill codebooks of 512 entries"):
        made(tmp_path, cloud(), n_parts=8, bits=9)
    x = cloud()
    x[7, 3] = np.nan
    with pytest.raises(Fault, match="'w7' has nan in column 3"):
        made(tmp_path / "b", x, n_parts=4, bits=2)
    with pytest.raises(ValueError, match="multiple of 8, and is 12"):
        Params(n_parts=3, bits=4)


def test_far_from_zero_it_loses_what_it_loses_near_it(tmp_path):
    x = cloud()
    lost = [float(((decode(made(tmp_path / f"{far}", x + far, n_parts=4, bits=4)) - (x + far)) ** 2).sum()) for far in (0, 10_000)]
    assert lost[1] < 1.1 * lost[0] + 0.01 * ((x - x.mean(axis=0)) ** 2).sum()


def test_fewer_rows_than_numbers_are_a_fault(tmp_path):
    with pytest.raises(Fault, match="4 rows of 6 numbers; rows must be as many"):
        made(tmp_path, cloud(4), n_parts=4, bits=2)
