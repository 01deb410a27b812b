"""Compare: two rows of one verb side by side: what they were told, what they scored, and how they differ on the same things.

reads   params.yaml, scores of rows of evaluate, runs/records; and of
        classify   predictions: which of the two is right, document by document of valid (McNemar 1947, exact); of numbers, how far
                   off the two are, with an interval of the difference
        embed      vectors: how many nearest neighbours a word has in common in both (Wendlandt, Kummerfeld, Mihalcea 2018)
        compress   codings: bytes, and the error of the items that both have coded, with an interval of the difference

A difference is always b - a. The test set has no part in it: its figures are those of `wordloom final`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import layout, params, records
from pipelines.errors import Fault, nearest
from pipelines.params import Row
from pipelines.registry import NOUNS, VERBS
from pipelines.use import figures
from pipelines.use.rows import rows

ABSENT = "-"  # in the place of a knob that a method has not
K, MAX_VOCAB, QUERIES, SHOWN = 10, 10_000, 1000, 5  # neighbours of a word, words among which they are sought, and asked of, and shown
N_BOOTSTRAP, SEED = 1000, 1


def named(root: Path, one: str, other: str) -> tuple[str, str, str]:
    """(verb, row, row). Raises Fault unless both are rows of one verb, and of one alone, or say which: verb/row."""
    found = []
    for name in (one, other):
        verb, slash, row = name.partition("/")
        if slash and verb not in VERBS:
            raise Fault(f"{name}: {verb!r} is not a stage; the stages are {', '.join(VERBS)}.{nearest(verb, VERBS)}")
        verbs = [it for it in ([verb] if slash else VERBS) if (row if slash else name) in rows(root, it)]
        if not verbs:
            known = [f"{it}/{each}" if slash else each for it in ([verb] if slash else VERBS) for each in rows(root, it)]
            raise Fault(f"{layout.PARAMS} has no row {name!r}.{nearest(name, known) or ' Name two rows of one verb'}")
        found.append((verbs, row if slash else name))
    (mine, a), (theirs, b) = found
    common = [verb for verb in mine if verb in theirs]
    if not common:
        raise Fault(f"{one} is a row of {' and '.join(mine)}, {other} of {' and '.join(theirs)}. Name two rows of one verb")
    if len(common) > 1:
        raise Fault(f"{one} and {other} are rows of {' and of '.join(common)}. Say which: {common[0]}/{a} {common[0]}/{b}")
    if a == b:
        raise Fault(f"{one} and {other} are the same row. Name two")
    return common[0], a, b


def compare(root: Path, one: str, other: str) -> dict[str, Any]:
    """verb, a, b, settings, scores, cost; of classifiers mcnemar and errors, of vectors overlap, of codings codings. Raises Fault."""
    verb, a, b = named(root, one, other)
    both = params.read_row(root, verb, a), params.read_row(root, verb, b)
    artifacts = [NOUNS[row.noun](root / layout.artifact(row.noun, row.name)) for row in both]
    missing = [row.name for row, it in zip(both, artifacts, strict=True) if not it.folder.exists()]
    if missing:
        raise Fault(f"{verb}/{name} has not been run. Run: dvc repro {verb}-{name}" for name in missing)
    found: dict[str, Any] = {"verb": verb, "a": a, "b": b, "settings": list(_settings(*both))}
    found["scores"] = list(_scores(*(figures.of(root, f"{row.noun}/{row.name}") for row in both)))
    found["cost"] = list(_costs(root, *artifacts))
    for name, asked in BESIDES.get(verb, {}).items():
        found[name] = asked(*artifacts)
    return found


def _settings(a: Row, b: Row) -> Iterator[dict[str, Any]]:
    """What is not the same for both; of a knob that one method alone has, what was written."""
    told = [
        {"method": row.method.name}
        | {name: ", ".join(names) or ABSENT for name, names in row.inputs.items()}
        | row.knobs.model_dump(mode="json")
        | row.world.model_dump(mode="json")
        for row in (a, b)
    ]
    written = a.knobs.model_fields_set | b.knobs.model_fields_set
    for name in dict.fromkeys([*told[0], *told[1]]):
        values = [its.get(name, ABSENT) for its in told]
        of_one = name not in told[0] or name not in told[1]
        is_knob = name in type(a.knobs).model_fields or name in type(b.knobs).model_fields
        if values[0] != values[1] and not (of_one and is_knob and name not in written):
            yield {"setting": name, "a": values[0], "b": values[1]}


def _scores(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each figure that either has; a difference where both have it."""
    lines = [{(line["by"], line["metric"], line["on"]): line for line in its} for its in (a, b)]
    for key in dict.fromkeys([*lines[0], *lines[1]]):
        values = [{name: its[key][name] for name in ("value", "low", "high", "n")} if key in its else None for its in lines]
        by, metric, on = key
        difference = values[1]["value"] - values[0]["value"] if all(values) else None  # type: ignore[index]
        yield {"by": by, "metric": metric, "on": on, "a": values[0], "b": values[1], "difference": difference}


def _costs(root: Path, a: Any, b: Any) -> Iterator[dict[str, Any]]:
    """Of the run that made what is there; a row that came out of DVC's cache may have none."""
    found = []
    for artifact in (a, b):
        record = records.of(root, artifact.noun, artifact.row)
        found.append({"seconds": record.get("seconds"), "memory_bytes": record.get("peak_bytes"), "artifact_bytes": artifact.n_bytes()})
    for name in found[0]:
        yield {"what": name, "a": found[0][name], "b": found[1][name]}


def _of_both(a: Any, b: Any) -> Any:
    """doc_id, label, predicted_a, predicted_b of the documents of valid that both were asked of, and whose truth is the same for both."""
    from pipelines.artifacts.predictions import names_of

    told = []
    for artifact in (a, b):
        frame, _ = artifact.frame("valid")
        frame = frame[frame["label"].notna()]
        if artifact.answer() == "several":
            frame = frame.assign(**{name: frame[name].map(lambda it: "|".join(sorted(names_of(it)))) for name in ("label", "predicted")})
        told.append(frame)
    return told[0].merge(told[1], on=["doc_id", "label"], suffixes=("_a", "_b"))


def errors(a: Any, b: Any) -> dict[str, Any] | None:
    """Mean absolute errors over the documents of both; None where there are none, or answers are no numbers."""
    from pipelines.kernels.intervals import interval, mean_draws

    both = _of_both(a, b)
    if not len(both) or {a.answer(), b.answer()} != {"number"}:
        return None
    off = [(both[f"predicted_{it}"].astype(float) - both["label"].astype(float)).abs().to_numpy() for it in "ab"]
    away = off[1] - off[0]
    low, high = interval(away.mean(), mean_draws(away, N_BOOTSTRAP, np.random.default_rng(SEED)))
    return {
        "n": len(both), "a": float(off[0].mean()), "b": float(off[1].mean()), "difference": float(away.mean()), "low": low, "high": high,
        "better_b": int((away < 0).sum()),
    }  # fmt: skip


def mcnemar(a: Any, b: Any) -> dict[str, Any] | None:
    """Over the documents of both; None where there are none, or answers are numbers, of which none is quite right."""
    from pipelines.kernels.classification import mcnemar as probability

    both = _of_both(a, b)
    if not len(both) or "number" in (a.answer(), b.answer()):
        return None
    right = [(both[f"predicted_{it}"] == both["label"]).to_numpy() for it in "ab"]
    only_a, only_b = right[0] & ~right[1], right[1] & ~right[0]
    shown = both[only_a | only_b].head(SHOWN)[["doc_id", "label", "predicted_a", "predicted_b"]]
    return {
        "n": len(both),
        "both_right": int((right[0] & right[1]).sum()),
        "only_a": int(only_a.sum()),
        "only_b": int(only_b.sum()),
        "neither": int((~right[0] & ~right[1]).sum()),
        "difference": float(right[1].mean() - right[0].mean()),
        "p": probability(int(only_a.sum()), int(only_b.sum())),
        "examples": shown.to_dict("records"),
    }


def overlap(a: Any, b: Any) -> dict[str, Any]:
    """Of a word's K nearest neighbours, how many both rows give it; sought among the frequent words that both know.

    Raises:
        Fault: they have fewer than three of them in common.
    """
    from pipelines.kernels.intervals import interval, mean_draws
    from pipelines.kernels.nearest import nearest as near
    from pipelines.kernels.nearest import shared, unit
    from pipelines.lookup import frequent

    told = [frequent(it, MAX_VOCAB) for it in (a, b)]
    rows_of = [{word: row for row, word in enumerate(words)} for words, _ in told]
    common = [word for word in told[0][0] if word in rows_of[1]]
    if len(common) < 3:
        first = (", ".join(map(repr, words[:3])) for words, _ in told)
        raise Fault(
            f"{a.name} and {b.name} have {len(common)} of their first {MAX_VOCAB:,} items in common; it takes three. Those of {a.row} begin with "
            f"{next(first)}, of {b.row} with {next(first)}. Are they words here and documents there? Name two rows of the words, or of the "
            "documents, of one text"
        )
    spaces = [unit(x[[place[word] for word in common]]) for place, (_, x) in zip(rows_of, told, strict=True)]
    k = min(K, len(common) - 2)  # of all other words any two rows would agree
    asked = np.sort(np.random.default_rng(SEED).choice(len(common), min(QUERIES, len(common)), replace=False))
    found = [near(x[asked], x, k, asked)[0] for x in spaces]
    of_word = shared(*found)
    low, high = interval(of_word.mean(), mean_draws(of_word, N_BOOTSTRAP, np.random.default_rng(SEED)), len(of_word))
    order = np.argsort(of_word, kind="stable")

    def words(places: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "word": common[asked[q]],
                "overlap": float(of_word[q]),
                **{name: [common[i] for i in its[q]] for name, its in zip("ab", found, strict=True)},
            }
            for q in places.tolist()
        ]

    return {
        "k": k, "words_a": a.n_rows(), "words_b": b.n_rows(), "among": len(common), "n": len(asked),
        "overlap": float(of_word.mean()), "low": low, "high": high,
        "least": words(order[:SHOWN]), "most": words(order[::-1][:SHOWN]),
    }  # fmt: skip


def codings(a: Any, b: Any) -> dict[str, Any]:
    """Numbers and bytes of each, the decoder's too, and the mean error of the items that both have; difference with its interval."""
    from pipelines.coding import cost
    from pipelines.kernels.intervals import interval, mean_draws

    told, errors = {}, []
    for name, it in (("a", a), ("b", b)):
        each, decoder = cost(it)
        told[name] = {"size": it.size, "bytes_per_item": each, "decoder_bytes": decoder, "items": it.n_rows()}
        errors.append(dict(zip(it.items(), it.read(columns=["error"]).column("error").to_pylist(), strict=True)))
    common = [item for item in errors[0] if item in errors[1]]
    if not common:
        return {**told, "n": 0}
    error = np.array([[its[item] for its in errors] for item in common], np.float64)
    away = error[:, 1] - error[:, 0]
    low, high = interval(away.mean(), mean_draws(away, N_BOOTSTRAP, np.random.default_rng(SEED)))
    for name, mean in zip("ab", error.mean(axis=0), strict=True):
        told[name]["mean_error"] = float(mean)
    worse = np.argsort(away, kind="stable")
    return {
        **told, "n": len(common), "difference": float(away.mean()), "low": low, "high": high, "better_b": int((away < 0).sum()),
        "gained": [common[i] for i in worse[:SHOWN] if away[i] < 0], "lost": [common[i] for i in worse[::-1][:SHOWN] if away[i] > 0],
    }  # fmt: skip


BESIDES: dict[str, dict[str, Callable[[Any, Any], Any]]] = {
    "classify": {"mcnemar": mcnemar, "errors": errors},
    "embed": {"overlap": overlap},
    "compress": {"codings": codings},
}


def text(found: dict[str, Any]) -> Iterator[Any]:
    """Tables and lines for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    a, b = found["a"], found["b"]

    def table(*head: str, lines: list[list[str]]) -> Table:
        made = Table(*map(escape, head))
        for line in lines:
            made.add_row(*map(escape, line))
        return made

    if found["settings"]:
        yield table("setting", a, b, lines=[[it["setting"], str(it["a"]), str(it["b"])] for it in found["settings"]])
    else:
        yield f"{found['verb']}/{a} and {found['verb']}/{b} are told the same"
    if found["scores"]:
        lines = [
            [
                it["metric"],
                it["on"],
                it["by"],
                *(_cell(it[name]) for name in "ab"),
                "" if it["difference"] is None else f"{it['difference']:+.4g}",
            ]
            for it in found["scores"]
        ]
        yield table("metric", "on", "by", a, b, "difference", lines=lines)
        if any(it["a"] and it["b"] and it["a"]["n"] != it["b"]["n"] for it in found["scores"]):
            yield "where n differs, the two were not asked the same"
    else:
        yield "neither is scored yet: name them in a row of evaluate"
    yield table("cost", a, b, lines=[[it["what"], *("" if it[name] is None else f"{it[name]:,}" for name in "ab")] for it in found["cost"]])
    if it := found.get("errors"):
        yield (
            f"mean absolute error, {b} less {a}: {figures.spelled({**it, 'value': it['difference']}, '+')}, of the {it['n']:,} documents of valid "
            f"that both have; {a} {it['a']:.4g}, {b} {it['b']:.4g}; {b} is nearer in {it['better_b']:,}"
        )
    elif "mcnemar" in found:
        yield _mcnemar(found["mcnemar"], a, b)
    if "overlap" in found:
        it = found["overlap"]
        yield (
            f"{it['k']} nearest neighbours in common: {figures.spelled({**it, 'value': it['overlap']})}, of {it['n']:,} words among the "
            f"{it['among']:,} frequent ones that both know; {a} has {it['words_a']:,} words, {b} {it['words_b']:,}"
        )
        lines = [
            [line["word"], f"{line['overlap']:.2f}", ", ".join(line["a"]), ", ".join(line["b"])]
            for name in ("least", "most")
            for line in it[name]
        ]
        yield table("word", "in common", f"near it in {a}", f"near it in {b}", lines=lines)
    if "codings" in found:
        it = found["codings"]
        names = [name for name in it["a"] if name in it["b"]]
        yield table("coding", a, b, lines=[[name, *(f"{it[side][name]:,.6g}" for side in "ab")] for name in names])
        if it["n"]:
            yield (
                f"mean error, {b} less {a}: {figures.spelled({**it, 'value': it['difference']}, '+')}, of the {it['n']:,} items that both have; "
                f"smaller in {b} for {it['better_b']:,}"
            )
        else:
            yield "they have no item in common"


def _cell(got: dict[str, Any] | None) -> str:
    return "" if got is None else f"{figures.spelled(got)}, n {got['n']:,}"


def _mcnemar(it: dict[str, Any] | None, a: str, b: str) -> str:
    if it is None:
        return "no document of valid, with its label and the same kind of answer, is in both"
    return (
        f"the {it['n']:,} documents of valid that both have: both right {it['both_right']:,}, {a} alone {it['only_a']:,}, "
        f"{b} alone {it['only_b']:,}, neither {it['neither']:,}; McNemar p {it['p']:.4g}"
    )
