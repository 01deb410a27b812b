"""Neighbours: the words that lie nearest to a word: one that has a vector or a coding, one made of its letter n-grams, or one in a sentence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.artifacts.tokens import UNKNOWN
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, nearest
from pipelines.kernels.nearest import rows_of, unit
from pipelines.use.rows import made
from pipelines.use.space import COMPOSED, Near, Space

MORE = 10  # times as many as are asked for are chosen by codings, where vectors then put them in order


class Asked(NamedTuple):
    word: str
    origin: str  # of its vector, or what its coding was compared by; empty where the vector is the word's own
    near: Near
    elsewhere: Near  # the same word in other sentences

    def record(self) -> dict[str, Any]:
        """For JSON."""
        near, elsewhere = (
            [{name: item, "cosine": round(cosine, 6)} for item, cosine in line]
            for name, line in (("item", self.near), ("where", self.elsewhere))
        )
        return {"word": self.word, "origin": self.origin or "its own vector", "near": near} | (
            {"elsewhere": elsewhere} if elsewhere else {}
        )


def neighbours(space: Space, words: Sequence[str], k: int) -> list[Asked]:
    """Raises Fault with all words that have no vector, and of which none can be made."""
    asked = space.ask(words)
    origins = np.where(asked.row < 0, COMPOSED, "").tolist()
    return [Asked(*each, []) for each in zip(words, origins, space.near(asked.vector, asked.row, k), strict=True)]


def by_codings(root: Path, row: str, words: Sequence[str], k: int, exact: str | None = None) -> list[Asked]:
    """By a row of compress; with `exact`, a row of embed, the best by its codings are put in order by its cosines.

    Raises:
        Fault: with all words that have no coding; vectors of other words.
    """
    from pipelines.artifacts.codings import Codings
    from pipelines.search import Index, reranked

    codings = made(Codings, root, "compress", row)
    items = codings.items()
    known = rows_of(words, items)
    lost = [word for word, there in zip(words, known, strict=True) if there < 0 or items[there] == UNKNOWN]
    if lost:
        raise Fault(f"{codings.name} has no coding of {word!r}.{nearest(word.lower(), items) or ' Look for another word'}" for word in lost)
    candidates = np.array([i for i, item in enumerate(items) if item != UNKNOWN])
    own, index, origin = np.searchsorted(candidates, known), Index(codings, candidates), ""
    most = len(candidates) - 1
    found, cosine = index.nearest(own, min(k * MORE if exact else k, most))
    if exact:
        vectors = made(Vectors, root, "embed", exact.removeprefix("embed/"))
        if vectors.items() != items:
            raise Fault(f"{vectors.name}: its items are not those of {codings.name}. Name the vectors that were coded")
        origin = f", the first {found.shape[1]:,} again by {vectors.name}"
        needed = np.unique(np.append(found, own))
        directions = unit(vectors.rows(candidates[needed]))
        found, cosine = reranked(np.searchsorted(needed, found), directions[np.searchsorted(needed, own)], directions, k)
        found = needed[found]
    near = [
        [(items[candidates[i]], float(value)) for i, value in zip(places, values, strict=True)]
        for places, values in zip(found.tolist(), cosine.tolist(), strict=True)
    ]
    return [Asked(word, f"by {index.by}{origin}", each, []) for word, each in zip(words, near, strict=True)]


def in_sentences(root: Path, row: str, words: Sequence[str], texts: Sequence[str], k: int) -> list[Asked]:
    """Each word where it stands in each text. Raises Fault with all words that stand in none."""
    from pipelines.use.in_context import sentences

    space = Space(root, row)
    asked, vector, read = [], [], list(sentences(root, row, texts))
    for word in words:
        for number, sentence in enumerate(read, 1):
            places = [i for i, there in enumerate(sentence.words) if there in (word, word.lower())]
            asked += [(word, f"in {number}" + f", word {i + 1}" * (len(places) > 1)) for i in places]
            vector += [sentence.vector[i] for i in places]
    lost = [word for word in words if word not in {there for there, _ in asked}]
    if lost:
        cut = "; ".join(" ".join(sentence.words) for sentence in read)
        raise Fault(f"{word!r} is no token of the sentences, which are cut into: {cut}. Write one in which it stands" for word in lost)
    found = np.stack(vector)  # (n, D)
    near = space.near(found, rows_of([word for word, _ in asked], space.items), k)
    alike = unit(found) @ unit(found).T
    return [
        Asked(word, origin, near[i], [(asked[j][1], float(alike[i, j])) for j in range(len(asked)) if j != i and asked[j][0] == word])
        for i, (word, origin) in enumerate(asked)
    ]
