"""Co-occurrence counts: cooccur/windowed against SciPy and against a loop over a dictionary.

python -m benchmarks.counts

Window 10, symmetric, 1/d, within documents. `windowed` is the method as the pipeline runs it: from tokens
on disk to the matrix on disk, a block at a time; its kernel alone drops each block. SciPy adds up one sparse
matrix a distance, which is what one writes with NumPy at hand, and has the whole in memory; the dictionary
is the plain definition, on a fiftieth of the documents.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import THREADS, measure, race, text
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.cooccur.windowed import Params, cooccur
from pipelines.kernels.cooccur import count, count_plain, join
from pipelines.method import Run
from pipelines.warm import warm

WINDOW = 10
SHARE = 50  # the dictionary's part of the documents: one in so many


def windowed(folder: Path, out: Path) -> Iterator[tuple[int, float] | None]:
    warm()
    yield None
    counts = cooccur(Tokens(folder), Params(window=WINDOW), Run(out))
    yield counts.n_rows(), sum(float(count.sum(dtype=np.float64)) for _, _, count in counts.blocks())


def kernel(folder: Path) -> Iterator[tuple[int, float] | None]:
    warm()
    yield None
    tokens = Tokens(folder)
    text = join(*tokens.ids(["train", "unlabelled"]), UNKNOWN_ID)
    n_pairs, total = 0, 0.0
    for row, _, sums in count(text, tokens.n_rows("vocab"), 1 / np.arange(1, WINDOW + 1), True, True):
        n_pairs, total = n_pairs + len(row), total + float(sums.sum(dtype=np.float64))
    yield n_pairs, total


def scipy_sum(folder: Path) -> Iterator[tuple[int, float] | None]:
    from scipy import sparse

    yield None
    tokens = Tokens(folder)
    values, offsets = tokens.ids(["train", "unlabelled"])
    document = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))[values != UNKNOWN_ID]
    values, n_vocab = values[values != UNKNOWN_ID], tokens.n_rows("vocab")
    total = sparse.csr_array((n_vocab, n_vocab))
    for d in range(1, WINDOW + 1):
        near = document[d:] == document[:-d]
        left, right = values[:-d][near], values[d:][near]
        total = total + sparse.coo_array((np.full(len(left), 1 / d), (left, right)), shape=(n_vocab, n_vocab)).tocsr()
    total = total + total.T.tocsr()
    yield total.nnz, float(total.sum())


def dictionary(folder: Path) -> Iterator[int | None]:
    tokens = Tokens(folder)
    values, offsets = tokens.ids(["train", "unlabelled"])
    part = join(values, offsets[: max(2, len(offsets) // SHARE)], UNKNOWN_ID)
    yield None
    count_plain(part, tokens.n_rows("vocab"), 1 / np.arange(1, WINDOW + 1), True, True)
    yield int((part >= 0).sum())


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tokens, what = text(Path(scratch))
        n_tokens = sum(int((values != UNKNOWN_ID).sum()) for values, _ in tokens.documents(["train"], rows=4096))
        ours = measure(windowed, tokens.folder, Path(scratch) / "counts")
        others = {
            "its kernel, nothing written": measure(kernel, tokens.folder),
            "SciPy, one matrix a distance, in memory": measure(scipy_sum, tokens.folder),
        }
        plain = measure(dictionary, tokens.folder)
    n_pairs, total = ours.result
    for name, cost in others.items():
        if cost.result[0] != n_pairs or abs(cost.result[1] / total - 1) > 1e-6:
            raise SystemExit(f"they do not agree: windowed has {n_pairs:,} pairs that sum to {total}, {name}: {cost.result}")
    print(f"{what}; {n_pairs:,} pairs. {THREADS} threads.\n")
    rows = [("`windowed`, written to Parquet", ours, n_tokens), *((name, cost, n_tokens) for name, cost in others.items())]
    print(race("tokens", [*rows, ("Python dictionary", plain, plain.result)]))


if __name__ == "__main__":
    main()
