"""What evaluations of vectors leave beside their scores, as cards: neighbours, maps, clusters, associations, and whatever a method writes.

Each function takes the lines of one CSV table; BESIDE says which.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pipelines import charts
from pipelines.charts import MOST_WORDS
from pipelines.reporting.block import Block, grouped, several, table
from pipelines.reporting.classifiers import calibration, classes, confusions, entities, few_labels, mcnemar, numbers, wrong
from pipelines.reporting.stages import read_csv

Lines = Sequence[dict[str, str]]
MOST_MAPS = 8  # of words; each has up to MOST_WORDS
MOST_NEAR = 6_000  # neighbours that are listed
NAMED_WORDS = 15  # the most and the least stable


def blocks(folder: Path) -> list[Block]:
    """A card, or more, of each table beside the scores; of one that cannot be told apart, the table itself."""
    found = []
    for path in sorted(folder.glob("*.csv"), key=lambda path: ([*BESIDE, path.stem].index(path.stem), path.stem)):
        lines = read_csv(path)
        try:
            made = BESIDE[path.stem](lines) if lines and path.stem in BESIDE else []
        except (LookupError, ValueError, TypeError, ArithmeticError):  # another's table of the same name, or one that is cut short
            made = [table(path.stem, lines, folded=True)]
        found += made if path.stem in BESIDE else [table(path.stem.replace("_", " "), lines, folded=True)] if lines else []
    return found


def neighbours(lines: Lines) -> list[Block]:
    """A row a word, a column an artifact, the nearest first; the cosine is told where a pointer rests."""
    artifacts = list(dict.fromkeys(line["of"] for line in lines))
    words: dict[str, dict[str, list[dict[str, str]]]] = {}
    for line in lines:
        words.setdefault(line["word"], {of: [] for of in artifacts})[line["of"]].append(line)
    most = max(MOST_NEAR * len(words) // len(lines), 1)
    rows = [[word, *(_near(near) for near in by_artifact.values())] for word, by_artifact in list(words.items())[:most]]
    note = f"The first {most:,} of {len(words):,} words." if len(words) > most else ""
    about = f"{several(len(words), 'word')}; the nearest first, their cosines on hover. The words are the knob `words` of the row"
    return [Block("Nearest words", about, heads=["word", *artifacts], rows=rows, note=note, wide=True)]


def _near(lines: Lines) -> Markup:
    if not lines:
        return Markup('<span class="dim">unknown</span>')
    told = [Markup('<span title="cosine {}">{}</span>').format(line["similarity"], line["neighbour"]) for line in lines]
    return Markup(", ").join(told)


def maps(lines: Lines) -> list[Block]:
    """Words in the plane, which can be searched."""
    by_artifact = grouped(lines, "of")
    found = []
    for of, words in list(by_artifact.items())[:MOST_MAPS]:
        placed = [(it["word"], float(it["x"]), float(it["y"]), float(it["kept"]), float(it["agreed"])) for it in words]
        some = f"{MOST_WORDS:,} of {len(words):,} words, evenly drawn" if len(words) > MOST_WORDS else several(len(words), "word")
        note = "The fainter a dot, the fewer of its nearest words in the vectors lie near it here. Distances between heaps mean nothing."
        found.append(
            Block(
                f"Map of {of}", f"t-SNE, {some}: the picture that keeps most neighbours", charts.word_map(placed), note=note, searched=True
            )
        )
    if len(by_artifact) > MOST_MAPS and found:
        found[-1].note += f" {len(by_artifact) - MOST_MAPS} more rows have maps, which are not drawn."
    return found


def pictures(lines: Lines) -> list[Block]:
    told = "Each perplexity from several starts; shares of a word's nearest that the picture keeps. The best is the one that is shown"
    return [table("All the pictures that were tried", lines, told, folded=True)]


def clusters(lines: Lines) -> list[Block]:
    told = "the largest first; cosine: mean of its words with its centre; words: those nearest to the centre"
    return [
        Block(
            f"Clusters of {of}", told, heads=["cluster", "words in it", "cosine", "words"], folded=len(mine) > 10, wide=True,
            rows=[[it["cluster"], it["n"], it["cosine"], it["words"]] for it in mine],
        )
        for of, mine in grouped(lines, "of").items()
    ]  # fmt: skip


def words(lines: Lines) -> list[Block]:
    """Of `stability` the ends of the list; of `clusters` every word's, which the clusters tell already."""
    if "overlap" not in lines[0]:
        return []
    ends = [("The most stable", lines[:NAMED_WORDS]), ("The least", lines[::-1][:NAMED_WORDS])]
    told = f"share of a word's nearest that all rows agree on; of {len(lines):,} words"
    rows = [[title, ", ".join(f"{it['word']} {float(it['overlap']):.0%}" for it in some)] for title, some in ends]
    return [Block("Words that trainings agree on", told, heads=["", "words"], rows=rows)]


def pairs(lines: Lines) -> list[Block]:
    return [table("Each two rows", lines, "share of a word's nearest neighbours that both rows have")]


def associations(lines: Lines) -> list[Block]:
    """WEAT: a line of words for each set of a test."""
    found = []
    for of, mine in grouped(lines, "of").items():
        for test, asked in grouped(mine, "test").items():
            groups = [(name, [(it["word"], float(it["association"])) for it in some]) for name, some in grouped(asked, "set").items()]
            n = several(len(asked), "word")
            told = f"{of}, {n}; a dot a word: its mean cosine with the first attributes less that with the second"
            found.append(Block(test, told, charts.strips(groups, "association")))
    return found


def categorisation(lines: Lines) -> list[Block]:
    """Which words a cluster brought together, those of its most frequent category first."""
    found = []
    for of, mine in grouped(lines, "of").items():
        for name, asked in grouped(mine, "set").items():
            rows = []
            for cluster, inside in grouped(asked, "cluster").items():
                sizes = {category: len(some) for category, some in grouped(inside, "category").items()}
                most = max(sizes, key=lambda category: (sizes[category], category))
                own = ", ".join(it["word"] for it in inside if it["category"] == most)
                strange = [f"{it['word']} ({it['category']})" for it in inside if it["category"] != most]
                rows.append([cluster, most, f"{sizes[most]} of {len(inside)}", own, ", ".join(strange)])
            heads = ["cluster", "mostly", "of it", "these", "and strangers"]
            told = f"{of}, {several(len(asked), 'word')}; the start of k-means with the least inertia"
            found.append(Block(f"Clusters of {name}", told, heads=heads, rows=rows, folded=True, wide=True))
    return found


def outliers(lines: Lines) -> list[Block]:
    """The questions that are answered wrong."""
    missed = [line for line in lines if line["outlier"] != line["stood out"]]
    told = f"{len(missed):,} of {len(lines):,} questions: another word stood out"
    return [table("Outliers that are missed", missed, told, folded=True)] if missed else []


def components(lines: Lines) -> list[Block]:
    series = {
        of.rpartition("/")[2]: [(float(it["component"]), float(it["cumulative"])) for it in mine]
        for of, mine in grouped(lines, "of").items()
    }
    return [
        Block("Variance of principal components", "the share that the first so many hold", charts.lines(series, "component"), list(series))
    ]


def node_classification(lines: Lines) -> list[Block]:
    """Mean micro F1 over the draws, by the share of nodes that are labelled."""
    series: dict[str, list[tuple[float, float]]] = {}
    for of, mine in grouped(lines, "of").items():
        for metric in ("micro_f1", "macro_f1"):
            means = [(float(share), float(np.mean([float(it[metric]) for it in some]))) for share, some in grouped(mine, "share").items()]
            series[f"{of.rpartition('/')[2]}, {metric}"] = means
    n = len({line["draw"] for line in lines})
    return [
        Block(
            "F1 by labelled nodes", f"means of {several(n, 'draw')} of labelled nodes", charts.lines(series, "share labelled"), list(series)
        )
    ]


def probing(lines: Lines) -> list[Block]:
    told = "accuracy on held-out words, and that of the same probe on tags dealt out at random (control)"
    return [table("Each tag", lines, told, folded=len(lines) > 12)]


def probe(lines: Lines) -> list[Block]:
    return [table("Each probe", lines, "how likely it is near the first word, near the second, and the ratio")]


def topics(lines: Lines) -> list[Block]:
    return [
        Block(
            f"Topics of {of}", f"{several(len(mine), 'topic')}, the most coherent first", heads=["topic", "coherence", "words"], folded=True, wide=True,
            rows=[[it["topic"], it["coherence"], it["words"]] for it in mine],
        )
        for of, mine in grouped(lines, "of").items()
    ]  # fmt: skip


BESIDE: dict[str, Callable[[Lines], list[Block]]] = {
    "neighbours": neighbours,
    "tsne": maps,
    "pictures": pictures,
    "clusters": clusters,
    "words": words,
    "pairs": pairs,
    "weat": associations,
    "categorisation": categorisation,
    "outliers": outliers,
    "components": components,
    "node_classification": node_classification,
    "probing": probing,
    "probe": probe,
    "topics": topics,
    "few_labels": few_labels,
    "confusion": confusions,
    "calibration": calibration,
    "mcnemar": mcnemar,
    "classes": classes,
    "entities": entities,
    "wrong": wrong,
    "numbers": numbers,
}
