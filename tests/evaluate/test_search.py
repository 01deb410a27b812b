"""Recall of codings."""

import numpy as np
import pytest

from pipelines.artifacts.codings import Codings
from pipelines.compress import binary, pca, product_quantisation, scalar_quantisation
from pipelines.errors import Fault
from pipelines.evaluate.search import Params, evaluate
from pipelines.kernels.nearest import unit
from pipelines.method import Run
from tests.matrices import vectors_of


def cloud(tmp_path, n=120, size=8):
    x = np.random.default_rng(0).normal(size=(n, size)).astype(np.float32)
    x[0] = 0  # the token for unknown words, which is no neighbour
    return vectors_of(tmp_path / "v", ["<unk>", *(f"w{i}" for i in range(1, n))], x)


def codings_of(folder, items, matrix, settings):
    with Run(folder).open(Codings) as out:
        out.append(item=items, coding=matrix, error=np.zeros(len(matrix)))
        out.model(settings, {})
    return out.artifact


def figures(scores):
    return {(row["of"], row["metric"]): row for row in scores.read().to_pylist()}


def test_one_word_of_two_is_found_by_hand(tmp_path):
    """By cosine the nearest of a is b, of b a, of c a. By bits a differs from b in 3, c from a in 1 and from b in 2."""
    vectors = vectors_of(tmp_path / "v", ["a", "b", "c"], np.array([[1, 0.2, 0], [1, 0, 0], [0.1, 0.1, 1]], np.float32))
    bits = codings_of(tmp_path / "bits", ["a", "b", "c"], np.array([[1, 1, 1], [-1, -1, -1], [1, 1, -1]], np.float32), {"code": "sign"})
    seen = figures(evaluate(vectors, [bits], Params(k=1, rerank=2), Run(tmp_path / "out", seed=1)))
    assert seen["codings/bits", "recall"]["value"] == pytest.approx(1 / 3)
    assert seen["codings/bits", "recall_reranked"]["value"] == 1
    assert seen["codings/bits", "recall"]["n"] == 3
    assert seen["codings/bits", "recall"]["note"] == "the 1 nearest of 3 words, by Hamming distance"


def test_codings_are_compared_as_befits_them_and_the_figures_are_those_of_the_plain_definition(tmp_path):
    vectors = cloud(tmp_path)
    items, exact = vectors.items(), unit(vectors.matrix())
    bits = binary.compress(vectors, binary.Params(n_bits=16, epochs=2), Run(tmp_path / "binary", seed=1))
    knobs = product_quantisation.Params(n_parts=4, bits=4, rotate=False)
    parts = product_quantisation.compress(vectors, knobs, Run(tmp_path / "pq", seed=1))
    axes = pca.compress(vectors, pca.Params(coding_size=4), Run(tmp_path / "pca", seed=1))
    same = codings_of(tmp_path / "same", items, vectors.matrix(), {})
    k, r = 5, 20
    seen = figures(evaluate(vectors, [bits, parts, axes, same], Params(k=k, rerank=r, n_queries=500), Run(tmp_path / "out", seed=1)))

    from pipelines.coding import decode

    def recall(stand_in, rerank):
        hits = []
        for i in range(1, len(items)):
            near = [j for j in np.argsort(-(stand_in @ stand_in[i]), kind="stable") if j not in (0, i)]
            best = [j for j in np.argsort(-(exact @ exact[i]), kind="stable") if j not in (0, i)]
            found = sorted(near[:r], key=lambda j: -(exact[j] @ exact[i]))[:k] if rerank else near[:k]
            hits.append(len(set(found) & set(best[:k])) / k)
        return np.mean(hits)

    stands = {"binary": (bits.matrix(), "Hamming distance"), "pq": (unit(decode(parts)), "cosine of the reconstructions"),
              "pca": (unit(axes.matrix()), "cosine of the codings")}  # fmt: skip
    for name, (stand_in, by) in stands.items():
        for metric in ("recall", "recall_reranked"):
            row = seen[f"codings/{name}", metric]
            assert row["value"] == pytest.approx(recall(stand_in, metric == "recall_reranked"))
            assert row["low"] <= row["value"] <= row["high"]
            assert by in row["note"]
        assert seen[f"codings/{name}", "recall"]["value"] < seen[f"codings/{name}", "recall_reranked"]["value"]
    assert seen["codings/same", "recall"]["value"] == 1


def test_codings_of_other_items_are_a_fault(tmp_path):
    vectors = cloud(tmp_path)
    other = codings_of(tmp_path / "other", ["x", "y"], np.eye(2, dtype=np.float32), {})
    with pytest.raises(Fault, match="codings/other: its items are not those of vectors/v"):
        evaluate(vectors, [other], Params(), Run(tmp_path / "out", seed=1))


def test_fewer_to_re_rank_than_are_wanted_is_refused():
    with pytest.raises(ValueError, match="rerank must be at least k, 10, and is 5"):
        Params(rerank=5)


@pytest.mark.parametrize("zeros", [0, 3])
def test_of_words_whose_vectors_are_equal_any_will_do(tmp_path, zeros):
    """Five rows, each five times, and rows of zeros, which lie as near to all: codings that lose next to nothing find them."""
    x = np.append(np.random.default_rng(0).normal(size=(5, 8)).repeat(5, axis=0), np.zeros((zeros, 8)), axis=0).astype(np.float32)
    vectors = vectors_of(tmp_path / "v", [f"w{i}" for i in range(len(x))], x)
    cells = scalar_quantisation.compress(vectors, scalar_quantisation.Params(bits=8), Run(tmp_path / "int8"))
    axes = pca.compress(vectors, pca.Params(coding_size=5), Run(tmp_path / "pca"))
    seen = figures(evaluate(vectors, [cells, axes], Params(k=3, rerank=5), Run(tmp_path / "out", seed=1)))
    assert {key: row["value"] for key, row in seen.items()} == {
        (f"codings/{name}", metric): 1 for name in ("int8", "pca") for metric in ("recall", "recall_reranked")
    }


@pytest.mark.parametrize("settings", [{}, {"code": "sign"}])
def test_codings_that_are_no_numbers_are_a_fault(tmp_path, settings):
    vectors = cloud(tmp_path)
    x = np.where(vectors.matrix() > 0, 1, -1).astype(np.float32)
    x[4, 1] = np.nan
    broken = codings_of(tmp_path / "broken", vectors.items(), x, settings)
    with pytest.raises(Fault, match="codings/broken: 1 codings hold a number that is not finite, first 'w4'"):
        evaluate(vectors, [broken], Params(), Run(tmp_path / "out", seed=1))
    whole = codings_of(tmp_path / "whole", vectors.items(), np.ones((120, 8), np.float32), settings)
    strange = vectors_of(tmp_path / "strange", vectors.items(), x)
    with pytest.raises(Fault, match="vectors/strange: 1 vectors hold a number that is not finite, first 'w4'"):
        evaluate(strange, [whole], Params(), Run(tmp_path / "out", seed=1))
