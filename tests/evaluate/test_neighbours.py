import csv

import numpy as np
import pytest
from scipy.stats import skew

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.evaluate.neighbours import Params, evaluate, skewness
from pipelines.method import Run
from tests.spelled import spelled


def make_vectors(folder, words, matrix, noun=Vectors):
    with Run(folder).open(noun) as out:
        if noun is Vectors:
            out.append(item=words, count=np.arange(len(words), 0, -1), vector=matrix)
        else:
            out.append(item=words, coding=matrix, error=np.zeros(len(words)))
    return out.artifact


def read_csv(scores):
    with (scores.folder / "neighbours.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def figures(scores):
    return {row["metric"]: row for row in scores.read().to_pylist()}


def test_the_nearest_come_first_without_the_word_itself_or_the_unknown_token(tmp_path):
    angle = np.radians([0, 10, 30, 80, 5])
    vectors = make_vectors(tmp_path / "v", ["a", "b", "c", "d", "<unk>"], np.stack([np.cos(angle), np.sin(angle)], axis=1))
    table = read_csv(evaluate([vectors], Params(words=["a", "nobody"], k=2), Run(tmp_path / "out", seed=1)))
    assert table == [
        {"of": "vectors/v", "word": "a", "rank": "1", "neighbour": "b", "similarity": "0.9848"},
        {"of": "vectors/v", "word": "a", "rank": "2", "neighbour": "c", "similarity": "0.8660"},
    ]


def test_a_named_word_that_is_not_there_is_counted_and_told(tmp_path):
    vectors = make_vectors(tmp_path / "v", ["a", "b", "c"], np.eye(3) + 0.1)
    row = figures(evaluate([vectors], Params(words=["A", "nobody"]), Run(tmp_path / "out", seed=1)))["words_known"]
    assert (row["value"], row["n"], row["note"]) == (0.5, 2, "not in the vocabulary: nobody")


def test_an_unknown_word_is_listed_where_it_may_be_made_of_its_n_grams(tmp_path):
    vectors = spelled(tmp_path / "v", {"sea": [1, 0], "pea": [0, 1], "ox": [-1, 0]}, {"ea>": [2, 1]})
    listed = {}
    for compose in (False, True):
        made = evaluate([vectors], Params(words=["lea", "cow"], k=2, compose=compose), Run(tmp_path / str(compose), seed=1))
        listed[compose] = (
            [(row["word"], row["neighbour"], row["similarity"]) for row in read_csv(made)],
            figures(made)["words_known"]["note"],
        )
    assert listed[False] == ([], "not in the vocabulary: lea, cow")
    nearest = [("lea", "sea", "0.8944"), ("lea", "pea", "0.4472")]  # 2 and 1 over the root of 5
    assert listed[True] == (nearest, "not in the vocabulary: lea, cow; made of their letter n-grams: lea")


def test_a_rare_word_is_asked_of_the_frequent_ones(tmp_path):
    vectors = make_vectors(tmp_path / "v", ["a", "b", "c", "rare", "rarer"], [[1, 0], [0, 1], [1, 1], [1, 0.1], [1, 0.1]])
    table = read_csv(evaluate([vectors], Params(words=["rare"], max_vocab=3, k=2), Run(tmp_path / "out", seed=1)))
    assert [row["neighbour"] for row in table] == ["a", "c"]


def test_without_words_some_are_chosen_by_their_rank(tmp_path):
    words = [f"w{i}" for i in range(1, 1001)]
    matrix = np.random.default_rng(0).normal(size=(1000, 10))
    table = read_csv(evaluate([make_vectors(tmp_path / "v", words, matrix)], Params(n_words=3), Run(tmp_path / "out", seed=1)))
    assert list(dict.fromkeys(row["word"] for row in table)) == ["w100", "w316", "w1000"]
    assert len(table) == 30


def test_hubness_is_the_skewness_of_how_often_words_are_chosen(tmp_path):
    matrix = np.random.default_rng(1).normal(size=(200, 30)).astype(np.float32)
    words = [f"w{i}" for i in range(200)]
    directions = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    similarity = directions @ directions.T
    np.fill_diagonal(similarity, -2)
    chosen = np.bincount(np.argsort(-similarity, axis=1)[:, :5].ravel(), minlength=200)
    for noun in (Vectors, Codings):
        artifact = make_vectors(tmp_path / noun.noun, words, matrix, noun)
        found = ([artifact], []) if noun is Vectors else ([], [artifact])
        seen = figures(evaluate(found[0], Params(k=5), Run(tmp_path / f"out-{noun.noun}", seed=1), codings=found[1]))
        assert seen["hubness"]["value"] == pytest.approx(skew(chosen))
        assert seen["nearest_cosine"]["value"] == pytest.approx(similarity.max(axis=1).mean(), abs=1e-6)
        assert seen["nearest_cosine"]["low"] < seen["nearest_cosine"]["value"] < seen["nearest_cosine"]["high"]


def test_hubness_may_be_counted_over_words_that_the_seed_draws(tmp_path):
    matrix = np.random.default_rng(1).normal(size=(200, 30)).astype(np.float32)
    vectors = make_vectors(tmp_path / "v", [f"w{i}" for i in range(200)], matrix)
    directions = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    similarity = directions @ directions.T
    np.fill_diagonal(similarity, -2)
    seen = {}
    for seed in (1, 2):
        row = figures(evaluate([vectors], Params(k=5, n_queries=50), Run(tmp_path / str(seed), seed=seed)))["hubness"]
        drawn = np.random.default_rng(seed).choice(200, 50, replace=False)
        assert row["value"] == pytest.approx(skew(np.bincount(np.argsort(-similarity[drawn], axis=1)[:, :5].ravel(), minlength=200)))
        assert (row["n"], row["note"]) == (50, "k = 5, among the first 200 words, of 50 drawn ones")
        seen[seed] = row["value"]
    assert seen[1] != seen[2]


def test_words_chosen_equally_often_have_no_skewness():
    assert skewness(np.full(9, 5)) == 0.0
