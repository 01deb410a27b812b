"""What judging vectors costs, and how soon one is answered.

python -m benchmarks.evaluations [analogies] [all] [first]

Needs WORDLOOM_DATA with wikipedia/, whose 100,000 most frequent words get vectors of 300 numbers by ppmi_svd (window 5).

analogies   the 19,544 published questions among the first 30,000 words, beside gensim's evaluate_word_analogies: which of them are
            right must be the same, or the benchmark stops. Once like for like, once as the stage that reads vectors and writes scores
all         every evaluation of word vectors but for tsne, with its own defaults, one after the other; stability beside a second seed
first       how long a command takes, from a cold start to its end, the shortest and the longest of five
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measure import THREADS, costs, measure, table
from pipelines import layout
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.vectors import Vectors
from pipelines.cooccur import windowed
from pipelines.embed import ppmi_svd
from pipelines.evaluate import analogy
from pipelines.method import Run
from pipelines.tokenize import words

N_WORDS, D, MAX_VOCAB = 100_000, 300, 30_000
ALL = ["similarity", "analogy", "categorisation", "outlier", "neighbours", "isotropy", "clusters", "weat", "probing", "stability"]
FIRST = [["neighbours", "ppmi", "sea"], ["similar", "ppmi", "sea", "boat"], ["analogy", "ppmi", "paris", "france", "rome"]]


def prepare(folder: Path) -> None:
    """Vectors of two seeds, and of the first a project that can be asked."""
    with Run(folder / "corpus").open(Corpus) as out:
        for part in sorted((Path(os.environ["WORDLOOM_DATA"]) / "wikipedia").glob("*.parquet")):
            table = pq.read_table(part, columns=["id", "text"])
            n = table.num_rows
            out.append(doc_id=table["id"], text=table["text"], label=[None] * n, split=["train"] * n, group=[None] * n)
    knobs = words.Params(pattern="[a-z0-9]+", min_count=2, max_vocab=N_WORDS + 1)
    tokens = words.tokenize(out.artifact, knobs, Run(folder / "tokens", threads=THREADS))
    counts = windowed.cooccur(tokens, windowed.Params(window=5), Run(folder / "counts", threads=THREADS))
    for seed in (1, 2):
        target = folder / layout.artifact("vectors", "ppmi" if seed == 1 else "other")
        target.parent.mkdir(parents=True, exist_ok=True)
        ppmi_svd.embed(counts, ppmi_svd.Params(vector_size=D), Run(target, "embed/ppmi", seed=seed, threads=THREADS))
    (folder / "params.yaml").write_text(
        "run: {seed: 1}\ningest: {t: {method: lines, source: t.txt}}\ntokenize: {w: {method: words, corpus: t}}\n"
        "cooccur: {c: {method: windowed, tokens: w}}\nembed: {ppmi: {method: ppmi_svd, counts: c}}\n"
    )


def vectors(folder: Path, row: str) -> Vectors:
    return Vectors(folder / layout.artifact("vectors", row))


def ours(folder: Path) -> Iterator[dict[str, tuple[int, int]] | None]:
    """Section -> questions that are right, and that were asked; vectors are read within the time, and scores written."""
    run = Run(folder / "analogy", "evaluate/analogy", seed=1)
    yield None
    scores = analogy.evaluate([vectors(folder, "ppmi")], analogy.Params(max_vocab=MAX_VOCAB), run).read().to_pandas()
    found = scores[(scores["metric"] == "accuracy") & ~scores["on"].isin(["all", "semantic", "syntactic"])]
    yield {row.on: (round(row.value * row.n), row.n) for row in found.itertuples()}


class Held(Vectors):
    """Vectors that are in memory before the time begins, as gensim's are."""

    def hold(self) -> "Held":
        self.held, self.words = self.matrix(), super().items()
        return self

    def memmap(self, n: int | None = None) -> np.ndarray:
        return self.held[:n]

    def items(self) -> list[str]:
        return self.words


def answered(folder: Path) -> Iterator[dict[str, tuple[int, int]] | None]:
    """The same questions read and answered, of vectors in memory."""
    held = Held(folder / layout.artifact("vectors", "ppmi")).hold()
    run = Run(folder / "none", "evaluate/analogy", seed=1)
    yield None
    section, questions = analogy._read(analogy.CARRIED, run)
    right, asked = analogy._ask(held, questions, analogy.Params(max_vocab=MAX_VOCAB))
    found = {
        name: (int(right["3CosAdd"][section == name].sum()), int(asked[section == name].sum())) for name in dict.fromkeys(section.tolist())
    }
    yield {name: figures for name, figures in found.items() if figures[1]}


def gensims(folder: Path) -> Iterator[dict[str, tuple[int, int]] | None]:
    from gensim.models import KeyedVectors
    from gensim.test.utils import datapath

    given = vectors(folder, "ppmi")
    items, matrix = given.items()[1 : MAX_VOCAB + 1], given.matrix()[1 : MAX_VOCAB + 1]
    theirs = KeyedVectors(D)
    theirs.add_vectors(items, matrix)
    yield None
    _, sections = theirs.evaluate_word_analogies(datapath("questions-words.txt"), restrict_vocab=MAX_VOCAB)
    asked = {
        section["section"]: (len(section["correct"]), len(section["correct"]) + len(section["incorrect"])) for section in sections[:-1]
    }
    yield {name: figures for name, figures in asked.items() if figures[1]}


def one(folder: Path, name: str) -> Iterator[int | None]:
    method = importlib.import_module(f"pipelines.evaluate.{name}")
    given = [vectors(folder, row) for row in (["ppmi", "other"] if name == "stability" else ["ppmi"])]
    run = Run(folder / "scores" / name, f"evaluate/{name}", seed=1, threads=THREADS)
    yield None
    yield method.evaluate(given, method.Params(), run).n_rows("scores")


def cold(folder: Path, command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([Path(sys.executable).parent / "wordloom", *command], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluations")
    parser.add_argument("parts", nargs="*", choices=["analogies", "all", "first", []], default=[])
    parts = parser.parse_args().parts or ["analogies", "all", "first"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        print(f"{vectors(folder, 'ppmi').n_rows('vectors'):,} words x {D}, {THREADS} threads.\n", flush=True)
        if "analogies" in parts:
            stage, mine, theirs = measure(ours, folder), measure(answered, folder), measure(gensims, folder)
            if not stage.result == mine.result == theirs.result:
                sys.exit(f"the answers differ: {stage.result}, {mine.result} and {theirs.result}")
            right, asked = (sum(figures) for figures in zip(*mine.result.values(), strict=True))
            lines = [["", "wall", "CPU", "peak memory", "right", "wall, times the first"]]
            named = {
                "`analogy`, vectors in memory": mine,
                "gensim, `evaluate_word_analogies`": theirs,
                "`analogy`, read and written": stage,
            }
            for what, cost in named.items():
                lines.append([*costs(what, cost), f"{right:,} of {asked:,}", f"{cost.wall / mine.wall:.3g}"])
            table(lines)
        if "all" in parts:
            found = {name: measure(one, folder, name) for name in ALL}
            print()
            table([["", "wall", "CPU", "peak memory"], *(costs(f"`{name}`", cost) for name, cost in found.items())])
            print(f"\nIn all {sum(cost.wall for cost in found.values()):.1f} s.", flush=True)
        if "first" in parts:
            print()
            lines = [["", "shortest", "longest"]]
            for command in FIRST:
                seconds = sorted(cold(folder, command) for _ in range(5))
                lines.append([f"`wordloom {' '.join(command)}`", f"{seconds[0]:.2f} s", f"{seconds[-1]:.2f} s"])
            table(lines)


if __name__ == "__main__":
    main()
