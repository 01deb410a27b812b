"""The descent of word2vec and its kin: the fast kernel does what the definition says, on any number of threads."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from pipelines.kernels import word2vec as kernel
from tests.support import HOME

V, D, T = 9, 5, 3  # words, numbers, documents
HIDDEN = {"skipgram": kernel.SKIPGRAM, "cbow": kernel.CBOW, "dbow": kernel.DBOW, "dm": kernel.DM, "concat": kernel.CONCAT}
AGAINST = {"negative": kernel.NEGATIVE, "softmax": kernel.SOFTMAX, "tree": kernel.TREE}
COUNTS = np.arange(V, 0, -1) * 7


class Case:
    """A text of three documents, one of them longer than a chunk, and weights of ordinary size."""

    def __init__(self, hidden=kernel.SKIPGRAM, against=kernel.NEGATIVE, parts=False, scale=0.5, window=3, **more):
        rng = np.random.default_rng(3)
        token, document = [kernel.END], [0]
        for row, length in enumerate((3, 150, 40)):
            token += [*rng.integers(0, V, length).tolist(), kernel.END]
            document += [row] * (length + 1)
        tagged = hidden in (kernel.DBOW, kernel.DM, kernel.CONCAT)
        self.text = kernel.Text(np.array(token, np.int32), np.array(document if tagged else [], np.int32))
        width = kernel.padded(D)
        slots = 2 * window + 1 if hidden == kernel.CONCAT else 1

        def matrix(n, slots=1):
            numbers = np.zeros((n, slots, width), np.float32)
            numbers[:, :, :D] = rng.normal(size=(n, slots, D)) * scale
            return numbers.reshape(n, slots * width)

        rows = [[word, V + word % 6, V + (word + 1) % 6][: 1 + word % 3] for word in range(V)]
        self.parts = kernel.NO_PARTS
        if parts:
            first = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
            self.parts = kernel.Parts(first, np.array(list(itertools.chain(*rows)), np.int32))
        self.tree = kernel.huffman(COUNTS) if against == kernel.TREE else kernel.NO_TREE
        self.weights = kernel.Weights(
            matrix(V + 6 * parts), matrix(T * tagged).reshape(-1, width), matrix(V - (against == kernel.TREE), slots)
        )
        noise = {kernel.NEGATIVE: 6, kernel.SOFTMAX: V, kernel.TREE: 0}[against]
        self.form = kernel.Form(hidden, against, window, 5.0, noise, **{"words_too": False, "learn_words": True} | more)
        self.chances = np.cumsum(COUNTS / COUNTS.sum())
        self.shift = np.zeros(V, np.float32)
        self.chunks = np.array([2, 0, 1])

    def run(self, train, lr=0.05, seed=77, times=1, n_chunks=2):
        """(loss, pairs), and the weights afterwards."""
        weights = kernel.Weights(*(matrix.copy() for matrix in self.weights))
        args = self.text, self.chunks, weights, self.parts, self.tree, self.chances, self.shift, self.form, lr, lr / 2, seed
        room = kernel.Changes(n_chunks, self.form, weights, int(np.diff(self.tree.first).max(initial=0)))
        for _ in range(times):
            said = train(*args, room if train is kernel.train else n_chunks)
        return said, weights


def same(case):
    (loss, n_pairs), fast = case.run(kernel.train)
    (wanted, n_wanted), plain = case.run(kernel.train_plain)
    assert n_pairs == n_wanted > 0
    assert loss == pytest.approx(wanted, rel=1e-4)
    for ours, theirs, start in zip(fast, plain, case.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * max(np.abs(theirs - start).max(initial=0), 1e-3))
    return fast


@pytest.mark.parametrize("against", AGAINST)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_kernel_does_what_the_plain_loop_does(hidden, against):
    case = Case(HIDDEN[hidden], AGAINST[against])
    after = same(case)
    for name, matrix in after._asdict().items():
        if matrix.size:
            moved = (matrix != getattr(case.weights, name)).reshape(len(matrix), -1, kernel.padded(D))
            assert moved.any() == ((hidden, name) != ("dbow", "words"))
            assert not moved[:, :, D:].any()  # what is beyond the vectors stays 0


def test_words_of_several_parts_take_their_mean_and_hand_each_part_the_whole_step():
    same(Case(parts=True))
    same(Case(kernel.CBOW, parts=True))


def test_documents_may_be_learned_with_their_words_or_alone():
    same(Case(kernel.DBOW, words_too=True))
    case = Case(kernel.DBOW, learn_words=False)
    after = same(case)
    assert (after.words == case.weights.words).all()
    assert (after.outputs == case.weights.outputs).all()


def test_noise_contrastive_scores_are_less_what_chance_alone_would_give():
    case = Case()
    case.shift = np.log(5 * COUNTS / COUNTS.sum()).astype(np.float32)
    same(case)


def test_a_step_by_hand():
    """Two words, one pair each way: sigma(0.1 * 0.4) of each is known, and no noise word that is not the pair's own."""
    start = np.zeros((2, 16), np.float32)
    start[:, 0] = [0.1, 0.2]
    outputs = np.zeros((2, 16), np.float32)
    outputs[:, 0] = [0.3, 0.4]
    weights = kernel.Weights(start, np.zeros((0, 16), np.float32), outputs)
    text = kernel.Text(np.array([-1, 0, 1, -1], np.int32), np.zeros(0, np.int32))
    form = kernel.Form(kernel.SKIPGRAM, kernel.NEGATIVE, 1, 1.0, 4, False, True)
    changes = kernel.Changes(1, form, weights)
    # word 0 is always the noise: no noise to the pair whose centre it is, and so to the other pair alone
    args = kernel.NO_PARTS, kernel.NO_TREE, np.array([1.0, 1.0]), np.zeros(2, np.float32)
    loss, n_pairs = kernel.train(text, np.array([0]), weights, *args, form, 0.1, 0.1, 5, changes)
    sigma = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    first, second, noise = sigma(0.1 * 0.4), sigma(0.2 * 0.3), sigma(0.1 * 0.3)
    assert n_pairs == 2
    assert loss == pytest.approx(-np.log(first) - np.log(second) - np.log(1 - noise), rel=1e-3)
    assert weights.words[:, 0] == pytest.approx([0.1 + 0.1 * ((1 - first) * 0.4 - noise * 0.3), 0.2 + 0.1 * (1 - second) * 0.3], rel=1e-4)
    assert weights.outputs[:, 0] == pytest.approx([0.3 + 0.1 * ((1 - second) * 0.2 - noise * 0.1), 0.4 + 0.1 * (1 - first) * 0.1], rel=1e-4)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_rate_that_is_far_too_high_does_not_blow_up_in_batches_of_the_size_that_a_text_is_given(hidden):
    case = Case(HIDDEN[hidden])
    chunk, n_chunks = kernel.batch_size(np.bincount(case.text.token[case.text.token >= 0], minlength=V))
    assert (8 <= chunk <= 20, n_chunks) == (True, 1)
    case.form = case.form._replace(chunk=chunk)
    case.chunks = np.arange(-(-len(case.text.token) // chunk))
    (loss, n_pairs), weights = case.run(kernel.train, lr=0.3, times=50, n_chunks=n_chunks)
    assert loss / n_pairs < 10
    assert all(np.abs(matrix).max(initial=0) < 20 for matrix in weights)


def test_batches_are_the_larger_the_less_words_repeat():
    assert kernel.batch_size(np.ones(4)) == (8, 1)
    assert kernel.batch_size(np.ones(16)) == (32, 1)
    assert kernel.batch_size(np.ones(1024)) == (64, 32)
    assert kernel.batch_size(np.ones(10**6)) == (64, 128)


def test_the_huffman_tree_of_counts_by_hand():
    """Counts 8, 4, 2, 2: ways of 1, 2, 3 and 3 steps; no way is the beginning of another."""
    tree = kernel.huffman(np.array([8, 4, 2, 2]))
    ways = [tuple(zip(tree.node[a:b].tolist(), tree.code[a:b].tolist(), strict=True)) for a, b in itertools.pairwise(tree.first.tolist())]
    assert [len(way) for way in ways] == [1, 2, 3, 3]
    assert {way[0][0] for way in ways} == {0}
    assert len(set(ways)) == 4
    assert set(tree.node.tolist()) == {0, 1, 2}


def test_subsampling_keeps_the_share_that_word2vec_c_keeps():
    """A word that is a tenth of the text, sample 1e-3: (sqrt(100) + 1) / 100."""
    assert kernel.keep(np.array([100, 900, 0]), 1e-3) == pytest.approx([11 / 100, (30 + 1) / 900, 0])
    assert kernel.keep(np.array([5, 0]), 0).tolist() == [1, 0]
    values, offsets = np.zeros(200_000, np.int32), np.array([0, 100_000, 200_000])
    token, document = kernel.thin(values, offsets, np.array([4, 7], np.int32), np.array([0], np.int32), np.array([0.11]), np.uint64(1))
    assert len(token) == len(document)
    assert (token >= 0).sum() == pytest.approx(22_000, rel=0.03)
    assert (token == kernel.END).sum() == 3
    assert set(document[token >= 0].tolist()) == {4, 7}


THREADS = """
import hashlib, sys, numba, numpy as np
sys.path.insert(0, ".")
from pipelines.kernels import word2vec as kernel
from tests.kernels.test_word2vec import HIDDEN, AGAINST, Case
for threads in (1, 2, 4, 8):
    numba.set_num_threads(threads)
    seen = hashlib.sha256()
    for hidden in HIDDEN.values():
        for against in AGAINST.values():
            for matrix in Case(hidden, against).run(kernel.train, times=3)[1]:
                seen.update(matrix.tobytes())
    print(seen.hexdigest())
"""


def test_one_two_four_and_eight_threads_leave_the_same_bytes():
    env = {**os.environ, "NUMBA_NUM_THREADS": "8"}
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, env=env, check=True)
    assert len(done.stdout.split()) == 4
    assert len(set(done.stdout.split())) == 1


@pytest.mark.slow
@pytest.mark.quick_slow
def test_what_was_compiled_with_parts_from_the_cache_runs_where_nobody_has_started_threads(tmp_path):
    """As after a process that was killed while it compiled: the next one finds parts of the kernel in the cache, and the third all of it."""
    code = (
        "import sys; from pathlib import Path; from tests.texts import tokens_of, two_topics; from pipelines.method import Run\n"
        "from pipelines.embed.doc2vec import Params, embed\n"
        "tokens = tokens_of(Path(sys.argv[1]) / 'tokens', two_topics(50, seed=0))\n"
        "print(embed(tokens, Params(vector_size=4, epochs=1, infer_epochs=1), Run(Path(sys.argv[1]) / 'v')).matrix().sum())\n"
    )
    environment, said = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}, []
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", code, tmp_path / name]
        done = subprocess.run(command, cwd=HOME, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
        if name == "first":
            for path in (tmp_path / "cache").rglob("word2vec._train-*"):
                path.unlink()
    assert len(set(said)) == 1
