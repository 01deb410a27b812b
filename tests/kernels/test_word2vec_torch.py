"""word2vec's descent in torch: what the kernel does, on any device, with the same windows and noise words."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from pipelines import registry, word2vec
from pipelines.embed import cbow, skipgram
from pipelines.kernels import word2vec as kernel
from pipelines.kernels import word2vec_torch
from pipelines.method import Run
from tests.kernels.test_word2vec import COUNTS, Case
from tests.kill import killed_at
from tests.texts import tokens_of

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no usable GPU")),
]
ON = {"cpu": "cpu:0"}  # a run on `cpu` is the kernel's; torch's processor has a number
HIDDEN = {"skipgram": kernel.SKIPGRAM, "cbow": kernel.CBOW}


def on(device):
    """`train`, as a Case calls it."""

    def train(text, chunks, weights, parts, tree, chances, shift, form, lr, last_lr, seed, room):
        assert word2vec_torch.can(form, parts)
        descent = word2vec_torch.Descent(weights, chances, shift, form, room if isinstance(room, int) else room.n_chunks, device)
        said = descent.train(text, chunks, lr, last_lr, seed)
        descent.fetch(weights)
        assert descent.finite()
        return said

    return train


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("loss", ["negative", "nce"])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_device_does_what_the_kernel_does(hidden, loss, device):
    case = Case(HIDDEN[hidden])
    if loss == "nce":
        case.shift = np.log(5 * COUNTS / COUNTS.sum()).astype(np.float32)
    # the kernel reads sigma from a table, which ends at 12; one batch of all chunks has no such score
    for train, n_chunks, tolerance in ((kernel.train_plain, 3, 1e-5), *((kernel.train, n, 1e-3) for n in (1, 2, 3))):
        (said, ours), (wanted, theirs) = (case.run(each, n_chunks=n_chunks) for each in (on(device), train))
        assert said[1] == wanted[1] > 0
        assert said[0] == pytest.approx(wanted[0], rel=1e-4)
        for found, matrix, start in zip(ours, theirs, case.weights, strict=True):
            np.testing.assert_allclose(found, matrix, atol=tolerance * max(np.abs(matrix - start).max(initial=0), 1e-3))


def test_forms_that_a_device_has_no_way_for_are_told_apart():
    case = Case()
    assert word2vec_torch.can(case.form, kernel.NO_PARTS)
    assert not word2vec_torch.can(case.form, Case(parts=True).parts)
    for field, value in (("hidden", kernel.DM), ("against", kernel.TREE), ("against", kernel.SOFTMAX), ("learn_words", False)):
        assert not word2vec_torch.can(case.form._replace(**{field: value}), kernel.NO_PARTS)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", [skipgram, cbow])
def test_a_method_leaves_the_cpus_vectors_on_a_device_and_the_same_bytes_after_a_kill(tmp_path, monkeypatch, method, device):
    monkeypatch.setattr(word2vec, "PIECE", 3000)
    monkeypatch.setattr(word2vec, "SAVE_EVERY", 0.0)
    # of many words, so that a batch has few of each: else its steps are so long that rounding grows to another way down
    tokens = tokens_of(tmp_path / "tokens", np.random.default_rng(0).integers(1, 1000, (1024 * 2, 4)).tolist())
    params, device = method.Params(vector_size=8, epochs=2, sample=0, batch_size=256, engine="own"), ON.get(device, device)
    cpu, whole = Run(tmp_path / "cpu" / "v", seed=2), Run(tmp_path / "whole" / "v", seed=2, device=device)
    theirs, ours = (method.embed(tokens, params, run).matrix() for run in (cpu, whole))
    assert ours == pytest.approx(theirs, abs=1e-3 * float(np.abs(theirs).max()))
    assert [point["loss"] for point in whole.curve] == pytest.approx([point["loss"] for point in cpu.curve], rel=1e-4)

    steps = killed_at(5, word2vec_torch.Descent, "train", monkeypatch)  # the first one asks for the untrained loss
    with pytest.raises(KeyboardInterrupt):
        method.embed(tokens, params, Run(tmp_path / "killed" / "v", seed=2, device=device, checkpoints=tmp_path / "checkpoints"))
    again = Run(tmp_path / "again" / "v", seed=2, device=device, checkpoints=tmp_path / "checkpoints")
    assert method.embed(tokens, params, again).matrix().tobytes() == ours.tobytes()
    assert len(steps) == 5 + 1  # of four pieces, three were not done again


DEVICE = """
import sys
from pipelines import registry, run
from pipelines.params import Row, World
method = registry.load("embed", "skipgram")
for loss in ("hierarchical", "negative"):
    print(run._device(Row("embed", "a", method, {}, World(device="auto"), method.params(loss=loss), method.placement)), "torch" in sys.modules)
"""


def test_torch_is_imported_for_a_row_that_has_a_use_for_a_gpu_and_may_have_one():
    done = subprocess.run([sys.executable, "-c", DEVICE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["cpu False", f"{'cuda' if torch.cuda.is_available() else 'cpu'} True"]


def test_rows_that_have_a_use_for_a_gpu_say_so():
    for name in ("skipgram", "cbow"):
        method = registry.load("embed", name)
        assert [method.on_gpu(method.params(loss=loss, engine="own")) for loss in word2vec.AGAINST] == [True, True, False, False]
        assert not method.on_gpu(method.params(engine="gensim"))
    assert registry.load("embed", "glove").on_gpu(None)
    assert not registry.load("embed", "lsa").on_gpu(None)
