"""The table at equal bytes: every way to code word vectors, at 8 to 512 bytes a word, decoder included.

python -m benchmarks.codings [ROW ...] [--bytes 8 16 ...] [--alone] [--folder build/codings] [--front] [--lstm] [--picture FILE.svg]

Needs WORDLOOM_DATA with wikipedia/, wordsim/, analogy/ and imdb/. Word vectors (skip-gram, D = 300) are trained on Wikipedia
once and kept in --folder, as is the result of every row: a run that was stopped goes on where it was, and the table is
made of all results there are. A row is given the longest coding with which codes and decoder together, divided by the
words, take no more than so many bytes. Reconstructions are then scored as any vectors are: variance explained, people's word
pairs, Google's analogies among the 30,000 most frequent words, and IMDb: logistic regression on the mean of a review's word
vectors, accuracy on a fifth of train (test is never read). Numbers of an autoencoder's or PCA's coding are kept in 4 bits each, where
nothing else is said. A row whose longest coding has less than half of a size is left out there. Seconds and rates are of processor time;
`codebook` and `additive_quantisation` find codes while they train, and have no rate of encoding.

What is kept is the mean over the six scores of their shares of what the vectors have as they are. The rows that no other beats in bytes
and in that are run with two more seeds: --front. The best three of each size by IMDb's figure
start an LSTM, too: --lstm. With --alone sizes are those of the codes, as papers on binary codes count them, and no decoder is counted in.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measure import THREADS, measure, text
from benchmarks.vectors import PAIRS, mean_of, scores
from pipelines import charts, coding
from pipelines.artifacts.matrix import Matrix
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.classify import lstm
from pipelines.compress import (
    additive_quantisation,
    adversarial,
    binary,
    codebook,
    contractive,
    denoising,
    greedy,
    linear,
    pca,
    pca_between_removals,
    product_quantisation,
    scalar_quantisation,
    sparse_kl,
    sparse_l1,
    stacked,
    tied,
    transform_coding,
    variational,
)
from pipelines.embed import decoded, skipgram
from pipelines.ingest import imdb
from pipelines.layout import write_aside
from pipelines.method import Run
from pipelines.tokenize import words
from pipelines.use.encode import encoder

D = 300
BYTES = [8, 16, 32, 64, 128, 512]
TRAINED = {"epochs": 40, "batch_size": 512}
READER = {"hidden_size": 32, "max_tokens": 150, "epochs": 3, "fine_tune": False, "mixed": True}  # the LSTM of --lstm
TESTS = [*PAIRS, "Google", "IMDb"]


class Shape(NamedTuple):
    """What a row asks for, and how many bytes its decoder has: None where no such coding exists."""

    knobs: dict[str, Any]
    item: float  # bytes
    decoder: float


def of_numbers(make: Callable[[int], dict[str, Any]], decoder: Callable[[int], int], bits: int = 8, most: int = D - 1) -> list[Shape]:
    """Codings of 1, 2, ... numbers; `decoder` counts its numbers, to which the ranges of the codings' come where they are rounded."""
    return [Shape(make(k), -(-k * bits // 8), 4 * (decoder(k) + 2 * k * (bits < 32))) for k in range(1, most + 1)]


def rounded(make: Callable[[int], dict[str, Any]], decoder: Callable[[int], int], most: int = D - 1) -> list[Shape]:
    """Of 4 bits a number; of 8 where all numbers that there can be would leave half of a size empty."""
    four, eight = (of_numbers(lambda k, bits=bits: {**make(k), "bits": bits}, decoder, bits, most) for bits in (4, 8))
    return four + [shape for shape in eight if shape.item > max(it.item for it in four)]


def shallow(k: int) -> int:
    return k * D + 2 * D + 1  # weights, bias, mean, scale


def hidden(k: int) -> int:
    """Of a deep autoencoder: twice as wide as the coding."""
    return min(max(2 * k, 64), 512)


def deep(k: int) -> int:
    h = hidden(k)
    return k * h + h + h * D + 2 * D + 1


def books(bits: int, rotated: int = 0) -> Callable[[int], int]:
    return lambda m: D + 2**bits * -(-D // m) * m + rotated * D * m * -(-D // m)


# name -> (module, the shapes it can take)
ROWS: dict[str, tuple[Any, list[Shape]]] = {
    "pca, 32 bits": (pca, of_numbers(lambda k: {"coding_size": k}, shallow, 32)),
    **{
        f"pca, {bits} bits": (pca, of_numbers(lambda k, bits=bits: {"coding_size": k, "bits": bits}, shallow, bits))
        for bits in (8, 4, 2, 1)
    },
    # which components have bits hangs on the vectors: at least a third as many as there are bits, as long as there are any
    "transform_coding": (transform_coding, [Shape({"n_bits": n}, n / 8, 4 * (min(n / 3, D) + 1) * D) for n in range(8, 2401, 8)]),
    "pca_between_removals": (pca_between_removals, rounded(lambda k: {"coding_size": k, "remove": 3}, shallow, most=D - 6)),
    "linear": (linear, rounded(lambda k: {**TRAINED, "coding_size": k}, shallow)),
    "tied": (tied, rounded(lambda k: {**TRAINED, "sizes": [hidden(k), k]}, deep)),
    "stacked": (stacked, rounded(lambda k: {**TRAINED, "sizes": [hidden(k), k]}, deep)),
    "greedy": (greedy, rounded(lambda k: {**TRAINED, "sizes": [hidden(k), k]}, deep)),
    "denoising": (denoising, rounded(lambda k: {**TRAINED, "sizes": [hidden(k), k]}, deep)),
    **{
        f"denoising, {bits} bits": (denoising, of_numbers(lambda k, bits=bits: {**TRAINED, "sizes": [hidden(k), k], "bits": bits}, deep, bits))
        for bits in (8, 2)
    },
    "contractive": (contractive, rounded(lambda k: {**TRAINED, "sizes": [k]}, shallow)),
    "sparse_l1": (sparse_l1, rounded(lambda k: {**TRAINED, "sizes": [k]}, shallow)),
    "sparse_kl": (sparse_kl, rounded(lambda k: {**TRAINED, "sizes": [k]}, shallow)),
    "variational": (variational, rounded(lambda k: {**TRAINED, "sizes": [hidden(k), k]}, deep)),
    "adversarial": (adversarial, rounded(lambda k: {**TRAINED, "sizes": [hidden(k), k]}, deep)),
    "binary": (binary, [Shape({**TRAINED, "n_bits": n}, n / 8, 4 * shallow(n)) for n in range(8, 4097, 8)]),
    # beyond so many parts hours of training
    "codebook": (codebook, [Shape({"n_parts": m, "bits": 4}, m / 2, 4 * 16 * D * m) for m in range(2, 50, 2)]),
    "additive_quantisation": (additive_quantisation, [Shape({"n_parts": m, "bits": 4}, m / 2, 4 * 16 * D * m) for m in range(2, 50, 2)]),
    "product_quantisation, 8 bits": (product_quantisation, [Shape({"n_parts": m, "bits": 8, "rotate": False}, m, 4 * books(8)(m)) for m in range(1, D + 1)]),
    "product_quantisation, 4 bits": (product_quantisation, [Shape({"n_parts": m, "bits": 4, "rotate": False}, m / 2, 4 * books(4)(m)) for m in range(2, D + 1, 2)]),
    "product_quantisation, rotated, 8 bits": (product_quantisation, [Shape({"n_parts": m, "bits": 8}, m, 4 * books(8, 1)(m)) for m in range(1, D + 1)]),
    "product_quantisation, rotated, 4 bits": (product_quantisation, [Shape({"n_parts": m, "bits": 4}, m / 2, 4 * books(4, 1)(m)) for m in range(2, D + 1, 2)]),
    "scalar_quantisation": (scalar_quantisation, [Shape({"bits": bits}, -(-D * bits // 8), 8 * D) for bits in (1, 2, 4, 6, 8)]),
}  # fmt: skip


class Budget(NamedTuple):
    n_bytes: int  # of a word, at most
    alone: bool  # of its code, without the decoder

    def of(self, item: float, decoder: float) -> float:
        """Bytes of a word, whose share of the decoder is `decoder`."""
        return item if self.alone else item + decoder

    def __str__(self) -> str:
        return f"{self.n_bytes}{' alone' * self.alone}"


def fitting(name: str, budget: Budget, n_words: int) -> list[Shape]:
    """The shapes within the budget that take half of it or more, the longest first; of two as long, the one with more bits of codes."""

    def size(shape: Shape) -> float:
        return budget.of(shape.item, shape.decoder / n_words)

    fit = [shape for shape in ROWS[name][1] if budget.n_bytes / 2 <= size(shape) <= budget.n_bytes]
    return sorted(fit, key=lambda shape: (round(size(shape)), shape.item), reverse=True)


def reviews(folder: Path, items: list[str]) -> tuple[Any, np.ndarray, np.ndarray]:
    """IMDb's train part: (n, V) shares of each review's running words, (n,) whether it is positive, (n,) whether it is of validation."""
    from scipy import sparse

    if not (folder / "reviews.npz").exists():
        table = pq.read_table(Path(os.environ["WORDLOOM_DATA"]) / "imdb" / "train.parquet")
        row_of, ids, offsets = {word: i for i, word in enumerate(items)}, [], [0]
        for review in table["text"].to_pylist():
            ids += [row_of[word] for word in re.findall("[a-z0-9]+", review.lower()) if word in row_of]
            offsets.append(len(ids))
        x = sparse.csr_array((np.ones(len(ids), np.float32), ids, offsets), (len(offsets) - 1, len(items)))
        x.sum_duplicates()
        sparse.save_npz(folder / "reviews.npz", sparse.diags_array(1 / np.maximum(x.sum(axis=1), 1)) @ x)
    label = (
        np.array(pq.read_table(Path(os.environ["WORDLOOM_DATA"]) / "imdb" / "train.parquet", columns=["label"])["label"].to_pylist())
        == "pos"
    )
    held_out = np.random.default_rng(0).random(len(label)) < 0.2
    return sparse.csr_array(sparse.load_npz(folder / "reviews.npz")), label, held_out


def sentiment(vectors: Vectors, folder: Path) -> tuple[float, float]:
    """(accuracy on validation, half-width of its 95 % interval)"""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    shares, label, held_out = reviews(folder, vectors.items())
    x = StandardScaler().fit_transform((shares @ vectors.matrix()).astype(np.float64))
    right = (LogisticRegression(C=0.1, max_iter=1000).fit(x[~held_out], label[~held_out]).predict(x) == label)[held_out].mean()
    return float(right), 1.96 * float(np.sqrt(right * (1 - right) / held_out.sum()))


def train(folder: Path) -> Iterator[None]:
    """The vectors that all rows code."""
    tokens, _ = text(folder)
    yield None
    skipgram.embed(tokens, skipgram.Params(vector_size=D), Run(folder / "vectors", "embed/skipgram", seed=1, threads=THREADS, show=True))
    yield None


class Spent(NamedTuple):
    """Seconds of processor time, of all threads: others on the machine then do not slow a row down."""

    training: float  # and coding all words, where nothing else codes
    encode: float | None  # of all words; None where codes are found together with the codebooks alone
    decode: float


def code(name: str, knobs: dict[str, Any], folder: Path, out: Path, seed: int) -> Iterator[Spent | None]:
    """Codes all words."""
    module, _ = ROWS[name]
    vectors, params = Vectors(folder / "vectors"), module.Params(**knobs)
    yield None
    began = time.process_time()
    made = module.compress(vectors, params, Run(out, f"compress/{name}", seed=seed, threads=THREADS))
    trained = time.process_time() - began
    found = None if module in (codebook, additive_quantisation) else seconds(encoder(made), vectors)
    yield Spent(trained - (found or 0.0), found, seconds(coding.decoder(made), made))


def seconds(coder: Callable[[np.ndarray], np.ndarray], given: Matrix) -> float:
    """Of processor time, for all rows after the first ones, which find everything cold."""
    coder(next(iter(given.pieces())))
    began = time.process_time()
    for piece in given.pieces():
        coder(piece)
    return time.process_time() - began


def result(name: str, budget: Budget, seed: int, folder: Path) -> dict[str, Any] | None:
    """One row at one size, of the folder or new; None where it has no coding so small."""
    vectors = Vectors(folder / "vectors")
    place = folder / "results" / f"{name}, {budget}, {seed}.json"
    shapes = fitting(name, budget, vectors.n_rows()) if name in ROWS else []
    if place.exists():
        found = json.loads(place.read_text())
        if name not in ROWS or found["knobs"] in [shape.knobs for shape in shapes]:
            return found
    found = {"name": name, "budget": budget.n_bytes, "seed": seed, "knobs": {}, "bytes": 4 * D, "decoder": 0.0, "variance": 1.0}
    if name in ROWS:
        for shape in shapes:
            cost = measure(code, name, shape.knobs, folder, folder / "codings", seed)
            codings = coding.Codings(folder / "codings")
            item, decoder = coding.cost(codings)
            # a decoder whose size hangs on the data may turn out larger than the least
            if budget.of(item, decoder / vectors.n_rows()) <= budget.n_bytes:
                break
        else:
            return None
        spent = cost.result
        error = codings.read(columns=["error"]).column("error").to_numpy().sum(dtype=np.float64)
        x = vectors.matrix().astype(np.float64)
        found |= {
            "knobs": shape.knobs, "bytes": item, "decoder": decoder / len(x), "variance": 1 - error / ((x - x.mean(axis=0)) ** 2).sum(),
            "training": spent.training, "encode": spent.encode and len(x) / spent.encode, "decode": len(x) / spent.decode,
        }  # fmt: skip
        vectors = decoded.embed(codings, decoded.Params(), Run(folder / "decoded"), vectors)
    found |= {"scores": {**scores(vectors, folder, seed=1), "IMDb": sentiment(vectors, folder)}}
    place.parent.mkdir(exist_ok=True)
    write_aside(place, json.dumps(found))
    return found


Result = dict[str, Any]


def kept(one: Result, whole: Result) -> float:
    """How much of the vectors' quality is left: the mean over the six tests of the score, as a share of that of the vectors as they are."""
    return float(np.mean([one["scores"][test][0] / whole["scores"][test][0] for test in TESTS]))


def front(found: list[list[Result]], whole: Result, alone: bool) -> list[list[Result]]:
    """The rows that no other beats in bytes and in what they keep, each by the mean of its seeds."""

    def place(seeds: list[Result]) -> tuple[float, float]:
        one = seeds[0]
        return Budget(one["budget"], alone).of(one["bytes"], one["decoder"]), float(np.mean([kept(it, whole) for it in seeds]))

    places = [place(seeds) for seeds in found]
    return [
        seeds
        for seeds, (size, share) in zip(found, places, strict=True)
        if not any(other_size <= size and other_share > share for other_size, other_share in places)
    ]


def table(found: list[list[Result]], whole: Result) -> str:
    """A line for each row at each size, of all its seeds."""
    head = [
        "codes",
        "bytes",
        "with the decoder",
        "variance",
        *TESTS,
        "kept",
        "seeds",
        "training, s",
        "encode, k words/s",
        "decode, k words/s",
    ]
    lines = [head, ["---", *["--:"] * (len(head) - 1)]]
    for seeds in found:
        one = seeds[0]
        cells = [
            one["name"],
            f"{one['bytes']:g}",
            f"{one['bytes'] + one['decoder']:.1f}",
            f"{np.mean([it['variance'] for it in seeds]):.3f}",
        ]
        for test in TESTS:
            cells.append(
                mean_of([tuple(it["scores"][test]) for it in seeds], "{:.1%}".format if test in ("Google", "IMDb") else "{:.3f}".format)
            )
        rates = [f"{one[part] / 1e3:,.0f}" if one.get(part) else "" for part in ("encode", "decode")]
        cells += [f"{np.mean([kept(it, whole) for it in seeds]):.1%}", str(len(seeds))]
        lines.append([*cells, f"{one['training']:.0f}" if "training" in one else "", *rates])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def winners(found: list[list[Result]], whole: Result) -> str:
    """The row that is ahead at each size, in all tests together and in each, by the mean of its seeds."""
    lines = [f"| at most, bytes | all six | {' | '.join(TESTS)} |", f"| --: | --- |{' --- |' * len(TESTS)}"]
    by = [lambda it: kept(it, whole), *(lambda it, test=test: it["scores"][test][0] for test in TESTS)]
    for budget in sorted({seeds[0]["budget"] for seeds in found}):
        of_size = [seeds for seeds in found if seeds[0]["budget"] == budget]
        best = [max(of_size, key=lambda seeds, score=score: np.mean([score(it) for it in seeds])) for score in by]
        lines.append(f"| {budget} | {' | '.join(seeds[0]['name'] + ' (one seed)' * (len(seeds) == 1) for seeds in best)} |")
    return "\n".join(lines)


def picture(found: list[list[Result]], whole: Result, alone: bool) -> str:
    """SVG: what is kept of all scores and of three over the sizes, the mean of a row's seeds; those that none beats are named."""

    def dots(score: Callable[[Result], float]) -> list[tuple[str, float, float]]:
        return [(seeds[0]["name"], seeds[0]["budget"], float(np.mean([score(it) for it in seeds]))) for seeds in found]

    scores = {"all six, share of the vectors' own that is kept": lambda it: kept(it, whole)}
    scores |= {test: lambda it, test=test: it["scores"][test][0] for test in ("MEN", "Google", "IMDb")}
    across = f"bytes a word at most{', codes alone' if alone else ', decoder counted in'}"
    return charts.image([(said, (), charts.points(dots(score), across, said.split(",")[0])) for said, score in scores.items()])


def tokens_of_reviews(folder: Path) -> Tokens:
    if not (folder / "reviews" / "manifest.json").exists() and not (folder / "reviews").exists():
        source = str(Path(os.environ["WORDLOOM_DATA"]) / "imdb")
        corpus = imdb.ingest(imdb.Params(source=source), Run(folder / "imdb", seed=1, threads=THREADS))
        words.tokenize(corpus, words.Params(min_count=10, max_vocab=40_000), Run(folder / "reviews", threads=THREADS))
    return Tokens(folder / "reviews")


def read(folder: Path, name: str, budget: Budget, seed: int) -> float:
    """Accuracy on IMDb's validation of an LSTM that begins with these reconstructions, and does not train them further."""
    place = folder / "results" / f"{name}, {budget}, {seed}, lstm.json"
    if not place.exists():
        vectors = Vectors(folder / "vectors")
        if name in ROWS:
            next(steps := code(name, result(name, budget, seed, folder)["knobs"], folder, folder / "codings", seed))
            next(steps)
            vectors = decoded.embed(coding.Codings(folder / "codings"), decoded.Params(), Run(folder / "decoded"), vectors)
        run = Run(folder / "lstm", "classify/lstm", seed=seed, threads=THREADS, show=True)
        lstm.classify(tokens_of_reviews(folder), lstm.Params(**READER), run, vectors)
        write_aside(place, json.dumps(max(point["valid_accuracy"] for point in run.curve)))
    return json.loads(place.read_text())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[])
    parser.add_argument("--bytes", type=int, nargs="+", choices=BYTES, default=BYTES)
    parser.add_argument("--alone", action="store_true", help="sizes are of the codes, the decoder is not counted")
    parser.add_argument("--picture", type=Path, help="an SVG of quality over bytes")
    parser.add_argument("--folder", type=Path, default=Path("build/codings"))
    parser.add_argument("--front", action="store_true", help="seeds 2 and 3 of the rows that no other beats")
    parser.add_argument("--lstm", action="store_true", help="an LSTM on the best three rows of each size")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if not (asked.folder / "vectors" / "vectors.parquet").exists():
        measure(train, asked.folder)
    everything = Budget(4 * D, alone=False)
    whole = result("vectors as they are", everything, 1, asked.folder)
    found = [[whole]]
    for n_bytes in asked.bytes:
        for name in asked.rows or ROWS:
            if one := result(name, Budget(n_bytes, asked.alone), 1, asked.folder):
                found.append([one])
                print(table([[one]], whole).splitlines()[-1], file=sys.stderr, flush=True)
    if asked.front:
        # a row whose one seed was a lucky one leaves the front with its others, and others may come to stand there
        while single := [seeds for seeds in front(found[1:], whole, asked.alone) if len(seeds) == 1]:
            for seeds in single:
                budget = Budget(seeds[0]["budget"], asked.alone)
                seeds += [result(seeds[0]["name"], budget, seed, asked.folder) for seed in (2, 3)]
    found[1:] = sorted(found[1:], key=lambda seeds: (seeds[0]["budget"], -np.mean([kept(it, whole) for it in seeds])))
    print(f"{table(found, whole)}\n\n{winners(found[1:], whole)}")
    if asked.picture:
        asked.picture.write_text(picture(found[1:], whole, asked.alone))
    if asked.lstm:
        print("\n| codes | with the decoder | LSTM, IMDb |\n| --- | --: | --: |")
        print(f"| vectors as they are | {4 * D} | {read(asked.folder, '', everything, 1):.1%} |")
        for n_bytes in asked.bytes:
            of_size = sorted((it for it, *_ in found[1:] if it["budget"] == n_bytes), key=lambda it: -it["scores"]["IMDb"][0])
            for one in of_size[:3]:
                accuracy = read(asked.folder, one["name"], Budget(n_bytes, asked.alone), 1)
                print(f"| {one['name']} | {one['bytes'] + one['decoder']:.1f} | {accuracy:.1%} |", flush=True)


if __name__ == "__main__":
    main()
