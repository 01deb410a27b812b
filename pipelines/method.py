"""What a method is written against: its `Knobs`, and the `Run` that it is given.

    def embed(counts: Counts, params: Params, run: Run) -> Vectors

The names and types of the arguments before `params` are the method's inputs: a noun, a list of one
noun (`vectors: list[Vectors]`), or a noun that may be left out (`codings: Codings | None = None`).
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipelines.artifacts.parquet import A, Writer
from pipelines.deathsig import die_with_parent
from pipelines.errors import Fault

T = TypeVar("T")
R = TypeVar("R")


class Knobs(BaseModel):
    """The parameters of a method: named, typed, in range; a key that is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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
    """

    def __init__(
        self, folder: Path | str, name: str = "", seed: int = 0, threads: int = 1, device: str = "cpu",
        raw: Path | None = None, checkpoints: Path | None = None, show: bool = False,
    ):  # fmt: skip
        self.folder = Path(folder)
        self.name = name
        self.seed = seed
        self.threads = threads
        self.device = device
        self.raw = raw
        self.rng = np.random.default_rng(seed)
        self.checkpoint = Checkpoint(checkpoints)
        self.curve: list[dict[str, float]] = []
        self._show = show
        self._logged = 0.0

    def open(self, noun: type[A]) -> Writer[A]:
        """A writer for the output of this run."""
        return Writer(noun, self.folder)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the output's disk for what a method must put aside; gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix=".scratch-", dir=self.folder.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def executor(self) -> Iterator[Executor]:
        """The seam to more processes: `threads` of them here, a cluster elsewhere."""
        from multiprocessing import get_context

        # spawn: a fork copies locks that other threads (Arrow, torch) may hold
        with ProcessPoolExecutor(self.threads, get_context("spawn"), initializer=die_with_parent, initargs=(os.getpid(),)) as pool:
            yield pool

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """`function` of each item, in the items' order, on `threads` processes, few items ahead.

        The results are the same for any number of processes. `function` is a module's function.
        """
        if self.threads == 1:
            yield from map(function, items)
            return
        with self.executor() as pool:
            ahead: deque[Future[R]] = deque()
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) > 2 * self.threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    @contextlib.contextmanager
    def progress(self, total: float | None, unit: str, what: str = "") -> "Iterator[Progress]":
        """Shows rate and time left: a bar on a terminal, a plain line now and then elsewhere."""
        bar = Progress(f"{self.name} {what}".strip(), total, unit, self._show)
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

    def say(self, text: str) -> None:
        """One line for the person who watches."""
        if self._show:
            print(f"{self.name}: {text}", flush=True)


class Progress:
    """How far a long piece of work is; use it through `run.progress`."""

    every = 5.0  # seconds between plain lines

    def __init__(self, what: str, total: float | None, unit: str, show: bool):
        self.what, self.total, self.unit, self.done = what, total, unit, 0.0
        self.start = self.said = time.monotonic()
        self.show, self.bar = show, None
        if show and sys.stdout.isatty():
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            rate = TextColumn("{task.fields[rate]}")
            self.bar = Bar(TextColumn("{task.description}"), BarColumn(), rate, TimeRemainingColumn(), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(what, total=total, rate="")

    def advance(self, n: float = 1) -> None:
        self.done += n
        if not self.show:
            return
        now = time.monotonic()
        rate = self.done / max(now - self.start, 1e-9)
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, rate=f"{_short(rate)} {self.unit}/s")
        elif now - self.said > self.every:
            self.said = now
            left = f", {(self.total - self.done) / rate:.0f} s left" if self.total else ""
            share = f" of {_short(self.total)}" if self.total else ""
            print(f"{self.what}: {_short(self.done)}{share} {self.unit}, {_short(rate)}/s{left}", flush=True)

    def close(self) -> None:
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

    def __init__(self, folder: Path | None):
        self.folder = folder

    def save(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        """Replaces the last checkpoint in one step: arrays as safetensors, `state` as JSON inside it."""
        if self.folder is None:
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
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
