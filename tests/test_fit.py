"""The training loop: what it promises of seeds, checkpoints, early stops and numbers that run away."""

import functools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from pipelines.errors import Fault
from pipelines.fit import ADAM, Recipe, apply, arrays, fit, prepare
from pipelines.method import Run

X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
Y = (X @ np.float32([[1.0], [-2.0], [0.5]]) + 0.1).astype(np.float32)


def squared(model, x, y):
    return ((model(x) - y) ** 2).sum(dim=1)


def batches(rng, size=16):
    order = rng.permutation(len(X))
    for start in range(0, len(X), size):
        rows = order[start : start + size]
        yield X[rows], Y[rows]


def network(run):
    prepare(run)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))


def same(a, b):
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


def trained(run, recipe, validate=None, batches=batches):
    model = network(run)
    fit(model, batches, squared, run, recipe, validate and (lambda: validate(model)))
    return arrays(model)


def test_one_step_of_sgd_is_the_gradient_times_lr(tmp_path):
    run = Run(tmp_path, seed=1)
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    # loss (3 - 1)^2 and (3 * 2 - 2)^2; gradients 2 * 2 * 1 and 2 * 4 * 2; mean 10
    batch = (np.float32([[1], [2]]), np.float32([[1], [2]]))
    fit(model, lambda rng: [batch], squared, run, Recipe(epochs=1, lr=0.01, optimiser=torch.optim.SGD))
    assert model.weight.item() == pytest.approx(3 - 0.01 * 10)
    assert run.curve == [{"epoch": 1, "loss": pytest.approx((4 + 16) / 2)}]


def test_a_clipped_step_is_no_longer_than_clip_times_lr(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    batch = (np.float32([[1], [2]]), np.float32([[1], [2]]))
    fit(model, lambda rng: [batch], squared, Run(tmp_path), Recipe(epochs=1, lr=0.1, clip=2.0, optimiser=torch.optim.SGD))
    assert model.weight.item() == pytest.approx(3 - 0.1 * 2.0, abs=1e-5)


def test_a_cosine_begins_at_lr_and_is_half_of_it_midway():
    recipe = Recipe(epochs=10, lr=0.4, decay="cosine")
    assert [recipe.lr_of(1), recipe.lr_of(6)] == pytest.approx([0.4, 0.2])
    assert 0 < recipe.lr_of(10) < 0.02


def test_the_curve_weighs_a_short_batch_by_its_items(tmp_path):
    run = Run(tmp_path)
    model = nn.Linear(1, 1)
    pieces = [(np.ones((3, 1), np.float32),), (np.ones((1, 1), np.float32),)]
    losses = iter([torch.tensor([1.0, 1.0, 1.0]), torch.tensor([9.0])])
    fit(model, lambda rng: pieces, lambda model, x: next(losses) + 0 * model(x).sum(), run, Recipe(epochs=1, lr=0.1))
    assert run.curve[0]["loss"] == pytest.approx((3 * 1 + 9) / 4)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    recipe = Recipe(epochs=3, lr=0.01)
    first, second, other = (trained(Run(tmp_path, seed=seed), recipe) for seed in (1, 1, 2))
    assert same(first, second)
    assert not same(first, other)


@pytest.mark.parametrize("optimiser", [ADAM, functools.partial(torch.optim.SGD, momentum=0.9), torch.optim.Adagrad])
def test_a_training_that_was_killed_ends_with_the_same_bytes(tmp_path, optimiser):
    def validate(model):
        return {"valid_loss": float(np.mean((np.concatenate(list(apply(model, [(X,)], Run(tmp_path)))) - Y) ** 2))}

    def killed_in_epoch_2(rng, calls=[]):  # noqa: B006
        calls.append(1)
        for step, batch in enumerate(batches(rng)):
            if len(calls) == 2 and step == 2:
                raise KeyboardInterrupt
            yield batch

    recipe = Recipe(epochs=4, lr=0.05, decay="cosine", clip=1.0, optimiser=optimiser)
    whole = Run(tmp_path / "a", seed=3)
    expected = trained(whole, recipe, validate)

    killed = Run(tmp_path / "b", seed=3, checkpoints=tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        trained(killed, recipe, validate, killed_in_epoch_2)
    assert len(killed.curve) == 1
    again = Run(tmp_path / "b", seed=3, checkpoints=tmp_path / "kept")
    n_epochs = []
    got = trained(again, recipe, validate, lambda rng: (n_epochs.append(1), batches(rng))[1])
    assert len(n_epochs) == 3  # the first epoch was not run again
    assert same(got, expected)
    assert again.curve == whole.curve


def test_a_training_that_was_finished_is_not_run_again(tmp_path):
    recipe = Recipe(epochs=2, lr=0.01)
    first = trained(Run(tmp_path / "a", seed=1, checkpoints=tmp_path / "kept"), recipe)
    again = trained(Run(tmp_path / "a", seed=1, checkpoints=tmp_path / "kept"), recipe, batches=lambda rng: pytest.fail("trained again"))
    assert same(first, again)


def test_a_checkpoint_holds_plain_arrays_and_json(tmp_path):
    from safetensors import safe_open

    run = Run(tmp_path / "a", seed=1, checkpoints=tmp_path / "kept")
    trained(run, Recipe(epochs=1, lr=0.01))
    with safe_open(tmp_path / "kept" / "checkpoint.safetensors", "np") as file:
        assert "model.0.weight" in file.keys()  # noqa: SIM118
        assert json.loads(file.metadata()["state"])["epoch"] == 1


def test_the_weights_of_the_best_epoch_are_kept_and_patience_ends_the_rest(tmp_path):
    run = Run(tmp_path, seed=1)
    model = network(run)
    seen = []

    def validate():
        seen.append(arrays(model)["0.weight"].copy())
        return {"valid_loss": [5.0, 3.0, 4.0, 3.5, 1.0][len(seen) - 1]}

    best = fit(model, batches, squared, run, Recipe(epochs=5, lr=0.01, patience=2), validate)
    assert best == 2
    assert len(run.curve) == 4  # epochs 3 and 4 brought nothing, epoch 5 never came
    assert np.array_equal(arrays(model)["0.weight"], seen[1])
    assert not np.array_equal(seen[1], seen[3])


def test_without_validation_the_last_weights_are_kept(tmp_path):
    run = Run(tmp_path, seed=1)
    assert fit(network(run), batches, squared, run, Recipe(epochs=3, lr=0.01)) == 3
    assert [set(point) for point in run.curve] == [{"epoch", "loss"}] * 3  # and no clock among them


def test_validation_and_apply_run_without_dropout_and_training_with_it(tmp_path):
    run = Run(tmp_path, seed=1)
    model = network(run)
    modes = []
    fit(model, batches, lambda *args: (modes.append(model.training), squared(*args))[1], run, Recipe(epochs=1, lr=0.01),
        lambda: (modes.append(model.training), {"valid_loss": 0.0})[1])  # fmt: skip
    assert modes == [True] * 4 + [False]
    first, second = (np.concatenate(list(apply(model.train(), [(X[:8],), (X[8:],)], run))) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (64, 1)


def test_a_loss_that_is_no_number_names_epoch_step_and_last_good_state(tmp_path):
    run = Run(tmp_path, name="embed/toy", seed=1)
    model = nn.Linear(3, 1)
    calls = []

    def loss(model, x, y):
        calls.append(1)
        return squared(model, x, y) * (math.nan if len(calls) == 7 else 1)  # 4 steps an epoch: epoch 2, step 3

    with pytest.raises(
        Fault, match=r"embed/toy: the loss .* epoch 2, step 3.*last good state is that of epoch 1, loss [\d.]+\. Lower lr, or set clip"
    ):
        fit(model, batches, loss, run, Recipe(epochs=3, lr=0.01))
    assert all(np.isfinite(weights).all() for weights in arrays(model).values())


def test_an_lr_far_too_large_is_a_fault_and_not_a_model(tmp_path):
    with pytest.raises(Fault, match="Lower lr"):
        fit(nn.Linear(3, 1), batches, squared, Run(tmp_path), Recipe(epochs=50, lr=1e6, optimiser=torch.optim.SGD))


def test_an_epoch_without_batches_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="nothing to train on"):
        fit(nn.Linear(3, 1), lambda rng: [], squared, Run(tmp_path), Recipe(epochs=1, lr=0.1))


def test_progress_counts_the_items_of_all_epochs(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr("pipelines.method.Progress.close", lambda bar: done.append((bar.total, bar.done)))
    fit(nn.Linear(3, 1), batches, squared, Run(tmp_path), Recipe(epochs=2, lr=0.01), n_items=len(X))
    assert done == [(128, 128)]


def test_needs_no_package_but_torch_and_numpy():
    others = ("pyarrow", "pandas", "scipy", "sklearn", "numba", "gensim", "prefect", "dvc", "great_expectations")
    code = f"import sys, pipelines.fit; print([m for m in {others} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
