"""GloVe: embed/glove against the same descent in PyTorch.

python -m benchmarks.glove

Both train one epoch, D = 100, x_max 10, on the counts of a twentieth of the documents, and report
the same loss; then embed/glove alone on all of them. PyTorch has sparse gradients and AdaGrad, and steps
once a batch of pairs, not once a pair: the larger the batch, the faster, and the higher the loss.

Then the descent alone, pairs dealt out, nothing read or written, on all documents: D = 50 and 300.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

from benchmarks.measure import THREADS, measure, race, text
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import Tokens
from pipelines.cooccur import windowed
from pipelines.embed.glove import Params, embed
from pipelines.kernels import glove as kernel
from pipelines.method import Run
from pipelines.warm import warm

SHARE = 20
KNOBS = {"vector_size": 100, "x_max": 10, "epochs": 1}


def ours(folder: Path, out: Path) -> Iterator[float | None]:
    warm()
    yield None
    run = Run(out, seed=1)
    embed(Counts(folder), Params(**KNOBS), run)
    yield run.curve[-1]["loss"]


def descent(folder: Path, vector_size: int, epochs: int, threads: int) -> Iterator[list[float] | None]:
    warm()
    numba.set_num_threads(threads)
    counts, rng = Counts(folder), np.random.default_rng(1)
    pairs = kernel.deal(counts.blocks, counts.n_rows("vocab"), 1)
    state = kernel.begin(counts.n_rows("vocab"), vector_size, rng)
    yield None
    losses = []
    for _ in range(epochs):
        diagonals = rng.permutation(kernel.BLOCKS)
        losses.append(sum(kernel.train(pairs, diagonal, state, 10, 0.75, 0.05) for diagonal in diagonals) / len(pairs.row))
    yield losses


def in_torch(folder: Path, batch_size: int) -> Iterator[float | None]:
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    params = Params(**KNOBS)
    counts = Counts(folder)
    row, col, count = (torch.from_numpy(np.concatenate(part)) for part in zip(*counts.blocks(), strict=True))
    yield None
    n_vocab, sizes = counts.n_rows("vocab"), (params.vector_size, params.vector_size, 1, 1)
    word, context, word_bias, context_bias = tables = [nn.Embedding(n_vocab, size, sparse=True) for size in sizes]
    for weights in tables:
        nn.init.uniform_(weights.weight, -0.5 / params.vector_size, 0.5 / params.vector_size)
    adagrad = torch.optim.Adagrad([weights.weight for weights in tables], lr=params.lr, initial_accumulator_value=1.0)
    order, total = torch.randperm(len(row)), 0.0
    for start in range(0, len(order), batch_size):
        part = order[start : start + batch_size]
        r, c, x = row[part], col[part], count[part]
        miss = (word(r) * context(c)).sum(dim=1) + word_bias(r)[:, 0] + context_bias(c)[:, 0] - torch.log(x)
        loss = (0.5 * torch.clamp(x / params.x_max, max=1) ** params.alpha * miss**2).sum()
        adagrad.zero_grad()
        loss.backward()
        adagrad.step()
        total += loss.item()
    yield total / len(order)


def first_documents(tokens: Tokens, folder: Path, share: int = SHARE) -> Tokens:
    """The first twentieth, or other part, of the documents with the whole vocabulary."""
    table = tokens.read().slice(0, max(2, tokens.n_rows() // share)).combine_chunks()
    with Run(folder).open(Tokens) as out:
        out.append(**{name: table[name] for name in table.column_names})
        out.append("vocab", **{name: tokens.vocab()[name] for name in ("token_id", "token", "count")})
    return out.artifact


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokens, what = text(folder)
        whole = windowed.cooccur(tokens, windowed.Params(), Run(folder / "counts"))
        part = windowed.cooccur(first_documents(tokens, folder / "part"), windowed.Params(), Run(folder / "part-counts"))
        n_whole, n_part = whole.n_rows(), part.n_rows()
        base = measure(ours, part.folder, folder / "glove-part")
        torches = {size: measure(in_torch, part.folder, size) for size in (16_384, 131_072)}
        full = measure(ours, whole.folder, folder / "glove")
        alone = {
            f"D = {size}, {epochs} epochs, {threads} thread{'s' * (threads > 1)}": (measure(descent, whole.folder, size, epochs, threads), epochs * n_whole)
            for size, epochs, threads in ((50, 3, THREADS), (50, 3, 1), (300, 1, THREADS), (300, 1, 1))
        }  # fmt: skip

    print(f"{what}, one epoch, D = {KNOBS['vector_size']}. {THREADS} threads.\n")
    rows = [
        ("`glove`", base, n_part),
        *((f"PyTorch, sparse AdaGrad, batches of {size:,}", cost, n_part) for size, cost in torches.items()),
        ("`glove`, all documents", full, n_whole),
    ]
    print(race("pairs", rows, loss=[f"{cost.result:.4f}" for _, cost, _ in rows]) + "\n")
    rows = [(name, cost, n) for name, (cost, n) in alone.items()]
    print(race("pairs", rows, loss=[", ".join(f"{loss:.4f}" for loss in cost.result) for _, cost, _ in rows]))


if __name__ == "__main__":
    main()
