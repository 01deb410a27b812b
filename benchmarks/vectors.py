"""The bake-off: every way to word vectors on the same tokens, judged by people's word pairs and by Google's analogies.

python -m benchmarks.vectors [ROW ...] [--seeds 1 2 3]

Needs WORDLOOM_DATA with wikipedia/, wordsim/ and analogy/. Each row trains in a process of its own, once a seed. The
figures are means over the seeds; +- is the larger of the half-widths of two 95 % intervals: over the test's items
(bootstrap of pairs; Wilson's for analogies) of one seed, and over the seeds (t). Pairs and questions with a word that
has no vector are left out, the same ones for all rows; analogies are sought among the 30,000 most frequent words.
A second line of fasttext is of all pairs, a word without a vector being made of its letter n-grams: of more pairs, then,
and of rarer words, than the other lines, and the same test only where these have every pair, too. bilm, which is slow
without a GPU, is given the first tenth of the documents, and judged by the words of these alone.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.glove import first_documents
from benchmarks.measure import THREADS, measure, text
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.cooccur import documents, windowed
from pipelines.embed import bilm, cbow, char, doc2vec, fasttext, glove, lsa, postprocess, ppmi_svd, random_projection, skipgram
from pipelines.evaluate import analogy, similarity
from pipelines.kernels.intervals import of_mean
from pipelines.method import Run

PAIRS = {"MEN": "EN-MEN-TR-3k.txt", "WS353": "EN-WS-353-ALL.txt", "SimLex": "EN-SIMLEX-999.txt", "RW": "EN-RW-STANFORD.txt"}
# name -> (module, knobs, what it reads)
ROWS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "gensim skipgram d100": (skipgram, {"engine": "gensim"}, "tokens"),
    "skipgram d100": (skipgram, {}, "tokens"),
    "skipgram d300 w8": (skipgram, {"vector_size": 300, "window": 8, "lr": 0.05, "epochs": 8}, "tokens"),
    "gensim cbow d100": (cbow, {"engine": "gensim"}, "tokens"),
    "cbow d100": (cbow, {"engine": "own"}, "tokens"),
    "skipgram hierarchical d100": (skipgram, {"loss": "hierarchical"}, "tokens"),
    "skipgram nce d100": (skipgram, {"loss": "nce"}, "tokens"),
    "gensim fasttext d100": (fasttext, {"engine": "gensim"}, "tokens"),
    "fasttext d100": (fasttext, {}, "tokens"),
    "gensim doc2vec dbow_words d100": (
        doc2vec,
        {"engine": "gensim", "form": "dbow_words", "of": "words", "epochs": 5, "lr": 0.025},
        "tokens",
    ),
    "doc2vec dbow_words d100": (doc2vec, {"form": "dbow_words", "of": "words", "epochs": 5, "lr": 0.025}, "tokens"),
    "doc2vec dm_mean d100": (doc2vec, {"form": "dm_mean", "of": "words", "epochs": 5, "lr": 0.025}, "tokens"),
    "char d100": (char, {}, "tokens"),
    "glove d100": (glove, {"x_max": 10, "epochs": 25}, "window 10"),
    "glove d300": (glove, {"x_max": 10, "epochs": 25, "vector_size": 300}, "window 10"),
    "ppmi_svd d100": (ppmi_svd, {}, "window 10"),
    "ppmi_svd d300": (ppmi_svd, {"vector_size": 300}, "window 10"),
    "ppmi_svd d500": (ppmi_svd, {"vector_size": 500}, "window 10"),
    "lsa d200": (lsa, {"vector_size": 200, "exponent": 0.0}, "documents"),
    "random_projection d300": (random_projection, {"vector_size": 300}, "window 10"),
    "bilm d200, a tenth of the text": (bilm, {"vector_size": 200, "num_layers": 1, "epochs": 2}, "a tenth"),
}
# name -> knobs of postprocess: about D / 100 components less; glove and ppmi_svd have added the context already
AFTER: dict[str, dict[str, Any]] = {
    "skipgram d300 w8": {"add_context": True, "remove": 3},
    "skipgram d100": {"add_context": True, "remove": 1},
    "fasttext d100": {"add_context": True, "remove": 1},
    "glove d100": {"remove": 1},
    "glove d300": {"remove": 3},
    "ppmi_svd d300": {"remove": 3},
}


def train(name: str, folder: Path, out: Path, seed: int) -> Iterator[None]:
    module, knobs, reads = ROWS[name]
    given = Tokens(folder / reads) if reads in ("tokens", "a tenth") else Counts(folder / reads)
    yield None
    module.embed(given, module.Params(**knobs), Run(out, name=f"embed/{name}", seed=seed, threads=THREADS))
    yield None


def scores(vectors: Vectors, scratch: Path, seed: int, compose: bool = False) -> dict[str, tuple[float, float]]:
    """Test -> (score, half-width of its interval over the test's items); composed, of all pairs of words, and of no analogies."""
    data, run = Path(os.environ["WORDLOOM_DATA"]), Run(scratch / "scores", seed=seed)
    sets = [str(data / "wordsim" / file) for file in PAIRS.values()]
    made = similarity.evaluate([vectors], similarity.Params(sets=sets, compose=compose), run).read().to_pylist()
    asked = analogy.Params(questions=str(data / "analogy" / "questions-words.txt"))
    if not compose:
        made += analogy.evaluate([vectors], asked, Run(scratch / "analogies", seed=seed)).read().to_pylist()
    found = {}
    for line in made:
        if line["metric"] == ("spearman_composed" if compose else "spearman"):
            found[next(test for test, file in PAIRS.items() if Path(file).stem == Path(line["on"]).stem)] = line
        if (line["metric"], line["on"]) == ("accuracy", "all"):
            found["Google"] = line
    return {test: (line["value"], (line["high"] - line["low"]) / 2) for test, line in found.items()}


def mean_of(figures: list[tuple[float, float]], shown: Callable[[float], str]) -> str:
    values = np.array([value for value, _ in figures])
    over_items = max(half for _, half in figures)
    low, _ = of_mean(values) if len(values) > 1 else (None, None)
    over_seeds = 0.0 if low is None else values.mean() - low
    return f"{shown(values.mean())} ± {shown(max(over_items, over_seeds))}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokens, what = text(folder)
        first_documents(tokens, folder / "a tenth", 10)
        windowed.cooccur(tokens, windowed.Params(), Run(folder / "window 10", threads=THREADS))
        documents.cooccur(tokens, documents.Params(weighting="tfidf"), Run(folder / "documents"))
        print(f"{what}; {THREADS} threads; seeds {', '.join(map(str, asked.seeds))}.\n")
        tests = [*PAIRS, "Google"]
        print(f"| | {' | '.join(tests)} | wall, s | CPU, s | peak, MB |\n| --- |{' --: |' * (len(tests) + 3)}", flush=True)
        for name in asked.rows or ROWS:
            costs, found, better, composed = [], [], [], []
            for seed in asked.seeds:
                out = folder / f"{name} {seed}"
                costs.append(measure(train, name, folder, out, seed))
                found.append(scores(Vectors(out), folder, seed))
                if name in AFTER:
                    after = postprocess.embed(Vectors(out), postprocess.Params(**AFTER[name]), Run(folder / f"{name} {seed} after"))
                    better.append(scores(after, folder, seed))
                if ROWS[name][0] is fasttext:
                    composed.append(scores(Vectors(out), folder, seed, compose=True))
            after_knobs = AFTER.get(name, {})
            label_after = f"{name}{', + context' * ('add_context' in after_knobs)}, less {after_knobs.get('remove')} components"
            for label, figures in ((name, found), (label_after, better), (f"{name}, all pairs, unknown words composed", composed)):
                if figures:
                    cells = [
                        mean_of([each[test] for each in figures], "{:.1%}".format if test == "Google" else "{:.3f}".format)
                        if test in figures[0]
                        else ""
                        for test in tests
                    ]
                    cost = [f"{np.mean([getattr(each, part) for each in costs]):,.0f}" for part in ("wall", "cpu", "peak")]
                    print(f"| {label} | {' | '.join([*cells, *cost])} |", flush=True)


if __name__ == "__main__":
    main()
