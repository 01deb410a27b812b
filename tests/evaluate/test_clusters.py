"""Clusters that are there are found and told; silhouettes are scikit-learn's."""

import csv

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from pipelines.errors import Fault
from pipelines.evaluate.clusters import Params, clustered, evaluate, silhouettes
from pipelines.method import Run
from tests.matrices import files, vectors_of

KINDS = {"sea": 12, "farm": 8, "town": 5}
WORDS = [f"{kind}{i}" for kind, n in KINDS.items() for i in range(n)]


def three(noise=0.1):
    x = np.repeat(np.eye(5)[:3], list(KINDS.values()), axis=0)
    return x + noise * np.random.default_rng(0).normal(size=x.shape)


def read_csv(scores, name):
    with (scores.folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_three_kinds_of_words_are_three_clusters_the_largest_first(tmp_path):
    scores = evaluate(
        [vectors_of(tmp_path / "v", ["<unk>", *WORDS], np.concatenate([np.ones((1, 5)), three()]))],
        Params(n_clusters=3, n_words=3),
        Run(tmp_path / "out", seed=1),
    )
    lines = read_csv(scores, "clusters")
    assert [(line["cluster"], line["n"]) for line in lines] == [("1", "12"), ("2", "8"), ("3", "5")]
    for line, kind in zip(lines, KINDS, strict=True):
        words = line["words"].split()
        assert len(words) == 3
        assert all(word.startswith(kind) for word in words)
    of_word = {line["word"]: line["cluster"] for line in read_csv(scores, "words")}
    assert of_word == {word: str(1 + [word.startswith(kind) for kind in KINDS].index(True)) for word in WORDS}
    (row,) = scores.read().to_pylist()
    x = three() / np.linalg.norm(three(), axis=1, keepdims=True)
    truth = np.repeat([0, 1, 2], list(KINDS.values()))
    assert (row["metric"], row["n"]) == ("silhouette", 25)
    assert row["value"] == pytest.approx(silhouette_score(x, truth, metric="cosine"), abs=1e-6)
    assert row["low"] < row["value"] < row["high"]


def test_the_first_word_of_a_cluster_is_the_nearest_to_its_centre(tmp_path):
    angle = np.radians([0, 5, 40, 180, 181])  # the first three have their mean near 15
    scores = evaluate(
        [vectors_of(tmp_path / "v", list("abcde"), np.stack([np.cos(angle), np.sin(angle)], axis=1))],
        Params(n_clusters=2),
        Run(tmp_path / "out", seed=1),
    )
    lines = read_csv(scores, "clusters")
    assert lines[0]["words"] == "b a c"
    assert set(lines[1]["words"].split()) == {"d", "e"}


def test_silhouettes_are_of_a_sample_that_the_seed_draws():
    x, cluster = three(0.5), np.repeat([0, 1, 2], list(KINDS.values()))
    some, again, others = (silhouettes(x, cluster, 15, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert len(some) == 15
    assert (some == again).all()
    assert not (some == others).all()
    assert silhouettes(x, np.arange(25), 25, np.random.default_rng(1)).tolist() == [0] * 25  # each by itself


def test_lengths_say_nothing(tmp_path):
    x = three().astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    made = [
        evaluate([vectors_of(tmp_path / str(i) / "v", WORDS, y)], Params(n_clusters=3), Run(tmp_path / f"out{i}", seed=1))
        for i, y in enumerate((x, x * 2.0 ** np.arange(25)[:, None]))
    ]
    assert files(made[0]) == files(made[1])


def test_centres_have_length_one_and_labels_are_their_nearest():
    x = three() / np.linalg.norm(three(), axis=1, keepdims=True)
    cluster, centre = clustered(x, 3, 2, 1)
    assert np.linalg.norm(centre, axis=1) == pytest.approx(1)
    assert (cluster == (x @ centre.T).argmax(axis=1)).all()


def test_too_few_words_or_too_few_that_differ_are_faults(tmp_path):
    with pytest.raises(Fault, match=r"vectors/v: 25 words are too few; it takes 51"):
        evaluate([vectors_of(tmp_path / "v", WORDS, three())], Params(), Run(tmp_path / "out"))
    same = np.repeat(np.eye(5)[:3], list(KINDS.values()), axis=0)
    with pytest.raises(Fault, match=r"vectors/s: no more than 4 of its directions differ"):
        evaluate([vectors_of(tmp_path / "s", WORDS, same)], Params(n_clusters=4), Run(tmp_path / "out"))
