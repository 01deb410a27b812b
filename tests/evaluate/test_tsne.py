"""t-SNE: pictures held against the vectors and each other, the figures against scikit-learn and plain sets."""

import csv

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.manifold import TSNE, trustworthiness

from pipelines.errors import Fault
from pipelines.evaluate.tsne import Params, draw, evaluate, nearest_in_plane
from pipelines.method import Run
from tests.matrices import files, vectors_of

KNOBS = {"perplexities": [5.0, 10.0], "n_starts": 2, "max_iter": 300, "k": 5}
WORDS = [f"w{i}" for i in range(60)]


def groups(noise=0.3):
    return np.repeat(np.eye(6)[:4], 15, axis=0) + noise * np.random.default_rng(0).normal(size=(60, 6))


def read_csv(scores, name):
    with (scores.folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tsne")
    vectors = vectors_of(folder / "v", WORDS, groups())
    return vectors, evaluate([vectors], Params(**KNOBS), Run(folder / "out", seed=1))


def test_the_best_of_all_pictures_is_kept_and_named(made):
    scores = made[1]
    pictures, seen = read_csv(scores, "pictures"), {row["metric"]: row for row in scores.read().to_pylist()}
    assert [(it["perplexity"], it["start"]) for it in pictures] == [
        (perplexity, start) for perplexity in ("5", "10") for start in ("principal components", "random start 2")
    ]
    (best,) = [it for it in pictures if it["best"]]
    assert all(0 < float(it["divergence"]) < 5 for it in pictures)
    assert float(best["overlap"]) == max(float(it["overlap"]) for it in pictures)
    assert seen["overlap"]["value"] == pytest.approx(float(best["overlap"]), abs=1e-4)
    assert seen["overlap"]["note"].endswith(f"the best: perplexity {best['perplexity']} from {best['start']}")
    assert seen["overlap"]["note"].startswith("the 5 nearest of 60 words; of 4 pictures with ")
    assert seen["overlap"]["low"] < seen["overlap"]["value"] < seen["overlap"]["high"]
    assert {"overlap", "trustworthiness", "agreement"} == set(seen)


def test_the_figures_are_those_of_the_coordinates_that_are_given(made):
    vectors, scores = made
    lines, seen = read_csv(scores, "tsne"), {row["metric"]: row["value"] for row in scores.read().to_pylist()}
    assert [line["word"] for line in lines] == WORDS
    plane = np.array([[float(line["x"]), float(line["y"])] for line in lines])
    x = vectors.matrix() / np.linalg.norm(vectors.matrix(), axis=1, keepdims=True)
    assert seen["trustworthiness"] == pytest.approx(trustworthiness(x, plane, n_neighbors=5), abs=1e-3)

    def near(points, i):
        distance = np.linalg.norm(points - points[i], axis=1)
        distance[i] = np.inf
        return set(np.argsort(distance)[:5].tolist())

    kept = [len(near(x, i) & near(plane, i)) / 5 for i in range(60)]
    assert np.mean(kept) == pytest.approx(seen["overlap"], abs=0.01)  # the coordinates are rounded
    assert np.mean([float(line["kept"]) for line in lines]) == pytest.approx(seen["overlap"], abs=1e-6)
    assert np.mean([float(line["agreed"]) for line in lines]) == pytest.approx(seen["agreement"], abs=0.01)
    assert seen["overlap"] > 0.4  # chance: 5 of 59


def test_a_picture_is_scikit_learns():
    x = groups().astype(np.float32)
    mine = draw((5.0, 0, 7), x, 300)
    theirs = TSNE(perplexity=5.0, init="pca", max_iter=300, random_state=7)
    assert mine.plane == pytest.approx(theirs.fit_transform(x), rel=1e-3, abs=1e-3)
    assert mine.start == "principal components"


@pytest.mark.slow  # two processes start
def test_any_number_of_processes_draws_the_same(tmp_path, made):
    vectors, scores = made
    assert files(evaluate([vectors], Params(**KNOBS), Run(tmp_path / "out", seed=1, threads=2))) == files(scores)


def test_words_are_drawn_by_the_seed_in_their_order(tmp_path):
    vectors = vectors_of(tmp_path / "v", ["<unk>", *WORDS], np.concatenate([np.ones((1, 6)), groups()]))
    knobs = KNOBS | {"perplexities": [5.0], "n_starts": 1, "n_words": 20, "max_vocab": 31}
    words = []
    for seed in (1, 2):
        scores = evaluate([vectors], Params(**knobs), Run(tmp_path / str(seed), seed=seed))
        words.append([line["word"] for line in read_csv(scores, "tsne")])
        assert len(words[-1]) == 20
        assert words[-1] == sorted(set(words[-1]) & set(WORDS[:30]), key=WORDS.index)
        assert "agreement" not in {row["metric"] for row in scores.read().to_pylist()}  # of one picture there are no others
    assert words[0] != words[1]


def test_nearest_in_the_plane_by_hand():
    assert nearest_in_plane(np.array([[0, 0], [1, 0], [3, 0], [3, 1.5]]), 2).tolist() == [[1, 2], [0, 2], [3, 1], [2, 1]]


def test_too_few_words_for_a_perplexity_and_wrong_knobs_are_told(tmp_path):
    with pytest.raises(Fault, match=r"vectors/v: 60 words are too few for perplexity 50, which takes 151. Lower perplexities"):
        evaluate([vectors_of(tmp_path / "v", WORDS, groups())], Params(), Run(tmp_path / "out"))
    with pytest.raises(ValidationError, match="must be at least 1, and each named once"):
        Params(perplexities=[30.0, 30.0])
