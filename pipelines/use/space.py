"""Space: the vectors of a row of embed, read from a mapped file, asked by words or by directions.

    space = Space(root, "skipgram")
    asked = space.ask(["harbour"])
    space.nearest(space.cosines(asked.vector), 10, asked.row[:, None])

What is imported at the top is all that a word with a vector of its own needs, so that a first answer comes soon.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from pipelines.artifacts.tokens import UNKNOWN
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, nearest
from pipelines.kernels.nearest import rows_of, unit
from pipelines.use.rows import made

ROWS = 16_384  # vectors that are turned to length 1 at a time
CELLS = 16_000_000  # cosines held at once
SPELLED = 200_000  # words, the first of a row, that a suggestion comes from: to look at each takes 4 microseconds
COMPOSED = "made of its letter n-grams"
Near = list[tuple[str, float]]  # items and their cosines, the nearest first


class Asked(NamedTuple):
    row: np.ndarray  # (n,) int64 of the artifact; -1 of a word that was composed
    vector: np.ndarray  # (n, D) float32


class Space:
    """Vectors are decoded piece by piece, as often as somebody asks; with `hold` once, into a file that is gone with the Space.

    Raises:
        Fault: the row has no vectors here.
    """

    def __init__(self, root: Path, row: str, hold: bool = False):
        self.vectors = vectors(root, row)
        self.items = self.vectors.items()
        self.held = self.vectors.memmap() if hold else None

    def pieces(self) -> Iterator[np.ndarray]:
        """(at most ROWS, D) float32, in order."""
        if self.held is not None:
            yield from (self.held[start : start + ROWS] for start in range(0, len(self.items), ROWS))
            return
        with pq.ParquetFile(self.vectors.folder / "vectors.parquet", memory_map=True) as file:
            for batch in file.iter_batches(ROWS, columns=["vector"]):
                yield batch.column(0).flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """(n, D), those of some rows in any order; what stands behind the last of them is not read."""
        found, start = np.zeros((len(wanted), self.vectors.size), np.float32), 0
        for piece in self.pieces():
            here = np.flatnonzero((wanted >= start) & (wanted < start + len(piece)))
            found[here] = piece[wanted[here] - start]
            start += len(piece)
            if start > wanted.max(initial=-1):
                break
        return found

    @cached_property
    def left_out(self) -> list[int]:
        """Rows that are no answer: the unknown token's."""
        return [i for i, item in enumerate(self.items) if item == UNKNOWN]

    def ask(self, words: Sequence[str]) -> Asked:
        """A word is looked for as it is written, else in lower case, else made of its letter n-grams where the model holds some.

        Raises:
            Fault: with all words that have no vector.
        """
        row = rows_of(words, self.items)
        vector = np.zeros((len(words), self.vectors.size), np.float32)
        vector[row >= 0] = self.rows(row[row >= 0])
        new = np.flatnonzero(row < 0)
        if len(new):
            from pipelines.lookup import composer  # numba takes half a second to import

            made = composer(self.vectors, self.items)
            if made:
                vector[new] = made([words[i] for i in new])
            lost = [words[i] for i in new if not vector[i].any()]
            if lost:
                without = "none of whose letter n-grams is known" if made else "and no letter n-grams for one"
                raise Fault(
                    f"{self.vectors.name} has no vector of {word!r}, {without}.{self.suggestion(word) or ' Look for another word, or in a row of fasttext'}"
                    for word in dict.fromkeys(lost)
                )
        self.vectors.finite(vector, words)
        return Asked(row, vector)

    def suggestion(self, word: str) -> str:
        return nearest(word.lower(), (item for item in self.items[:SPELLED] if item != UNKNOWN))

    def cosines(self, vector: np.ndarray) -> np.ndarray:
        """(n, V) float32, of n vectors (n, D) with all rows; 0 of a row of zeros."""
        directions, found, start = unit(vector), np.empty((len(vector), len(self.items)), np.float32), 0
        for piece in self.pieces():
            length = np.sqrt(np.einsum("vd,vd->v", piece, piece))
            found[:, start : start + len(piece)] = directions @ piece.T / np.where(length > 0, length, 1)
            start += len(piece)
        return found

    def nearest(self, score: np.ndarray, k: int, own: np.ndarray) -> list[Near]:
        """The k items of the highest scores, (n, V), which are written over; never the unknown token, nor `own`, (n, any), rows or -1."""
        score[np.isnan(score)] = -np.inf  # of a vector that holds what is no number
        score[:, self.left_out] = -np.inf
        for line, mine in zip(score, own, strict=True):
            line[mine[mine >= 0]] = -np.inf
        k = min(k, score.shape[1])
        best = np.argpartition(score, -k, axis=1)[:, -k:]
        value = np.take_along_axis(score, best, axis=1)
        order = np.lexsort((best, -value), axis=1)  # of items that score the same the first
        best, value = np.take_along_axis(best, order, axis=1), np.take_along_axis(value, order, axis=1)
        return [
            [(self.items[i], float(it)) for i, it in zip(places, values, strict=True) if np.isfinite(it)]
            for places, values in zip(best.tolist(), value, strict=True)
        ]

    def near(self, vector: np.ndarray, own: np.ndarray, k: int) -> list[Near]:
        """The k items nearest to each of n vectors (n, D); `own`, (n,), are the rows of the words themselves, or -1."""
        return [
            line for part in parts(len(vector), len(self.items)) for line in self.nearest(self.cosines(vector[part]), k, own[part, None])
        ]


def parts(n: int, n_items: int) -> Iterator[slice]:
    """Of n questions, as many at a time as CELLS allows."""
    step = max(1, CELLS // max(n_items, 1))
    return (slice(start, start + step) for start in range(0, n, step))


def vectors(root: Path, row: str) -> Vectors:
    """Raises Fault where they are not there, and says whether params.yaml has such a row."""
    if row.startswith("compress/"):
        raise Fault(f"{row}: words have vectors in rows of embed. Name one, such as a row of decoded that reads {row.partition('/')[2]}")
    return made(Vectors, root, "embed", row.removeprefix("embed/"))
