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
from pipelines.fit import ADAM, Recipe, apply, arrays, fit, mixed_precision, prepare
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


def test_a_straight_line_falls_to_half_midway_and_a_plateau_halves_after_each_epoch_that_is_no_better():
    assert Recipe(epochs=10, lr=0.4, decay="linear").lr_of(6) == pytest.approx(0.2)
    curve = [{"epoch": i, "loss": 0, "valid_loss": loss} for i, loss in enumerate((3, 2, 2.5, 1, 1), 1)]
    recipe = Recipe(epochs=10, lr=0.4, decay="plateau")
    assert [recipe.lr_of(epoch, curve) for epoch in range(1, 7)] == pytest.approx([0.4, 0.4, 0.4, 0.2, 0.2, 0.1])


def test_l2_adds_its_share_of_a_weight_to_the_gradient(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    batch = (np.float32([[1], [2]]), np.float32([[1], [2]]))
    fit(model, lambda rng: [batch], squared, Run(tmp_path), Recipe(epochs=1, lr=0.01, l2=0.5, optimiser=torch.optim.SGD))
    assert model.weight.item() == pytest.approx(3 - 0.01 * (10 + 0.5 * 3))


def test_the_average_of_the_steps_is_what_is_judged_and_kept(tmp_path):
    """Weights 3, then w1, w2 by plain descent; shares of a step 1 - 2/11 and 1 - 3/12."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    batch, seen = (np.float32([[1]]), np.float32([[0]])), []  # loss w^2, so w is 0.8 of itself after a step of 0.1

    def validate():
        seen.append(model.weight.item())
        return {"valid_loss": -len(seen)}

    fit(model, lambda rng: [batch], squared, Run(tmp_path), Recipe(epochs=2, lr=0.1, ema=0.9, optimiser=torch.optim.SGD), validate)
    first = 3 * 2 / 11 + 2.4 * 9 / 11
    assert seen == pytest.approx([first, first * 3 / 12 + 1.92 * 9 / 12])
    assert model.weight.item() == pytest.approx(seen[-1])


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


@pytest.mark.parametrize(
    ("optimiser", "ema"), [(ADAM, None), (ADAM, 0.9), (functools.partial(torch.optim.SGD, momentum=0.9), None), (torch.optim.Adagrad, 0.5)]
)
def test_a_training_that_was_killed_ends_with_the_same_bytes(tmp_path, optimiser, ema):
    def validate(model):
        return {"valid_loss": float(np.mean((np.concatenate(list(apply(model, [(X,)], Run(tmp_path)))) - Y) ** 2))}

    def killed_in_epoch_2(rng, calls=[]):  # noqa: B006
        calls.append(1)
        for step, batch in enumerate(batches(rng)):
            if len(calls) == 2 and step == 2:
                raise KeyboardInterrupt
            yield batch

    recipe = Recipe(epochs=4, lr=0.05, decay="plateau", clip=1.0, ema=ema, optimiser=optimiser)
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


def test_an_epoch_is_better_by_its_accuracy_where_that_is_the_judge(tmp_path):
    """Accuracy rises while the loss does, too: patience and what is kept go by the one that was named, the plateau's rate by the loss."""
    figures = [
        {"valid_loss": loss, "valid_accuracy": accuracy} for loss, accuracy in ((1, 0.6), (2, 0.7), (3, 0.8), (0.5, 0.8), (0.4, 0.1))
    ]
    for judge, best, n_epochs in (("accuracy", 3, 5), ("loss", 1, 3)):
        run, left = Run(tmp_path / judge, seed=1), iter(figures)
        recipe = Recipe(epochs=5, lr=0.01, patience=2, judge=judge, decay="plateau")
        assert fit(network(run), batches, squared, run, recipe, lambda left=left: next(left)) == best
        assert len(run.curve) == n_epochs
        assert recipe.lr_of(4, run.curve) == 0.0025


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
        Fault, match=r"embed/toy: the loss, .* epoch 2, step 3.*last good epoch is 1, loss [\d.]+\. Lower lr, or set clip .* begins anew"
    ):
        fit(model, batches, loss, run, Recipe(epochs=3, lr=0.01))
    assert all(np.isfinite(weights).all() for weights in arrays(model).values())


def test_an_lr_far_too_large_is_a_fault_and_not_a_model(tmp_path):
    with pytest.raises(Fault, match="Lower lr"):
        fit(nn.Linear(3, 1), batches, squared, Run(tmp_path), Recipe(epochs=50, lr=1e6, optimiser=torch.optim.SGD))


def weighing(worth, seen=None):
    """A loss that is worth[i] in the ith step; with one batch an epoch, in the ith epoch."""
    left = iter(worth)

    def loss(model, x, y):
        value = next(left)
        if seen is not None:
            seen.append(value)
        return model(x)[:, 0] * 0 + value

    return loss


def whole(rng):
    return [(X, Y)]


def in_turn(*values):
    left = iter(values)
    return lambda: {"valid_loss": next(left)}


@pytest.mark.parametrize(
    ("worth", "valid", "kept"),
    [
        ([0.7, 9.0], None, 2),  # a first loss below 1 tells little: it may be of a batch that was easy by chance
        ([0.7, 11.0], None, None),
        ([3.0, 29.0], None, 2),
        ([3.0, 31.0], None, None),
        ([3.0, 1e30, 2.0], None, 3),  # it came back
        ([3.0, 1e30], [29.0, 1e30], 1),  # what is kept is good
        ([3.0, 1e30, 3.0], [1e30, 3.0, 1e30, 29.0], 3),  # the second figure is the untrained network's
        ([0.7, 0.8], [110.0, 12.0, 100.0], 2),  # valid is hard for anybody
        ([0.7, 0.8], [110.0, 10.0, 101.0], None),  # one step an epoch, so that train shows it an epoch later
    ],
)
def test_a_loss_that_ends_ten_times_the_untrained_one_is_a_fault_and_a_healthy_one_is_none(tmp_path, worth, valid, kept):
    run = Run(tmp_path, "embed/toy")

    def trained():
        return fit(nn.Linear(3, 1), whole, weighing(worth), run, Recipe(epochs=len(worth), lr=0.01), in_turn(*valid) if valid else None)

    if kept:
        assert trained() == kept
    else:
        with pytest.raises(Fault, match=r"embed/toy: the training went astray .* in epoch 2 with lr 0\.01; .*Lower lr, or set clip"):
            trained()
    assert [point["loss"] for point in run.curve] == pytest.approx(worth)


@pytest.mark.parametrize(("valid_loss", "asked_of"), [(9.0, [0.5, 1.0]), (11.0, [0.5, 0.0, 1.0])])
def test_valid_is_asked_of_the_untrained_network_where_it_is_far_off_alone(tmp_path, valid_loss, asked_of):
    """A loss of 1, by which each step adds 0.5 to a bias that begins at 0."""
    model, seen = nn.Linear(3, 1), []
    nn.init.zeros_(model.bias)

    def loss(model, x, y):
        return 1 - (model.bias - model.bias.detach()).expand(len(x))

    def validate():
        seen.append(model.bias.item())
        return {"valid_loss": valid_loss}

    fit(model, whole, loss, Run(tmp_path), Recipe(epochs=2, lr=0.5, optimiser=torch.optim.SGD), validate)
    assert seen == asked_of
    assert model.bias.item() == 0.5  # the first epoch's is kept


def test_a_network_that_was_never_good_names_its_losses_and_stops_early(tmp_path):
    """First batch .5, the second of each epoch 1e9."""
    recipe = Recipe(epochs=9, lr=100.0, clip=1.0, patience=2)
    worth, run = [0.5] + [1e9] * 17, Run(tmp_path, "classify/toy")
    message = (
        r"classify/toy: the training went astray \(loss 1e\+09, valid_loss 2e\+10; the untrained network's was 0\.5\) in epoch 2 with lr 100; "
        r"no epoch ended well\. Lower lr, or look .*; with another lr it begins anew"
    )
    with pytest.raises(Fault, match=message):
        fit(nn.Linear(3, 1), lambda rng: batches(rng, 32), weighing(worth), run, recipe, in_turn(1e10, 0.4, 2e10))
    assert len(run.curve) == 2


def test_no_checkpoint_is_made_of_a_loss_far_above_the_first_and_what_goes_on_knows_the_first(tmp_path):
    """Killed in the third epoch: it goes on after the first, and 25 is far above 2 and not above 3."""
    recipe, seen = Recipe(epochs=3, lr=0.01), []

    def resumed(first, *rest):
        run = Run(tmp_path / "r", checkpoints=tmp_path / str(first))
        with pytest.raises(StopIteration):  # the epoch in which it is killed
            fit(nn.Linear(3, 1), whole, weighing([first, 25.0]), run, recipe)
        seen.clear()
        return run, lambda: fit(nn.Linear(3, 1), whole, weighing(rest, seen), run, recipe)

    run, go_on = resumed(2.0, 25.0, 25.0)
    assert run.checkpoint.load()[1]["epoch"] == 1
    with pytest.raises(
        Fault, match=f"the untrained network's was 2. in epoch 3 .*last good epoch is 1, loss 2 .checkpoint in {tmp_path}/2.0"
    ):
        go_on()
    assert seen == [25.0, 25.0]
    run, go_on = resumed(3.0, 25.0)
    assert run.checkpoint.load()[1]["epoch"] == 2
    assert go_on() == 3


def test_patience_without_anything_to_judge_by_is_told(tmp_path, capsys):
    for patience, validate in ((2, None), (None, None), (2, lambda: {"valid_loss": 1.0})):
        fit(
            nn.Linear(3, 1), batches, squared, Run(tmp_path, "embed/toy", show=True), Recipe(epochs=4, lr=0.01, patience=patience), validate
        )
    said = [line for line in capsys.readouterr().out.splitlines() if "no early stop" in line]
    assert said == [
        "embed/toy: valid has nothing to judge by, no document or none with a label that train has: all 4 epochs, no early stop"
    ]


class Losing(torch.optim.SGD):
    """Its last step is so long that no weight is a number after it."""

    def __init__(self, parameters, n, **knobs):
        super().__init__(parameters, **knobs)
        self.left = n

    def step(self):
        super().step()
        self.left -= 1
        if not self.left:
            for group in self.param_groups:
                for weights in group["params"]:
                    weights.data.fill_(math.inf)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_last_step_that_loses_the_weights_is_a_fault_and_what_is_kept_is_the_epoch_before(tmp_path, epochs):
    """One batch an epoch, so that no later loss could show it."""
    run = Run(tmp_path / "r", seed=1, checkpoints=tmp_path / "kept")
    recipe = Recipe(epochs=epochs, lr=1e-3, optimiser=functools.partial(Losing, n=epochs))
    last = f"the last good epoch is 2, loss .* .checkpoint in {run.checkpoint.folder}." if epochs > 1 else "no epoch ended well"
    with pytest.raises(Fault, match=f"a weight is not a number any more .* in epoch {epochs}, after its last step with lr 0.001; {last}"):
        fit(network(run), lambda rng: [(X, Y)], squared, run, recipe)
    kept = run.checkpoint.load()
    assert (kept is None) == (epochs == 1)
    if kept:
        assert all(np.isfinite(array).all() for array in kept[0].values())
        assert kept[1]["epoch"] == epochs - 1


def test_an_epoch_without_batches_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="nothing to train on"):
        fit(nn.Linear(3, 1), lambda rng: [], squared, Run(tmp_path), Recipe(epochs=1, lr=0.1))


def test_progress_counts_the_items_of_all_epochs(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr("pipelines.method.Progress.close", lambda bar: done.append((bar.total, bar.done)))
    fit(nn.Linear(3, 1), batches, squared, Run(tmp_path), Recipe(epochs=2, lr=0.01), n_items=len(X))
    assert done == [(128, 128)]


class Hungry(nn.Module):
    """Has no memory for more than `most` items at once; draws dropout before it notices."""

    def __init__(self, run, most, dropout=0.0):
        super().__init__()
        prepare(run)
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))
        self.most = most

    def forward(self, x):
        result = self.layers(x)
        if len(x) > self.most:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {len(x)} GiB.")
        return result


def fed(run, most, dropout=0.0, epochs=3, batches=batches, **recipe):
    model = Hungry(run, most, dropout)
    fit(model, batches, squared, run, Recipe(epochs=epochs, lr=0.05, clip=1.0, **recipe))
    return arrays(model)


def test_a_batch_that_does_not_fit_is_computed_in_pieces_to_the_same_mean(tmp_path, capsys):
    whole, split = (Run(tmp_path, "embed/toy", seed=1, show=True) for _ in range(2))
    expected = fed(whole, most=16, optimiser=torch.optim.SGD)
    found = fed(split, most=4, optimiser=torch.optim.SGD)
    assert (whole.batch_split, split.batch_split) == (1, 4)
    for name, weights in expected.items():
        np.testing.assert_allclose(found[name], weights, atol=1e-6)
    said = [line for line in capsys.readouterr().out.splitlines() if "memory" in line]
    assert said == [f"embed/toy: out of memory on cpu: from here on a batch is computed in {n} pieces" for n in (2, 4)]


def test_pieces_of_unequal_size_weigh_as_their_items(tmp_path):
    def one_batch(rng):
        yield X[:7], Y[:7]

    expected = fed(Run(tmp_path, seed=1), most=7, epochs=1, batches=one_batch, optimiser=torch.optim.SGD)
    found = fed(Run(tmp_path, seed=1), most=2, epochs=1, batches=one_batch, optimiser=torch.optim.SGD)
    for name, weights in expected.items():
        np.testing.assert_allclose(found[name], weights, atol=1e-6)


def test_a_step_that_is_tried_again_begins_from_the_same_chance(tmp_path):
    begun_split = Run(tmp_path, seed=1)
    begun_split.batch_split = 2
    assert same(fed(Run(tmp_path, seed=1), most=8, dropout=0.5), fed(begun_split, most=8, dropout=0.5))


def test_a_training_killed_after_it_was_split_ends_with_the_same_bytes(tmp_path):
    def killed_in_epoch_2(rng, calls=[]):  # noqa: B006
        calls.append(1)
        yield X[:2], Y[:2]  # a batch that would fit: after a resume it must be split as before
        if len(calls) == 2:
            raise KeyboardInterrupt
        yield from batches(rng)

    def calm(rng):
        yield X[:2], Y[:2]
        yield from batches(rng)

    expected = fed(Run(tmp_path, seed=1), 4, 0.5, batches=calm)
    with pytest.raises(KeyboardInterrupt):
        fed(Run(tmp_path, seed=1, checkpoints=tmp_path / "kept"), 4, 0.5, batches=killed_in_epoch_2)
    assert same(fed(Run(tmp_path, seed=1, checkpoints=tmp_path / "kept"), 4, 0.5, batches=calm), expected)


@pytest.mark.parametrize(("size", "pieces"), [(64, 16), (4, 4), (1, 1)])
def test_memory_for_no_piece_at_all_is_a_fault_and_not_a_loop(tmp_path, size, pieces):
    what = f"a batch of {size} even in {pieces} pieces" if pieces > 1 else "a batch of 1"
    with pytest.raises(Fault, match=rf"embed/toy: cpu has too little memory for {what} \(CUDA out of memory\)\. Lower batch_size"):
        fed(Run(tmp_path, "embed/toy", seed=1), most=0, batches=lambda rng: batches(rng, size))


def test_a_model_is_applied_in_pieces_where_a_batch_does_not_fit(tmp_path):
    run = Run(tmp_path, seed=1)
    model = Hungry(run, most=64)
    (expected,) = apply(model, [(X,)], run)
    model.most = 20
    (found,) = apply(model, [(X,)], run)
    assert run.batch_split == 4
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("most", [64, 5])
def test_tensors_do_as_arrays_do_split_or_not(tmp_path, most):
    def tensors(rng):
        return ([torch.from_numpy(part) for part in batch] for batch in batches(rng))

    expected = fed(Run(tmp_path, seed=1), most)
    assert same(fed(Run(tmp_path, seed=1), most, batches=tensors), expected)


@pytest.mark.parametrize(("cells", "kind"), [(True, torch.float32), (False, torch.bfloat16)])
def test_recurrent_layers_stay_in_float32_where_they_are_to(cells, kind):
    model = nn.ModuleList([nn.Linear(3, 4), nn.LSTM(4, 5), nn.Linear(5, 2)])
    with mixed_precision(model, "cpu", cells):
        first = model[0](torch.ones(6, 1, 3))
        states, (h, _) = model[1](first)
        _, (_, c) = model[1](first, (h, torch.zeros(1, 1, 5)))
        last = model[2](states)
        with pytest.raises(RuntimeError):
            model[1](torch.ones(6, 1, 3))
        assert torch.is_autocast_enabled("cpu")
    assert [it.dtype for it in (first, states, h, c, last)] == [torch.bfloat16, kind, kind, kind, torch.bfloat16]
    assert not torch.is_autocast_enabled("cpu")
    assert model[1](torch.ones(6, 1, 4))[0].dtype == torch.float32
    assert not model[1]._forward_pre_hooks
    assert not model[1]._forward_hooks


def test_mixed_training_takes_products_of_bfloat16_and_keeps_weights_of_float32(tmp_path):
    seen, exact = [], trained(Run(tmp_path, seed=1), Recipe(epochs=3, lr=0.01))

    def loss(model, x, y):
        made = model(x)
        seen.append(made.dtype)
        return ((made - y) ** 2).sum(dim=1)

    model = network(run := Run(tmp_path, seed=1))
    fit(model, batches, loss, run, Recipe(epochs=3, lr=0.01, mixed=True))
    assert set(seen) == {torch.bfloat16}
    for name, weights in arrays(model).items():
        assert weights.dtype == np.float32
        assert weights == pytest.approx(exact[name], abs=0.03)
        assert not np.array_equal(weights, exact[name])


def test_items_are_cut_where_they_lie(tmp_path):
    seen = []

    def loss(model, x, y):
        seen.append((tuple(x.shape), tuple(y.shape)))
        if x.shape[1] > 2:
            raise torch.OutOfMemoryError("full")
        return model(x.T)[:, 0] - y

    batch = (np.ones((4, 4), np.float32), np.ones(4, np.float32))
    fit(nn.Linear(4, 1), lambda rng: [batch], loss, Run(tmp_path), Recipe(epochs=1, lr=0.1), item_axis=(1, 0))
    assert seen == [((4, 4), (4,)), ((4, 2), (2,)), ((4, 2), (2,))]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_whose_memory_ends_gets_smaller_pieces(tmp_path):
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(1e9 / total)
    try:
        run = Run(tmp_path, "embed/toy", seed=1, device="cuda")
        prepare(run)
        model = nn.Sequential(nn.Linear(3, 50_000), nn.Tanh(), nn.Linear(50_000, 1))
        x = np.random.default_rng(0).normal(size=(4096, 3)).astype(np.float32)  # 820 MB after a layer
        fit(model, lambda rng: [(x, x[:, :1])], squared, run, Recipe(epochs=2, lr=0.01))
        assert 2 <= run.batch_split <= 16
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_needs_no_package_but_torch_and_numpy():
    others = [
        "pyarrow",
        "pandas",
        "scipy",
        "sklearn",
        "numba",
        "gensim",
        "prefect",
        "dvc",
        "great_expectations",
        "distributed",
        "lightning_fabric",
    ]
    code = f"import sys, pipelines.fit; print([m for m in {others} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
