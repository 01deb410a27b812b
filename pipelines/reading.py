"""What readers of documents word by word share: vectors for words to begin with, documents as blocks of token ids.

shapes  V words, D numbers a word, T tokens of the longest of B documents; time comes first, (T, B), as the kernels want it
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.labels import Split
from pipelines.method import Run

SPREAD = 0.3  # standard deviation of the numbers that training begins with
FEW = 0.5  # share of the running text; with fewer words that have a vector it is said twice
POOL = 50  # batches that are sorted by length together


class Documents(NamedTuple):
    values: np.ndarray  # int32 token ids end to end; document i is values[offsets[i]:offsets[i + 1]]
    offsets: np.ndarray


def random_vectors(n_words: int, vector_size: int, run: Run) -> np.ndarray:
    """(V, D) float32, standard deviation SPREAD."""
    return run.rng.normal(0, SPREAD, (n_words, vector_size)).astype(np.float32)


def matched(tokens: Tokens, items: Sequence[str], matrix: np.ndarray, name: str, run: Run, scaled: bool = True) -> np.ndarray:
    """(V, D) float32: the given vector of each word of the vocabulary, zeros for a word that has none.

    Args:
        items, matrix: what has a vector, and (n, D) these vectors.
        name: of the artifact that they are from.
        scaled: by one factor, to a standard deviation of SPREAD: how long a method makes its vectors says
            nothing of the words, and would act as another learning rate.

    Raises:
        Fault: no word has a vector, or only zeros.
    """
    words, count = tokens.words(), tokens.vocab().column("count").to_numpy()
    row_of = {item: row for row, item in enumerate(items)}
    rows = np.array([row_of.get(word, -1) for word in words])
    found = rows >= 0
    if not found.any():
        raise Fault(
            f"{run.name}: none of the {len(words)} words of {tokens.name} is in {name}, whose first items are "
            f"{', '.join(map(repr, items[:3]))}. Take vectors that were made from these tokens, or spelled the same way"
        )
    share = count[found].sum() / max(count.sum(), 1)
    few = ", which is little: are they spelled the same way?" if share < FEW else ""
    run.say(f"{found.sum()} of {len(words)} words have a vector in {name}, {share:.1%} of the running text{few}")
    start = np.zeros((len(words), matrix.shape[1]), np.float32)
    start[found] = matrix[rows[found]]
    if not start.any():
        raise Fault(
            f"{run.name}: all {found.sum()} vectors that {name} has for words of {tokens.name} are zeros. Train it anew, or name another"
        )
    return start * np.float32(SPREAD / max(start[found].std(), 1e-12)) if scaled else start


def tell_cut(several: Sequence[Documents | Split], max_tokens: int, run: Run) -> None:
    """Says how many of the documents `padded` cuts."""
    n_tokens = np.concatenate([np.diff(documents.offsets) for documents in several])
    if n_cut := np.count_nonzero(n_tokens > max_tokens):
        run.say(
            f"{n_cut} of {len(n_tokens)} documents are longer than max_tokens, {max_tokens}, and cut to it; the longest has {n_tokens.max()}"
        )


def shuffled(
    documents: Documents | Split, batch_size: int, rng: np.random.Generator, batch_tokens: int = 0, max_tokens: int | None = None
) -> Iterator[np.ndarray]:
    """The rows of each batch: all documents once, in an order of chance, similar lengths together.

    Sorted by length within a pool of many batches, so that little of a batch is padding.

    Args:
        batch_tokens: a batch has at most so many, padding among them, though one document at least; 0: any number.
        max_tokens: that a document counts for at most, being cut there.
    """
    n_tokens, pool = np.diff(documents.offsets), POOL * batch_size
    order = rng.permutation(len(n_tokens))
    ordered = [part[np.argsort(n_tokens[part], kind="stable")] for part in np.split(order, range(pool, len(order), pool))]
    cut = [rows for part in ordered for rows in np.split(part, range(batch_size, len(part), batch_size))]
    if batch_tokens:
        longest = (int(np.minimum(n_tokens[rows].max(), max_tokens or batch_tokens)) for rows in cut)
        room = [max(batch_tokens // max(n, 1), 1) for n in longest]
        cut = [piece for rows, n in zip(cut, room, strict=True) for piece in np.split(rows, range(n, len(rows), n))]
    for i in rng.permutation(len(cut)):
        yield cut[i]


def by_length(documents: Documents | Split, batch_size: int) -> list[np.ndarray]:
    """The rows of each batch: all documents once, similar lengths together, so that little is padding."""
    order = np.argsort(np.diff(documents.offsets), kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def padded(documents: Documents | Split, rows: np.ndarray, max_tokens: int, keep: str = "head") -> tuple[np.ndarray, np.ndarray]:
    """Some documents as a block.

    Args:
        keep: which end of a document that is too long, `head` or `tail`; `both` keeps half of each.

    Returns:
        (T, B) int32 token ids, UNKNOWN_ID beyond a document's end, and (B,) int64 lengths, at least 1: a
        document without words is one unknown word.
    """
    whole = np.diff(documents.offsets)[rows]
    lengths = np.minimum(whole, max_tokens)
    head = {"head": lengths, "tail": 0 * lengths, "both": (lengths + 1) // 2}[keep]  # tokens before those that are left out
    place = np.arange(max(lengths.max(initial=1), 1))[:, None]  # (T, 1)
    inside = place < lengths  # (T, B)
    ids = np.full(inside.shape, UNKNOWN_ID, np.int32)
    ids[inside] = documents.values[(documents.offsets[rows] + place + (place >= head) * (whole - lengths))[inside]]
    return ids, np.maximum(lengths, 1)
