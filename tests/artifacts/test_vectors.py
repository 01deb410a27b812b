"""Vectors, and what they share with codings: one row of numbers per item, whole, in pieces or on disk."""

import os

import numpy as np
import pytest

from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run


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


def test_every_expectation_is_of_a_column_of_the_profile(tmp_path):
    columns = set(written(tmp_path / "v", [[1, 2]]).profile().columns)
    named = [e["kwargs"]["column"] for e in Vectors.expectations if "column" in e["kwargs"]]
    assert named
    assert set(named) | set(Vectors.key) <= columns
