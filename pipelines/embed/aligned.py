"""Aligned: vectors of one space turned into another, so that words of both can be compared.

reads   vectors    what is turned
        target     whose space it is turned into, of the same vector_size; it stays as it is
writes  vectors    the items of `vectors`, with their lengths, turned; the model holds the rotation, and how many held-out
                   words find their counterpart: precision at 1, by CSLS and by cosines
source  Xing, Wang, Liu, Lin 2015 (vectors of length 1, an orthogonal map); Conneau, Lample, Ranzato, Denoyer, Jégou 2018
        (Procrustes, 3.1, and CSLS, 2.3)
shapes  N and M items, D numbers, P pairs. In memory: three times the vectors
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.csls import nearness, retrieve, rotation
from pipelines.kernels.nearest import unit
from pipelines.method import Knobs, Run

SHOWN = 10  # lines of a file in a message


class Params(Knobs):
    dictionary: str | None = None  # a file, two words on each line, of `vectors` and of `target`; none: words that both have
    held_out: int = Field(1000, ge=0)  # words of pairs that the rotation does not see, and is tried on; at most a fifth of them
    neighbours: int = Field(10, ge=1)  # of CSLS; the paper's k


def sources(params: Params) -> list[str]:
    """The files of the project that the method reads."""
    return [params.dictionary] if params.dictionary else []


def embed(vectors: Vectors, target: Vectors, params: Params, run: Run) -> Vectors:
    if vectors.size != target.size:
        raise Fault(
            f"{vectors.name} has {vectors.size} numbers a vector, {target.name} {target.size}. Train both with the same vector_size"
        )
    items, other = vectors.items(), target.items()
    pairs = _pairs(items, other, params.dictionary, f"{vectors.name} and {target.name}")  # (P, 2) rows
    words = run.rng.permutation(np.unique(pairs[:, 0]))
    asked = words[: min(params.held_out, len(words) // 5)]
    seen = pairs[~np.isin(pairs[:, 0], asked)]
    if len(seen) < vectors.size:
        raise Fault(
            f"{vectors.name} and {target.name} have {len(seen)} pairs of words to learn from, fewer than the {vectors.size} numbers of a "
            "vector, so that many rotations serve equally. Name a longer dictionary, or vectors of more words in common"
        )
    x, y = vectors.matrix(), target.matrix()
    for artifact, matrix in ((vectors, x), (target, y)):
        if not np.isfinite(matrix).all():
            raise Fault(f"{artifact.name}: it holds numbers that are not finite. Train it anew, with a lower lr")
    with threadpool_limits(1, "blas"):  # the same bytes for any number of threads
        turn = rotation(unit(x[seen[:, 0]]), unit(y[seen[:, 1]]))
        turned = (x @ turn).astype(np.float32)
    facts = {"n_pairs": len(seen), "n_held_out": len(asked), **_precision(unit(turned), unit(y), pairs, asked, params.neighbours)}
    run.say(", ".join(f"{name} {value:.4g}" for name, value in facts.items()))
    with run.open(Vectors) as out:
        out.append(**vectors.named(), vector=turned)
        out.model({"model": "aligned", **params.model_dump(), **facts}, {"rotation": turn})
    return out.artifact


def _pairs(items: list[str], other: list[str], dictionary: str | None, both: str) -> np.ndarray:
    """(P, 2) int64 rows of the words that belong together. Raises Fault when there are none."""
    row, column = ({item: i for i, item in enumerate(side)} for side in (items, other))
    named = [(word, word) for word in items] if dictionary is None else _read(Path(dictionary))
    pairs = sorted({(row[left], column[right]) for left, right in named if left in row and right in column})
    if not pairs:
        what = f"no pair of {dictionary} is known to both" if dictionary else "they have no word in common. Name a dictionary"
        raise Fault(f"{both}: {what}")
    return np.array(pairs, np.int64)


def _read(path: Path) -> list[tuple[str, str]]:
    """Two words a line, parted by blanks or a tab. Raises Fault with the lines that are not so."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except FileNotFoundError:
        raise Fault(f"the dictionary {path} is missing. Put it there, or leave it out where both have the same words") from None
    except (OSError, UnicodeDecodeError) as err:
        raise Fault(f"the dictionary {path} cannot be read as UTF-8 text: {err}") from err
    wrong = [i for i, words in enumerate(lines, 1) if len(words) not in (0, 2)]
    if wrong:
        raise Fault([
            *(f"{path}, line {i} is {' '.join(lines[i - 1])[:60]!r}; it has to be two words" for i in wrong[:SHOWN]),
            *([f"{path}: {len(wrong) - SHOWN} more lines like these"] if len(wrong) > SHOWN else []),
        ])  # fmt: skip
    return [(words[0], words[1]) for words in lines if words]


def _precision(x: np.ndarray, y: np.ndarray, pairs: np.ndarray, asked: np.ndarray, neighbours: int) -> dict[str, float]:
    """Share of the asked rows of x for which a counterpart is the first of all rows of y; nothing where none is asked."""
    if not len(asked):
        return {}
    right = defaultdict(set)
    for row, column in pairs.tolist():
        right[row].add(column)
    hubness = nearness(y, x, min(neighbours, len(x)))
    found = {"precision_at_1": retrieve(x[asked], y, hubness), "precision_at_1_cosine": retrieve(x[asked], y)}
    return {
        name: float(np.mean([answer in right[row] for row, answer in zip(asked.tolist(), answers.tolist(), strict=True)]))
        for name, answers in found.items()
    }
