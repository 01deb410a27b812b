import numpy as np
import pytest

from pipelines.kernels import nearest
from pipelines.kernels.csls import csls_plain, nearness, retrieve, rotation
from pipelines.kernels.nearest import unit


def test_the_rotation_by_a_quarter_turn_is_found():
    x = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    assert rotation(x, np.array([[0, 1], [-1, 0], [-1, 1]])) == pytest.approx(np.array([[0, 1], [-1, 0]]), abs=1e-6)


def test_no_orthogonal_map_is_nearer_than_the_rotation():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50, 4))
    turn = rotation(x, y)
    assert turn @ turn.T == pytest.approx(np.eye(4), abs=1e-12)
    others = [np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(200)]
    assert np.linalg.norm(x @ turn - y) < min(np.linalg.norm(x @ other - y) for other in others)


def test_retrieval_in_blocks_is_that_of_the_plain_definition(monkeypatch):
    monkeypatch.setattr(nearest, "CELLS", 300)  # three queries a block
    rng = np.random.default_rng(0)
    x, y = (unit(rng.normal(size=(n, 5))) for n in (80, 100))
    found = retrieve(x[:31], y, nearness(y, x, 10))
    assert found.tolist() == csls_plain(x, y, 10)[:31].argmax(axis=1).tolist()
    assert retrieve(x, y).tolist() == (x @ y.T).argmax(axis=1).tolist() != retrieve(x, y, nearness(y, x, 10)).tolist()


def test_a_hub_wins_by_cosines_and_not_by_csls():
    # cosines of queries 0 and 1 with the hub and with their own: the hub is near to both, each own to one alone
    own, hub = np.cos(0.35), np.cos(0.30)
    x = np.array([[np.cos(0.30), np.sin(0.30)], [np.cos(0.30), -np.sin(0.30)]], np.float32)
    y = np.array([[1, 0], [np.cos(0.65), np.sin(0.65)], [np.cos(0.65), -np.sin(0.65)]], np.float32)
    assert (x @ y.T)[0] == pytest.approx([hub, own, np.cos(0.95)])
    assert retrieve(x, y).tolist() == [0, 0]
    # the two nearest of the hub: mean cos .30; of an own: mean of cos .35 and cos .95
    hubness = nearness(y, x, 2)
    assert hubness == pytest.approx([hub, (own + np.cos(0.95)) / 2, (own + np.cos(0.95)) / 2])
    assert retrieve(x, y, hubness).tolist() == [1, 2]
