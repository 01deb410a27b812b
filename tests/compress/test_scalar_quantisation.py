"""Scalar quantisation."""

import faiss
import numpy as np
import pytest

from pipelines.coding import cost, decode
from pipelines.compress.scalar_quantisation import Params, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import files, vectors_of


def cloud(n=500, size=6):
    return (np.random.default_rng(0).normal(size=(n, size)) * np.geomspace(4, 0.1, size) + 2).astype(np.float32)


def made(folder, x, **knobs):
    return compress(vectors_of(folder / "v", [f"w{i}" for i in range(len(x))], x), Params(**knobs), Run(folder / "c", seed=1))


def errors(codings):
    return codings.read(columns=["error"]).column("error").to_numpy()


def test_two_bits_by_hand(tmp_path):
    """From 0 to 8 in four cells of 2: the middles are 1, 3, 5, 7."""
    x = np.array([[0, 0], [1.9, 2], [4, 5], [8, 8]], np.float32)
    codings = made(tmp_path, x, bits=2, clip=False)
    assert codings.matrix().tolist() == [[0, 0], [0, 1], [2, 2], [3, 3]]
    assert decode(codings).tolist() == [[1, 1], [1, 3], [5, 5], [7, 7]]
    assert errors(codings).tolist() == pytest.approx([2, 0.81 + 1, 1, 2])


@pytest.mark.parametrize(
    ("bits", "ranges", "kind"),
    [
        (8, "column", faiss.ScalarQuantizer.QT_8bit), (4, "column", faiss.ScalarQuantizer.QT_4bit), (6, "column", faiss.ScalarQuantizer.QT_6bit),
        (8, "one", faiss.ScalarQuantizer.QT_8bit_uniform), (4, "one", faiss.ScalarQuantizer.QT_4bit_uniform),
    ],
)  # fmt: skip
@pytest.mark.parametrize("clip", [False, True])
def test_with_the_same_low_and_step_faiss_gives_back_the_same_numbers(tmp_path, bits, ranges, kind, clip):
    x = cloud()
    codings = made(tmp_path, x, bits=bits, ranges=ranges, clip=clip)
    low, step = codings.model()[1]["low"], codings.model()[1]["step"]
    reference = faiss.ScalarQuantizer(6, kind)
    reference.train(x)
    if not clip:  # it finds the same smallest numbers; its last cell begins where ours ends
        trained = faiss.vector_to_array(reference.trained)
        assert trained[: len(low)] == pytest.approx(low)
        assert trained[len(low) :] == pytest.approx(step * 2**bits, rel=1e-5)
    faiss.copy_array_to_vector(np.concatenate([low, step * (2**bits - 1)]), reference.trained)
    wanted = reference.decode(reference.compute_codes(x))
    same = np.isclose(decode(codings), wanted, atol=1e-5)
    assert same.mean() > 0.999  # a number on the edge of a cell may fall to either side
    assert (np.abs(decode(codings) - wanted) < 1.001 * step).all()


def test_it_loses_no_more_than_faiss_with_the_range_that_faiss_finds(tmp_path):
    x = cloud()
    for bits, kind in ((4, faiss.ScalarQuantizer.QT_4bit), (6, faiss.ScalarQuantizer.QT_6bit)):
        reference = faiss.ScalarQuantizer(6, kind)
        reference.train(x)
        lost = ((reference.decode(reference.compute_codes(x)) - x) ** 2).sum()
        for clip in (False, True):
            assert errors(made(tmp_path / f"{bits} {clip}", x, bits=bits, clip=clip)).sum() < lost * 1.005


@pytest.mark.parametrize(("bits", "share"), [(1, 0.3634), (2, 0.1188), (4, 0.01154)])
def test_a_clipped_range_loses_of_normal_numbers_what_the_best_uniform_quantiser_does(tmp_path, bits, share):
    """Max 1960, table II."""
    x = np.random.default_rng(0).normal(size=(20_000, 2)).astype(np.float32)
    assert errors(made(tmp_path, x, bits=bits)).mean() / 2 == pytest.approx(share, rel=0.04)


@pytest.mark.parametrize("clip", [False, True])
def test_symmetric_codes_give_0_back_as_0_and_are_as_many_above_as_below(tmp_path, clip):
    x = cloud()
    x[0] = 0
    codings = made(tmp_path, x, bits=4, symmetric=True, clip=clip)
    assert decode(codings)[0] == pytest.approx(np.zeros(6), abs=1e-5)
    assert (codings.matrix()[0] == 7).all()
    assert codings.matrix().max() <= 14
    mirrored = made(tmp_path / "mirrored", -x, bits=4, symmetric=True, clip=clip)
    assert decode(mirrored) == pytest.approx(-decode(codings), abs=0.2 * float(np.abs(x).max()))
    if not clip:
        far = np.abs(x).argmax(axis=0)
        assert decode(codings)[far, range(6)] == pytest.approx(x[far, range(6)], rel=1e-5)


def test_a_column_that_is_the_same_for_all_is_given_back_as_it_is(tmp_path):
    x = cloud()
    x[:, 2] = 3.5
    for clip in (False, True):
        assert (decode(made(tmp_path / str(clip), x, bits=2, clip=clip))[:, 2] == 3.5).all()


def test_an_item_costs_whole_bytes(tmp_path):
    assert cost(made(tmp_path / "a", cloud(size=6), bits=1))[0] == 1
    assert cost(made(tmp_path / "b", cloud(size=9), bits=1, ranges="one")) == (2, 8)
    assert cost(made(tmp_path / "c", cloud(size=6), bits=8))[0] == 6


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    assert files(made(tmp_path / "a", cloud(), bits=4)) == files(made(tmp_path / "b", cloud(), bits=4))


def test_what_cannot_be_coded_is_a_fault(tmp_path):
    x = cloud()
    x[7, 3] = np.inf
    with pytest.raises(Fault, match="'w7' has inf in column 3"):
        made(tmp_path, x)


@pytest.mark.parametrize("knobs", [{"bits": 3}, {"bits": 1, "symmetric": True}])
def test_knobs_out_of_range_are_refused(knobs):
    with pytest.raises(ValueError, match="bits"):
        Params(**knobs)
