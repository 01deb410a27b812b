"""Isotropy against its definition, written out, and scikit-learn's principal components."""

import csv

import numpy as np
import pytest
from sklearn.decomposition import PCA

from pipelines.artifacts.codings import Codings
from pipelines.errors import Fault
from pipelines.evaluate.isotropy import Params, evaluate, isotropy, random_cosines
from pipelines.method import Run
from tests.matrices import vectors_of


def figures(scores):
    return {(row["of"], row["metric"]): row for row in scores.read().to_pylist()}


def test_by_hand_of_two_axes():
    """Vectors (1, 0), (-1, 0), (0, 2), (0, -2): Z is 2 cosh 1 + 2 along the first axis, 2 cosh 2 + 2 along the second."""
    x = np.array([[1, 0], [-1, 0], [0, 2], [0, -2]], np.float32)
    assert isotropy(x) == pytest.approx((2 * np.cosh(1) + 2) / (2 * np.cosh(2) + 2))
    assert isotropy(np.concatenate([np.eye(3), -np.eye(3)])) == pytest.approx(1)


def test_the_partition_function_is_that_of_the_definition_in_pieces_of_any_size(monkeypatch):
    x = np.random.default_rng(0).normal((1, 0, 0, 0), size=(50, 4))
    directions = np.linalg.svd(x)[2]
    z = [np.exp(x @ c).sum() for c in (*directions, *-directions)]
    assert isotropy(x) == pytest.approx(min(z) / max(z))
    monkeypatch.setattr("pipelines.evaluate.isotropy.ROWS", 7)
    assert isotropy(x) == pytest.approx(min(z) / max(z))


def test_long_vectors_do_not_overflow():
    assert isotropy(np.array([[2000.0, 0], [0, 1], [1, 1]])) == 0


def test_a_common_vector_makes_them_a_cone_and_components_are_scikit_learns(tmp_path):
    rng = np.random.default_rng(0)
    even = rng.normal(size=(400, 10)).astype(np.float32) * 0.3
    wide = even * np.array([5, *np.ones(9)], np.float32)
    words = [f"w{i}" for i in range(400)]
    made = {"even": even, "cone": even + 1, "wide": wide}
    seen = figures(
        evaluate([vectors_of(tmp_path / name, words, x) for name, x in made.items()], Params(n_components=2), Run(tmp_path / "out", seed=1))
    )
    assert seen["vectors/even", "isotropy"]["value"] > 0.8 > seen["vectors/cone", "isotropy"]["value"]
    assert abs(seen["vectors/even", "mean_cosine"]["value"]) < 0.02 < 0.8 < seen["vectors/cone", "mean_cosine"]["value"]
    for name, x in made.items():
        wanted = PCA(2).fit(x).explained_variance_ratio_.sum()
        assert seen[f"vectors/{name}", "top_variance"]["value"] == pytest.approx(wanted, rel=1e-4)
        row = seen[f"vectors/{name}", "mean_cosine"]
        assert row["low"] < row["value"] < row["high"]
        exact = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float64)
        mean = (exact @ exact.T)[~np.eye(400, dtype=bool)].mean()
        assert row["value"] == pytest.approx(mean, abs=0.02)
    with (tmp_path / "out" / "components.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["of"] == "vectors/wide"]
    assert len(lines) == 10
    assert float(lines[0]["share"]) > 0.6
    assert float(lines[-1]["cumulative"]) == pytest.approx(1)


def test_a_pair_is_never_a_word_with_itself():
    assert (random_cosines(np.eye(3), 500, np.random.default_rng(0)) == 0).all()


def test_only_the_first_words_count_without_the_unknown_token_and_codings_do_as_vectors(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    noisy = np.concatenate([[[50, 50, 50]], x, 90 * x])
    words = ["<unk>", *(f"w{i}" for i in range(40))]
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=words, coding=noisy, error=np.zeros(41))
    vectors = vectors_of(tmp_path / "v", words, noisy)
    seen = figures(evaluate([vectors], Params(max_vocab=21), Run(tmp_path / "out", seed=1), [out.artifact]))
    assert seen["vectors/v", "isotropy"]["value"] == seen["codings/c", "isotropy"]["value"] == pytest.approx(isotropy(x))
    assert seen["vectors/v", "isotropy"]["note"] == "the first 20 words, vectors with their lengths"


def test_a_vector_that_is_not_finite_and_too_few_are_faults(tmp_path):
    x = np.eye(4)
    x[2, 1] = np.inf
    with pytest.raises(Fault, match=r"vectors/v: 1 vectors hold a number that is not finite, first 'c'"):
        evaluate([vectors_of(tmp_path / "v", list("abcd"), x)], Params(), Run(tmp_path / "out"))
    with pytest.raises(Fault, match=r"vectors/few: 1 words are too few; it takes 3"):
        evaluate([vectors_of(tmp_path / "few", ["<unk>", "a"], np.eye(2))], Params(), Run(tmp_path / "out"))
