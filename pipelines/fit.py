"""The one training loop in torch: seed, device, epochs, early stop, checkpoint, progress.

    prepare(run)                                     # seeds torch, so before the model is made
    model = Net(...)
    fit(model, batches, loss, run, Recipe(epochs=5, lr=1e-3), validate, n_items=n)
    for scores in apply(model, batches_of_others, run): ...

Each epoch draws its chance from (seed, epoch) alone. A training that was killed and goes on from its
checkpoint therefore ends with the same bytes, and no generator's state has to be kept.

Where device memory runs out, a batch is computed in 2, 4, ... pieces whose gradients are added up. With
several devices (run.fabric) each computes a piece of every batch. Either way a step descends the mean
over the whole batch; but what a layer draws or takes a mean of (dropout, batch norm) is of its piece,
so the weights are then not those of an undivided batch.
"""

import contextlib
import functools
import gc
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.errors import Fault

if TYPE_CHECKING:  # so that the loop runs where there is no Arrow
    from pipelines.method import Run

Batch = Sequence[
    np.ndarray | Tensor
]  # what a model is called with, and a loss after its model; tensors where they are on the device already
Axis = int | Sequence[int]  # along which a part of a batch holds its items: one for all parts, or one each
Weights = dict[str, Tensor]
Point = dict[str, float]  # of the training curve
T = TypeVar("T")
# how far above the untrained network's loss a training may end; above 1, where that is less, as by chance or where what begins is trained
# already. On 300 short texts the best epochs of six kinds of network lost, the less of train and valid, up to 1 of it at 150 times the usual
# rate, and 4 to 7e4 of it, or were no numbers, at 5,000 times
FAR = 10.0
MAX_SPLIT = 16  # pieces of a batch, at most; beyond it a batch that size was no good idea
# fused: one pass over the memory, a fifth of the time for a table of 49,000 word vectors on two cores
ADAM = functools.partial(torch.optim.Adam, fused=True)


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Args:
        epochs: at most so many passes over the batches.
        lr: learning rate of the first epoch.
        decay: `none`; `cosine`, half a cosine from lr in the first epoch towards 0 after the last; `linear`, a straight line there;
            `plateau`, half of it after each epoch without a lower valid_loss, whoever is the judge: accuracy stands still at
            first, and rates would fall before anything is learned.
        clip: the largest norm that a step's gradient may have; None leaves gradients alone.
        patience: stop after so many epochs that are not better than the best one; None trains all epochs.
        judge: the figure of validation by which an epoch is better: a lower valid_loss, or a higher valid_accuracy.
        l2: so much times each weight is added to its gradient.
        ema: validation, and what is kept, are of the weights' average over the steps, in which a step counts this much less
            than the one after it (0.999, say; less in the first steps, as otherwise the random start would stay in it).
        mixed: products of matrices take bfloat16, the weights stay float32 (Micikevicius et al. 2018; no scaling of the
            loss, bfloat16 has the range of float32). Recurrent layers on CUDA take float16 instead: torch has them so.
        optimiser: a class of torch.optim, or a partial of one, called with (parameters, lr=lr).
        causes: the knobs that are too large where a training goes astray, as advice names them.
    """

    epochs: int
    lr: float
    decay: Literal["none", "cosine", "linear", "plateau"] = "none"
    clip: float | None = None
    patience: int | None = None
    l2: float = 0.0
    ema: float | None = None
    mixed: bool = False
    optimiser: Callable[..., torch.optim.Optimizer] = ADAM
    judge: Literal["loss", "accuracy"] = "loss"
    causes: str = "lr"

    def cost(self, figures: dict[str, float]) -> float:
        """Of an epoch that was judged; less is better."""
        return figures["valid_loss"] if self.judge == "loss" else 1 - figures["valid_accuracy"]

    def lr_of(self, epoch: int, curve: Sequence[dict[str, float]] = ()) -> float:
        """Epochs count from 1; the curve is that of the epochs before."""
        done = (epoch - 1) / self.epochs
        if self.decay == "plateau":
            losses = [math.inf, *(row["valid_loss"] for row in curve[: epoch - 1] if "valid_loss" in row)]
            return self.lr / 2 ** sum(loss >= min(losses[:i]) for i, loss in enumerate(losses) if i)
        return self.lr * {"none": 1.0, "cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done}[self.decay]


def prepare(run: "Run") -> torch.device:
    """Seeds torch and sets its threads and determinism; call it before a model draws its first weights."""
    # cuBLAS reads this when its first handle is made; without it torch refuses to be deterministic on CUDA
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # finds faults of torch itself, at the price of time
    torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    return torch.device(run.device)


def fit(
    model: nn.Module,
    batches: Callable[[np.random.Generator], Iterable[Batch]],
    loss: Callable[..., Tensor],
    run: "Run",
    recipe: Recipe,
    validate: Callable[[], dict[str, float]] | None = None,
    n_items: int | None = None,
    item_axis: Axis = 0,
) -> int:
    """Trains `model` in place, on run.device.

    Args:
        batches: the batches of one epoch, in an order that it draws from the generator it is given.
        loss: loss(model, *batch) -> one loss per item of the batch; a step descends their mean.
        validate: figures of the model as it is, `valid_loss` among them; called after each epoch in
            evaluation mode. The weights of the best epoch, see Recipe.judge, are kept.
        n_items: items in an epoch, so that the time left can be told.
        item_axis: where the items lie in the parts of a batch.

    Returns:
        The epoch, from 1, whose weights the model now has.

    Raises:
        Fault: the loss is no longer a number, or ends FAR above the untrained network's (with `validate`: valid_loss, in every epoch);
            the device has too little memory even for a piece of a batch.
    """
    try:
        return _fit(model, batches, loss, run, recipe, validate, n_items, item_axis)
    except torch.OutOfMemoryError as err:  # the weights, the optimiser's state
        raise Fault(_no_memory(run, "the model itself and its optimiser", err)) from err


def _fit(model, batches, loss, run, recipe, validate, n_items, item_axis) -> int:
    device = prepare(run)
    model.to(device)
    more = {"weight_decay": recipe.l2} if recipe.l2 else {}
    optimiser = recipe.optimiser([p for p in model.parameters() if p.requires_grad], lr=recipe.lr, **more)
    average = Average(model, recipe.ema) if recipe.ema else None
    epoch, best_epoch, best_cost, best, untrained = _resume(model, optimiser, average, run)
    good = run.curve[-1] if epoch else None  # of the last epoch that was good; no other is kept
    start = _copy(model) if validate and not epoch else {}
    if validate is None and recipe.patience:
        run.say(
            f"valid has nothing to judge by, no document or none with a label that train has: all {recipe.epochs} epochs, no early stop"
        )

    with run.progress(n_items and n_items * recipe.epochs, "items") as bar:
        bar.begin((n_items or 0) * epoch)
        while epoch < recipe.epochs and not (recipe.patience and epoch - best_epoch >= recipe.patience):
            epoch += 1
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr_of(epoch, run.curve)
            ledger = _epoch(model, batches, loss, optimiser, average, run, recipe, epoch, good, item_axis, bar.advance)
            figures = {"loss": ledger.total / ledger.n_items}
            model.eval()
            figures |= _judged(model, average and average.weights, validate) if validate else {}
            if run.fabric:
                figures = _agreed(figures, run)
            # a last step, which no later loss would show, can lose them all; what is kept is then the epoch before
            if not (math.isfinite(figures.get("valid_loss", 0.0)) and all(bool(it.isfinite().all()) for it in model.parameters())):
                raise Fault(_diverged(run, recipe, epoch, _no_number(figures["loss"]), good, ", after its last step"))
            run.log(epoch=epoch, **figures)
            reached = figures.get("valid_loss", figures["loss"])
            if epoch == 1:
                untrained = ledger.first
                if validate and reached > FAR * max(untrained, 1.0):  # or is valid harder than train, to anybody?
                    figure = {"valid_loss": _judged(model, start, validate)["valid_loss"]}
                    untrained = max(untrained, (_agreed(figure, run) if run.fabric else figure)["valid_loss"])
                start = {}  # makes room for `best`
            if reached > FAR * max(untrained, 1.0):
                continue
            good = run.curve[-1]
            if validate is None:
                best_epoch = epoch
            elif recipe.cost(figures) < best_cost:
                best_epoch, best_cost, best = epoch, recipe.cost(figures), average.copy() if average else _copy(model)
            _keep(model, optimiser, average, run, epoch, best_epoch, best_cost, best, untrained)

    if best_epoch < (1 if validate else epoch):
        what = ", ".join(f"{name} {figures[name]:.4g}" for name in ("loss", "valid_loss") if name in figures)
        raise Fault(_diverged(run, recipe, epoch, f"the training went astray ({what}; the untrained network's was {untrained:.4g})", good))
    if best or average:
        model.load_state_dict(best or average.weights)
    model.eval()
    return best_epoch


class Average:
    """The weights' moving average over the steps."""

    def __init__(self, model: nn.Module, decay: float):
        self.model, self.decay, self.n_steps = model, decay, 0
        self.weights = _copy(model)

    @torch.no_grad()
    def step(self) -> None:
        self.n_steps += 1
        share = 1 - min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))  # as TensorFlow begins it
        for name, weights in self.model.state_dict().items():
            if weights.is_floating_point():
                self.weights[name].lerp_(weights, share)
            else:
                self.weights[name].copy_(weights)  # a count

    def copy(self) -> Weights:
        return {name: weights.clone() for name, weights in self.weights.items()}


def apply(model: nn.Module, batches: Iterable[Batch], run: "Run", item_axis: Axis = 0) -> Iterator[np.ndarray]:
    """model(*batch) of each batch, in evaluation mode, as NumPy; items come out along the first axis. Raises Fault as `fit` does."""
    device = torch.device(run.device)
    model.to(device).eval()

    def result(pieces: list[Batch]) -> np.ndarray:
        return np.concatenate([model(*_on(device, piece)).cpu().numpy() for piece in pieces])

    for batch in batches:
        with torch.no_grad():
            rows = _within_memory(result, batch, item_axis, run)
        yield rows


def arrays(model: nn.Module) -> dict[str, np.ndarray]:
    """The model's weights as an artifact keeps them."""
    return {name: weights.cpu().numpy() for name, weights in model.state_dict().items()}


@torch.no_grad()
def _judged(model: nn.Module, weights: Weights | None, validate: Callable[[], dict[str, float]]) -> dict[str, float]:
    """The figures of the model, with other weights for as long as that takes, where some are given."""
    if weights is None:
        return validate()
    last = _copy(model)
    model.load_state_dict(weights)
    figures = validate()
    model.load_state_dict(last)
    return figures


def _epoch(model, batches, loss, optimiser, average, run, recipe, epoch, good, item_axis, advance) -> "Ledger":
    """One pass over the batches."""
    rng = np.random.default_rng([run.seed, epoch])
    n_ranks, rank = (run.fabric.world_size, run.fabric.global_rank) if run.fabric else (1, 0)
    kind = torch.device(run.device).type
    torch.manual_seed((int(rng.integers(2**63)) + rank) % 2**63)  # dropout
    model.train()
    ledger = Ledger(run, recipe, epoch, good)
    for step, batch in enumerate(batches(rng), 1):
        n = _n_items(batch, item_axis)
        shares = _pieces(batch, item_axis, n_ranks)

        def gradients(pieces: list[Batch], n=n) -> Tensor:
            """Leaves the gradients of these pieces' part of the batch's mean loss, and gives that part."""
            optimiser.zero_grad(set_to_none=True)
            part = torch.zeros((), device=run.device)
            for piece in pieces:
                with mixed_precision(model, kind, kind == "cuda") if recipe.mixed else contextlib.nullcontext():
                    losses = loss(model, *_on(torch.device(run.device), piece))  # (items,)
                if len(losses) != _n_items(piece, item_axis):
                    raise Fault(
                        f"{run.name}: {len(losses)} losses for {_n_items(piece, item_axis)} items; one each, along item_axis of a batch"
                    )
                mean = losses.mean() * (len(losses) / n)  # of a whole batch: times 1
                mean.backward()
                part = part + mean.detach()
            return part

        # a short batch may have no item for the last ranks
        part = _within_memory(gradients, shares[rank], item_axis, run) if rank < len(shares) else gradients([])
        mean = _summed(part, model, run) if run.fabric else part
        ledger.add(step, n, mean, nn.utils.clip_grad_norm_(model.parameters(), recipe.clip) if recipe.clip else mean)
        optimiser.step()
        if average:
            average.step()
        advance(n)
    ledger.settle()
    if not ledger.n_items:
        raise Fault(f"{run.name}: there is nothing to train on, the first epoch had no batch")
    return ledger


@contextlib.contextmanager
def mixed_precision(model: nn.Module, device: str, cells: bool) -> Iterator[None]:
    """bfloat16 where that loses little.

    Args:
        cells: recurrent layers stay in float32. On a GPU they would be in float16 whatever is asked for (torch, ATen/cudnn/AutocastRNN.cpp),
            and gradients below 6e-8 be nothing, as no scale is put on the loss; of float32 cuDNN makes TF32.
    """
    inside: list[torch.autocast] = []

    def begin(_: nn.Module, args: tuple) -> tuple:
        inside.append(torch.autocast(device, enabled=False))
        inside[-1].__enter__()
        return tuple(map(_whole, args))

    def end(*_: object) -> None:
        inside.pop().__exit__(None, None, None)

    layers = [it for it in model.modules() if isinstance(it, nn.RNNBase)] if cells else []
    hooks = [hook for it in layers for hook in (it.register_forward_pre_hook(begin), it.register_forward_hook(end, always_call=True))]
    try:
        with torch.autocast(device, torch.bfloat16):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _whole(it: T) -> T:
    """float32 of a tensor or packed sequence, of those in a tuple, and of nothing."""
    if it is None:
        return None
    return it.float() if hasattr(it, "float") else tuple(map(_whole, it))


class Ledger:
    """The steps' losses and gradients' norms, asked of a GPU many steps at a time: a host that waits for each step leaves it idle."""

    def __init__(self, run: "Run", recipe: Recipe, epoch: int, good: Point | None):
        self.run, self.recipe, self.epoch, self.good = run, recipe, epoch, good
        self.first, self.total, self.n_items = math.nan, 0.0, 0  # the first step's loss; the sum of the items'
        self.steps: list[tuple[int, int]] = []
        self.figures: list[Tensor] = []
        self.size = 1 if torch.device(run.device).type == "cpu" else 50

    def add(self, step: int, n: int, mean: Tensor, norm: Tensor) -> None:
        """Raises Fault where the loss or the gradient of a step is no number: on the processor before that step is made."""
        self.steps.append((step, n))
        self.figures += mean, norm
        if len(self.steps) == self.size:
            self.settle()

    def settle(self) -> None:
        figures = torch.stack([it.double() for it in self.figures]).reshape(-1, 2).tolist() if self.steps else []
        for (step, n), (mean, norm) in zip(self.steps, figures, strict=True):
            if not (math.isfinite(mean) and math.isfinite(norm)):
                where = f", step {step}, a batch of {n}"
                raise Fault(_diverged(self.run, self.recipe, self.epoch, _no_number(mean), self.good, where))
            self.first = self.first if self.n_items else mean
            self.total += mean * n
            self.n_items += n
        self.steps, self.figures = [], []


def _within_memory(work: Callable[[list[Batch]], T], batch: Batch, item_axis: Axis, run: "Run") -> T:
    """work(pieces of the batch); when device memory runs out, again from the same chance, in twice as many pieces."""
    device = torch.device(run.device)
    while True:
        chance = torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        try:
            return work(_pieces(batch, item_axis, run.batch_split))
        except torch.OutOfMemoryError as err:
            n = _n_items(batch, item_axis)
            if run.batch_split >= min(MAX_SPLIT, n):
                what = f"a batch of {n}" + (f" even in {min(run.batch_split, n)} pieces" if run.batch_split > 1 else "")
                raise Fault(_no_memory(run, what, err)) from err
        # only here is the error gone, whose frames held on to the tensors
        run.batch_split *= 2
        run.say(f"out of memory on {run.device}: from here on a batch is computed in {run.batch_split} pieces")
        gc.collect()
        torch.set_rng_state(chance[0])
        if chance[1] is not None:
            torch.cuda.empty_cache()
            torch.cuda.set_rng_state(chance[1], device)


def _no_memory(run: "Run", what: str, err: Exception) -> str:
    reason = str(err).strip().split(". ")[0]
    return f"{run.name}: {run.device} has too little memory for {what} ({reason}). Lower batch_size or the model's sizes, or take another device"


def _n_items(batch: Batch, item_axis: Axis) -> int:
    return batch[0].shape[item_axis if isinstance(item_axis, int) else item_axis[0]]


def _pieces(batch: Batch, item_axis: Axis, n: int) -> list[Batch]:
    """The batch cut into n pieces of about equally many items, or one for each item where they are fewer."""
    n = max(min(n, _n_items(batch, item_axis)), 1)
    axes = [item_axis] * len(batch) if isinstance(item_axis, int) else item_axis
    return [batch] if n == 1 else list(zip(*(_cut(part, n, axis) for part, axis in zip(batch, axes, strict=True)), strict=True))


def _cut(part: np.ndarray | Tensor, n: int, axis: int) -> Sequence[np.ndarray | Tensor]:
    return torch.tensor_split(part, n, axis) if isinstance(part, Tensor) else np.array_split(part, n, axis)


def _summed(part: Tensor, model: nn.Module, run: "Run") -> Tensor:
    """Adds up the ranks' gradients, and their parts of the loss, in one exchange."""
    trained = [p for p in model.parameters() if p.requires_grad]
    own = [p.new_zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in trained]
    summed = run.fabric.all_reduce(torch.cat([part.reshape(1), *own]), reduce_op="sum")
    for p, gradient in zip(trained, summed[1:].split([p.numel() for p in trained]), strict=True):
        p.grad = gradient.view_as(p)
    return summed[0]


def _agreed(figures: dict[str, float], run: "Run") -> dict[str, float]:
    """The first rank's figures, so that all go on or stop together; and the finest split that one of them needed."""
    mine = [*figures.values()] if run.fabric.is_global_zero else [0.0] * len(figures)
    first = run.fabric.all_reduce(torch.tensor(mine, dtype=torch.float64, device=run.device), reduce_op="sum")
    run.batch_split = int(run.fabric.all_reduce(torch.tensor(run.batch_split, device=run.device), reduce_op="max"))
    return dict(zip(figures, first.tolist(), strict=True))


def _no_number(loss: float) -> str:
    return f"the loss, its gradient or a weight is not a number any more (loss {loss:.4g})"


def _diverged(run: "Run", recipe: Recipe, epoch: int, what: str, good: Point | None, where: str = "") -> str:
    advice = f"Lower {recipe.causes}" + ("" if recipe.clip else ", or set clip (1.0 is usual)")
    return (
        f"{run.name}: {what} in epoch {epoch}{where} with lr {recipe.lr_of(epoch, run.curve):.4g}; {run.last_good(good)}. "
        f"{advice}, or look for values far from the rest in the inputs; with another lr it begins anew"
    )


def _on(device: torch.device, batch: Batch) -> list[Tensor]:
    # "W": Arrow hands out arrays that nobody may write to, and torch knows no such tensors
    parts = [part if isinstance(part, Tensor) else torch.from_numpy(np.require(part, requirements="W")) for part in batch]
    if device.type == "cuda":  # from pinned memory a GPU fetches them while the host goes on
        parts = [part if part.is_cuda else part.pin_memory() for part in parts]
    return [part.to(device, non_blocking=True) for part in parts]


def _copy(model: nn.Module) -> Weights:
    return {name: weights.detach().clone() for name, weights in model.state_dict().items()}


def _keep(
    model: nn.Module, optimiser: torch.optim.Optimizer, average: Average | None, run: "Run", epoch: int, best_epoch: int,
    best_cost: float, best: Weights, untrained: float,
) -> None:  # fmt: skip
    """Everything that the next epoch depends on, in one file."""
    if run.checkpoint.folder is None or not run.checkpoint.writes:
        return
    tensors = {f"model.{name}": weights for name, weights in model.state_dict().items()}
    tensors |= {f"best.{name}": weights for name, weights in best.items()}
    tensors |= {f"average.{name}": weights for name, weights in (average.weights if average else {}).items()}
    numbers = {}
    for i, slots in optimiser.state_dict()["state"].items():
        for name, value in slots.items():
            (tensors if isinstance(value, Tensor) else numbers)[f"optimiser.{i}.{name}"] = value
    state = {"epoch": epoch, "best_epoch": best_epoch, "best_cost": best_cost, "untrained": untrained, "curve": run.curve}
    state |= {"optimiser": numbers, "batch_split": run.batch_split, "n_averaged": average.n_steps if average else 0}
    # a scalar is kept as it is: Adam's count of steps has no dimension
    run.checkpoint.save({name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}, state)


def _resume(
    model: nn.Module, optimiser: torch.optim.Optimizer, average: Average | None, run: "Run"
) -> tuple[int, int, float, Weights, float]:
    """(epoch, best_epoch, best_cost, best, untrained) of the last checkpoint; of a fresh start without one."""
    found = run.checkpoint.load()
    if found is None:
        return 0, 0, math.inf, {}, math.nan
    kept, state = found
    tensors = {name: torch.from_numpy(array) for name, array in kept.items()}

    def part(prefix: str) -> Weights:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    model.load_state_dict(part("model."))
    slots: dict[int, dict] = {}
    for name, value in {**part("optimiser."), **{k.removeprefix("optimiser."): v for k, v in state["optimiser"].items()}}.items():
        i, slot = name.split(".", 1)
        slots.setdefault(int(i), {})[slot] = value
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
    run.curve[:], run.batch_split = state["curve"], state["batch_split"]
    run.say(f"goes on after epoch {state['epoch']}")
    best = {name: tensor.to(run.device) for name, tensor in part("best.").items()}
    if average:
        average.weights = {name: tensor.to(run.device) for name, tensor in part("average.").items()}
        average.n_steps = state["n_averaged"]
    return state["epoch"], state["best_epoch"], state["best_cost"], best, state["untrained"]
