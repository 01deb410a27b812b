"""Vectors of any words: the rows of those that an artifact knows, and of others what their letter n-grams make, where its model holds some.

reads   vectors   of `fasttext`, or of `pretrained` from a .bin: their model has the n-grams' vectors
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.tokens import UNKNOWN
from pipelines.errors import Fault
from pipelines.kernels.letter_ngrams import unknown
from pipelines.kernels.nearest import rows_of


class Found(NamedTuple):
    row: np.ndarray  # (n,) int64 of the artifact; -1 of a word that it does not know
    vector: np.ndarray  # (n, D) float32; zeros of a word that has none

    @property
    def composed(self) -> np.ndarray:
        """(n,) bool, which vectors are made of letter n-grams."""
        return (self.row < 0) & self.vector.any(axis=1)

    @property
    def there(self) -> np.ndarray:
        """(n,) bool, which words have a vector, known or composed."""
        return (self.row >= 0) | self.composed


def lookup(vectors: Matrix, words: Sequence[str], compose: bool = True) -> Found:
    """A word is looked for as it is written, else in lower case. Raises Fault for an artifact that cannot be read."""
    items = vectors.items()
    row = rows_of(words, items)
    vector = np.zeros((len(words), vectors.size), np.float32)
    if (row >= 0).any():
        rows, place = np.unique(row[row >= 0], return_inverse=True)
        vector[row >= 0] = vectors.rows(rows)[place]
    new = np.flatnonzero(row < 0)
    made = composer(vectors, items) if compose and len(new) else None
    if made:
        vector[new] = made([words[i] for i in new])
    return Found(row, vector)


def known(matrix: Matrix, words: Iterable[str]) -> dict[str, np.ndarray]:
    """Word -> its vector, (D,) float32, of those that are known, in their order. Raises Fault where one holds what is no number."""
    words = list(dict.fromkeys(words))
    found = lookup(matrix, words, compose=False)
    matrix.finite(found.vector, words)
    return {word: found.vector[i] for i, word in enumerate(words) if found.row[i] >= 0}


def frequent(matrix: Matrix, n: int, least: int = 3) -> tuple[list[str], np.ndarray]:
    """The first `n` items, the most frequent words, and their vectors; but for the token of unknown words, which is no word.

    Returns:
        words, (n, D) float32.

    Raises:
        Fault: they are fewer than `least`, or hold numbers that are not finite.
    """
    items = matrix.items()[:n]
    rows = np.array([row for row, item in enumerate(items) if item != UNKNOWN], np.int64)
    if len(rows) < least:
        raise Fault(f"{matrix.name}: {len(rows)} words are too few; it takes {least}. Bring more rows, or raise max_vocab")
    words = [items[row] for row in rows]
    return words, matrix.finite(matrix.rows(rows), words)


def composer(vectors: Matrix, items: Sequence[str]) -> Callable[[Sequence[str]], np.ndarray] | None:
    """What makes vectors of words that have none; None where the model holds no letter n-grams.

    Args:
        items: of the artifact; words are put in lower case where no item has a capital.

    Returns:
        words -> (n, D) float32, the means of those of their n-grams that the model knows; zeros of a word without one.
    """
    if not (vectors.folder / "model.json").exists():
        return None
    settings, weights = vectors.model()
    if settings.get("model") != "fasttext" or not len(weights["buckets"]):
        return None
    small = all(item == item.lower() for item in items)
    grams = {name: weights[name] for name in ("buckets", "ngrams")}
    return lambda words: unknown(settings, grams, [word.lower() if small else word for word in words])
