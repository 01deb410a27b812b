"""Outliers: the paper's definition, pair by pair, against ours; and sets in the forms that they come in."""

import csv
from itertools import permutations

import numpy as np
import pytest

from pipelines.errors import Fault
from pipelines.evaluate.outlier import CARRIED, Params, evaluate, position, sources
from pipelines.kernels.intervals import wilson
from pipelines.method import Run
from tests.matrices import vectors_of


def figures(scores):
    return {(row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def by_the_paper(x):
    """Compactness c(w) of eq. 1: the mean similarity of the ordered pairs without w; the outlier's place from the least c on."""
    n = len(x) - 1
    c = [np.mean([x[i] @ x[j] for i, j in permutations([k for k in range(n + 1) if k != w], 2)]) for w in range(n + 1)]
    return sum(c[w] < c[n] - 1e-9 for w in range(n)), int(np.argmax(c))


def test_the_position_is_that_of_the_papers_compactness():
    places = set()
    for seed in range(40):
        x = unit(np.random.default_rng(seed).normal(size=(6, 4)) + 0.5)
        assert position(x) == by_the_paper(x)
        places.add(position(x)[0])
    assert len(places) > 3


def test_by_hand_one_outlier_is_found_and_another_is_not(tmp_path):
    """Directions in degrees: members 0, 20, 40; outliers 90, and 20, which lies in their middle: two members fit less."""
    angle = np.radians([0, 20, 40, 90, 20])
    vectors = vectors_of(tmp_path / "v", ["a", "b", "c", "far", "near"], np.stack([np.cos(angle), np.sin(angle)], axis=1))
    path = tmp_path / "mine.tsv"
    path.write_text("a\ts\tmember\nb\ts\tmember\nc\ts\tmember\nx\ts\tmember\nfar\ts\toutlier\nnear\ts\toutlier\nnobody\ts\toutlier\n")
    seen = figures(evaluate([vectors], Params(sets=[str(path)]), Run(tmp_path / "out", seed=1)))
    with (tmp_path / "out" / "outliers.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["outlier"], line["position"]) for line in lines] == [("far", "1.0000"), ("near", "0.0000")]
    assert lines[0]["stood out"] == "far"
    assert (seen["accuracy", "mine"]["value"], seen["accuracy", "mine"]["n"]) == (0.5, 2)
    assert seen["outlier_position", "mine"]["value"] == 0.5
    assert seen["accuracy_all", "mine"]["value"] == pytest.approx(1 / 3)
    assert seen["coverage", "mine"]["note"] == "2 of 3 questions can be asked"


def test_a_tie_is_not_found(tmp_path):
    assert position(np.eye(3)) == (0, 0)


def test_the_carried_sets_are_whole_and_are_solved_where_each_set_has_a_direction(tmp_path):
    sets = CARRIED["everyday"]
    assert len(sets) == 10
    for it in sets.values():
        assert (len(set(it.words)), len(set(it.outliers))) == (8, 6)
        assert not set(it.words) & set(it.outliers)
    place = {}
    for i, it in enumerate(sets.values()):
        for word in it.words:
            place.setdefault(word, i)
    others = [word for it in sets.values() for word in it.outliers if word not in place]
    words = [*place, *dict.fromkeys(others)]
    x = np.random.default_rng(0).normal(size=(len(words), 12)) * 0.1
    x[range(len(place)), list(place.values())] += 1
    seen = figures(evaluate([vectors_of(tmp_path / "v", words, x)], Params(), Run(tmp_path / "out", seed=1)))
    assert (seen["accuracy", "everyday"]["value"], seen["accuracy", "everyday"]["n"]) == (1, 60)
    assert seen["outlier_position", "everyday"]["low"] == seen["accuracy", "everyday"]["low"] == wilson(60, 60)[0]


def test_the_published_form_is_read_and_its_files_count_together(tmp_path):
    folder = tmp_path / "topics"
    folder.mkdir()
    (folder / "sea.txt").write_text("boat\nnet\n\nfish\n\ncow\n")  # the first empty line parts them
    (folder / "farm.txt").write_text("cow\nhay\n\nboat\n")
    x = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [0.5, 0.6]])
    vectors = vectors_of(tmp_path / "v", ["boat", "net", "cow", "hay", "fish"], x)
    params = Params(sets=[str(folder / "sea.txt"), str(folder / "farm.txt")])
    seen = figures(evaluate([vectors], params, Run(tmp_path / "out", seed=1)))
    assert (seen["accuracy", "topics"]["value"], seen["accuracy", "topics"]["n"]) == (1, 3)
    assert len(sources(params)) == 2


def test_what_is_wrong_in_files_is_told_of_all_of_them(tmp_path):
    files = {"a.tsv": "boat\tsea\tmember\nnet\tsea\n\ncow\tsea\tother\n", "b.tsv": "boat\tsea\tmember\n", "c.txt": "boat\nnet\n"}
    files["d.tsv"] = "boat\tsea\tmember\ncow\tsea\tother\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    vectors = vectors_of(tmp_path / "v", ["boat", "net"], np.eye(2))
    with pytest.raises(Fault) as fault:
        evaluate([vectors], Params(sets=[str(tmp_path / name) for name in files]), Run(tmp_path / "out", "evaluate/mine"))
    assert [line.replace(f"{tmp_path}/", "") for line in fault.value.faults] == [
        "evaluate/mine: a.tsv, line 2 is 'net\\tsea', 2 cells; it has to be word, set, part",
        "evaluate/mine: b.tsv: the set 'sea' has 1 words and 0 outliers; it takes two and one",
        "evaluate/mine: c.txt has no empty line between words; it has to be words, an empty line, outliers, one a line",
        "evaluate/mine: d.tsv, line 2 says 'other'; the third column has to be member or outlier",
    ]


def test_without_known_words_all_is_wrong_and_nothing_is_covered(tmp_path):
    seen = figures(evaluate([vectors_of(tmp_path / "v", ["xyzzy", "plugh"], np.eye(2))], Params(), Run(tmp_path / "out", seed=1)))
    assert {key: row["value"] for key, row in seen.items()} == {("accuracy_all", "everyday"): 0, ("coverage", "everyday"): 0}
