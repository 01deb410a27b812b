"""Co-occurrence counts: cooccur/windowed against SciPy and against a loop over a dictionary.

python -m benchmarks.counts
python -m benchmarks.counts billion [COPIES [SHARD_TOKENS]]

Window 10, symmetric, 1/d, within documents. `windowed` is the method as the pipeline runs it: from tokens
on disk to the matrix on disk, a block at a time; its kernel alone drops each block. SciPy adds up one sparse
matrix a distance, which is what one writes with NumPy at hand, and has the whole in memory; the dictionary
is the plain definition, on a fiftieth of the documents.

`billion` counts a text larger than memory would hold at once: 60 copies of the same, in each of which a fifth of the
types seen less than 100 times, drawn by seed, are words of their own. It has one contestant, since no other ends.
"""

import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import THREADS, measure, race, text
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.cooccur.windowed import Params, cooccur
from pipelines.kernels import cooccur as counting
from pipelines.method import Run
from pipelines.warm import warm

WINDOW = 10
SHARE = 50  # the dictionary's part of the documents: one in so many
COPIES = 60
SHARD_TOKENS = Params().shard_tokens
RARE = 100  # sightings; types below it are renamed, one in FIFTH a copy
FIFTH = 5


def windowed(folder: Path, out: Path) -> Iterator[tuple[int, float] | None]:
    warm()
    yield None
    counts = cooccur(Tokens(folder), Params(window=WINDOW), Run(out, threads=THREADS))
    yield counts.n_rows(), counts.n_bytes()


def kernel(folder: Path) -> Iterator[tuple[int, float] | None]:
    warm()
    yield None
    tokens = Tokens(folder)
    values, offsets = tokens.ids(["train", "unlabelled"])
    text = counting.whole([counting.join(values, offsets, UNKNOWN_ID)])
    place, first = counting.places(text, counting.sightings(text, tokens.n_rows("vocab")))
    window, n_pairs, total = counting.Window(*counting.weights(WINDOW, "distance")), 0, 0.0
    rows = counting.blocks(first, window.reach, 64)
    for block in counting.in_threads(THREADS, counting.count_rows, rows, text, place, first, window):
        n_pairs, total = n_pairs + len(block.col), total + int(block.sums.sum()) / window.unit
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
    part = counting.whole([counting.join(values, offsets[: max(2, len(offsets) // SHARE)], UNKNOWN_ID)])
    yield None
    counting.count_plain(part, counting.Window(*counting.weights(WINDOW, "distance")))
    yield int((part >= 0).sum())


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tokens, what = text(Path(scratch))
        n_tokens = known(tokens)
        ours = measure(windowed, tokens.folder, Path(scratch) / "counts")
        others = {
            "its kernel, nothing written": measure(kernel, tokens.folder),
            "SciPy, one matrix a distance, in memory": measure(scipy_sum, tokens.folder),
        }
        plain = measure(dictionary, tokens.folder)
        n_pairs, n_bytes = ours.result
        total = sum(float(count.sum(dtype=np.float64)) for _, _, count in Counts(Path(scratch) / "counts").blocks())
    for name, cost in others.items():
        if cost.result[0] != n_pairs or abs(cost.result[1] / total - 1) > 1e-6:
            raise SystemExit(f"they do not agree: windowed has {n_pairs:,} pairs that sum to {total}, {name}: {cost.result}")
    print(f"{what}; {n_pairs:,} pairs, {n_bytes / 1e6:,.0f} MB on disk. {THREADS} threads.\n")
    rows = [("`windowed`, written to Parquet", ours, n_tokens), *((name, cost, n_tokens) for name, cost in others.items())]
    print(race("tokens", [*rows, ("Python dictionary", plain, plain.result)]))


def known(tokens: Tokens) -> int:
    return sum(int((values != UNKNOWN_ID).sum()) for values, _ in tokens.documents(["train"], rows=4096))


# larger than memory


def billion(n_copies: int = COPIES, shard_tokens: int = SHARD_TOKENS) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tokens, what = text(Path(scratch))
        tokens = copies(tokens, n_copies, Path(scratch) / "copies")
        n_tokens, n_types, size = known(tokens), tokens.n_rows("vocab") - 1, tokens.n_bytes()
        folder = Path(scratch) / "work"
        cost = measure(sharded, tokens.folder, folder / "counts", shard_tokens)
    n_pairs, n_bytes, most_aside = cost.result
    print(
        f"{n_copies} copies of: {what}. {n_tokens:,} tokens ({size / 1e9:.1f} GB on disk), {n_types:,} types. {THREADS} threads, {shard_tokens:,} tokens a shard.\n"
    )
    print(f"{n_pairs:,} pairs, {n_bytes / 1e9:.1f} GB on disk; {most_aside / 1e9:.1f} GB at most meanwhile, the pairs included")
    print(
        f"{cost.wall / 60:.1f} minutes, {cost.cpu / 60:.1f} of CPU, peak memory {cost.peak:,.0f} MB, {n_tokens / cost.wall / 1e6:.2f} M tokens/s"
    )


def sharded(folder: Path, out: Path, shard_tokens: int) -> Iterator[tuple[int, int, int] | None]:
    warm()
    out.parent.mkdir(parents=True)
    most, done = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(1.0):
            most = max(most, sum(size(path) for path in out.parent.rglob("*")))

    watcher = threading.Thread(target=watch)
    yield None
    watcher.start()
    counts = cooccur(Tokens(folder), Params(window=WINDOW, shard_tokens=shard_tokens), Run(out, "counts", threads=THREADS, show=True))
    done.set()
    watcher.join()
    yield counts.n_rows(), counts.n_bytes(), most


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # gone since it was listed
        return 0


def copies(tokens: Tokens, n: int, folder: Path) -> Tokens:
    """The text `n` times; in each copy a fifth of the rare types has names of its own."""
    vocab = tokens.vocab()
    words, n_seen = vocab.column("token").to_pylist(), vocab.column("count").to_numpy()
    rare, rng = np.flatnonzero((n_seen < RARE) & (np.arange(len(words)) != UNKNOWN_ID)), np.random.default_rng(0)
    with Run(folder).open(Tokens) as out:
        counts, named = np.zeros(len(words), np.int64), list(words)
        for copy in range(n):
            renamed = rng.permutation(rare)[: len(rare) // FIFTH]
            id_of = np.arange(len(words), dtype=np.int32)
            id_of[renamed] = np.arange(len(named), len(named) + len(renamed))
            named += [f"{words[i]}-{copy}" for i in renamed.tolist()]
            counts = np.append(counts, n_seen[renamed])
            counts[: len(words)] += np.where(np.isin(np.arange(len(words)), renamed), 0, n_seen)
            for batch in tokens.batches(rows=4096):
                ids = batch.column("token_ids")
                offsets = np.concatenate([[0], np.cumsum(ids.value_lengths().to_numpy(zero_copy_only=False))])
                out.append(
                    doc_id=[f"{copy}-{doc_id}" for doc_id in batch.column("doc_id").to_pylist()], split=batch.column("split"),
                    label=batch.column("label"), token_ids=(id_of[ids.flatten().to_numpy(zero_copy_only=False)], offsets),
                )  # fmt: skip
        out.append("vocab", token_id=np.arange(len(named)), token=named, count=counts)
    return out.artifact


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["billion", *more]:
            billion(*map(int, more))
        case other:
            raise SystemExit(
                f"python -m benchmarks.counts, or: python -m benchmarks.counts billion [COPIES [SHARD_TOKENS]]; not {' '.join(other)}"
            )
