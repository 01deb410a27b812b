"""Windowed: how often two tokens were seen within a few tokens of each other, exactly.

reads   tokens   documents as token ids; the unknown token is taken out before windows are laid, so its
                 neighbours move together, as in word2vec and GloVe
writes  counts   (row, col, count), one row per pair that was seen, sorted by row, then col; the vocabulary
source  Lund, Burgess 1996 for the window and the weight that falls with distance; 1/d is the weight of
        Pennington, Socher, Manning 2014; dynamic windows and sampling are word2vec's (Mikolov et al. 2013), and
        `linear` is what a dynamic window adds on average (Levy, Goldberg, Dagan 2015). A window never leaves its document
shapes  N tokens of a shard, V types. In memory: 8 bytes a token of one shard, of a block of rows 12 a pair and thread,
        8 a type and thread, never the matrix; the same in each worker of a cluster. On disk, where there are several
        shards: 12 bytes a pair of each, until they are merged. Shards, threads and workers decide no byte
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.kernels import cooccur as kernel
from pipelines.kernels.cooccur import Block, Window
from pipelines.method import Knobs, Run

DOCUMENTS = 4096  # read at a time; a shard ends between two of these batches
SHARES = 64  # of the work, at least so many: more than there are threads, so that none waits long for the last
CLUSTER_SHARES = 256
ADVICE = "Lower min_count of the tokenize row, or name other splits"


class Params(Knobs):
    window: int = Field(10, ge=1, le=1000)  # tokens to each side that is looked at
    context: Literal["symmetric", "left", "right"] = "symmetric"  # where col stands, seen from row
    # what a sighting d tokens away adds: 1/d, 1, or (window - d + 1) / window
    weighting: Literal["distance", "flat", "linear"] = "distance"
    dynamic: bool = False  # each place sees as far as it draws, 1 to window, as in word2vec: then row and column of a word differ
    sample: float = Field(0.0, ge=0, le=1)  # a word above this share of the text is passed over now and then, before windows; 0: never
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)
    shard_tokens: int = Field(200_000_000, ge=1)  # known tokens that are counted at a time; decides memory, and no byte


def cooccur(tokens: Tokens, params: Params, run: Run) -> Counts:
    window = Window(
        *kernel.weights(params.window, params.weighting), params.context != "right", params.context != "left", params.dynamic, run.seed
    )
    vocab, n_pairs, n_vocab = tokens.vocab(), 0, tokens.n_rows("vocab")
    n_seen, implied = np.zeros(n_vocab, np.int64), np.zeros(n_vocab)
    with run.open(Counts) as out, run.scratch() as folder:
        out.append("vocab", **{name: vocab.column(name) for name in vocab.column_names})
        for block in _rows(_texts(tokens, params, run.seed), window, n_seen, implied, run, folder):
            row, col, count = block.pairs(window.unit)
            out.append(row=row, col=col, count=count)
            n_pairs += len(row)
        if not n_pairs:
            raise _nothing(tokens, params, n_seen)
        out.append("row_sums", token_id=np.arange(n_vocab, dtype=np.int32), sum=implied / window.unit)
        out.csv("measure", [{"measure": "count", "symmetric": "yes" if window.left and window.right and not window.dynamic else "no"}])
    _check_exact(n_seen, vocab.column("token").to_pylist, window, params)
    run.say(f"{n_pairs:,} pairs of {int((n_seen > 0).sum()):,} types, from {int(n_seen.sum()):,} tokens")
    return out.artifact


def _rows(
    texts: Iterable["Text"], window: Window, n_seen: np.ndarray, implied: np.ndarray, run: Run, folder: Path
) -> Iterator[Block]:  # fmt: skip
    """All rows in order, of one text as they are counted, of several merged; adds sightings, and the sums that they imply."""
    shards: list[Shard] = []
    for text in texts:
        seen = kernel.sightings(text.ids, len(n_seen))
        n_seen += seen
        implied += kernel.row_sums(text.ids, len(n_seen), window, text.origin)
        counted = _counted(text, seen, window, run, f"shard {len(shards) + 1}" if shards or text.more else "")
        if not shards and not text.more:
            yield from counted
            return
        shards.append(_put_aside(counted, len(n_seen), folder / str(len(shards))))
        del text, counted  # before the next is read
    yield from _merged(shards, run)


def _counted(text: "Text", n_seen: np.ndarray, window: Window, run: Run, what: str) -> Iterator[Block]:
    """Blocks of whole rows, by this process' threads, or by a cluster: the same numbers, in the same order."""
    place, first = kernel.places(text.ids, n_seen)
    shared = text.ids, place, first, window, text.origin
    with run.progress(int(first[-1]), "tokens", what) as bar:
        if run.cluster is None:
            found = kernel.in_threads(run.threads, kernel.count_rows, kernel.blocks(first, window.reach, SHARES), *shared)
        else:
            found = run.map(kernel.count_rows, kernel.blocks(first, window.reach, CLUSTER_SHARES), *shared)
        for block in found:
            yield block
            bar.advance(int(first[block.start + len(block.n_pairs)] - first[block.start]))


# the text, cut into shards


class Text(NamedTuple):
    ids: np.ndarray  # (N,) int32, as the kernel reads them
    origin: int  # how much text stands before it
    more: bool  # whether other texts follow


def _texts(tokens: Tokens, params: Params, seed: int) -> Iterator[Text]:
    """The documents of the splits, in shards of at most `shard_tokens`, or of one batch of documents."""
    keep = kernel.kept(tokens.known_counts(params.splits), params.sample) if params.sample else None
    held: list[np.ndarray] = []
    n_held = n_read = origin = 0
    for values, offsets in tokens.documents(params.splits, DOCUMENTS):
        piece = kernel.join(values, offsets, UNKNOWN_ID, keep, seed, n_read)
        n_known = int((piece != kernel.END).sum())
        n_read += int((values != UNKNOWN_ID).sum())
        if n_held and n_known and n_held + n_known > params.shard_tokens:
            ids = kernel.whole(held)
            held, n_held = [], 0
            yield Text(ids, origin, more=True)
            origin += len(ids) - 1
            del ids
        held.append(piece)
        n_held += n_known
    ids = kernel.whole(held)
    del held
    yield Text(ids, origin, more=False)


# shards put aside, and merged


class Shard(NamedTuple):
    """The sums of one part of the text, on disk."""

    path: Path  # of .col, int32, and of .sums, int64
    first: np.ndarray  # (V + 1,) int64, where each row's pairs begin

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        at, n = int(self.first[start]), int(self.first[stop] - self.first[start])
        return tuple(np.fromfile(self.path.with_suffix(f".{name}"), kind, n, offset=at * kind().itemsize) for name, kind in COLUMNS)


COLUMNS = (("col", np.int32), ("sums", np.int64))


def _put_aside(blocks: Iterable[Block], n_vocab: int, path: Path) -> Shard:
    n_pairs = np.zeros(n_vocab, np.int64)
    with path.with_suffix(".col").open("wb") as col, path.with_suffix(".sums").open("wb") as sums:
        for block in blocks:
            n_pairs[block.start : block.start + len(block.n_pairs)] = block.n_pairs
            col.write(block.col.data)
            sums.write(block.sums.data)
    return Shard(path, np.concatenate([[0], np.cumsum(n_pairs)]))


def _merged(shards: list[Shard], run: Run) -> Iterator[Block]:
    """All rows in order: a block of them at a time is read from each shard, and added up."""
    total = sum(shard.first for shard in shards)
    with run.progress(int(total[-1]), "pairs", "merge") as bar:
        for block in kernel.in_threads(run.threads, _merge, kernel.blocks(total, 1), shards):
            yield block
            bar.advance(int(total[block.start + len(block.n_pairs)] - total[block.start]))


def _merge(rows: tuple[int, int], shards: list[Shard]) -> Block:
    start, stop = rows
    pieces = [shard.read(start, stop) for shard in shards]
    begins = np.cumsum([0, *(len(col) for col, _ in pieces[:-1])])
    first = np.stack([shard.first[start : stop + 1] - shard.first[start] + begin for shard, begin in zip(shards, begins, strict=True)])
    col, sums = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return kernel.merge_rows(start, first, col, sums, len(shards[0].first) - 1)


# what can be wrong


def _nothing(tokens: Tokens, params: Params, n_seen: np.ndarray) -> Fault:
    splits, advice = ", ".join(params.splits), ADVICE + (", or raise sample" if params.sample else "")
    if n_seen.any():
        return Fault(f"{tokens.name}: no document of {splits} has two known tokens, so there are no pairs. {advice}")
    n_documents = sum(len(offsets) - 1 for _, offsets in tokens.documents(params.splits))
    what = f"the {n_documents} documents of {splits} hold no known token" if n_documents else f"no document is in {splits}"
    return Fault(f"{tokens.name}: {what}, so there is nothing to count. {advice}")


def _check_exact(n_seen: np.ndarray, words: Callable[[], list[str]], window: Window, params: Params) -> None:
    """Raises Fault where a sum could have passed what 64 bits hold: more than 10^8 sightings of a word, in a window above 22."""
    most = (2**63 - 1) // (int(window.weights.sum()) * (window.left + window.right))
    if n_seen.max() > most:
        raise Fault(
            f"{words()[int(n_seen.argmax())]!r} stands {int(n_seen.max()):,} times in the text; with window {params.window} sums are exact "
            f"for {most:,} sightings of a word. Say weighting: flat or linear, a window of 22 or less, or sample: 1e-3"
        )
