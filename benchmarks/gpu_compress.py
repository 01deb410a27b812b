"""Autoencoders on a GPU: what the CPU does, and how fast.

python -m benchmarks.gpu_compress [--device cpu] [--few]

400,000 vectors of 300 numbers (those of benchmarks/autoencoders.py), through 100 to 30 numbers and back; nothing of Prefect,
DVC or Great Expectations. First one epoch on the device is held against the same on the CPU. Then each row trains, and the
epochs after the first are timed; rows/s of coding are of codings with their errors, read from Parquet and written.
`--device cpu --few` is a trial of the whole without a GPU.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import autoencoders
from benchmarks.measure import THREADS, Timed
from pipelines.artifacts.vectors import Vectors
from pipelines.compress import stacked, variational
from pipelines.method import Run

# name -> (method, knobs)
ROWS: dict[str, tuple[Any, dict[str, Any]]] = {
    f"{module.__name__.rpartition('.')[2]}, batches of {size:,}{', mixed' * mixed}": (module, {"batch_size": size, "mixed": mixed})
    for module in (stacked, variational)
    for size in (2048, 16_384, 65_536)
    for mixed in (False, True)
}
TOLERANCE = 0.01  # of the loss after an epoch


def same_as_the_cpu(vectors: Vectors, folder: Path, device: str) -> None:
    """Raises AssertionError where the loss of an epoch is further off than TOLERANCE of it."""
    params = stacked.Params(sizes=autoencoders.SIZES, epochs=1, batch_size=2048)
    runs = [Run(folder / f"same-{i}", seed=1, device=where, threads=THREADS) for i, where in enumerate(("cpu", device))]
    for run in runs:
        stacked.compress(vectors, params, run)
    ours, theirs = (run.curve[-1]["loss"] for run in runs)
    print(f"stacked, one epoch: loss {ours:.5f} on the CPU, {theirs:.5f} on {device}")
    assert abs(ours - theirs) <= TOLERANCE * ours


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--epochs", type=int, default=10)
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("This machine has no usable GPU. Say --device cpu --few to try it without one")
    if asked.few:
        autoencoders.N = 50_000
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        vectors = autoencoders.cloud(folder)
        same_as_the_cpu(vectors, folder, asked.device)
        print(
            f"\n| {vectors.n_rows():,} vectors, {asked.device} | training, M rows/s | coding, M rows/s | loss |\n| --- | --: | --: | --: |"
        )
        for name in asked.rows or ROWS:
            module, knobs = ROWS[name]
            params = module.Params(sizes=autoencoders.SIZES, epochs=asked.epochs, activation="relu", **knobs)
            run = Timed(folder / "codings", seed=1, device=asked.device, threads=THREADS)
            module.compress(vectors, params, run)
            coding = time.perf_counter() - run.ends[-1]
            epochs = np.diff(run.ends)
            figures = f"{vectors.n_rows() / epochs.mean() / 1e6:.2f} | {vectors.n_rows() / coding / 1e6:.2f} | {run.curve[-1]['loss']:.4f}"
            print(f"| {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
