"""Counts: the sparse matrix in pieces, and what its gate looks at."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts.counts import Counts
from pipelines.method import Run

VOCAB = {"token_id": [0, 1, 2], "token": ["<unk>", "a", "b"], "count": [5, 4, 3]}


def written(folder, row, col, count, pieces=1):
    with Run(folder).open(Counts) as out:
        out.append("vocab", **VOCAB)
        for part in zip(*(np.array_split(column, pieces) for column in (row, col, count)), strict=True):
            out.append(row=part[0], col=part[1], count=part[2])
    return out.artifact


def test_blocks_come_in_the_matrix_order_and_no_longer_than_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    row, col = np.sort(rng.integers(0, 3, 1000)), rng.integers(0, 3, 1000)
    counts = written(tmp_path / "c", row, col, np.arange(1000), pieces=7)
    blocks = list(counts.blocks(n_pairs=64))
    assert all(len(part) <= 64 for block in blocks for part in block)
    assert [part.dtype for part in blocks[0]] == [np.int32, np.int32, np.float32]
    for i, column in enumerate((row, col, np.arange(1000))):
        assert (np.concatenate([block[i] for block in blocks]) == column).all()


def test_words_are_the_tokens_of_the_vocabulary_it_was_counted_with(tmp_path):
    counts = written(tmp_path / "c", [1], [2], [1.0])
    assert counts.words() == ["<unk>", "a", "b"]
    assert counts.vocab()["count"].to_pylist() == [5, 4, 3]


def test_the_profile_has_a_row_per_token_with_its_pairs_and_their_sum(tmp_path):
    profile = written(tmp_path / "c", [1, 1, 2], [1, 2, 1], [0.5, 2, 2]).profile()
    assert profile["token"].tolist() == ["<unk>", "a", "b"]
    assert profile["n_pairs"].tolist() == [0, 2, 1]
    assert profile["total"].tolist() == [0, 2.5, 2]
    assert profile[["n_not_positive", "n_unsorted", "n_outside"]].to_numpy().sum() == 0


def test_the_profile_shows_in_its_own_row_every_pair_that_is_at_fault(tmp_path):
    row, col = [0, 1, 1, 1, 2, 2], [1, 0, 2, 2, 1, 9]
    counts = written(tmp_path / "c", row, col, [1, 1, -1, 1, 0, 1])
    profile = counts.profile()
    assert profile["n_not_positive"].tolist() == [0, 1, 1]
    assert profile["n_unsorted"].tolist() == [0, 1, 0]  # (1, 2) twice
    assert profile["n_outside"].tolist() == [0, 0, 1]


def test_a_count_that_is_not_a_number_is_not_positive_either(tmp_path):
    counts = written(tmp_path / "c", [1, 2], [1, 1], [1.0, 1.0])
    # the writer refuses such a number; a file of somebody else's may hold it
    count = pa.array([1.0, np.nan], pa.float32())
    table = counts.read()
    pq.write_table(table.set_column(2, table.schema.field("count"), count), counts.folder / "counts.parquet")
    profile = counts.profile()
    assert profile["n_not_positive"].tolist() == [0, 0, 1]
    assert profile["total"].tolist() == [0, 1, 0]


def test_a_row_that_comes_after_a_later_one_is_seen_across_the_pieces_it_is_read_in(tmp_path, monkeypatch):
    counts = written(tmp_path / "c", [2, 1], [0, 0], [1.0, 1.0])
    for rows in (1, 2):
        monkeypatch.setattr(Counts.blocks, "__defaults__", (rows,))
        assert counts.profile()["n_unsorted"].tolist() == [0, 1, 0]


def test_every_expectation_is_of_a_column_of_the_profile(tmp_path):
    columns = set(written(tmp_path / "c", [1], [2], [1.0]).profile().columns)
    named = [e["kwargs"]["column"] for e in Counts.expectations if "column" in e["kwargs"]]
    assert named
    assert set(named) | set(Counts.key) <= columns
