"""Stability: neighbours in common, by hand, by sets, and of rows of other seeds."""

import csv

import numpy as np
import pytest

from pipelines.errors import Fault
from pipelines.evaluate.stability import Params, evaluate, jaccard
from pipelines.kernels.intervals import wilson
from pipelines.method import Run
from tests.matrices import vectors_of


def figures(scores):
    return {(row["of"], row["metric"]): row for row in scores.read().to_pylist()}


def cloud(seed, n=60, size=6, noise=0.0):
    return np.random.default_rng(0).normal(size=(n, size)) + noise * np.random.default_rng(seed).normal(size=(n, size))


WORDS = [f"w{i}" for i in range(60)]


def test_by_hand_of_four_words(tmp_path):
    """On a circle, in degrees; in the second row c and d have changed places."""
    angles = np.radians([[0, 10, 30, 170], [0, 10, 170, 30]])
    first, second = (
        vectors_of(tmp_path / name, list("abcd"), np.stack([np.cos(it), np.sin(it)], axis=1)) for name, it in zip("pq", angles, strict=True)
    )
    seen = figures(evaluate([first, second], Params(k=2), Run(tmp_path / "out", seed=1)))
    # a: b c | b d 1/2; b: a c | a d 1/2; c: b a | d b 1/2; d: c b | b a 1/2
    assert seen["all rows", "overlap"]["value"] == 0.5
    assert seen["all rows", "jaccard"]["value"] == pytest.approx(1 / 3)
    assert seen["vectors/p", "overlap"]["value"] == seen["vectors/q", "overlap"]["value"] == 0.5


def test_against_sets_of_words_and_the_noisier_row_is_the_less_stable(tmp_path):
    made = {"a": cloud(1, noise=0.1), "b": cloud(2, noise=0.1), "c": cloud(3, noise=1.0)}
    rows = [vectors_of(tmp_path / name, WORDS, x) for name, x in made.items()]
    seen = figures(evaluate(rows, Params(k=5), Run(tmp_path / "out", seed=1)))

    def near(x, i):
        cosine = x @ x[i] / np.linalg.norm(x, axis=1)
        return set([j for j in np.argsort(-cosine).tolist() if j != i][:5])

    pairs = {}
    for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
        both = [(near(made[one], i), near(made[other], i)) for i in range(60)]
        pairs[one, other] = np.mean([len(p & q) / 5 for p, q in both]), np.mean([len(p & q) / len(p | q) for p, q in both])
    for which, metric in enumerate(("overlap", "jaccard")):
        row = seen["all rows", metric]
        assert row["value"] == pytest.approx(np.mean([it[which] for it in pairs.values()]))
        assert row["low"] < row["value"] < row["high"]
        assert seen["vectors/c", metric]["value"] == pytest.approx((pairs["a", "c"][which] + pairs["b", "c"][which]) / 2)
        assert seen["vectors/c", metric]["value"] < seen["vectors/a", metric]["value"]
    with (tmp_path / "out" / "pairs.csv").open() as file:
        for line in csv.DictReader(file):
            found = pairs[line["first"][-1], line["second"][-1]]
            assert (float(line["overlap"]), float(line["jaccard"])) == pytest.approx(found, abs=1e-4)
    with (tmp_path / "out" / "words.csv").open() as file:
        shares = [float(line["overlap"]) for line in csv.DictReader(file)]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 60


def test_the_same_vectors_turned_and_in_another_order_are_wholly_stable(tmp_path):
    x = cloud(1)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]
    rows = [
        vectors_of(tmp_path / "a", WORDS, x),
        vectors_of(tmp_path / "b", ["only-here", *WORDS[::-1]], np.concatenate([x[:1], (3 * x @ turn)[::-1]])),
    ]
    seen = figures(evaluate(rows, Params(), Run(tmp_path / "out", seed=1)))
    assert seen["all rows", "overlap"]["value"] == 1
    assert seen["all rows", "overlap"]["low"] == wilson(60, 60)[0]
    assert "among the 60 words that all know" in seen["all rows", "overlap"]["note"]


def test_of_few_words_fewer_neighbours_are_compared_and_the_note_says_so(tmp_path):
    """With k = 3 each of the four words has all others as neighbours, and any two rows would agree."""
    made = [np.radians([0, 10, 30, 170]), np.radians([0, 10, 170, 30])]
    rows = [
        vectors_of(tmp_path / name, list("abcd"), np.stack([np.cos(it), np.sin(it)], axis=1)) for name, it in zip("pq", made, strict=True)
    ]
    row = figures(evaluate(rows, Params(), Run(tmp_path / "out", seed=1)))["all rows", "overlap"]
    assert row["value"] == 0.5
    assert row["note"].startswith("the 2 nearest among the 4 words that all know, too few for the 10 of the row; ")


def test_queries_are_drawn_by_the_seed(tmp_path):
    rows = [vectors_of(tmp_path / name, WORDS, cloud(seed, noise=0.5)) for seed, name in enumerate("ab")]
    values = {}
    for name, seed in (("x", 1), ("y", 1), ("z", 2)):
        row = figures(evaluate(rows, Params(n_queries=20), Run(tmp_path / name, seed=seed)))["all rows", "overlap"]
        assert row["n"] == 20
        values[name] = row["value"]
    assert values["x"] == values["y"] != values["z"]


def test_jaccard_follows_from_the_overlap():
    assert jaccard(np.array([0, 0.5, 1])).tolist() == [0, pytest.approx(1 / 3), 1]


def test_one_row_and_rows_without_common_words_are_faults(tmp_path):
    one, other = vectors_of(tmp_path / "a", WORDS, cloud(1)), vectors_of(tmp_path / "b", [f"x{i}" for i in range(60)], cloud(1))
    with pytest.raises(Fault, match=r"evaluate/mine: names one row, vectors/a; it takes two. Name rows that differ in `seed`"):
        evaluate([one], Params(), Run(tmp_path / "out", "evaluate/mine"))
    with pytest.raises(Fault, match=r"vectors/a, vectors/b have 0 of their first 10,000 words in common"):
        evaluate([one, other], Params(), Run(tmp_path / "out"))
