"""Transform coding."""

import numpy as np
import pytest

from pipelines.coding import cost, decode
from pipelines.compress import pca
from pipelines.compress.transform_coding import Params, allotted, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import files, vectors_of

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(2000, 6)) * [16, 8, 4, 2, 1, 0.1] @ np.linalg.qr(RNG.normal(size=(6, 6)))[0] + 3).astype(np.float32)


@pytest.fixture
def vectors(tmp_path):
    return vectors_of(tmp_path / "v", [f"w{i}" for i in range(len(X))], X)


def lost(codings):
    return codings.read(columns=["error"]).column("error").to_numpy().sum(dtype=np.float64)


def test_twice_as_wide_is_one_bit_more():
    """The rate of a normal number at an error e is log2(sigma / sqrt(e))."""
    x = np.sort(RNG.normal(size=(20_000, 4)) * [16, 8, 4, 0.5], axis=0)
    assert [len(table) for table in allotted(x, 9)] == [16, 8, 4, 1]


def test_an_item_costs_its_bits_and_comes_back_as_far_off_as_is_said(tmp_path, vectors):
    made = compress(vectors, Params(n_bits=16), Run(tmp_path / "c", seed=1))
    weights = made.model()[1]
    assert weights["bits"].sum() == 16
    assert (np.diff(weights["bits"].astype(int)) <= 0).all()  # the wider come first
    k = made.size
    assert cost(made) == (2, 4 * (len(weights["levels"]) + k * 6 + 6) + k)
    assert (made.matrix().max(axis=0) < 2 ** weights["bits"].astype(float)).all()
    assert lost(made) == pytest.approx(((decode(made) - X) ** 2).sum(), rel=1e-4)


def test_it_loses_less_than_components_with_as_many_bits_each(tmp_path, vectors):
    made = compress(vectors, Params(n_bits=16), Run(tmp_path / "c", seed=1))
    for k, bits in ((2, 8), (4, 4)):
        even = pca.compress(vectors, pca.Params(coding_size=k, bits=bits), Run(tmp_path / str(k), seed=1))
        assert cost(even)[0] == cost(made)[0]
        assert lost(made) < 0.8 * lost(even)


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_threads(tmp_path, vectors):
    made = [compress(vectors, Params(n_bits=8), Run(tmp_path / str(n), seed=1, threads=n)) for n in (1, 2)]
    assert files(made[0]) == files(made[1])


def test_bits_that_are_no_whole_bytes_or_more_than_there_is_room_for_are_refused(tmp_path, vectors):
    with pytest.raises(ValueError, match="n_bits"):
        Params(n_bits=12)
    with pytest.raises(Fault, match="6 numbers hold 48 bits at most, not 56"):
        compress(vectors, Params(n_bits=56), Run(tmp_path / "c"))
