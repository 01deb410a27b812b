"""Similarity: do vectors order pairs of words as people do?

reads   vectors, codings   one row of float32 numbers per word
writes  scores    spearman, of the pairs whose two words are known; spearman_all, where a pair with an
                  unknown word counts as similarity 0; coverage, the share of pairs that is known;
                  where asked for, spearman_composed, as spearman_all, with unknown words made of their letter n-grams
source  Finkelstein et al. 2002 (WordSim-353); Hill, Reichart, Korhonen 2015 (SimLex-999)
shapes  P pairs, D = vector_size
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import draws, interval
from pipelines.kernels.nearest import rows_of, unit
from pipelines.kernels.ranks import spearman
from pipelines.lookup import composer
from pipelines.method import Knobs, Run
from pipelines.named_sets import carried_or_file, gensims, lines_of, once, read_each, title_of
from pipelines.told_rows import refuse

CARRIED = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}  # by gensim
Scored = tuple[str, np.ndarray, np.ndarray, str]  # a metric, (n,) cosines, (n,) people's scores, a note


class Params(Knobs):
    # or files of yours: word, word, score on each line, between tabs, commas or blanks
    sets: Annotated[list[str], carried_or_file(CARRIED, "pairs.tsv"), once("a set", title_of)] = Field(
        ["wordsim353", "simlex999"], min_length=1
    )
    n_bootstrap: int = Field(1000, ge=100)  # draws of pairs for an interval
    compose: bool = False  # score once more, with unknown words made of their letter n-grams: of fasttext, or a pretrained .bin


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return [name for name in params.sets if name not in CARRIED]


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    sets = dict(zip(map(title_of, params.sets), read_each(params.sets, lambda name: _read(_path(name), run), run), strict=True))
    n_composers = 0
    with run.open(Scores) as out:
        for matrix in [*vectors, *codings]:
            items, numbers = matrix.items(), matrix.memmap()
            compose = composer(matrix, items) if params.compose else None
            n_composers += compose is not None
            for name, (left, right, human) in sets.items():
                rows = rows_of([*left, *right], items).reshape(2, -1)
                known = (rows >= 0).all(axis=0)
                asked = np.unique(rows[rows >= 0])
                matrix.finite(numbers[asked], [items[row] for row in asked])
                scored = _scored(_cosine(numbers, rows), known, human)
                if compose:
                    scored.append(_composed(compose, [*left, *right], numbers, rows, human))
                figures = _figures(scored, known, params.n_bootstrap, run.seed)
                out.append(**columns({"of": matrix.name, "on": name, **figure} for figure in figures))
                run.say(f"{matrix.name} on {name}: " + ", ".join(f"{figure['metric']} {figure['value']:.3f}" for figure in figures))
        if params.compose and not n_composers:
            raise Fault(
                f"{run.name}: compose is true, and none of {', '.join(matrix.name for matrix in [*vectors, *codings])} holds letter n-grams. "
                "Name a row of fasttext, or of pretrained from a .bin, or say compose: false"
            )
    return out.artifact


def _path(name: str) -> Path:
    return gensims(CARRIED[name]) if name in CARRIED else Path(name)


def _read(path: Path, run: Run) -> tuple[list[str], list[str], np.ndarray]:
    """Lines of word, word, score; a first line whose score is no number is a heading. Raises Fault with all lines that are no pair."""
    pairs, faults = [], []
    lines = lines_of(path, 3, f"name one of {', '.join(CARRIED)} under `sets`")
    for place, (i, line, cells) in enumerate(lines):
        human = _number(cells[2]) if len(cells) > 2 else None
        if place == 0 and len(cells) > 2 and human is None:
            run.say(f"{path}, line {i}, {line[:60]!r}, is taken as the heading: its score is no number")
        elif human is None or not all(cells[:2]):
            faults.append(f"{path}, line {i} is {line[:60]!r}; it has to be word, word, score")
        elif not np.isfinite(human):
            faults.append(f"{path}, line {i}: the score {cells[2]} is not a number to be ranked")
        else:
            pairs.append((cells[0], cells[1], human))
    if not pairs and not faults:
        faults = [f"{path} holds no pair; a line has to be word, word, score"]
    refuse(faults, str(path))
    left, right, human_scores = zip(*pairs, strict=True)
    return list(left), list(right), np.array(human_scores)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _cosine(numbers: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(P,) cosine of the pairs whose rows, (2, P), are known; 0 of the others."""
    left, right = unit(numbers[rows[0]]), unit(numbers[rows[1]])  # row -1 is read too, and not used
    return np.where((rows >= 0).all(axis=0), np.einsum("pd,pd->p", left, right, dtype=np.float64), 0.0)


def _scored(cosine: np.ndarray, known: np.ndarray, human: np.ndarray) -> list[Scored]:
    n_pairs, seen = len(known), int(known.sum())
    return [
        ("spearman", cosine[known], human[known], f"{seen} of {n_pairs} pairs have two known words"),
        ("spearman_all", cosine, human, f"{n_pairs - seen} pairs with an unknown word count as similarity 0"),
    ]


def _composed(
    compose: Callable[[Sequence[str]], np.ndarray], words: Sequence[str], numbers: np.ndarray, rows: np.ndarray, human: np.ndarray
) -> Scored:
    """All pairs; an unknown word has the vector that is composed of it.

    Args:
        words: (2 P,) of the left sides, then of the right ones, as in `rows`, (2, P).
    """
    vectors, new = numbers[rows], rows < 0  # (2, P, D)
    spelled = [word for word, is_new in zip(words, new.ravel(), strict=True) if is_new]
    vectors[new] = compose(spelled)
    there = vectors.any(axis=2)
    made = {word for word, is_made in zip(spelled, there[new], strict=True) if is_made}
    n_made, n_left = int((there.all(axis=0) & new.any(axis=0)).sum()), int((~there).any(axis=0).sum())
    note = f"{n_made} of {rows.shape[1]} pairs have a word made of its letter n-grams, {len(made)} words in all"
    cosine = np.einsum("pd,pd->p", unit(vectors[0]), unit(vectors[1]), dtype=np.float64)
    return "spearman_composed", cosine, human, note + f"; {n_left} pairs with a word that has none count as similarity 0" * (n_left > 0)


def _figures(scored: list[Scored], known: np.ndarray, n_bootstrap: int, seed: int) -> list[dict]:
    """A correlation that is not defined is left out, and the note of the coverage says so."""
    figures, lost = [], []
    for metric, x, y, note in scored:
        # two pairs always correlate by 1 or -1
        value = float(spearman(x, y)[0]) if len(x) > 2 else np.nan
        if np.isnan(value):
            lost.append(metric)
            continue
        rng = np.random.default_rng(seed)  # anew: a figure's interval does not hang on what was scored before it
        samples = np.concatenate([spearman(x, y, weights) for weights in draws(len(x), n_bootstrap, rng)])
        low, high = interval(value, samples)
        figures.append({"metric": metric, "value": value, "low": low, "high": high, "n": len(x), "note": note})
    note = f"no {', '.join(lost)}: it takes three pairs that differ" if lost else ""
    return [*figures, {"metric": "coverage", "value": int(known.sum()) / len(known), "n": len(known), "note": note}]
