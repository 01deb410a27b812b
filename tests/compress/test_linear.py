"""The linear autoencoder."""

import numpy as np
import pytest

from pipelines.artifacts.vectors import Vectors
from pipelines.coding import decode
from pipelines.compress.linear import Params, compress
from pipelines.errors import Fault
from pipelines.method import Run


def vectors(folder, matrix):
    with Run(folder).open(Vectors) as out:
        out.append(item=[f"w{i}" for i in range(len(matrix))], count=np.ones(len(matrix)), vector=matrix)
    return out.artifact


def cloud(n=400, size=12, seed=0):
    """Correlated numbers, off centre, some directions far wider than others."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, size)) * np.geomspace(3, 0.1, size) @ rng.normal(size=(size, size)) + 5).astype(np.float32)


def explained(matrix, error):
    centred = matrix.astype(np.float64) - matrix.mean(axis=0, dtype=np.float64)
    return 1 - np.sum(error, dtype=np.float64) / np.sum(centred**2)


def explained_by_pca(matrix, k):
    centred = matrix.astype(np.float64) - matrix.mean(axis=0, dtype=np.float64)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    return variances[:k].sum() / variances.sum()


def errors(codings):
    return codings.read(columns=["error"]).column("error").to_numpy()


@pytest.mark.parametrize("k", [1, 4, 11])
def test_reaches_the_error_of_principal_components_and_never_a_lower_one(tmp_path, k):
    matrix = cloud()
    codings = compress(vectors(tmp_path / "v", matrix), Params(coding_size=k, epochs=150, batch_size=50), Run(tmp_path / "c", seed=1))
    gap = explained_by_pca(matrix, k) - explained(matrix, errors(codings))
    assert -1e-6 < gap < 1e-3


def test_vectors_that_lie_in_a_plane_are_given_back_by_two_numbers(tmp_path):
    rng = np.random.default_rng(1)
    matrix = (rng.normal(size=(200, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=8)).astype(np.float32)
    codings = compress(vectors(tmp_path / "v", matrix), Params(coding_size=2, epochs=200, batch_size=32), Run(tmp_path / "c", seed=1))
    assert decode(codings) == pytest.approx(matrix, abs=0.02)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_longer_vectors_train_as_well_as_short_ones(tmp_path, factor):
    matrix = cloud() * np.float32(factor)
    codings = compress(vectors(tmp_path / "v", matrix), Params(coding_size=4, epochs=100, batch_size=50), Run(tmp_path / "c", seed=1))
    assert explained_by_pca(matrix, 4) - explained(matrix, errors(codings)) < 1e-3


def test_the_error_of_an_item_is_what_its_decoded_coding_is_off(tmp_path):
    matrix = cloud()
    codings = compress(vectors(tmp_path / "v", matrix), Params(coding_size=4, epochs=2), Run(tmp_path / "c", seed=1))
    off = ((decode(codings) - matrix) ** 2).sum(axis=1)
    assert errors(codings) == pytest.approx(off, rel=1e-3, abs=1e-4)
    assert codings.items() == [f"w{i}" for i in range(400)]
    assert codings.matrix().shape == (400, 4)


def test_the_coding_is_a_linear_map_of_the_vector(tmp_path):
    matrix = cloud()
    matrix[2] = (matrix[0] + matrix[1]) / 2
    c = compress(vectors(tmp_path / "v", matrix), Params(coding_size=4, epochs=1), Run(tmp_path / "c", seed=1)).matrix()
    assert c[2] == pytest.approx((c[0] + c[1]) / 2, abs=1e-4)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    v = vectors(tmp_path / "v", cloud())
    made = [compress(v, Params(coding_size=3, epochs=2), Run(tmp_path / name, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    for name in ("codings.parquet", "model.safetensors", "model.json"):
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()
    assert (made[0].folder / "codings.parquet").read_bytes() != (made[2].folder / "codings.parquet").read_bytes()


def test_the_curve_is_the_share_of_the_variance_that_is_lost(tmp_path):
    matrix, run = cloud(), Run(tmp_path / "c", seed=1)
    codings = compress(vectors(tmp_path / "v", matrix), Params(coding_size=4, epochs=60, batch_size=50), run)
    # the last epoch hardly moves the weights, so its mean loss is nearly that of the model that it leaves
    assert run.curve[-1]["loss"] == pytest.approx(1 - explained(matrix, errors(codings)), rel=0.05)
    assert run.curve[0]["loss"] > run.curve[-1]["loss"]


def test_all_that_is_wrong_with_the_vectors_is_said_at_once(tmp_path):
    matrix = np.ones((3, 4), np.float32)
    matrix[1, 2], matrix[2, 0] = np.nan, np.inf
    with pytest.raises(Fault) as caught:
        compress(vectors(tmp_path / "v", matrix), Params(coding_size=4), Run(tmp_path / "c"))
    shorter, rows, finite = caught.value.faults
    assert "vectors/v" in shorter
    assert "have 4 numbers, a coding of 4 is not shorter" in shorter
    assert "3 rows cannot show 4 directions" in rows
    assert "2 of 3 vectors" in finite
    assert "'w1' has nan in column 2, 'w2' has inf in column 0" in finite


def test_vectors_that_are_all_the_same_are_refused(tmp_path):
    with pytest.raises(Fault, match="all 9 vectors are the same"):
        compress(vectors(tmp_path / "v", np.full((9, 4), 2, np.float32)), Params(coding_size=2), Run(tmp_path / "c"))


def test_no_vectors_at_all_are_refused(tmp_path):
    with pytest.raises(Fault, match="0 rows cannot show 2 directions"):
        compress(vectors(tmp_path / "v", np.empty((0, 4), np.float32)), Params(coding_size=2), Run(tmp_path / "c"))


@pytest.mark.parametrize("k", [1, 4, 11])
def test_its_own_knobs_reach_principal_components_on_few_rows_too(tmp_path, k):
    matrix = cloud()
    codings = compress(vectors(tmp_path / "v", matrix), Params(coding_size=k), Run(tmp_path / "c", seed=1))
    assert -1e-6 < explained_by_pca(matrix, k) - explained(matrix, errors(codings)) < 1e-3


@pytest.mark.parametrize(
    ("n", "size", "k"), [(200, 16, 4), pytest.param(50, 20, 10, marks=[pytest.mark.slow, pytest.mark.quick_slow]), (20, 10, 3)]
)
def test_its_own_knobs_reach_principal_components_of_numbers_that_do_not_vary_together(tmp_path, n, size, k):
    matrix = np.random.default_rng(0).normal(size=(n, size)).astype(np.float32)
    codings = compress(vectors(tmp_path / "v", matrix), Params(coding_size=k), Run(tmp_path / "c", seed=1))
    assert explained_by_pca(matrix, k) - explained(matrix, errors(codings)) < 1e-3
