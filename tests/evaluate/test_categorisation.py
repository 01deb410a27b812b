"""Purity by hand and by the book, clusters that are there, and files of a user's own."""

import csv

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics.cluster import contingency_matrix

from pipelines.errors import Fault
from pipelines.evaluate.categorisation import CARRIED, Params, evaluate, purity, sources
from pipelines.method import Run
from tests.matrices import vectors_of


def figures(scores):
    return {(row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def blobs(folder, words, category, noise=0.05, size=6):
    rng = np.random.default_rng(0)
    centres = np.eye(size)[np.unique(category, return_inverse=True)[1]]
    return vectors_of(folder, words, centres + noise * rng.normal(size=(len(words), size)))


def test_purity_is_that_of_the_textbook():
    """Figure 16.4 of Manning, Raghavan, Schuetze 2008: 17 points in three clusters, of the commonest kind 5, 4 and 3."""
    cluster = np.repeat([0, 1, 2], [6, 6, 5])
    kind = np.array([0] * 5 + [1] + [1] * 4 + [0] + [2] + [2] * 3 + [0] * 2)
    assert purity(kind, cluster) == pytest.approx(12 / 17)
    assert purity(kind, np.arange(17)) == 1  # which is why the number of clusters is given


def test_purity_is_that_of_scikit_learns_contingency_matrix():
    kind, cluster = np.random.default_rng(0).integers(0, [[5], [7]], (2, 200))
    assert purity(kind, cluster) == pytest.approx(contingency_matrix(kind, cluster).max(axis=0).sum() / 200)


def test_words_that_lie_by_their_categories_are_parted_by_them(tmp_path):
    words = {word: name for name, some in CARRIED["everyday"].items() for word in some.split() if name in ("food", "music", "weather")}
    vectors = blobs(tmp_path / "v", list(words), list(words.values()))
    seen = figures(evaluate([vectors], Params(n_starts=10), Run(tmp_path / "out", seed=1)))
    for metric in ("purity", "adjusted_rand", "normalised_mutual_information"):
        row = seen[metric, "everyday"]
        assert row["high"] == pytest.approx(1)
        assert 0.7 < row["value"] <= 1 + 1e-9
        assert row["n"] == 30
    coverage = seen["coverage", "everyday"]
    assert (coverage["value"], coverage["n"], coverage["note"]) == (0.3, 100, "30 of 100 words are known")
    with (tmp_path / "out" / "categorisation.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len({(line["cluster"], line["category"]) for line in lines}) == 3  # the best start finds them
    assert {line["word"] for line in lines} == set(words)


def test_vectors_that_know_no_categories_score_as_shuffled_ones_do(tmp_path):
    words = [word for some in CARRIED["everyday"].values() for word in some.split()]
    vectors = vectors_of(tmp_path / "v", words, np.random.default_rng(3).normal(size=(100, 20)))
    seen = figures(evaluate([vectors], Params(), Run(tmp_path / "out", seed=1)))
    chance = float(seen["purity", "everyday"]["note"].split("; ")[1].split(" ")[0])
    assert seen["purity", "everyday"]["value"] == pytest.approx(chance, abs=0.05)
    assert seen["adjusted_rand", "everyday"]["value"] == pytest.approx(0, abs=0.03)
    assert seen["purity", "everyday"]["low"] < seen["purity", "everyday"]["high"]


def test_the_carried_words_are_in_one_category_each():
    words = [word for some in CARRIED["everyday"].values() for word in some.split()]
    assert len(set(words)) == len(words) == 100


@pytest.mark.parametrize(
    ("name", "text"),
    [("k.tsv", "boat\tsea\n\nnet\tsea\ncow\tfarm\nhay\tfarm\nnobody\tfarm\n"), ("k.csv", "category,word\nsea,boat\nsea,net\nfarm,cow\nfarm,hay\nfarm,x\n")],
)  # fmt: skip
def test_a_file_of_ones_own(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    vectors = blobs(tmp_path / "v", ["boat", "net", "cow", "hay"], ["s", "s", "f", "f"])
    params = Params(sets=[str(path)])
    seen = figures(evaluate([vectors], params, Run(tmp_path / "out", seed=1)))
    assert seen["purity", "k"]["value"] == 1
    assert seen["coverage", "k"]["value"] == 0.8
    assert sources(params) == [str(path)]
    assert sources(Params()) == []


def test_what_is_wrong_in_files_is_told_of_all_of_them(tmp_path):
    bad, twice, one = tmp_path / "bad.tsv", tmp_path / "twice.tsv", tmp_path / "one.tsv"
    bad.write_text("boat\tsea\nnet\n\ncow\tfarm\tx\n")
    twice.write_text("boat\tsea\nboat\tfarm\n")
    one.write_text("boat\tsea\n")
    vectors = blobs(tmp_path / "v", ["boat", "net", "cow"], ["s", "s", "f"])
    with pytest.raises(Fault) as fault:
        evaluate([vectors], Params(sets=[str(bad), str(twice), str(one)]), Run(tmp_path / "out", "evaluate/mine"))
    assert [line.replace(f"{tmp_path}/", "") for line in fault.value.faults] == [
        "evaluate/mine: bad.tsv, line 2 is 'net', 1 cells; it has to be word, category",
        "evaluate/mine: bad.tsv, line 4 is 'cow\\tfarm\\tx', 3 cells; it has to be word, category",
        "evaluate/mine: twice.tsv, line 2 has 'boat' once more; a word has to stand there once",
        "evaluate/mine: one.tsv has one category; clusters are held against two or more",
    ]
    with pytest.raises(ValidationError, match=r"'everday' is neither. Did you mean 'everyday'\?"):
        Params(sets=["everday"])


def test_without_known_words_there_is_a_coverage_and_no_purity(tmp_path):
    seen = figures(evaluate([blobs(tmp_path / "v", ["xyzzy", "plugh"], ["a", "b"])], Params(), Run(tmp_path / "out", seed=1)))
    assert set(seen) == {("coverage", "everyday")}
    assert "no purity" in seen["coverage", "everyday"]["note"]
