"""WEAT: whether words of one kind lie nearer to some attributes than words of another kind do, such as names to trades.

reads   vectors, codings   one row of float32 numbers per word
writes  scores    effect_size, how far apart the mean associations of the two target sets X and Y lie, over the sample standard
                  deviation (ddof 1) of all targets' associations; p_value, the share of the ways to part the targets that set
                  the two as far apart, one-sided; coverage, the share of the words that are known: the others are left out.
                  By rnd relative_norm_distance, of each set of attributes by itself: how much further its words lie from the mean
                  of X than from that of Y; below 0 they are nearer to X
        beside it weat.csv: of, test, set, word, association
source  Caliskan, Bryson, Narayanan 2017: s(w, A, B) is the mean cosine of w with A less that with B. Bolukbasi et al. 2016 and
        Nosek, Banaji, Greenwald 2002 are where such sets come from; these here are our own. Garg, Schiebinger, Jurafsky, Zou
        2018 (rnd): the mean over attributes a of |a - mean X| - |a - mean Y|, all words of length 1, as the library WEFE has it
shapes  n targets, D = vector_size
"""

import json
from collections.abc import Iterator
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, nearest
from pipelines.kernels.intervals import draws, interval, mean_draws
from pipelines.kernels.nearest import unit
from pipelines.lookup import known
from pipelines.method import Knobs, Run
from pipelines.named_sets import once
from pipelines.sources import located, paths

WORDS = {
    "trees": ["oak", "birch", "pine", "maple", "willow", "beech", "elm", "cedar"],
    "vermin": ["rat", "louse", "mosquito", "flea", "cockroach", "leech", "maggot", "tick"],
    "good": ["lovely", "kind", "beautiful", "safe", "healthy", "honest", "fresh", "welcome"],
    "bad": ["ugly", "cruel", "filthy", "deadly", "sick", "false", "rotten", "hated"],
    "men": ["he", "his", "man", "father", "brother", "son", "king", "uncle"],
    "women": ["she", "her", "woman", "mother", "sister", "daughter", "queen", "aunt"],
    "work": ["engineer", "company", "profit", "manager", "wage", "army", "science", "industry"],
    "home": ["kitchen", "child", "marriage", "garden", "cradle", "nurse", "household", "dress"],
}
LEAST = 2  # known words of each set; of fewer nothing is said
Parts = list[np.ndarray]  # (known words, D) float64 of length 1, of X, Y, A and B


class Params(Knobs):
    by: Annotated[list[Literal["weat", "rnd"]], once("a measure")] = Field(["weat"], min_length=1)
    file: str | None = None  # of yours, JSON: name of a set -> its words; as they are written, names with capitals
    words: dict[str, list[str]] = Field({})  # more sets, in the row itself
    # the two target sets and the two sets of attributes: X, Y, A, B
    tests: list[list[str]] = Field([["trees", "vermin", "good", "bad"], ["men", "women", "work", "home"]], min_length=1)
    n_permutations: int = Field(100_000, ge=100)  # all ways to part the targets where they are no more, else so many drawn ones
    n_bootstrap: int = Field(1000, ge=100)  # draws of targets for an interval

    @field_validator("file")
    @classmethod
    def _json(cls, name: str | None) -> str | None:
        if name is not None and Path(name).suffix != ".json":
            raise ValueError(f"must be a file such as sets.json, and is {name!r}")
        return name

    @field_validator("tests")
    @classmethod
    def _four(cls, tests: list[list[str]]) -> list[list[str]]:
        for names in tests:
            if len(names) != 4 or len(set(names)) < 4:
                raise ValueError(f"must each name four sets, two of targets and two of attributes; {names} does not")
        if len({tuple(names) for names in tests}) < len(tests):
            raise ValueError("must not name a test twice")
        return tests


def sources(params: Params) -> list[str]:
    """The files of the project that the evaluation reads."""
    return paths(params.file) if params.file else []


def evaluate(vectors: list[Vectors], params: Params, run: Run, codings: list[Codings] = ()) -> Scores:
    sets = _sets(params, run)
    table = []
    with run.open(Scores) as out:
        for matrix in [*vectors, *codings]:
            told: set[str] = set()
            vector = known(matrix, (word for names in params.tests for name in names for word in sets[name]))
            for names in params.tests:
                title = f"{names[0]} and {names[1]}, {names[2]} and {names[3]}"
                words, parts, note = _parts(vector, matrix.size, {name: sets[name] for name in names})
                figures = list(_figures(parts, sum(len(sets[name]) for name in names), note, params, run.seed))
                if "rnd" in params.by:  # a set of attributes may stand in several tests of the same targets
                    figures += [it for it in _norms(names, parts, params, run.seed) if it["on"] not in told]
                    told |= {it["on"] for it in figures if "on" in it}
                out.append(**columns({"of": matrix.name, "on": title, **figure} for figure in figures))
                table += _table(matrix.name, title, names, words, parts)
                run.say(f"{matrix.name} on {title}: " + ", ".join(f"{figure['metric']} {figure['value']:.3g}" for figure in figures))
        out.csv("weat", table or [dict.fromkeys(("of", "test", "set", "word", "association"), "")])
    return out.artifact


def _sets(params: Params, run: Run) -> dict[str, list[str]]:
    """Ours, the row's, the file's; a later one of the same name counts. Raises Fault for a test of a set that is none of them."""
    sets = {**WORDS, **params.words, **(_read(params.file) if params.file else {})}
    sets = {name: list(dict.fromkeys(words)) for name, words in sets.items()}
    faults = [
        f"{run.name}: there is no set {name!r}; there are {', '.join(sets)}.{nearest(name, sets)}"
        for name in dict.fromkeys(name for names in params.tests for name in names)
        if not sets.get(name)
    ]
    if faults:
        raise Fault(faults)
    return sets


def _read(file: str) -> dict[str, list[str]]:
    path, form = located(file), "they have to be a JSON object: name of a set -> list of its words"
    try:
        sets = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as err:
        raise Fault(f"the sets {path} cannot be read: {err}; {form}") from err
    if not isinstance(sets, dict):
        raise Fault(f"the sets {path} are a {type(sets).__name__}; {form}")
    wrong = [name for name, words in sets.items() if not (isinstance(words, list) and all(isinstance(word, str) for word in words))]
    if wrong:
        raise Fault(f"{path}: {name!r} is no list of words. Write one: {json.dumps(name)}: [...]" for name in wrong)
    return sets


def _parts(vector: dict[str, np.ndarray], size: int, sets: dict[str, list[str]]) -> tuple[list[list[str]], Parts, str]:
    """Of each set the known words, and their vectors; and what is to be said of the others."""
    words = [[word for word in names if word in vector] for names in sets.values()]
    parts = [unit(np.array([vector[word] for word in some]).reshape(-1, size)).astype(np.float64) for some in words]
    missing = [word for names in sets.values() for word in names if word not in vector]
    note = "known " + ", ".join(f"{len(some)} of {len(names)} {name}" for (name, names), some in zip(sets.items(), words, strict=True))
    return words, parts, note + (f"; left out: {', '.join(missing)}" if missing else "")


def _figures(parts: Parts, n_words: int, note: str, params: Params, seed: int) -> Iterator[dict]:
    """No effect of sets with too few known words, or whose targets are all alike; the note of the coverage says so."""
    n_known, undefined = sum(map(len, parts)), "; no effect: it takes two known words of each set, and targets that differ"
    if "weat" not in params.by:
        undefined = ""
    elif min(map(len, parts)) >= LEAST:
        x, y = association(parts[0], *parts[2:]), association(parts[1], *parts[2:])
        value = effect_size(x, y)
        if np.isfinite(value):
            undefined = ""
            low, high = interval(value, _effects_drawn(x, y, params.n_bootstrap, np.random.default_rng(seed)))
            n = len(x) + len(y)
            yield {"metric": "effect_size", "value": value, "low": low, "high": high, "n": n, "note": f"{note}; 95 % of draws of targets"}
            p, how = permutation_p(x, y, params.n_permutations, np.random.default_rng(seed))
            yield {"metric": "p_value", "value": p, "n": n, "note": f"one-sided, {how}"}
    yield {"metric": "coverage", "value": n_known / n_words, "n": n_words, "note": note + undefined}


def association(targets: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) s(w, A, B) of each target; all rows of length 1."""
    return targets @ (a.mean(axis=0) - b.mean(axis=0))


def effect_size(x: np.ndarray, y: np.ndarray) -> float:
    """Of the associations of two target sets; NaN where all are the same."""
    away, spread = x.mean() - y.mean(), np.concatenate([x, y]).std(ddof=1)
    return float(away / spread) if spread > 1e-12 else np.nan


def _norms(names: list[str], parts: Parts, params: Params, seed: int) -> Iterator[dict]:
    """Of each set of attributes; none where it, or a set of targets, has too few known words."""
    x, y, *attributes = parts
    for name, words in zip(names[2:], attributes, strict=True):
        if min(map(len, (x, y, words))) >= LEAST:
            away = norm_distances(x, y, words)
            low, high = interval(away.mean(), mean_draws(away, params.n_bootstrap, np.random.default_rng(seed)))
            yield {
                "metric": "relative_norm_distance", "on": f"{names[0]} and {names[1]}, {name}", "value": float(away.mean()),
                "low": low, "high": high, "n": len(away), "note": f"below 0: nearer to {names[0]}; 95 % of draws of {name}",
            }  # fmt: skip


def norm_distances(x: np.ndarray, y: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """(n,) of each attribute: how much further it is from the mean of x than from that of y."""
    from_x, from_y = (np.linalg.norm(attributes - targets.mean(axis=0), axis=1) for targets in (x, y))
    return from_x - from_y


def _effects_drawn(x: np.ndarray, y: np.ndarray, n_bootstrap: int, rng: np.random.Generator) -> np.ndarray:
    """(n_bootstrap,) as effect_size, each set drawn with replacement by itself; NaN where a draw's targets are all the same."""
    of_x, of_y = (np.concatenate(list(draws(len(part), n_bootstrap, rng))) for part in (x, y))
    weights, both = np.concatenate([of_x, of_y], axis=1), np.concatenate([x, y])
    n = len(both)
    both = both - both.mean()
    variance = (weights @ both**2 / n - (weights @ both / n) ** 2) * n / (n - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > 1e-24, (of_x @ x / len(x) - of_y @ y / len(y)) / np.sqrt(np.maximum(variance, 0)), np.nan)


def permutation_p(x: np.ndarray, y: np.ndarray, n_permutations: int, rng: np.random.Generator) -> tuple[float, str]:
    """How likely a difference as great as theirs is, when chance parts the targets into sets of these sizes; and how it was counted.

    The parting that was found counts as one of them, so that p is never 0.
    """
    both = np.concatenate([x, y])
    n, k = len(both), len(x)
    # with the sizes and the total given, the sum of the first set says the difference of the means
    found = x.sum() - 1e-12 * np.abs(both).sum()
    n_ways = comb(n, k)
    if n_ways <= n_permutations:
        subsets = np.array(list(combinations(range(n), k)))
        return float((both[subsets].sum(axis=1) >= found).mean()), f"all {n_ways:,} ways to part the targets"
    hits = 0
    for start in range(0, n_permutations, 10_000):
        b = min(10_000, n_permutations - start)
        subsets = np.argsort(rng.random((b, n)), axis=1)[:, :k]
        hits += int((both[subsets].sum(axis=1) >= found).sum())
    return (hits + 1) / (n_permutations + 1), f"{n_permutations:,} drawn ways to part the targets"


def _table(of: str, test: str, names: list[str], words: list[list[str]], parts: Parts) -> list[dict]:
    """A line a target, where there are attributes."""
    if not min(len(parts[2]), len(parts[3])):
        return []
    return [
        {"of": of, "test": test, "set": name, "word": word, "association": f"{value:.4f}"}
        for name, mine, part in zip(names[:2], words[:2], parts[:2], strict=True)
        for word, value in zip(mine, association(part, *parts[2:]), strict=True)
    ]
