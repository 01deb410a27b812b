"""Codings made vectors again."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.coding import decode
from pipelines.compress import pca
from pipelines.embed.decoded import Params, embed
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import vectors_of


@pytest.fixture
def made(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    vectors = vectors_of(tmp_path / "v", [f"w{i}" for i in range(30)], x, ["a", "b", None] * 10)
    return vectors, pca.compress(vectors, pca.Params(coding_size=2), Run(tmp_path / "c", seed=1))


def test_the_vectors_are_what_the_decoder_gives_back_with_counts_and_classes_of_what_was_coded(tmp_path, made):
    vectors, codings = made
    back = embed(codings, Params(), Run(tmp_path / "d"), vectors)
    assert np.array_equal(back.matrix(), decode(codings))
    assert back.named() == vectors.named()
    off = ((back.matrix() - vectors.matrix()) ** 2).sum(axis=1)
    assert off == pytest.approx(codings.read(columns=["error"]).column("error").to_numpy(), abs=1e-4)


def test_without_them_nothing_is_counted(tmp_path, made):
    _, codings = made
    table = embed(codings, Params(), Run(tmp_path / "d")).read().to_pydict()
    assert table["item"] == codings.items()
    assert set(table["count"]) == {0}
    assert set(table["label"]) == {None}


def test_vectors_of_other_items_are_refused(tmp_path, made):
    _, codings = made
    others = vectors_of(tmp_path / "o", ["x", "y"], np.eye(2, dtype=np.float32))
    with pytest.raises(Fault, match="vectors/o: its items are not those of codings/c"):
        embed(codings, Params(), Run(tmp_path / "d"), others)


def test_codings_without_rows_are_refused(tmp_path, made):
    _, codings = made
    path = codings.folder / "codings.parquet"
    pq.write_table(pq.read_table(path)[:0], path)
    with pytest.raises(Fault, match="codings/c: it has no codings. Look at the stage that made them"):
        embed(codings, Params(), Run(tmp_path / "d"))
