"""What a method is written against: its `Knobs`, and the `Run` that it is given.

    def embed(counts: Counts, params: Params, run: Run) -> Vectors

The names and types of the arguments before `params` are the method's inputs: a noun, a list of one
noun (`vectors: list[Vectors]`), or a noun that may be left out (`codings: Codings | None = None`).
"""

import contextlib
import copy
import json
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipelines.artifacts.parquet import A, Writer
from pipelines.deathsig import die_with_parent
from pipelines.errors import Fault

R = TypeVar("R")
# how far above the loss before the first step a training may be on its way, and at its end. On texts of 240 tokens rates twice the
# usual ones rose to 3.3 of it and ended at .5; with the usual batch none that stayed finite ended above 1.1, but for softmax
RISES, ENDS = 4.0, 1.5
PLATEAU = 3  # epochs; a single one without a gain may be chance
LOSSES = 3  # so often are the values that a map shares sent again, after a worker of a cluster died with them


class Knobs(BaseModel):
    """The parameters of a method: named, typed, in range; a key that is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    elsewhere: ClassVar[dict[str, str]] = {}  # what other tools call a knob -> what it is here


class Run:
    """What a method may know of the world: chance, device, threads, and where to say how far it is.

    Args:
        folder: the folder that the output is written into, aside from its final place.
        name: verb/row, for messages.
        seed: every source of chance comes from it.
        threads: a parameter like any other, never the number of cores: it may decide the bytes.
        device: `cpu`, or `cuda`.
        raw: the folder for downloads, kept from run to run; None where nothing may be downloaded.
        checkpoints: where a stage that was killed finds its last checkpoint; None keeps none.
        show: whether progress is printed.
        tell: called about once a second with how far the work is; see pipelines/live.py. None tells nobody.
        cluster: opens an executor that takes the place of this machine's processes; it decides no byte.
        fabric: Lightning's Fabric, in each of the processes that train one model together; see pipelines/fit.py.
    """

    def __init__(
        self, folder: Path | str, name: str = "", seed: int = 0, threads: int = 1, device: str = "cpu",
        raw: Path | None = None, checkpoints: Path | None = None, show: bool = False,
        tell: Callable[[dict[str, Any]], None] | None = None,
        cluster: Callable[[], contextlib.AbstractContextManager[Executor]] | None = None, fabric: Any = None,
    ):  # fmt: skip
        self.folder = Path(folder)
        self.name = name
        self.seed = seed
        self.threads = threads
        self.device = device
        self.raw = raw
        self.rng = np.random.default_rng(seed)
        self.checkpoint = Checkpoint(checkpoints, writes=fabric is None or fabric.is_global_zero)
        self.curve: list[dict[str, float]] = []
        self.cluster = cluster
        self.fabric = fabric
        self.batch_split = 1  # pieces that a batch is computed in; more than one where device memory ran out
        self._show = show
        self._tell = tell
        self._logged = 0.0

    def open(self, noun: type[A]) -> Writer[A]:
        """A writer for the output of this run."""
        return Writer(noun, self.folder)

    def part(self, name: str) -> "Run":
        """For one of several trainings within this run: a checkpoint and a curve of its own; chance and the rest as here."""
        part = copy.copy(self)
        part.name = f"{self.name}, {name}"
        part.checkpoint = type(self.checkpoint)(self.checkpoint.folder and self.checkpoint.folder / name, self.checkpoint.writes)
        part.curve = []
        return part

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the output's disk for what a method must put aside; gone afterwards."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".scratch-", dir=self.folder.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def executor(self) -> Iterator[Executor]:
        """The seam to more processes: the cluster's where there is one, else `threads` of this machine."""
        if self.cluster is not None:
            with self.cluster() as workers:
                yield workers
            return
        from multiprocessing import get_context

        # spawn: a fork copies locks that other threads (Arrow, torch) may hold
        with ProcessPoolExecutor(self.threads, get_context("spawn"), initializer=die_with_parent, initargs=(os.getpid(),)) as pool:
            try:
                yield pool
            except BrokenProcessPool as err:
                raise Fault(
                    f"{self.name}: one of its {self.threads} processes was killed, perhaps for memory. Run again, with fewer threads"
                ) from err

    def map(self, function: Callable[..., R], items: Iterable[Any], *shared: Any) -> Iterator[R]:
        """`function(item, *shared)` for each item, in the items' order, few items ahead.

        The results are the same for any number of processes. `function` is a module's function; `shared`
        goes once to each worker of a cluster, and along with each item to a process of this machine.
        """
        if self.cluster is None and self.threads == 1:
            yield from (function(item, *shared) for item in items)
            return
        with self.executor() as pool:
            n_threads, held, answer = self.threads, list(shared), Future.result
            if self.cluster is not None:
                n_threads, held, answer = pool.n_threads, pool.share(shared), pool.result  # type: ignore[attr-defined]
                self.say(f"works on a Dask cluster, {n_threads} threads")
            ahead: deque[tuple[Any, Future[R]]] = deque()

            def result() -> R:
                nonlocal ahead, held
                for losses_left in reversed(range(LOSSES)):
                    try:
                        done = answer(ahead[0][1])
                    except CancelledError:  # what they share was lost with a worker that died
                        if not losses_left or self.cluster is None:
                            raise
                        held = pool.share(shared)  # type: ignore[attr-defined]
                        ahead = deque((item, pool.submit(function, item, *held)) for item, _ in ahead)
                    else:
                        break
                ahead.popleft()
                return done

            for item in items:
                ahead.append((item, pool.submit(function, item, *held)))
                if len(ahead) > 2 * n_threads:
                    yield result()
            while ahead:
                yield result()

    @contextlib.contextmanager
    def progress(self, total: float | None, unit: str, what: str = "") -> "Iterator[Progress]":
        """Shows rate and time left: a bar on a terminal, a plain line now and then elsewhere."""
        bar = Progress(f"{self.name} {what}".strip(), total, unit, self._show, self._how_far)
        try:
            yield bar
        finally:
            bar.close()

    def log(self, **figures: float) -> None:
        """One point of the training curve (kept as curve.csv); no times here, they differ from run to run."""
        self.curve.append(figures)
        now = time.monotonic()
        if self._show and now - self._logged > 1.0:  # seconds; short epochs would bury the rest
            self._logged = now
            print(f"{self.name}: " + ", ".join(f"{k} {v:.5g}" for k, v in figures.items()), flush=True)

    def hold(self, loss: float, untrained: float, at: str, lr: float, usual: float, last: bool = False) -> None:
        """Ends a training that diverges, and lets no checkpoint be made of a state that may be on the way there.

        Args:
            loss: of the epoch until now.
            untrained: the loss before the first step.
            at: the step.
            lr: the rate there.
            usual: a learning rate that serves most texts.
            last: whether the training ends here.

        Raises:
            Fault: the loss is no number, or far above `untrained`.
        """
        self.checkpoint.good = loss < untrained * ENDS
        if self.checkpoint.good or (loss < untrained * RISES and not last):
            return
        was = f"{loss:.4g}, and was {untrained:.4g} before the first step" if np.isfinite(loss) else "no number any more"
        good = [point for point in self.curve if max(point["loss"], point.get("valid_loss", 0.0)) < untrained * ENDS]
        kept = self.last_good(good[-1] if good else None)
        lower = f"Lower lr ({usual} is usual)" if usual <= lr / 2 else f"Lower lr, say to a quarter, {lr / 4:.2g}"
        raise Fault(f"{self.name}: the loss is {was}, in {at}, with lr {lr:.4g}; {kept}. {lower}; with another lr it begins anew")

    def last_good(self, point: dict[str, float] | None) -> str:
        """For the fault of a training that diverges: which epoch was the last good one, and where it is kept. None: there was none."""
        if point is None:
            return "no epoch ended well"
        where = f" (checkpoint in {self.checkpoint.folder})" if self.checkpoint.folder else ""
        return f"the last good epoch is {point['epoch']:.0f}, loss {point['loss']:.4g}{where}"

    def stalled(self, least_gain: float) -> bool:
        """Whether the last PLATEAU epochs lowered the least loss by a smaller share of it than this, and says so; with 0 never."""
        losses = [point["loss"] for point in self.curve]
        if not least_gain or len(losses) <= PLATEAU or min(losses[-PLATEAU:]) <= min(losses[:-PLATEAU]) * (1 - least_gain):
            return False
        end = f"ends after epoch {self.curve[-1]['epoch']:.0f}"
        self.say(f"{end}: {PLATEAU} epochs lowered the loss by less than {least_gain:.3g} of it (least_gain)")
        return True

    def say_if_wide(self, vector_size: int, n_words: int) -> None:
        """Says so where vectors have more numbers than there are words to tell apart: no fault, for descent can do it, and no use."""
        if vector_size > n_words:
            self.say(
                f"vector_size is {vector_size:,}, and {n_words:,} words need no more than {n_words:,} numbers to be told apart. Lower it"
            )

    def _how_far(self, facts: dict[str, Any]) -> None:
        if self._tell is not None:
            self._tell({**facts, "figures": self.curve[-1] if self.curve else {}})

    def say(self, text: str) -> None:
        """One line for the person who watches."""
        if self._show:
            print(f"{self.name}: {text}", flush=True)


class Progress:
    """How far a long piece of work is; use it through `run.progress`."""

    every = 5.0  # seconds between plain lines
    tells_every = 1.0  # seconds between two calls of `tell`

    def __init__(self, what: str, total: float | None, unit: str, show: bool, tell: Callable[[dict[str, Any]], None] = lambda _: None):
        self.what, self.total, self.unit, self.done = what, total, unit, 0.0
        self.begun = 0.0
        self.first: tuple[float, float] | None = None  # when the first step had ended, and what was done then
        self.start = self.said = self.told = time.monotonic()
        self.tell = tell
        self.show, self.bar = show, None
        if show and sys.stdout.isatty():
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            rate = TextColumn("{task.fields[rate]}")
            self.bar = Bar(TextColumn("{task.description}"), BarColumn(), rate, TimeRemainingColumn(), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(what, total=total, rate="")

    def begin(self, done: float) -> None:
        """So much was done by an earlier process; it says nothing of this one's rate."""
        self.done = self.begun = done

    def advance(self, n: float = 1) -> None:
        self.done += n
        if not self.show:
            return
        now = time.monotonic()
        rate = self._rate(now)
        if now - self.told > self.tells_every:
            self.told = now
            self._say(rate)
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, rate=f"{_short(rate)} {self.unit}/s")
        elif now - self.said > self.every:
            self.said = now
            left = f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate else ""
            share = f" of {_short(self.total)}" if self.total else ""
            print(f"{self.what}: {_short(self.done)}{share} {self.unit}, {_short(rate)}/s{left}", flush=True)

    def _rate(self, now: float) -> float:
        # the first step may hold a compilation: as soon as there are others, it is left out
        self.first = self.first or (now, self.done)
        since, done = self.first if self.first[1] < self.done else (self.start, self.begun)
        return (self.done - done) / max(now - since, 1e-9)

    def _say(self, rate: float) -> None:
        left = (self.total - self.done) / rate if self.total and rate else None
        self.tell({"done": self.done, "total": self.total, "unit": self.unit, "rate": rate, "seconds_left": left})

    def close(self) -> None:
        if self.told > self.start:  # who was told how far it is hears of the end, too
            self._say(self._rate(time.monotonic()))
        if self.bar is not None:
            self.bar.stop()


def _short(n: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g}{letter}"
    return f"{n:.3g}"


class Checkpoint:
    """The last state of a long training, so that a killed stage goes on where it was.

    The folder is keyed by all inputs of the stage, so what is found there belongs to this very work.
    """

    def __init__(self, folder: Path | None, writes: bool = True):
        self.folder = folder
        self.good = True  # whether the state is worth keeping
        self.writes = writes  # of several processes that train one model, the first alone does

    def save(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        """Replaces the last checkpoint in one step, if the state is a good one: arrays as safetensors, `state` as JSON inside it."""
        if self.folder is None or not self.writes or not self.good:
            return
        from safetensors.numpy import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / "checkpoint.part"
        save_file({k: np.asarray(v, order="C") for k, v in arrays.items()}, aside, metadata={"state": json.dumps(state)})
        aside.replace(self.folder / "checkpoint.safetensors")

    def load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The last checkpoint, or None."""
        path = self.folder / "checkpoint.safetensors" if self.folder else None
        if path is None or not path.exists():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "np") as file:
                return {k: file.get_tensor(k) for k in file.keys()}, json.loads(file.metadata()["state"])  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as err:
            raise Fault(f"{path} is not a checkpoint ({err}). Delete it and run again; training starts anew") from err

    def clear(self) -> None:
        if self.folder is not None and self.writes:
            shutil.rmtree(self.folder, ignore_errors=True)
