"""GloVe's descent in torch: pair after pair it is the kernel's, and many pairs at once are the sum of their steps."""

import numpy as np
import pytest
import torch

from pipelines.cooccur import windowed
from pipelines.embed.glove import Params, embed
from pipelines.kernels import glove, glove_torch
from pipelines.method import Run
from tests.kernels.test_glove import matrix
from tests.kill import killed_at
from tests.texts import tokens_of, two_topics

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no usable GPU")),
]
ON = {"cpu": "cpu:0"}  # a run on `cpu` is the kernel's; torch's processor has a number
X_MAX, ALPHA = 30, 0.75


def dealt(n_blocks):
    return glove.deal(lambda: [matrix()], 50, 1, n_blocks=n_blocks)


def begun():
    return glove.begin(50, 7, np.random.default_rng(3))


def on(device, pairs, lr, at_once):
    """(losses, state) of two epochs."""
    state = begun()
    descent = glove_torch.Descent(pairs, state, X_MAX, ALPHA, lr, device, at_once)
    losses = [float(descent.train(diagonal)) for _ in range(2) for diagonal in range(pairs.n_blocks)]
    descent.fetch(state)
    return losses, state


def same(found, wanted):
    assert found[0] == pytest.approx(wanted[0], rel=1e-4)
    for name, ours, theirs in zip(glove.State._fields, found[1], wanted[1], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_blocks", [1, 3, glove.BLOCKS, 64])
def test_one_pair_of_each_square_at_a_time_is_what_the_kernel_does(n_blocks, device):
    pairs, state = dealt(n_blocks), begun()
    losses = [glove.train(pairs, diagonal, state, X_MAX, ALPHA, 0.05) for _ in range(2) for diagonal in range(n_blocks)]
    same(on(device, pairs, 0.05, 1), (losses, state))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("at_once", [5, None])
def test_many_pairs_at_once_are_the_sum_of_their_steps_over_their_curvature(at_once, device):
    pairs, state, losses, divided = dealt(3), begun(), [], 0
    for _ in range(2):
        for diagonal in range(3):
            squares = [np.arange(*pairs.first[s : s + 2]) for s in (block * 3 + (block + diagonal) % 3 for block in range(3))]
            size, loss = at_once or 10**9, 0.0
            for at in range(0, max(map(len, squares)), size):
                more, n_divided = plain_step(pairs, np.concatenate([square[at : at + size] for square in squares]), state, 0.3)
                loss, divided = loss + more, divided + n_divided
            losses.append(loss)
    assert (divided > 0) == (at_once is None)
    same(on(device, pairs, 0.3, at_once), (losses, state))


def plain_step(pairs, at, state, lr):
    """(loss, rows whose sum was divided)"""
    r, k, count = pairs.row[at], pairs.col[at], pairs.count[at].astype(np.float64)
    before = glove.State(*(array.copy() for array in state))
    f = np.minimum(count / X_MAX, 1) ** ALPHA
    miss = (before.word[r] * before.context[k]).sum(axis=1) + before.word_bias[r] + before.context_bias[k] - np.log(count)
    divided = 0
    for name, rows, other in (("word", r, before.context[k]), ("context", k, before.word[r])):
        other = np.column_stack([other, np.ones(len(at))])
        root = np.column_stack([getattr(before, f"{name}_squares"), getattr(before, f"{name}_bias_squares")])[rows] ** -0.5
        step = np.clip((f * miss)[:, None] * other, -glove.CLIP, glove.CLIP) * lr
        curve = np.bincount(rows, lr * f * (other**2 * root).sum(axis=1), minlength=50)
        divided += int((curve > 1).sum())
        change = -step * root / np.maximum(curve, 1)[rows, None]
        for numbers, part in ((name, slice(0, -1)), (f"{name}_bias", -1)):
            np.add.at(getattr(state, numbers), rows, change[:, part])
            np.add.at(getattr(state, f"{numbers}_squares"), rows, step[:, part] ** 2)
    return 0.5 * (f * miss**2).sum(), divided


@pytest.mark.parametrize("device", DEVICES)
def test_the_method_learns_on_a_device_and_goes_on_after_a_kill_to_the_same_bytes(tmp_path, monkeypatch, device):
    counts = windowed.cooccur(tokens_of(tmp_path / "tokens", two_topics(200, seed=0)), windowed.Params(window=5), Run(tmp_path / "counts"))
    params, device = Params(vector_size=8, x_max=10, epochs=30, blocks=2), ON.get(device, device)
    whole = Run(tmp_path / "whole" / "v", seed=1, device=device)
    vectors = embed(counts, params, whole).matrix()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine, alike = unit @ unit.T, np.equal.outer(np.arange(10) < 5, np.arange(10) < 5)
    assert cosine[alike].min() > cosine[~alike].max()
    cpu = Run(tmp_path / "cpu" / "v", seed=1)
    embed(counts, params, cpu)
    assert whole.curve[-1]["loss"] == pytest.approx(cpu.curve[-1]["loss"], rel=0.05)

    steps = killed_at(20, glove_torch.Descent, "train", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        embed(counts, params, Run(tmp_path / "killed" / "v", seed=1, device=device, checkpoints=tmp_path / "checkpoints"))
    # a GPU's checkpoint says how many blocks it had, for the CPU that goes on
    rest = Params(**params.model_dump() | {"blocks": 0})
    again = Run(tmp_path / "again" / "v", seed=1, device=device, checkpoints=tmp_path / "checkpoints")
    assert embed(counts, rest, again).matrix().tobytes() == vectors.tobytes()
    assert len(steps) == 20 + 2 * (30 - 9)
