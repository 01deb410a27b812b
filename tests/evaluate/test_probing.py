"""Probing: frequency and tags that lie open in vectors are found, and random ones are not."""

import csv

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.evaluate.probing import Params, _folds, _scaled, evaluate, sources
from pipelines.method import Run
from tests.matrices import files, vectors_of


def words(n=300, size=6, seed=0):
    """Each word's count is in the first number, its tag in the second and third; noise in all."""
    rng = np.random.default_rng(seed)
    count = np.sort(rng.zipf(1.7, n).clip(1, 10**6))[::-1]
    tag = rng.choice(["NOUN", "VERB", "ADJ"], n, p=[0.6, 0.3, 0.1])
    x = rng.normal(size=(n, size)) * 0.3
    x[:, 0] += np.log(count)
    x[:, 1] += 2 * (tag == "VERB")
    x[:, 2] += 2 * (tag == "ADJ")
    return [f"w{i}" for i in range(n)], count, tag, x.astype(np.float32)


def made(folder, names, count, x):
    with Run(folder).open(Vectors) as out:
        out.append(item=names, count=count, vector=x)
    return out.artifact


@pytest.fixture
def tagged(tmp_path):
    names, count, tag, x = words()
    (tmp_path / "tags.tsv").write_text("".join(f"{name}\t{t}\n" for name, t in zip(names, tag, strict=True)) + "unseen\tNOUN\n")
    return made(tmp_path / "v", names, count, x), str(tmp_path / "tags.tsv")


def figures(scores):
    return {(row["of"], row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def test_both_probes_are_those_of_scikit_learn(tmp_path, tagged):
    vectors, tags = tagged
    _, count, tag, x = words()
    params, run = Params(words=[tags]), Run(tmp_path / "out", seed=3)
    seen = figures(evaluate([vectors], params, run))
    fold, x, y = _folds(300, params, run), _scaled(x), np.log(count)
    told, right = np.empty(300), np.empty(300)
    for k in range(5):
        mine = fold == k
        told[mine] = Ridge(alpha=1.0).fit(x[~mine], y[~mine]).predict(x[mine])
        right[mine] = LogisticRegression(max_iter=1000).fit(x[~mine], tag[~mine]).predict(x[mine]) == tag[mine]
    row = seen["vectors/v", "r_squared", "log count"]
    assert row["value"] == pytest.approx(r2_score(y, told))
    assert 0.5 < row["low"] < row["value"] < row["high"] < 1
    assert seen["vectors/v", "accuracy", "tags"]["value"] == pytest.approx(right.mean())
    assert seen["vectors/v", "coverage", "tags"]["value"] == pytest.approx(300 / 301)
    assert seen["vectors/v", "accuracy_majority", "tags"]["value"] == pytest.approx((tag == "NOUN").mean())


def test_tags_that_lie_open_are_selective_and_those_of_chance_are_not(tmp_path, tagged):
    vectors, tags = tagged
    seen = {key[1:]: row for key, row in figures(evaluate([vectors], Params(words=[tags]), Run(tmp_path / "out", seed=1))).items()}
    accuracy, control, selectivity = (seen[metric, "tags"] for metric in ("accuracy", "accuracy_control", "selectivity"))
    assert selectivity["value"] == pytest.approx(accuracy["value"] - control["value"])
    assert selectivity["low"] > 0.2
    assert control["value"] < seen["accuracy_majority", "tags"]["value"] + 0.05
    _, count, _, x = words()
    order = np.random.default_rng(5).permutation(300)
    other = made(tmp_path / "other", [f"w{i}" for i in range(300)], count, x[order])
    seen = {key[1:]: row for key, row in figures(evaluate([other], Params(words=[tags]), Run(tmp_path / "none", seed=1))).items()}
    assert seen["selectivity", "tags"]["low"] < 0.06
    assert seen["r_squared", "log count"]["value"] < 0.1


def test_a_probe_with_many_numbers_learns_random_tags_by_heart_and_l2_keeps_it_from_that(tmp_path):
    names, count, tag, _ = words(100)
    x = np.random.default_rng(1).normal(size=(100, 200))
    (tmp_path / "tags.tsv").write_text("".join(f"{name}\t{t}\n" for name, t in zip(names, tag, strict=True)))
    vectors = made(tmp_path / "v", names, count, x)

    def by_heart(l2):
        seen = figures(evaluate([vectors], Params(words=[str(tmp_path / "tags.tsv")], l2=l2), Run(tmp_path / str(l2), seed=1)))
        return seen["vectors/v", "accuracy_control", "tags, words learned from"]["value"]

    assert by_heart(0.001) == 1
    assert by_heart(100.0) < 0.8


def test_codings_are_asked_for_tags_and_each_tag_has_its_line(tmp_path, tagged):
    vectors, tags = tagged
    names, _, tag, x = words()
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=names, coding=x, error=np.zeros(len(names)))
    scores = evaluate([vectors], Params(words=[tags]), Run(tmp_path / "out", seed=1), codings=[out.artifact])
    seen = figures(scores)
    assert seen["codings/c", "accuracy", "tags"]["value"] == seen["vectors/v", "accuracy", "tags"]["value"]
    assert ("codings/c", "r_squared", "log count") not in seen
    with (scores.folder / "probing.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["of"], line["tag"]) for line in lines[:4]] == [*(("vectors/v", t) for t in ("ADJ", "NOUN", "VERB")), ("codings/c", "ADJ")]
    assert [int(line["n"]) for line in lines[:3]] == [(tag == t).sum() for t in ("ADJ", "NOUN", "VERB")]


def test_a_word_written_in_two_ways_is_asked_once(tmp_path, tagged):
    vectors, _ = tagged
    (tmp_path / "twice.tsv").write_text((tmp_path / "tags.tsv").read_text() + "W1\tNOUN\nW2\tVERB\n")
    seen = figures(evaluate([vectors], Params(words=[str(tmp_path / "twice.tsv")]), Run(tmp_path / "out", seed=1)))
    assert seen["vectors/v", "accuracy", "twice"]["n"] == 300


def test_where_too_little_is_known_the_coverage_says_so(tmp_path, tagged):
    few = vectors_of(tmp_path / "few", ["w1", "w2", "w3"], np.eye(3))
    rows = evaluate([few], Params(words=[tagged[1]]), Run(tmp_path / "out")).read().to_pylist()
    assert [row["metric"] for row in rows] == ["coverage"]
    assert rows[0]["note"].startswith("no accuracy: 3 words of ")
    with pytest.raises(Fault, match=r"vectors/few has no counts of three words or more, and no table of words is named"):
        evaluate([few], Params(), Run(tmp_path / "none"))


def test_the_same_bytes_twice(tmp_path, tagged):
    vectors, tags = tagged
    a, b = (
        files(evaluate([vectors], Params(words=[tags]), Run(tmp_path / name / "out", seed=2, threads=n)))
        for name, n in (("a", 1), ("b", 2))
    )
    assert a == b


def test_tables_that_are_wrong_are_refused_all_at_once(tmp_path, tagged):
    (tmp_path / "two.tsv").write_text("a\tNOUN\nb\tVERB\na\tVERB\n")
    (tmp_path / "one.tsv").write_text("a\tNOUN\nb\tNOUN\n")
    names = [str(tmp_path / name) for name in ("two.tsv", "one.tsv")]
    with pytest.raises(Fault) as fault:
        evaluate([tagged[0]], Params(words=names), Run(tmp_path / "out"))
    assert fault.value.faults == [
        "two.tsv, line 3: 'a' is VERB, and was NOUN before. Leave one out",
        f"{names[1]}: all 2 words have the tag 'NOUN'. A probe needs two tags or more",
    ]
    assert sources(Params(words=["a/tags.tsv", "data:more.tsv"])) == ["a/tags.tsv"]
