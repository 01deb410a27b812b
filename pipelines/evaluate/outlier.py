"""Outlier: of words that belong together, and one that does not, is it the one that fits least?

Each set is asked once for each of its outliers: the outlier joins the set's words, and the words are ordered by compactness, the
mean cosine of all pairs that are left when a word is taken away. Where the outlier is found, the set is most compact without it.

reads   vectors, codings   one row of float32 numbers per word
writes  scores    accuracy, the share of questions whose outlier is found; outlier_position, the mean place of the outlier, 1 where
                  it is last and found, 0 where all others fit less, ties to its disfavour; accuracy_all, where a question that
                  cannot be asked counts as wrong; coverage, the share of questions asked
        beside it outliers.csv: of, set, outlier, position, stood out
source  Camacho-Collados, Navigli 2016: position is OP / |W|, its mean the outlier position percentage (as a share)
shapes  n = |W| words of a set, Q questions, D = vector_size

An unknown word of a set is left out of it; a question whose outlier is unknown, or whose set has fewer than two known words, is
not asked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.intervals import interval, mean_draws, wilson
from pipelines.kernels.nearest import unit
from pipelines.lookup import known
from pipelines.method import Knobs, Run
from pipelines.named_sets import carried_or_file, once, read_each, title_of
from pipelines.sources import located, paths
from pipelines.told_rows import read, refuse

PARTS = ("member", "outlier")


class Set(NamedTuple):
    words: list[str]
    outliers: list[str]  # the hardest first, where somebody ordered them


CARRIED = {
    "everyday": {
        name: Set(words.split(), outliers.split())
        for name, words, outliers in [
            ("fruit", "apple pear plum cherry grape lemon orange peach", "tree potato juice kitchen hammer river"),
            ("tools", "hammer saw drill wrench chisel axe screwdriver shovel", "nail carpenter engine wood bottle cloud"),
            ("months", "january march april june july september october december", "monday winter year clock season king"),
            ("metals", "iron copper silver gold lead tin zinc nickel", "stone coin wood factory water poem"),
            ("languages", "english french german spanish italian russian chinese latin", "paris grammar europe poet island bread"),
            ("cities", "london paris rome berlin madrid vienna moscow athens", "france street europe river emperor salt"),
            (
                "sciences",
                "physics chemistry biology geology astronomy mathematics botany medicine",
                "professor atom religion school war milk",
            ),
            ("colours", "red blue green yellow brown purple white black", "paint bright light flower heavy seven"),
            ("rulers", "king queen emperor prince duke sultan pharaoh tsar", "throne soldier farmer empire castle rain"),
            ("buildings", "house church castle palace tower school hospital barn", "door architect street roof garden horse"),
        ]
    }
}


class Params(Knobs):
    # or files of yours: word, set, `member` or `outlier` on each line; or, in a .txt, a set: its words, an empty line, its outliers
    sets: Annotated[list[str], carried_or_file(CARRIED, "outliers.tsv"), once("a set", title_of)] = Field(["everyday"], min_length=1)
    n_bootstrap: int = Field(1000, ge=100)  # draws of questions for an interval


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return paths([name for name in params.sets if name not in CARRIED])


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    titles, table = _read_all(params.sets, run), []
    with run.open(Scores) as out:
        for matrix in [*vectors, *codings]:
            for title, sets in titles.items():
                vector = known(matrix, (word for it in sets.values() for word in [*it.words, *it.outliers]))
                lines = [line for name, it in sets.items() for line in _ask(vector, name, it)]
                figures = _figures(lines, sum(len(it.outliers) for it in sets.values()), params.n_bootstrap, run.seed)
                out.append(**columns({"of": matrix.name, "on": title, **figure} for figure in figures))
                table += [{"of": matrix.name, **line, "position": f"{line['position']:.4f}"} for line in lines]
                run.say(f"{matrix.name} on {title}: " + ", ".join(f"{figure['metric']} {figure['value']:.3f}" for figure in figures))
        out.csv("outliers", table or [dict.fromkeys(("of", "set", "outlier", "position", "stood out"), "")])
    return out.artifact


def _read_all(names: Sequence[str], run: Run) -> dict[str, dict[str, Set]]:
    """Title -> name of a set -> the set. Files of one set each count together, as those that they lie with. Raises Fault with all faults."""
    titles: dict[str, dict[str, Set]] = {}
    for name, found in zip(names, read_each(names, _read, run), strict=True):
        if isinstance(found, Set):
            titles.setdefault(Path(name).parent.name or "sets", {})[title_of(name)] = found
        else:
            titles[title_of(name)] = found
    return titles


def _read(name: str) -> Set | dict[str, Set]:
    if name in CARRIED:
        return CARRIED[name]
    return _paragraphs(name) if Path(name).suffix == ".txt" else _table(name)


def _paragraphs(name: str) -> Set:
    """The published form: a word a line, an empty line, an outlier a line."""
    path = located(name)
    try:
        rows = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as err:
        raise Fault(f"the set {path} cannot be read as UTF-8 text: {err}") from err
    filled = [i for i, row in enumerate(rows) if row]
    border = next((i for i in range(filled[0], filled[-1]) if not rows[i]), None) if filled else None
    if border is None:
        raise Fault(f"{name} has no empty line between words; it has to be words, an empty line, outliers, one a line")
    return _whole(name, path.stem, [row for row in rows[:border] if row], [row for row in rows[border:] if row])


def _table(name: str) -> dict[str, Set]:
    parted: dict[str, dict[str, list[str]]] = {}
    wrong = []
    for where, (word, title, part) in read(name, ("word", "set", "part")):
        if part not in PARTS:
            wrong.append(f"{where} says {part[:40]!r}; the third column has to be {' or '.join(PARTS)}")
        parted.setdefault(title, {it: [] for it in PARTS}).setdefault(part, []).append(word)
    refuse(wrong, name)
    return {title: _whole(name, title, *(parts[it] for it in PARTS)) for title, parts in parted.items()}


def _whole(name: str, title: str, words: list[str], outliers: list[str]) -> Set:
    if len(words) < 2 or not outliers:
        raise Fault(f"{name}: the set {title!r} has {len(words)} words and {len(outliers)} outliers; it takes two and one")
    return Set(words, outliers)


def _ask(vector: dict[str, np.ndarray], name: str, it: Set) -> list[dict]:
    """A line a question that can be asked."""
    members = [word for word in it.words if word in vector]
    if len(members) < 2:
        return []
    lines = []
    for outlier in (word for word in it.outliers if word in vector):
        words = [*members, outlier]
        place, least = position(unit(np.stack([vector[word] for word in words])).astype(np.float64))
        lines.append({"set": name, "outlier": outlier, "position": place / len(members), "stood out": words[least]})
    return lines


def position(x: np.ndarray) -> tuple[int, int]:
    """The outlier's position, 0 to n, and the row that fits least.

    Compactness without a word is the mean over the pairs of the others: the total, the same for all, less the word's own
    cosines. So the words stand in the order of these, the greatest sum first.

    Args:
        x: (n + 1, D) float64 of length 1, the outlier last.
    """
    similarity = x @ x.T
    np.fill_diagonal(similarity, 0)
    own = similarity.sum(axis=1)
    return int((own[:-1] > own[-1] + 1e-9).sum()), int(own.argmin())


def _figures(lines: list[dict], n_questions: int, n_bootstrap: int, seed: int) -> list[dict]:
    place = np.array([line["position"] for line in lines])
    n, hits, note = len(lines), int((place == 1).sum()), f"{len(lines)} of {n_questions} questions can be asked"
    figures = [] if not n else [_share("accuracy", hits, n, note)]
    if n:
        low, high = interval(place.mean(), mean_draws(place, n_bootstrap, np.random.default_rng(seed)), n)
        figures.append({"metric": "outlier_position", "value": place.mean(), "low": low, "high": high, "n": n, "note": note})
    figures.append(_share("accuracy_all", hits, n_questions, "a question that cannot be asked counts as wrong"))
    return [*figures, {"metric": "coverage", "value": n / n_questions, "n": n_questions, "note": note}]


def _share(metric: str, hits: int, n: int, note: str) -> dict:
    low, high = wilson(hits, n)
    return {"metric": metric, "value": hits / n, "low": low, "high": high, "n": n, "note": note}
