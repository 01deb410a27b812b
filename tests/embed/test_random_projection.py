"""Random projection: distances stay nearly as they were, which numbers the directions have, and what is refused."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.embed.random_projection import Params, embed
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import counts_of, files


def rows(n=40, n_columns=900, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(0.05, (n, n_columns)) * rng.integers(1, 20, (n, n_columns)).astype(float)


def documents(n):
    return [(f"d{i}", "test" if i == 1 else "train", "ab"[i % 2]) for i in range(n)]


def squares(x):
    """Squared distances of all pairs of rows."""
    return ((x[:, None] - x[None]) ** 2).sum(axis=2)[np.triu_indices(len(x), 1)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), directions=st.sampled_from(["sparse", "gaussian"]))
def test_distances_are_kept_within_what_the_lemma_lets_expect(tmp_path_factory, seed, directions):
    folder = tmp_path_factory.mktemp("p")
    dense = rows()
    vectors = embed(
        counts_of(folder / "c", dense, documents=documents(40)),
        Params(vector_size=600, directions=directions),
        Run(folder / "v", seed=seed),
    )
    ratio = squares(vectors.matrix()) / squares(dense)
    # the standard deviation of a ratio is sqrt(2 / 600) = .058: of 780 that are not independent none is six of these away
    assert np.abs(ratio - 1).max() < 0.35
    assert abs(ratio.mean() - 1) < 0.06


def test_more_numbers_keep_distances_better(tmp_path):
    dense = rows()
    counts = counts_of(tmp_path / "c", dense, documents=documents(40))
    off = []
    for k in (20, 80, 320):
        ratio = squares(embed(counts, Params(vector_size=k), Run(tmp_path / str(k), seed=1)).matrix()) / squares(dense)
        off.append(float(np.abs(ratio - 1).mean()))
    assert off[0] > 1.5 * off[1] > 2.25 * off[2]


def test_vectors_are_the_rows_times_the_directions_that_the_model_holds(tmp_path):
    dense = rows()
    vectors = embed(counts_of(tmp_path / "c", dense, documents=documents(40)), Params(vector_size=50), Run(tmp_path / "v", seed=1))
    np.testing.assert_allclose(vectors.matrix(), dense @ vectors.model()[1]["directions"], rtol=1e-4, atol=1e-4)


def test_sparse_directions_are_achlioptas_plus_and_minus_the_root_of_three_in_a_third(tmp_path):
    vectors = embed(counts_of(tmp_path / "c", rows(), documents=documents(40)), Params(vector_size=100), Run(tmp_path / "v", seed=1))
    directions = vectors.model()[1]["directions"]
    values, n = np.unique(directions.round(6), return_counts=True)
    assert values == pytest.approx([-((3 / 100) ** 0.5), 0, (3 / 100) ** 0.5], abs=1e-6)
    assert n / directions.size == pytest.approx([1 / 6, 2 / 3, 1 / 6], abs=0.01)


@pytest.mark.parametrize("directions", ["sparse", "gaussian"])
def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path, directions):
    counts = counts_of(tmp_path / "c", rows(), documents=documents(40))
    written = [
        files(embed(counts, Params(directions=directions), Run(tmp_path / str(i) / "v", seed=seed))) for i, seed in enumerate((1, 1, 2))
    ]
    assert written[0] == written[1]
    assert written[0]["vectors.parquet"] != written[2]["vectors.parquet"]


def test_an_empty_row_gets_no_vector_and_documents_keep_labels_but_those_of_test(tmp_path):
    dense = rows(5)
    dense[3] = 0
    vectors = embed(counts_of(tmp_path / "c", dense, documents=documents(5)), Params(vector_size=20), Run(tmp_path / "v"))
    assert vectors.items() == ["d0", "d1", "d2", "d4"]
    assert vectors.read(columns=["label"])["label"].to_pylist() == ["a", None, "a", "a"]


def test_rows_of_words_have_their_sightings(tmp_path):
    counts = counts_of(tmp_path / "c", np.array([[0, 0, 0], [0, 2, 1], [0, 1, 0.0]]))
    vectors = embed(counts, Params(vector_size=2, directions="gaussian"), Run(tmp_path / "v"))
    assert vectors.items() == ["w1", "w2"]
    assert vectors.read(columns=["count"])["count"].to_pylist() == counts.vocab()["count"].to_pylist()[1:]


def test_more_numbers_than_columns_and_counts_of_nothing_are_faults(tmp_path):
    with pytest.raises(Fault, match=r"counts/c: it has 4 columns, fewer than the 5 numbers of a vector\. Lower vector_size"):
        embed(counts_of(tmp_path / "c", np.eye(4)), Params(vector_size=5), Run(tmp_path / "v"))
    with pytest.raises(Fault, match="counts/n: it has no pairs"):
        embed(counts_of(tmp_path / "n", np.zeros((4, 4))), Params(vector_size=2), Run(tmp_path / "w"))


def test_counts_that_are_no_numbers_are_a_fault(tmp_path):
    dense = np.eye(4)
    dense[1, 2] = np.nan
    with pytest.raises(Fault, match="1 counts are no number above 0, first nan of row 1, col 2"):
        embed(counts_of(tmp_path / "c", dense), Params(vector_size=2), Run(tmp_path / "v"))


def test_rows_that_all_fall_on_no_direction_are_a_fault(tmp_path):
    dense = np.zeros((4, 4))
    dense[1, 2] = dense[2, 1] = 1
    with pytest.raises(
        Fault, match=r"counts/c: all of its rows fell on no direction\. Raise vector_size or density, or say directions: gaussian"
    ):
        embed(counts_of(tmp_path / "c", dense), Params(vector_size=1, density=1e-9), Run(tmp_path / "v"))
