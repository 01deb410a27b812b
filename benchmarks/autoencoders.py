"""Training an autoencoder and coding with it, against a plain loop over a DataLoader.

python -m benchmarks.autoencoders

400,000 vectors of 300 numbers (a Gaussian cloud whose directions have variances that fall like those of word vectors),
through 100 to 30 numbers and back, batches of 2,048, Adam.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.measure import THREADS, measure, race
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import rebuild
from pipelines.coding import decode
from pipelines.compress import stacked
from pipelines.method import Run

N, D, SIZES, BATCH = 400_000, 300, [100, 30], 2048


def cloud(folder: Path) -> Vectors:
    rng = np.random.default_rng(0)
    turn = (np.linalg.qr(rng.normal(size=(D, D)))[0] * np.arange(1, D + 1) ** -0.5).astype(np.float32)
    with Run(folder / "vectors").open(Vectors) as out:
        for start in range(0, N, 50_000):
            x = rng.standard_normal((50_000, D), np.float32) @ turn.T
            out.append(item=[f"w{i}" for i in range(start, start + len(x))], count=np.ones(len(x)), label=[None] * len(x), vector=x)
    return out.artifact


def ours(folder: Path, epochs: int) -> Iterator[float | None]:
    """Trains, codes and writes; the last epoch's loss."""
    run = Run(folder / f"codings {epochs}", seed=1, threads=THREADS)
    params = stacked.Params(sizes=SIZES, batch_size=BATCH, epochs=epochs, activation="relu")
    yield None
    stacked.compress(Vectors(folder / "vectors"), params, run)
    yield run.curve[-1]["loss"]


def plain(folder: Path, epochs: int) -> Iterator[float | None]:
    """The same network as one would write it by hand, all in memory, nothing written."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    x = torch.from_numpy(Vectors(folder / "vectors").matrix())
    yield None
    x = (x - x.mean(0)) / (x - x.mean(0)).pow(2).mean().sqrt()
    model = nn.Sequential(nn.Linear(D, 100), nn.ReLU(), nn.Linear(100, 30), nn.Linear(30, 100), nn.ReLU(), nn.Linear(100, D))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    loader = DataLoader(TensorDataset(x), batch_size=BATCH, shuffle=True)
    for _ in range(epochs):
        total = 0.0
        for (batch,) in loader:
            loss = nn.functional.mse_loss(model(batch), batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        decay.step()
    yield total / N


@torch.no_grad()
def encode(folder: Path) -> Iterator[float | None]:
    """Codings alone, from Parquet, piece by piece."""
    torch.set_num_threads(THREADS)
    from pipelines.artifacts.codings import Codings

    model = rebuild(*Codings(folder / "codings 2").model())
    vectors = Vectors(folder / "vectors")
    yield None
    yield sum(float(model.encode(torch.from_numpy(piece)).sum()) for piece in vectors.pieces())


def back(folder: Path) -> Iterator[float | None]:
    torch.set_num_threads(THREADS)
    from pipelines.artifacts.codings import Codings

    yield None
    yield float(decode(Codings(folder / "codings 2")).sum())


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cloud(folder)
        print(f"{N:,} vectors, {D}-{'-'.join(map(str, SIZES))}, batches of {BATCH:,}; {THREADS} threads.\n")
        # what training costs beyond the reading, coding and writing that both of our runs do
        once, thrice = measure(ours, folder, 2), measure(ours, folder, 5)
        loop = measure(plain, folder, 3)
        training = once._replace(wall=thrice.wall - once.wall, cpu=thrice.cpu - once.cpu, peak=thrice.peak, result=thrice.result)
        made = [("`stacked`, three epochs", training, 3 * N), ("a loop over a DataLoader, three epochs", loop, 3 * N)]
        made += [("`stacked`, read, two epochs, coded and written", once, 2 * N)]
        print(race("rows", made, loss=[f"{cost.result:.4f}" for _, cost, _ in made]))
        coded = [("encoding, read from Parquet", measure(encode, folder), N), ("decoding, read from Parquet", measure(back, folder), N)]
        print("\n" + race("rows", coded))


if __name__ == "__main__":
    sys.exit(main())
