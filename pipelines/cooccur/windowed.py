"""Windowed: how often two tokens were seen within a few tokens of each other, exactly.

reads   tokens   documents as token ids; the unknown token is taken out before windows are laid, so its
                 neighbours move together, as in word2vec and GloVe
writes  counts   (row, col, count), one row per pair that was seen, sorted by row, then col; the vocabulary
source  Lund, Burgess 1996 for the window and the weight that falls with distance; 1/d is the weight of
        Pennington, Socher, Manning 2014. A window never leaves its document
shapes  N tokens, V types. In memory: 8 bytes a token and 8 a type and thread, never the matrix; the same
        in each worker of a cluster
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.kernels import cooccur as kernel
from pipelines.method import Knobs, Run

SHARES = 256  # of the work, at least so many for a cluster: more than it has threads, so that none waits long for the last
ADVICE = "Lower min_count of the tokenize row, or name other splits"


class Params(Knobs):
    window: int = Field(10, ge=1, le=1000)  # tokens to each side that is looked at
    context: Literal["symmetric", "left", "right"] = "symmetric"  # where col stands, seen from row
    weighting: Literal["distance", "flat"] = "distance"  # a sighting d tokens away adds 1/d, or 1
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)


def cooccur(tokens: Tokens, params: Params, run: Run) -> Counts:
    text, n_vocab = _text(tokens, params.splits), tokens.n_rows("vocab")
    sightings = kernel.sightings(text, n_vocab)
    weights = weights_of(params.window, params.weighting)
    left, right = params.context != "right", params.context != "left"
    vocab, n_pairs = tokens.vocab(), 0
    with run.open(Counts) as out, run.progress(int(sightings.sum()), "tokens") as bar:
        out.append("vocab", **{name: vocab.column(name) for name in vocab.column_names})
        for row, col, count in _counted(text, sightings, weights, left, right, run):
            out.append(row=row, col=col, count=count)
            n_pairs += len(row)
            bar.advance(int(sightings[row[0] : row[-1] + 1].sum()) if len(row) else 0)
        if not n_pairs:
            raise Fault(f"{tokens.name}: no document of {', '.join(params.splits)} has two known tokens, so there are no pairs. {ADVICE}")
    run.say(f"{n_pairs:,} pairs of {int((sightings > 0).sum()):,} types, from {int(sightings.sum()):,} tokens")
    return out.artifact


def _counted(
    text: np.ndarray, sightings: np.ndarray, weights: np.ndarray, left: bool, right: bool, run: Run
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of whole rows, by this process' threads, or by a cluster: the same numbers, in the same order."""
    if run.cluster is None:
        return kernel.count(text, len(sightings), weights, left, right)
    place, first = kernel.places(text, sightings)
    blocks = kernel.blocks(first, len(weights) * (left + right), SHARES)
    return run.map(kernel.count_rows, blocks, text, place, first, weights, left, right)


def _text(tokens: Tokens, splits: list[str]) -> np.ndarray:
    """All documents of the splits as the kernel reads them. Raises Fault when no known token is left."""
    # few documents at a time: their ids are held twice only for as long as that
    parts = [kernel.join(values, offsets, UNKNOWN_ID) for values, offsets in tokens.documents(splits, rows=4096)]
    text = np.concatenate([np.empty(0, np.int32), *parts])
    if not (text != kernel.END).any():
        n_documents = sum(len(offsets) - 1 for _, offsets in tokens.documents(splits))
        what = (
            f"the {n_documents} documents of {', '.join(splits)} hold no known token"
            if n_documents
            else f"no document is in {', '.join(splits)}"
        )
        raise Fault(f"{tokens.name}: {what}, so there is nothing to count. {ADVICE}")
    return text


def weights_of(window: int, weighting: str) -> np.ndarray:
    """(window,) float64, what a sighting 1, 2, ... tokens away adds."""
    return 1 / np.arange(1, window + 1) if weighting == "distance" else np.ones(window)
