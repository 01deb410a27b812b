"""PCA."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from pipelines.coding import cost, decode
from pipelines.compress.pca import Params, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import files, vectors_of

X = (np.random.default_rng(0).normal(size=(200, 6)) * [9, 5, 3, 2, 1, 0.5] @ np.random.default_rng(1).normal(size=(6, 6)) + 3).astype(
    np.float32
)


@pytest.fixture
def vectors(tmp_path):
    return vectors_of(tmp_path / "v", [f"w{i}" for i in range(len(X))], X)


@pytest.mark.parametrize("solver", ["exact", "randomised"])
def test_codings_are_scikit_learns_but_for_the_sign_of_a_direction(tmp_path, vectors, solver):
    made = compress(vectors, Params(coding_size=3, solver=solver), Run(tmp_path / "c", seed=1))
    theirs = PCA(3).fit(X.astype(np.float64))
    assert np.abs(made.matrix()) == pytest.approx(np.abs(theirs.transform(X)), rel=1e-3, abs=1e-3)
    assert decode(made) == pytest.approx(theirs.inverse_transform(theirs.transform(X)), abs=1e-3)


def test_three_points_on_a_line_by_hand(tmp_path):
    vectors = vectors_of(tmp_path / "v", ["a", "b", "c"], np.float32([[1, 1], [4, 5], [7, 9]]))
    made = compress(vectors, Params(coding_size=1), Run(tmp_path / "c"))
    assert made.matrix()[:, 0] == pytest.approx([-5, 0, 5], abs=1e-5)  # the line goes along (3, 4) / 5
    assert made.read(columns=["error"]).column("error").to_numpy() == pytest.approx([0, 0, 0], abs=1e-8)


def test_a_column_that_is_constant_is_given_back_as_it_is(tmp_path):
    x = X.copy()
    x[:, 2] = 7
    made = compress(vectors_of(tmp_path / "v", [f"w{i}" for i in range(len(x))], x), Params(coding_size=2), Run(tmp_path / "c"))
    assert decode(made)[:, 2] == pytest.approx(np.full(len(x), 7), abs=1e-4)


def test_the_directions_are_kept_once(tmp_path, vectors):
    made = compress(vectors, Params(coding_size=3), Run(tmp_path / "c"))
    assert cost(made) == (12, 4 * (3 * 6 + 6 + 6 + 1))  # directions, decoder's bias, mean, scale


@pytest.mark.parametrize(("bits", "item"), [(8, 3), (4, 2), (1, 1)])
def test_numbers_of_a_coding_are_rounded_to_cells_and_cost_so_many_bits_in_whole_bytes(tmp_path, vectors, bits, item):
    exact, made = (compress(vectors, Params(coding_size=3, bits=n), Run(tmp_path / str(n), seed=1)) for n in (32, bits))
    assert cost(made) == (item, cost(exact)[1] + 4 * 2 * 3)
    assert all(len(np.unique(column)) <= 2**bits for column in made.matrix().T)
    step = made.model()[1]["step"]
    inside = np.abs(exact.matrix() - exact.matrix().mean(axis=0)) < step * 2**bits / 2
    assert (np.abs(made.matrix() - exact.matrix()) <= step / 2 * 1.001)[inside].all()
    off = ((decode(made) - X) ** 2).sum(axis=1)
    assert made.read(columns=["error"]).column("error").to_numpy() == pytest.approx(off, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("solver", ["exact", "randomised"])
def test_the_same_bytes_for_any_number_of_threads(tmp_path, vectors, solver):
    made = [compress(vectors, Params(coding_size=3, solver=solver), Run(tmp_path / str(n), seed=1, threads=n)) for n in (1, 2)]
    assert files(made[0]) == files(made[1])


def test_as_many_directions_as_numbers_are_refused(tmp_path, vectors):
    with pytest.raises(Fault, match="vectors/v: its vectors have 6 numbers, a coding of 6 is not shorter"):
        compress(vectors, Params(coding_size=6), Run(tmp_path / "c"))
