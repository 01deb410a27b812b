import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.decomposition import PCA

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.compress import pca
from pipelines.errors import Fault
from pipelines.evaluate.reconstruction import Params, evaluate
from pipelines.method import Run
from tests.matrices import vectors_of

WORDS = [f"w{i}" for i in range(80)]
MATRIX = (np.random.default_rng(0).normal(size=(80, 6)) * np.arange(1, 7) + 3).astype(np.float32)


def make_vectors(folder):
    with Run(folder).open(Vectors) as out:
        out.append(item=WORDS, count=np.zeros(80), vector=MATRIX)
    return out.artifact


def make_codings(folder, items, coding, error):
    with Run(folder).open(Codings) as out:
        out.append(item=items, coding=coding, error=error)
        out.model({"model": "pca"}, {"encoder.weight": np.zeros((6, 2), np.float32), "decoder.weight": np.zeros((2, 6), np.float32)})
    return out.artifact


def figures(scores):
    return {(row["of"], row["metric"]): row for row in scores.read().to_pylist()}


def test_principal_components_keep_the_variance_that_scikit_learn_says(tmp_path):
    pca = PCA(2).fit(MATRIX)
    coding = pca.transform(MATRIX)
    error = ((pca.inverse_transform(coding) - MATRIX) ** 2).sum(axis=1)
    codings = make_codings(tmp_path / "pca", WORDS, coding, error)
    seen = figures(evaluate(make_vectors(tmp_path / "v"), [codings], Params(), Run(tmp_path / "out", seed=1)))
    kept = seen["codings/pca", "explained_variance"]
    assert kept["value"] == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-5)
    assert kept["low"] < kept["value"] < kept["high"]
    assert (kept["on"], kept["n"]) == ("vectors/v", 80)
    assert seen["codings/pca", "mean_squared_error"]["value"] == pytest.approx(error.mean() / 6)


def test_the_decoder_counts_in_the_ratio_and_the_encoder_does_not(tmp_path):
    codings = make_codings(tmp_path / "c", WORDS, MATRIX[:, :2], np.ones(80))
    seen = figures(evaluate(make_vectors(tmp_path / "v"), [codings], Params(), Run(tmp_path / "out", seed=1)))
    assert seen["codings/c", "bytes_per_item"]["value"] == 8
    assert seen["codings/c", "ratio"]["value"] == pytest.approx(80 * 24 / (80 * 8 + 48))
    assert seen["codings/c", "whole_bytes"]["value"] == pytest.approx(8 + 48 / 80)
    assert seen["codings/c", "ratio"]["note"] == "48 bytes of decoder counted in"


def test_codings_in_another_order_meet_their_own_vectors(tmp_path):
    error = ((MATRIX - MATRIX.mean(axis=0)) ** 2).sum(axis=1)  # as of a coding that knows only the mean
    some = np.random.default_rng(1).permutation(80)[:30]
    codings = make_codings(tmp_path / "c", [WORDS[i] for i in some], MATRIX[some], error[some])
    seen = figures(evaluate(make_vectors(tmp_path / "v"), [codings], Params(), Run(tmp_path / "out", seed=1)))
    assert seen["codings/c", "explained_variance"]["value"] == pytest.approx(0, abs=1e-6)


def test_codings_of_other_items_are_refused_all_at_once(tmp_path):
    strange = [make_codings(tmp_path / name, [name, "w1"], MATRIX[:2], np.ones(2)) for name in ("x", "y")]
    with pytest.raises(Fault) as fault:
        evaluate(make_vectors(tmp_path / "v"), strange, Params(), Run(tmp_path / "out", seed=1))
    assert fault.value.faults == [
        f"codings/{name}: 1 of its items are not in vectors/v, first {name!r}. Name the vectors that it was made from"
        for name in ("x", "y")
    ]


def test_a_row_whose_errors_are_no_distances_is_refused(tmp_path):
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=WORDS, coding=MATRIX[:, :2], error=np.ones(80))
        out.model({"model": "recurrent"}, {"decoder.weight": np.zeros((2, 6), np.float32)})
    with pytest.raises(Fault, match="codings/c: its errors are nats a token"):
        evaluate(make_vectors(tmp_path / "v"), [out.artifact], Params(), Run(tmp_path / "out", seed=1))


@pytest.mark.parametrize("other", [lambda x: 3 * x, lambda x: np.concatenate([x, x], axis=1)])
def test_codings_of_other_vectors_of_the_same_items_are_refused(tmp_path, other):
    x, items = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32), [f"w{i}" for i in range(50)]
    codings = pca.compress(vectors_of(tmp_path / "v", items, x), pca.Params(coding_size=2), Run(tmp_path / "c"))
    with pytest.raises(Fault, match=r"codings/c: its errors are not distances from vectors/o. Name the vectors that it was made from"):
        evaluate(vectors_of(tmp_path / "o", items, other(x)), [codings], Params(), Run(tmp_path / "s"))
    turned = vectors_of(tmp_path / "t", items[::-1], x[::-1])
    assert evaluate(turned, [codings], Params(), Run(tmp_path / "s2")).n_rows()


def test_codings_without_rows_and_those_whose_model_is_garbled_are_refused(tmp_path):
    codings = pca.compress(make_vectors(tmp_path / "v"), pca.Params(coding_size=2, bits=2), Run(tmp_path / "c"))
    settings = codings.settings()
    for edit, said in [({"model": []}, "the model in .* cannot be read"), ({"bits": None}, "not those of its settings")]:
        (codings.folder / "model.json").write_text(json.dumps(settings | edit))
        with pytest.raises(Fault, match=f"codings/c: .*{said}"):
            evaluate(make_vectors(tmp_path / "v"), [codings], Params(), Run(tmp_path / "s"))
    path = codings.folder / "codings.parquet"
    pq.write_table(pq.read_table(path)[:0], path)
    with pytest.raises(Fault, match="codings/c: it has no codings. Look at the stage that made them"):
        evaluate(make_vectors(tmp_path / "v"), [codings], Params(), Run(tmp_path / "s"))
