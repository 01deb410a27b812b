"""What the report shows of classifiers: where they err, how far they can be believed, what they attend to, and a model card of each.

reads   the tables beside the scores of evaluate, attention.csv beside predictions; of predictions the split valid alone
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pipelines import charts
from pipelines.artifacts.predictions import Predictions
from pipelines.charts import figure
from pipelines.reporting.block import Block, grouped, several, table
from pipelines.reporting.scores import Tables, knobs
from pipelines.reporting.stages import Stage, above, read_csv
from pipelines.setting import HELD_OUT

Lines = Sequence[dict[str, str]]
MOST_CELLS = 8_000  # of all confusion matrices of an evaluation
OPEN = 2  # confusion matrices; more are folded
SHOWN = 4  # documents of which attention is shown
MOST_TOKENS = 120  # of such a document
ALPHA = 0.05
WORST = 3  # classes that a card names
FURTHEST = 10  # documents whose number is furthest off, of each


def confusions(lines: Lines) -> list[Block]:
    found, wrong, n_cells = [], [], 0
    for it in charts.confusions(lines):
        n_cells += it["picture"].count("<rect")
        told = f"{it['n']:,} answers; a row is an actual class; the stronger the colour, the larger its share"
        if it["n_drawn"] < it["n_classes"]:
            told += f"; {it['n_drawn']} of {it['n_classes']} classes, those that are mistaken most"
        wrong += [[it["of"], cell["actual"], cell["predicted"], int(cell["count"])] for cell in it["wrong"]]
        if n_cells > MOST_CELLS:
            it["picture"], told = (
                "",
                f"{it['n']:,} answers; not drawn, so that the page stays small: {several(MOST_CELLS, 'cell')} of others are",
            )
        found.append(Block(f"Confusion: {it['of']}", told, it["picture"], folded=len(found) >= OPEN))
    if wrong:
        found.append(Block("Mistaken most often", heads=["of", "actual", "taken for", "documents"], rows=wrong, folded=True, wide=True))
    return found


def calibration(lines: Lines) -> list[Block]:
    found = []
    for of, mine in grouped(lines, "of").items():
        bins = [(float(it["confidence"]), float(it["accuracy"]), int(it["n"])) for it in mine]
        told = f"{sum(n for *_, n in bins):,} documents, in {several(len(bins), 'bin')} of confidence"
        note = "Below the diagonal a classifier is surer than it is right."
        found.append(Block(f"Calibration: {of}", told, charts.reliability(bins), note=note, narrow=True))
    return found


def mcnemar(lines: Lines) -> list[Block]:
    """Each pair, with p as it is and as Holm corrects it for there being many pairs."""
    order = sorted(range(len(lines)), key=lambda i: float(lines[i]["p"]))
    holm, most = {}, 0.0
    for place, i in enumerate(order):
        most = max(most, min(1.0, float(lines[i]["p"]) * (len(lines) - place)))
        holm[i] = most
    rows = [
        [it["a"], it["b"], int(it["n"]), int(it["only_a"]), int(it["only_b"]), float(it["p"]), holm[i], "yes" if holm[i] < ALPHA else "no"]
        for i, it in enumerate(lines)
    ]
    heads = ["a", "b", "n", "only a is right", "only b is right", "p", "p, Holm", f"apart at {ALPHA:g}"]
    told = "McNemar's exact test: two classifiers on the same documents; Holm 1979 corrects for the number of pairs"
    return [Block("Which classifiers can be told apart", told, heads=heads, rows=rows, wide=True, folded=len(rows) > 15)]


def classes(lines: Lines) -> list[Block]:
    rows = [[it["of"], it["label"], float(it["precision"]), float(it["recall"]), float(it["f1"]), int(it["n"])] for it in lines]
    heads = ["of", "class", "precision", "recall", "F1", "documents"]
    return [Block("Every class: precision, recall, F1", heads=heads, rows=rows, folded=True, wide=True)]


def entities(lines: Lines) -> list[Block]:
    return [table("Every kind of entity", lines, folded=True)]


def wrong(lines: Lines) -> list[Block]:
    return [table("Some answers that are wrong", lines, folded=True, wide=True)]


def numbers(lines: Lines) -> list[Block]:
    """The documents whose predicted numbers are furthest off."""
    rows = []
    for of, mine in grouped(lines, "of").items():
        off = {it["doc_id"]: float(it["predicted"]) - float(it["actual"]) for it in mine}
        furthest = sorted(mine, key=lambda it: -abs(off[it["doc_id"]]))[:FURTHEST]
        rows += [[of, it["doc_id"], it["actual"], it["predicted"], off[it["doc_id"]]] for it in furthest]
    told = f"of each the {FURTHEST}, among the documents of numbers.csv"
    return [Block("Furthest off", told, heads=["of", "document", "actual", "predicted", "off by"], rows=rows, folded=True, wide=True)]


def few_labels(lines: Lines) -> list[Block]:
    """Mean accuracy over the number of labels, a line for each way to learn."""
    ways: dict[str, dict[float, list[float]]] = {}
    for row in lines:
        sizes = ways.setdefault(f"{row['of'].rpartition('/')[2]}, {row['classifier']}", {})
        sizes.setdefault(float(row["labels"]), []).append(float(row["accuracy"]))
    series = {way: [(size, float(np.mean(found))) for size, found in sizes.items()] for way, sizes in ways.items()}
    n = max(len(found) for sizes in ways.values() for found in sizes.values())
    return [
        Block(
            "Learning curves by number of labels",
            f"mean accuracy over {several(n, 'draw')} of labels",
            charts.lines(series, "labels"),
            list(series),
        )
    ]


def attention(predictions: Predictions) -> list[dict[str, Any]] | None:
    """Words of some documents of valid, each with its share of the attention; None of a model that keeps none. A number has no p."""
    documents = grouped(read_csv(predictions.folder / "attention.csv"), "doc_id")
    if not documents:
        return None
    of_numbers = predictions.answer() == "number"
    frame, probabilities = predictions.frame("valid")
    said = {
        row["doc_id"]: (row["label"], row["predicted"], float(p.max()))
        for row, p in zip(frame.to_dict("records"), probabilities, strict=True)
    }
    inside = [doc_id for doc_id in documents if doc_id in said]
    first = {said[doc_id][0]: doc_id for doc_id in reversed(inside)}.values()  # of as many classes as there are
    shown = sorted(inside, key=lambda doc_id: doc_id not in first)[:SHOWN]
    found = []
    for doc_id, words in documents.items():
        if doc_id in shown:
            label, predicted, p = said[doc_id]
            found.append({
                "doc_id": doc_id, "label": label or "no label", "predicted": predicted, "p": None if of_numbers else p, "right": label == predicted,
                "text": _weighed(words[:MOST_TOKENS]), "cut": max(len(words) - MOST_TOKENS, 0),
            })  # fmt: skip
    return found


def _weighed(words: Lines) -> Markup:
    """The words, the darker the more attention they get; the darkest is the one that gets most."""
    most = max(float(it["weight"]) for it in words) or 1.0
    told = '<span class="w" style="--w: {:.2f}" title="{:.1%} of the attention">{}</span>'
    return Markup(" ").join(Markup(told).format(float(it["weight"]) / most, float(it["weight"]), it["token"]) for it in words)


def card(stage: Stage, stages: Sequence[Stage], tables: Tables, run: dict[str, Any]) -> dict[str, Any] | None:
    """A classifier's model card, from what lies here: nothing of it is written by hand. None of what is no classifier."""
    if not isinstance(stage.artifact, Predictions):
        return None
    above_it = above(stages, stage.key)
    corpora = [(row, facts) for row, facts in run["corpora"] if f"corpus/{row}" in above_it]
    tokens = [(row, facts) for row, facts in run["tokens"] if f"tokens/{row}" in above_it]
    figures = [
        line | {"low": None if pd.isna(line["low"]) else line["low"], "evaluation": row}
        for row, (_, frame) in tables.items()
        for line in frame[frame["of"] == stage.key].to_dict("records")
    ]
    of_numbers = stage.artifact.answer() == "number"
    return {
        "stage": stage,
        "made_of": [key for key in above_it if not key.startswith("corpus/")],
        "data": [_data(row, facts) for row, facts in corpora],
        "of_numbers": of_numbers,
        "labels": sorted({label for _, facts in corpora for label in facts["classes"]}),
        "chosen": _chosen(stage),
        "knobs": knobs(stage),
        "figures": figures,
        "limits": _limits(stage, tables, figures, [] if of_numbers else corpora, tokens),
        "readings": [row for row in run["readings"] if row.get("row") == f"classify/{stage.row}"],
    }


def _data(row: str, facts: dict[str, Any]) -> str:
    told = [f"{it['documents']:,} {it['split']} ({it['labelled']:,} labelled)" for it in facts["splits"]]
    return f"{row}: {', '.join(told)}"


def _chosen(stage: Stage) -> str:
    """On what the kept weights were chosen, as far as the training curve says."""
    curve = stage.artifact.curve() if stage.artifact else []
    losses = [(step["valid_loss"], step.get("epoch", i + 1)) for i, step in enumerate(curve) if "valid_loss" in step]
    if losses:
        _, epoch = min(losses)
        return f"epoch {epoch:g} of {len(losses)}, that of the lowest loss on valid"
    return "no epoch was chosen on valid; the knobs are as written, and whoever wrote them may have looked at valid"


def _limits(stage: Stage, tables: Tables, figures: list[dict[str, Any]], corpora: list[Any], tokens: list[Any]) -> list[str]:
    told = []
    if stage.setting != "inductive":
        told.append(f"{stage.setting}: {stage.seen}. Its scores may be better than of texts that nobody has seen")
    if figures:
        told.append("Its scores are of valid, by which rows are compared, and epochs chosen: the best of many is a little too good")
    for row, facts in tokens:
        unknown = {it["split"]: it["unknown"] for it in facts["splits"]}
        for split in HELD_OUT:
            if unknown.get(split):
                told.append(f"{unknown[split]:.1%} of the tokens of {split} are unknown to {row}")
                break
    value = {(line["metric"], line["on"]): line["value"] for line in figures}
    for (metric, on), share in value.items():
        if metric == "accuracy_majority" and (got := value.get(("accuracy", on))) is not None:
            told.append(f"Always saying the most frequent class is right in {share:.1%} of {on}; this one in {got:.1%}")
        if metric == "rmse_mean" and (got := value.get(("rmse", on))) is not None:
            told.append(f"Always saying the mean of {on} is off by {figure(share)} (rmse); this one by {figure(got)}")
        if metric == "calibration_error":
            told.append(f"Its confidence is off by {share:.3f} on average: that is to be known before a probability is acted on")
    told += _worst(stage, tables)
    for row, facts in corpora:
        train = next((it for it in facts["splits"] if it["split"] == "train"), None)
        if train and train["classes"] > 1 and train["smallest"] < 20:
            told.append(f"The smallest class of {row} has {several(train['smallest'], 'document')} to learn from")
    told.append("One seed: how far another would differ is not measured" if stage.record else "The run that made it is not on record here")
    return told


def _worst(stage: Stage, tables: Tables) -> list[str]:
    for other, _ in tables.values():
        if other.artifact:
            mine = [it for it in read_csv(other.artifact.folder / "classes.csv") if it.get("of") == stage.key]
            if len(mine) > WORST:
                worst = sorted(mine, key=lambda it: (float(it["f1"]), it["label"]))[:WORST]
                return ["Worst classes, by F1: " + ", ".join(f"{it['label']} {figure(float(it['f1']))}" for it in worst)]
    return []
