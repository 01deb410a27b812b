"""Truncated SVD of a sparse matrix: as NumPy's, whatever the number of threads."""

import numba
import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from pipelines.kernels import svd as kernel
from pipelines.kernels.svd import multiply, orthonormal, rank, svd


def sparse(n_rows, n_columns, seed=0, density=0.1):
    return csr_array(random_array((n_rows, n_columns), density=density, format="csr", rng=np.random.default_rng(seed), dtype=np.float32))


def falling(n_rows, n_columns):
    """A sparse matrix, and its dense SVD: its values fall by a tenth each."""
    rng = np.random.default_rng(3)
    u, v = (np.linalg.qr(rng.normal(size=(n, 30)))[0] for n in (n_rows, n_columns))
    s = 100 * 0.9 ** np.arange(30)
    return csr_array((u * s @ v.T).astype(np.float32)), u, s, v


def test_the_values_of_a_matrix_worked_by_hand():
    # [[3, 0], [4, 5]]: a aT has trace 50 and determinant 225, so the values' squares are 45 and 5; right vectors (1, 1), (1, -1)
    u, s, v = svd(csr_array(np.array([[3, 0], [4, 5]], np.float32)), 2, 4, np.random.default_rng(0))
    assert s == pytest.approx([45**0.5, 5**0.5])
    assert np.abs(v) == pytest.approx(np.full((2, 2), 0.5**0.5))
    assert np.abs(u[:, 0]) == pytest.approx([0.1**0.5, 0.9**0.5])


@pytest.mark.parametrize("dense", [0, kernel.DENSE])
def test_both_ways_give_numpys_values_and_vectors_up_to_their_sign(monkeypatch, dense):
    monkeypatch.setattr(kernel, "DENSE", dense)
    a, u, s, v = falling(300, 200)
    found_u, found_s, found_v = svd(a, 8, 4, np.random.default_rng(0))
    assert found_s == pytest.approx(s[:8], rel=1e-4)
    assert np.abs((found_u * u[:, :8]).sum(axis=0)) == pytest.approx(np.ones(8), abs=1e-3)
    assert np.abs((found_v * v[:, :8]).sum(axis=0)) == pytest.approx(np.ones(8), abs=1e-3)
    assert (found_v[np.abs(found_v).argmax(axis=0), np.arange(8)] > 0).all()
    np.testing.assert_allclose(found_u * found_s, a @ found_v, atol=0.05)  # the vectors belong together, signs and all


@pytest.mark.parametrize("dense", [0, kernel.DENSE])
def test_a_matrix_of_low_rank_is_told_by_its_values(monkeypatch, dense):
    monkeypatch.setattr(kernel, "DENSE", dense)
    rng = np.random.default_rng(0)
    a = csr_array((rng.normal(size=(60, 3)) @ rng.normal(size=(3, 50))).astype(np.float32))
    _, s, _ = svd(a, 10, 4, rng)
    assert rank(s) == 3


def test_more_passes_come_nearer_to_values_that_fall_slowly(monkeypatch):
    monkeypatch.setattr(kernel, "DENSE", 0)
    a = sparse(800, 600)
    exact = np.linalg.svd(a.toarray(), compute_uv=False)[:20]
    missed = [np.abs(svd(a, 20, n_iter, np.random.default_rng(0))[1] - exact).sum() for n_iter in (0, 2, 8)]
    assert missed[0] > 2 * missed[1] > 4 * missed[2]


def test_the_product_is_scipys_and_rows_without_a_number_are_zeros():
    a = sparse(500, 300, density=0.005)
    x = np.random.default_rng(1).normal(size=(300, 7)).astype(np.float32)
    assert (np.diff(a.indptr) == 0).any()
    np.testing.assert_allclose(multiply(a, x), a @ x, atol=1e-5)
    assert not multiply(a, x)[np.diff(a.indptr) == 0].any()
    assert multiply(csr_array((0, 300), dtype=np.float32), x).shape == (0, 7)


def test_any_number_of_threads_gives_the_same_bytes(monkeypatch):
    monkeypatch.setattr(kernel, "DENSE", 0)
    a, found = sparse(900, 700), []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        found.append([part.tobytes() for part in svd(a, 30, 2, np.random.default_rng(5))])
    assert found[0] == found[1]


def test_directions_are_of_length_one_at_right_angles_and_a_repeated_one_becomes_zeros():
    x = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)
    x[:, 4] = 2 * x[:, 1]
    q = orthonormal(x)
    length = np.linalg.norm(q, axis=0)
    assert sorted(length.round(5).tolist()) == [0, 1, 1, 1, 1]
    np.testing.assert_allclose(q.T @ q, np.diag(length.round()), atol=1e-5)
    np.testing.assert_allclose(q @ (q.T @ x), x, atol=1e-4)  # the same space
