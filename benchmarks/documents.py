"""Vectors of documents: which of them know best what a review says.

python -m benchmarks.documents [ROW ...]

Needs WORDLOOM_DATA with imdb/. Vectors are of 20,000 reviews of train and 50,000 without labels; those of 5,000 others, drawn from train by
seed, are made afterwards, and none of test has a part. Logistic regression (`document_vectors`, l2 300) learns from train and is judged by
the 5,000; ± is the half of the 95 % interval over them. One seed. Seconds are those of the vectors, those of `infer` among them.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.classifiers import prepare
from benchmarks.measure import THREADS, measure
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.classify import document_vectors
from pipelines.cooccur import documents
from pipelines.embed import doc2vec, lsa, mean_of_words, skipgram
from pipelines.kernels.intervals import wilson
from pipelines.method import Run

INFER = {"infer": ["train", "valid"]}
# name -> (method, its knobs)
ROWS: dict[str, tuple[Any, dict[str, Any]]] = {
    "doc2vec dbow d100": (doc2vec, INFER),
    "doc2vec dbow d100, train as it was learned": (doc2vec, {"infer": ["valid"]}),
    "doc2vec dm_mean d100": (doc2vec, {"form": "dm_mean", **INFER}),
    "gensim doc2vec dbow d100, train as it was learned": (doc2vec, {"engine": "gensim", "lr": 0.025, "infer": ["valid"]}),
    "lsa d300 of TF-IDF": (lsa, {"vector_size": 300, "of": "documents"}),
    "mean_of_words, skipgram d100": (mean_of_words, {"weights": "idf"}),
}


def vectors(name: str, folder: Path) -> Iterator[Path | None]:
    tokens, (method, knobs) = Tokens(folder / "tokens"), ROWS[name]
    run = Run(folder / name, f"embed/{name}", seed=1, threads=THREADS)
    given: dict[str, Any] = {"tokens": tokens}
    if method is lsa:
        given = {"counts": documents.cooccur(tokens, documents.Params(weighting="tfidf"), Run(folder / "counts", threads=THREADS))}
    if method is mean_of_words:
        given["vectors"] = skipgram.embed(tokens, skipgram.Params(), Run(folder / "words", seed=1, threads=THREADS))
    yield None
    yield method.embed(**given, params=method.Params(**knobs), run=run).folder


def judged(tokens: Tokens, made: Vectors, folder: Path) -> tuple[int, int]:
    """(reviews that are right, all)"""
    frame, _ = document_vectors.classify(tokens, document_vectors.Params(l2=300.0), Run(folder, seed=1), made).frame("valid")
    return int((frame["label"] == frame["predicted"]).sum()), len(frame)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documents")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    names = parser.parse_args().rows or list(ROWS)
    if strange := set(names) - set(ROWS):
        sys.exit(f"no row {', '.join(strange)}; there are {', '.join(ROWS)}")
    if not (Path(os.environ.get("WORDLOOM_DATA", "/nowhere")) / "imdb").is_dir():
        sys.exit("WORDLOOM_DATA names no folder with imdb/ in it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        print("| | accuracy | wall, s | CPU, s | peak, MB |\n| --- | --: | --: | --: | --: |")
        for row in names:
            cost = measure(vectors, row, folder)
            hits, n = judged(Tokens(folder / "tokens"), Vectors(cost.result), folder / f"{row} judged")
            low, high = wilson(hits, n)
            print(
                f"| {row} | {hits / n:.1%} ± {(high - low) / 2:.1%} | {cost.wall:,.0f} | {cost.cpu:,.0f} | {cost.peak:,.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
