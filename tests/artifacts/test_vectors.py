"""Vectors, and what they share with codings: one row of numbers per item, whole, in pieces or on disk."""

import os

import numpy as np
import pytest

from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run
from tests.artifacts.asked import assert_asks_only_what_there_is, closing, failing


def written(folder, matrix, items=None):
    matrix = np.asarray(matrix, np.float32)
    with Run(folder).open(Vectors) as out:
        out.append(item=items or [f"w{i}" for i in range(len(matrix))], count=np.arange(len(matrix)), vector=matrix)
    return out.artifact


def test_pieces_are_the_matrix_cut_to_the_length_asked_for(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(100, 7)).astype(np.float32)
    vectors = written(tmp_path / "v", matrix)
    pieces = list(vectors.pieces(rows=30))
    assert [len(piece) for piece in pieces] == [30, 30, 30, 10]
    assert (np.concatenate(pieces) == matrix).all()
    assert (vectors.matrix() == matrix).all()
    assert vectors.size == 7


def test_a_memmap_holds_the_matrix_on_disk_and_leaves_no_file_behind(tmp_path):
    matrix = np.arange(200, dtype=np.float32).reshape(50, 4)
    vectors = written(tmp_path / "v", matrix)
    mapped = vectors.memmap()
    assert isinstance(mapped, np.memmap)
    assert (mapped == matrix).all()
    assert os.listdir(tmp_path) == ["v"]


@pytest.mark.parametrize("n", [0, 1, 2, 99])
def test_a_memmap_may_hold_the_first_rows_alone(tmp_path, n):
    vectors = written(tmp_path / "v", np.arange(12).reshape(3, 4))
    assert vectors.memmap(n).tolist() == vectors.matrix()[:n].tolist()


def test_a_memmap_of_no_rows_is_an_empty_matrix(tmp_path):
    assert written(tmp_path / "v", np.empty((0, 4))).memmap().shape == (0, 4)


def test_the_profile_has_norm_spread_and_faults_of_every_row(tmp_path):
    profile = written(tmp_path / "v", [[3, 4], [2, 2], [np.nan, 1], [np.inf, -np.inf]]).profile()
    assert profile["item"].tolist() == ["w0", "w1", "w2", "w3"]
    assert profile["norm"].tolist() == pytest.approx([5, 8**0.5, 1, 0])
    assert profile["n_not_finite"].tolist() == [0, 0, 1, 2]
    assert profile["spread"].tolist() == pytest.approx([0.5, 0, 0.5, 0])


def test_the_profile_of_no_rows_still_has_its_columns(tmp_path):
    profile = written(tmp_path / "v", np.empty((0, 4))).profile()
    assert len(profile) == 0
    assert {"item", "norm", "n_not_finite", "spread"} <= set(profile.columns)


def test_the_gate_asks_only_what_there_is(tmp_path):
    assert_asks_only_what_there_is(written(tmp_path / "v", [[1, 2]]))


def cloud(n=200, size=8):
    return np.random.default_rng(0).normal(size=(n, size)).astype(np.float32)


def test_vectors_that_lie_every_which_way_pass(tmp_path):
    assert failing(written(tmp_path / "v", cloud())) == {}


def test_vectors_on_a_line_close_the_gate(tmp_path):
    line = np.outer(np.random.default_rng(0).normal(size=200), np.ones(8)) + 1e-6 * cloud()
    assert "effective_rank" in closing(written(tmp_path / "v", line))


def test_vectors_that_are_copies_of_a_few_close_the_gate_which_names_pairs(tmp_path):
    matrix = cloud()
    matrix[:60] = matrix[:3].repeat(20, axis=0)
    result = failing(written(tmp_path / "v", matrix))["near_identical"]
    assert result["observed"] == 0.3
    assert {result["examples"][0]["item"], result["examples"][0]["near"]} <= {f"w{i}" for i in range(20)}


def test_the_effective_rank_is_the_number_of_directions_that_are_alike_in_strength(tmp_path):
    matrix = np.zeros((300, 6), np.float32)
    matrix[:, :3] = np.linalg.qr(cloud(300, 3) - cloud(300, 3).mean(axis=0))[0]
    vectors = written(tmp_path / "v", matrix)
    measures = vectors.measures(vectors.profile())
    assert measures["effective_rank"].value == pytest.approx(3, abs=0.01)
    assert measures["dead_coordinates"].value == 0.5


def test_a_vector_that_is_too_long_closes_the_gate_by_the_threshold(tmp_path):
    matrix = cloud()
    matrix[7] *= 1e6
    vectors = written(tmp_path / "v", matrix)
    assert failing(vectors)["norm"]["observed"] > 1e6
    assert closing(vectors, largest_norm=1e9) == ["effective_rank"]  # what varies is that one


def test_of_few_vectors_nothing_is_said_about_how_they_lie(tmp_path):
    assert failing(written(tmp_path / "v", np.ones((10, 4)))) == {}
