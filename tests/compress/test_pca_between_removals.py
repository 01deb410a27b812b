"""PCA between two removals of top components."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from pipelines.coding import cost, decode
from pipelines.compress.pca_between_removals import Params, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import vectors_of


def cloud(n=400, size=12):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(n, size)) * np.geomspace(3, 0.1, size) @ rng.normal(size=(size, size)) + 5).astype(np.float32)


def removed(x, d):
    """Less the mean, and less the components along the first d principal directions (Mu, Viswanath 2018)."""
    centred = x - x.mean(axis=0)
    top = PCA(d).fit(centred).components_ if d else np.zeros((0, x.shape[1]))
    return centred - centred @ top.T @ top


@pytest.mark.parametrize("solver", ["exact", "randomised"])
@pytest.mark.parametrize("d", [0, 2])
def test_a_coding_is_what_the_three_steps_one_after_the_other_leave(tmp_path, d, solver):
    x, k = cloud(), 4
    once = removed(x.astype(np.float64), d)
    reduced = PCA(k + d).fit_transform(once)
    twice = removed(reduced, d)
    assert twice[:, :d] == pytest.approx(np.zeros((len(x), d)), abs=1e-8)  # why so many are not kept
    vectors = vectors_of(tmp_path / "v", [f"w{i}" for i in range(len(x))], x)
    codings = compress(vectors, Params(coding_size=k, remove=d, solver=solver), Run(tmp_path / "c", seed=1))
    assert np.abs(codings.matrix()) == pytest.approx(np.abs(twice[:, d:]), abs=2e-3)
    assert codings.matrix() @ codings.matrix().T == pytest.approx(twice @ twice.T, abs=2e-2)


def test_the_reconstruction_has_neither_the_mean_nor_what_was_removed_and_the_error_says_so(tmp_path):
    x = cloud()
    vectors = vectors_of(tmp_path / "v", [f"w{i}" for i in range(len(x))], x)
    codings = compress(vectors, Params(coding_size=4, remove=2), Run(tmp_path / "c", seed=1))
    back = decode(codings)
    assert back.mean(axis=0) == pytest.approx(np.zeros(12), abs=1e-3)
    assert back @ PCA(4).fit(x).components_.T == pytest.approx(np.zeros((400, 4)), abs=1e-2)
    assert codings.read(columns=["error"]).column("error").to_numpy() == pytest.approx(((back - x) ** 2).sum(axis=1), rel=1e-3)
    assert cost(codings)[0] == 16


def test_more_than_there_are_directions_is_a_fault(tmp_path):
    vectors = vectors_of(tmp_path / "v", [f"w{i}" for i in range(400)], cloud())
    with pytest.raises(Fault, match="of 12 numbers none are left for 5 after 8 are removed"):
        compress(vectors, Params(coding_size=5, remove=4), Run(tmp_path / "c"))


def test_rows_that_cannot_show_so_many_directions_are_refused(tmp_path):
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(7)], cloud(7))
    with pytest.raises(Fault, match="7 rows cannot show 9 directions. Lower coding_size or remove"):
        compress(v, Params(coding_size=5, remove=2), Run(tmp_path / "c"))
