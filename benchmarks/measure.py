"""What the benchmarks share: a text, and a process of its own for every contestant."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN, Tokens
from pipelines.method import Run
from pipelines.records import peak_bytes
from pipelines.tokenize import words

THREADS = min(2, len(os.sched_getaffinity(0)))


class Cost(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds, of all threads and processes
    peak: float  # MB of memory, the interpreter and its libraries included
    result: Any


class Timed(Run):
    """Keeps when each epoch ended."""

    def __init__(self, *args: Any, **more: Any):
        super().__init__(*args, **more)
        self.ends: list[float] = []

    def log(self, **figures: float) -> None:
        self.ends.append(time.perf_counter())
        super().log(**figures)


def measure(work: Callable[..., Any], *arguments: Any) -> Cost:
    """Runs work(*arguments) in a new process. `work` is a module's function; it may be a generator that
    yields once, when all is ready and the clock is to start, and again with the result."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return Cost(*pool.submit(_timed, work, arguments).result())


def _timed(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, float, float, Any]:
    import numba

    numba.set_num_threads(THREADS)
    steps = work(*arguments)
    next(steps)
    wall, cpu = time.perf_counter(), _cpu()
    result = next(steps)
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    return wall, cpu, peak_bytes() / 2**20, result


def _cpu() -> float:
    """Seconds of this process and of those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def text(folder: Path) -> tuple[Tokens, str]:
    """The tokens to work on, and what they are: Wikipedia where WORDLOOM_DATA has it, else made-up ones."""
    if (Path(os.environ.get("WORDLOOM_DATA", "/nowhere")) / "wikipedia").is_dir():
        return wikipedia(folder), "English Wikipedia articles of 2015 (6,512 documents, `[a-z0-9]+` in lower case, min_count 5)"
    return zipf(folder), "4 million made-up tokens drawn from a Zipf law (WORDLOOM_DATA names no folder with wikipedia/ in it)"


def wikipedia(folder: Path) -> Tokens:
    """WORDLOOM_DATA/wikipedia, the parts in their order, cut into words by the pipeline's own method."""
    with Run(folder / "corpus").open(Corpus) as out:
        for part in sorted((Path(os.environ["WORDLOOM_DATA"]) / "wikipedia").glob("*.parquet")):
            table = pq.read_table(part, columns=["id", "text"])
            n = table.num_rows
            out.append(doc_id=table["id"], text=table["text"], label=[None] * n, split=["train"] * n, group=[None] * n)
    params = words.Params(pattern="[a-z0-9]+", min_count=5)
    return words.tokenize(out.artifact, params, Run(folder / "tokens", threads=THREADS))


def zipf(folder: Path, n_documents: int = 1600, n_tokens: int = 2500, n_types: int = 70_000) -> Tokens:
    share = 1 / np.arange(1, n_types + 1)
    ids = np.random.default_rng(0).choice(n_types, (n_documents, n_tokens), p=share / share.sum()).astype(np.int32) + 1
    with Run(folder / "tokens").open(Tokens) as out:
        names = [f"d{i}" for i in range(n_documents)]
        offsets = np.arange(n_documents + 1) * n_tokens
        out.append(doc_id=names, split=["train"] * n_documents, label=[None] * n_documents, token_ids=(ids.reshape(-1), offsets))
        vocab = [UNKNOWN, *(f"w{i}" for i in range(1, n_types + 1))]
        out.append("vocab", token_id=np.arange(n_types + 1), token=vocab, count=np.bincount(ids.reshape(-1), minlength=n_types + 1))
    return out.artifact


def race(unit: str, rows: list[tuple[str, Cost, int]], **more: list[str]) -> str:
    """A Markdown table of (name, cost, how many items it dealt with); the first is the measure of the others.

    On a machine that others use, the CPU seconds are what to compare.
    """
    _, first, n_first = rows[0]
    lines = [["", unit, "wall", "CPU", f"{unit}/s", "peak memory", *more, "wall, times the first", "CPU, times the first"]]
    lines.append(["---", *["--:"] * (len(lines[0]) - 1)])
    for i, (name, cost, n) in enumerate(rows):
        ratios = [(cost.wall / n) / (first.wall / n_first), (cost.cpu / n) / (first.cpu / n_first)]
        lines.append([
            name, many(n, 1), f"{cost.wall:.1f} s", f"{cost.cpu:.1f} s", many(n / cost.wall, 2), f"{cost.peak:,.0f} MB",
            *(column[i] for column in more.values()), *(f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}" for ratio in ratios),
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def many(n: float, digits: int) -> str:
    return f"{n / 1e6:.{digits}f} M" if n >= 1e5 else f"{n:,.0f}"


def table(lines: list[list[str]]) -> None:
    """Prints them as Markdown; the first is the heading, and all but the first column are numbers."""
    for i, line in enumerate(lines):
        print(f"| {' | '.join(line)} |")
        if not i:
            print(f"| --- | {' | '.join(['--:'] * (len(line) - 1))} |")


def costs(name: str, cost: Cost) -> list[str]:
    return [name, f"{cost.wall:.1f} s", f"{cost.cpu:.1f} s", f"{cost.peak:,.0f} MB"]
