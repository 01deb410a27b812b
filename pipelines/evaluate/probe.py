"""Probe: whether a third word tells two words apart, by how often it stands near each: solid is near ice, gas near steam.

reads   counts   words near words
writes  scores   probability of a probe near each of the two words, P(k|i) and P(k|j); probability_ratio, the first over the
                 second, about 1 for a probe that tells nothing, and left out where the second is 0; words_known, the
                 share of the named words found. Beside it probe.csv: probe, first, second, ratio
source  Pennington, Socher, Manning 2014, table 1: P(k|i) = X_ik / X_i
shapes  V words; two rows of V numbers in memory
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.method import Knobs, Run

PLOTS = {"probe": {"template": "bar_horizontal", "x": "ratio", "y": "probe", "title": "how much likelier near the first word"}}


class Params(Knobs):
    words: list[str] = Field(["ice", "steam"], min_length=2, max_length=2)  # i and j
    probes: list[str] = Field(["solid", "gas", "water", "fashion"], min_length=1)  # k


def evaluate(counts: Counts, params: Params, run: Run) -> Scores:
    counts.words_only()
    names = counts.words()
    id_of = {word: i for i, word in enumerate(names) if i != UNKNOWN_ID}
    wanted = list(dict.fromkeys([*params.words, *params.probes]))
    known = [word for word in wanted if word in id_of]
    near = _rows([id_of.get(word, -1) for word in params.words], counts, len(names))
    table = list(_probabilities([word for word in params.probes if word in id_of], id_of, near, params.words))
    with run.open(Scores) as out:
        out.append(**columns({"of": counts.name, **figure} for figure in [*_figures(table, params.words), _known(wanted, known)]))
        out.csv("probe", [{name: _shown(line[name]) for name in ("probe", "first", "second", "ratio")} for line in table] or [NO_LINE])
    for line in table:
        first, second, ratio = (_shown(line[name]) or "undefined" for name in ("first", "second", "ratio"))
        run.say(f"{line['probe']}: near {params.words[0]} {first}, near {params.words[1]} {second}, ratio {ratio}")
    return out.artifact


NO_LINE = {"probe": "", "first": "", "second": "", "ratio": ""}  # a table of no row would have no columns either


def _rows(ids: list[int], counts: Counts, n_vocab: int) -> np.ndarray:
    """(words, V) float64 counts near each word; zeros for one that is not there. Raises Fault for counts that are none."""
    near = np.zeros((len(ids), n_vocab))
    for row, col, count in counts.checked():
        for i, word in enumerate(ids):
            mine = slice(*np.searchsorted(row, [word, word + 1]))  # rows are sorted
            near[i, col[mine]] += count[mine]
    return near


def _probabilities(probes: list[str], id_of: dict[str, int], near: np.ndarray, words: list[str]) -> Iterator[dict]:
    """A line for each probe: its probability near each of the two words and their ratio, None where it is undefined."""
    total = near.sum(axis=1)
    for probe in dict.fromkeys(probes):
        seen = near[:, id_of[probe]]
        first, second = (x / n if n else None for x, n in zip(seen.tolist(), total.tolist(), strict=True))
        ratio = first / second if first is not None and second else None
        yield {"probe": probe, "first": first, "second": second, "ratio": ratio, "seen": seen}


def _figures(table: list[dict], words: list[str]) -> Iterator[dict]:
    first, second = words
    for line in table:
        for i, (name, word) in enumerate((("first", first), ("second", second))):
            if line[name] is not None:
                n = round(line["seen"][i])
                yield {"metric": "probability", "on": f"{line['probe']} | {word}", "value": line[name], "n": n}
        if line["ratio"] is not None:
            on = f"{line['probe']} | {first} / {second}"
            yield {"metric": "probability_ratio", "on": on, "value": line["ratio"], "n": round(line["seen"].sum())}


def _known(wanted: list[str], known: list[str]) -> dict:
    unknown = [word for word in wanted if word not in known]
    note = f"not in the vocabulary: {', '.join(unknown)}" if unknown else ""
    return {"metric": "words_known", "on": "vocab", "value": len(known) / len(wanted), "n": len(wanted), "note": note}


def _shown(value: str | float | None) -> str:
    return value if isinstance(value, str) else "" if value is None else f"{value:.4g}"
