"""The nearest of binary codes."""

import numpy as np
import pytest

from pipelines.kernels import hamming
from pipelines.kernels.hamming import nearest, pack


def plain(queries, codes, k, own):
    """By NumPy's bit operations, one query at a time; a stable sort leaves the lower row first."""
    rows, distances = [], []
    for q, mine in enumerate(own.tolist()):
        away = np.bitwise_count(codes ^ queries[:, q : q + 1]).sum(axis=0, dtype=np.int64)
        away[mine if mine >= 0 else []] = 10**6
        rows.append(np.argsort(away, kind="stable")[:k])
        distances.append(away[rows[-1]])
    return np.array(rows), np.array(distances)


def test_a_bit_is_set_where_a_number_is_above_0_and_none_beyond_the_last():
    signs = np.array([[1.0, -1.0, 1.0], [-1.0, -1.0, -1.0]])
    packed = pack(signs)
    assert (packed.shape, packed.dtype) == ((1, 2), np.uint64)
    assert np.bitwise_count(packed).tolist() == [[2, 0]]
    assert pack(np.ones((3, 65))).shape == (2, 3)
    assert np.bitwise_count(pack(np.ones((3, 65)))).sum(axis=0).tolist() == [65, 65, 65]


def test_distances_by_hand():
    codes = pack([[1, 1, 1, 1], [1, 1, 1, -1], [-1, -1, -1, -1], [1, -1, 1, 1], [1, 1, -1, -1]])
    rows, distances = nearest(codes[:, :1].copy(), codes, 4, np.array([0]))
    assert (rows.tolist(), distances.tolist()) == ([[1, 3, 4, 2]], [[1, 1, 2, 4]])


def drawn(n_bits):
    rng = np.random.default_rng(n_bits)
    codes = pack(rng.choice([-1, 1], (300, n_bits), p=[0.3, 0.7]))
    own = np.arange(20)
    own[4] = -1
    return codes[:, :20].copy(), codes, 11, own


@pytest.mark.parametrize("n_bits", [8, 64, 256, 328])
def test_the_nearest_are_those_of_the_plain_definition(n_bits):
    asked = drawn(n_bits)
    found, wanted = nearest(*asked), plain(*asked)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.tolist() == theirs.tolist()
    assert found[0][4, 0] == 4  # not told to leave itself out


@pytest.mark.parametrize("block", [7, 64, 300])
def test_it_is_no_matter_where_a_block_ends(block, monkeypatch):
    monkeypatch.setattr(hamming, "BLOCK", block)
    monkeypatch.setattr(hamming, "_count", np.bitwise_count)  # the size of a block is compiled in: as plain Python
    asked = drawn(64)
    for mine, theirs in zip(hamming._nearest.py_func(*asked), plain(*asked), strict=True):
        assert mine.tolist() == theirs.tolist()


def test_two_hundred_thousand_codes_at_once():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**64, (2, 200_001), dtype=np.uint64)
    queries, own = codes[:, [0, 200_000, 77]].copy(), np.array([0, -1, 77])
    rows, distances = nearest(queries, codes, 100, own)
    wanted = plain(queries, codes, 100, own)
    assert (rows == wanted[0]).all()
    assert (distances == wanted[1]).all()
