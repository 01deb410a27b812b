"""Counts: the sparse matrix in pieces, and what its gate looks at."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.artifacts.counts import Counts
from pipelines.cooccur import windowed
from pipelines.method import Run
from tests.artifacts.asked import assert_asks_only_what_there_is, failing
from tests.texts import tokens_of

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


def test_the_gate_asks_only_what_there_is(tmp_path):
    assert_asks_only_what_there_is(written(tmp_path / "c", [1], [2], [1.0]))


def symmetric(folder, change=lambda matrix: None, said="yes"):
    """Counts of 60 tokens whose rows sum to ten times their sightings, and what `change` does to them."""
    rng = np.random.default_rng(0)
    matrix = rng.integers(1, 9, (60, 60)).astype(float)
    matrix = matrix + matrix.T
    sums = matrix.sum(axis=1)
    change(matrix)
    row, col = np.nonzero(matrix)
    with Run(folder).open(Counts) as out:
        out.append("vocab", token_id=range(60), token=[f"t{i}" for i in range(60)], count=(sums / 10).round().astype(int))
        out.append(row=row, col=col, count=matrix[row, col])
        out.append("row_sums", token_id=range(60), sum=sums)
        out.csv("measure", [{"measure": "count", "symmetric": said}])
    return out.artifact


def test_a_symmetric_matrix_passes_and_so_does_one_of_one_direction(tmp_path):
    assert failing(symmetric(tmp_path / "both")) == {}

    def upper(matrix):
        matrix[:] = np.triu(matrix)

    assert "asymmetry" not in failing(symmetric(tmp_path / "one", upper, "no"))
    assert "asymmetry" in failing(symmetric(tmp_path / "other", upper))


def test_a_pair_that_has_another_count_the_other_way_round_closes_the_gate_which_names_both_tokens(tmp_path):
    def change(matrix):
        matrix[3, 7] += 40

    result = failing(symmetric(tmp_path / "c", change))["asymmetry"]
    assert [example["token"] for example in result["examples"]] == ["t3", "t7"]
    assert result["severity"] == "fail"


def test_a_ring_of_wrong_counts_that_leaves_all_sums_as_they_are_is_found_too(tmp_path):
    def ring(matrix):
        for i, j in ((1, 2), (2, 3), (3, 1)):
            matrix[i, j] += 50

    result = failing(symmetric(tmp_path / "c", ring))["asymmetry"]
    named = {example["token"] for example in result["examples"]}  # one may be missed, by the weights that chance gave the others
    assert {"t1", "t3"} <= named <= {"t1", "t2", "t3"}


DAMAGE = {
    "its commonest row is lost": lambda table: table[table["row"] != table["row"].mode()[0]],
    "a rare row is lost": lambda table: table[table["row"] != table["row"].max()],
    "the first half is lost": lambda table: table[len(table) // 2 :],
    "the last twentieth is lost": lambda table: table[: -len(table) // 20],
    "every other pair is lost": lambda table: table[::2],
    "all counts are fifty times theirs": lambda table: table.assign(count=table["count"] * 50),
    "all counts are one": lambda table: table.assign(count=np.float32(1)),
    "counts are shuffled": lambda table: table.assign(count=np.random.default_rng(0).permutation(table["count"])),
}


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("knobs", [{}, {"context": "left"}, {"dynamic": True, "sample": 0.05}], ids=str)
def test_counts_that_are_not_what_the_tokens_imply_close_the_gate(tmp_path, what, knobs):
    """Of real counting; the same counts, undamaged, pass."""
    rng = np.random.default_rng(0)
    documents = [rng.zipf(1.5, 30).clip(1, 40).tolist() for _ in range(40)]
    counts = windowed.cooccur(tokens_of(tmp_path / "tokens", documents), windowed.Params(window=4, **knobs), Run(tmp_path / "c", seed=2))
    assert not {"sum_off", "asymmetry"} & set(failing(counts))
    table = DAMAGE[what](counts.read().to_pandas())
    columns = {name: table[name].to_numpy() for name in ("row", "col", "count")}
    with Run(tmp_path / "damaged").open(Counts) as out:
        out.append(**columns)
        for name in ("vocab", "row_sums"):
            out.append(name, **{column: counts.read(name)[column] for column in counts.read(name).column_names})
    assert "sum_off" in failing(out.artifact)
