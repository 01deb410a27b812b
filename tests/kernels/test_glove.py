"""GloVe's descent: the strata hold every pair once, and the fast kernel says what the plain loop says."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from pipelines.kernels import glove

THREADS = [1, min(2, numba.config.NUMBA_NUM_THREADS)]


def matrix(n_vocab=50, n_pairs=800, seed=0):
    rng = np.random.default_rng(seed)
    pair = np.sort(rng.choice(n_vocab * n_vocab, n_pairs, replace=False))
    return (pair // n_vocab).astype(np.int32), (pair % n_vocab).astype(np.int32), rng.gamma(1, 20, n_pairs).astype(np.float32)


def dealt(pieces=1, seed=1, n_vocab=50, folder=None):
    parts = [np.array_split(column, pieces) for column in matrix(n_vocab)]
    return glove.deal(lambda: zip(*parts, strict=True), n_vocab, seed, folder)


def trained(pairs, train, n_vocab=50, vector_size=7):
    state = glove.begin(n_vocab, vector_size, np.random.default_rng(3))
    return [train(pairs, diagonal, state, 30, 0.75, 0.05) for _ in range(2) for diagonal in range(glove.BLOCKS)], state


def test_every_pair_lies_once_in_the_square_of_its_two_words():
    pairs = dealt()
    row, col, count = matrix()
    word_at = np.argsort(glove.places(50))
    found = sorted(zip(word_at[pairs.row], word_at[pairs.col], pairs.count, strict=True))
    assert found == list(zip(row, col, count, strict=True))
    square = np.repeat(np.arange(glove.BLOCKS**2), np.diff(pairs.first))
    assert (square == word_at[pairs.row] % glove.BLOCKS * glove.BLOCKS + word_at[pairs.col] % glove.BLOCKS).all()


def test_the_squares_of_a_diagonal_share_no_row_and_no_column():
    pairs = dealt()
    for diagonal in range(glove.BLOCKS):
        squares = [block * glove.BLOCKS + (block + diagonal) % glove.BLOCKS for block in range(glove.BLOCKS)]
        for side in (pairs.row, pairs.col):
            words = [set(side[pairs.first[s] : pairs.first[s + 1]].tolist()) for s in squares]
            assert sum(map(len, words)) == len(set.union(*words)) > 0


def test_the_order_within_a_square_is_drawn_by_the_seed_and_not_by_the_pieces_or_the_threads():
    one = dealt()
    for threads in THREADS:
        numba.set_num_threads(threads)
        again = dealt(pieces=7)
        assert all((a == b).all() for a, b in zip(one, again, strict=True))
    other = dealt(seed=2)
    assert (one.row != other.row).any()
    assert (one.first == other.first).all()
    in_order = np.lexsort((one.col, one.row))
    assert (np.diff(in_order) != 1).mean() > 0.2


def test_a_shuffled_square_has_every_order_about_as_often():
    # three pairs in one square: six orders, 900 seeds; 150 each, standard deviation 11
    row = np.zeros(3, np.int32)
    col = np.arange(3, dtype=np.int32) * glove.BLOCKS
    orders = [tuple(glove.deal(lambda: [(row, col, np.ones(3, np.float32))], 33, seed).col.tolist()) for seed in range(900)]
    n = [orders.count(order) for order in set(orders)]
    assert len(n) == 6
    assert max(n) - min(n) < 90


@pytest.mark.parametrize("threads", THREADS)
def test_the_kernel_does_what_the_plain_loop_does(threads):
    numba.set_num_threads(threads)
    loss, state = trained(dealt(), glove.train)
    loss_plain, state_plain = trained(dealt(), glove.train_plain)
    assert loss == pytest.approx(loss_plain, rel=1e-4)
    for name, found, wanted in zip(state._fields, state, state_plain, strict=True):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-5), name


ON_THREADS = """
import hashlib, sys, numba
sys.path.insert(0, ".")
from pipelines.kernels import glove
from tests.kernels.test_glove import dealt, trained
for threads in (1, 2, 4, 8):
    numba.set_num_threads(threads)
    loss, state = trained(dealt(n_vocab=300), glove.train, n_vocab=300, vector_size=33)
    print(hashlib.sha256(repr(loss).encode() + b"".join(array.tobytes() for array in state)).hexdigest())
"""


def test_one_two_four_and_eight_threads_leave_the_same_bytes():
    env = {**os.environ, "NUMBA_NUM_THREADS": "8"}
    done = subprocess.run([sys.executable, "-c", ON_THREADS], capture_output=True, text=True, env=env, check=True)
    assert len(done.stdout.split()) == 4
    assert len(set(done.stdout.split())) == 1


def test_pairs_on_disk_are_those_in_memory(tmp_path):
    here, there = dealt(), dealt(folder=tmp_path)
    assert all((one == other).all() for one, other in zip(here, there, strict=True))
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == dict.fromkeys(("row", "col", "count"), 4 * 800)


def test_a_row_is_met_when_it_is_in_a_pair_on_either_side():
    one = np.float32([1])
    pairs = glove.deal(lambda: [(np.int32([2]), np.int32([4]), one), (np.int32([4]), np.int32([0]), one)], 6, 0)
    assert np.flatnonzero(glove.met(pairs, 6)[glove.places(6)]).tolist() == [0, 2, 4]


def test_one_step_of_one_pair_worked_out_by_hand():
    # w = 0.5, c = -0.5, biases 0, count 4 of x_max 16 at alpha 0.5: f = 0.5, miss = -0.25 - ln 4, pull = f miss
    pairs = glove.deal(lambda: [(np.int32([0]), np.int32([0]), np.float32([4]))], 1, 0)
    ones = [np.ones(shape, np.float32) for shape in ((1, 1), (1, 1), 1, 1)]
    state = glove.State(np.float32([[0.5]]), np.float32([[-0.5]]), np.zeros(1, np.float32), np.zeros(1, np.float32), *ones)
    loss = sum(glove.train(pairs, diagonal, state, 16, 0.5, 0.1) for diagonal in range(glove.BLOCKS))
    miss = -0.25 - np.log(4)
    assert loss == pytest.approx(0.5 * 0.5 * miss**2)
    assert state.word[0, 0] == pytest.approx(0.5 - 0.1 * 0.5 * miss * -0.5)
    assert state.context[0, 0] == pytest.approx(-0.5 - 0.1 * 0.5 * miss * 0.5)
    assert state.word_bias[0] == state.context_bias[0] == pytest.approx(-0.1 * 0.5 * miss)
    assert state.word_squares[0, 0] == pytest.approx(1 + (0.1 * 0.5 * miss * -0.5) ** 2)
    assert state.word_bias_squares[0] == pytest.approx(1 + (0.1 * 0.5 * miss) ** 2)


def test_a_gradient_beyond_the_clip_counts_as_the_clip():
    pairs = glove.deal(lambda: [(np.int32([0]), np.int32([0]), np.float32([1]))], 1, 0)
    ones = [np.ones(shape, np.float32) for shape in ((1, 1), (1, 1), 1, 1)]
    state = glove.State(np.float32([[100]]), np.float32([[100]]), np.zeros(1, np.float32), np.zeros(1, np.float32), *ones)
    for diagonal in range(glove.BLOCKS):
        glove.train(pairs, diagonal, state, 1, 1, 0.1)
    assert state.word[0, 0] == pytest.approx(90)  # 100 - 0.1 * 100, where the gradient was 10,000 * 100
    assert state.word_bias[0] == pytest.approx(-10)
