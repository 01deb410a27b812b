"""Windowed co-occurrence: what is counted, what is not, and how much."""

import os

import numba
import numpy as np
import pytest

from pipelines.cooccur.windowed import Params, cooccur
from pipelines.errors import Fault
from pipelines.kernels.cooccur import count_plain, join
from pipelines.method import Run
from tests.texts import tokens_of


def counted(tmp_path, documents, n_vocab=None, split_of=None, name="w", **knobs):
    tokens = tokens_of(tmp_path / "tokens", documents, n_vocab, split_of)
    return cooccur(tokens, Params(**knobs), Run(tmp_path / name, name="cooccur/w"))


def pairs(counts):
    return {
        (row, col): count for row, col, count in zip(*(counts.read()[name].to_pylist() for name in ("row", "col", "count")), strict=True)
    }


def test_a_sighting_d_tokens_away_adds_one_part_in_d(tmp_path):
    found = pairs(counted(tmp_path, [[1, 2, 3, 1]], window=2))
    assert found == {(1, 2): 1.5, (2, 1): 1.5, (1, 3): 1.5, (3, 1): 1.5, (2, 3): 1, (3, 2): 1}


def test_flat_sightings_are_plain_numbers_of_sightings(tmp_path):
    assert pairs(counted(tmp_path, [[1, 2, 1, 2]], window=2, weighting="flat")) == {(1, 2): 3, (2, 1): 3, (1, 1): 2, (2, 2): 2}


def test_left_context_means_that_the_column_stands_before_the_row(tmp_path):
    assert pairs(counted(tmp_path, [[1, 2, 3]], window=2, context="left")) == {(2, 1): 1, (3, 2): 1, (3, 1): 0.5}
    assert pairs(counted(tmp_path, [[1, 2, 3]], name="r", window=2, context="right")) == {(1, 2): 1, (2, 3): 1, (1, 3): 0.5}


def test_a_window_never_leaves_its_document(tmp_path):
    assert pairs(counted(tmp_path, [[1, 2], [3], [], [4, 5]], window=1000)) == {(1, 2): 1, (2, 1): 1, (4, 5): 1, (5, 4): 1}


def test_unknown_tokens_are_taken_out_before_windows_are_laid(tmp_path):
    assert pairs(counted(tmp_path, [[0, 1, 0, 0, 2, 0]], window=1)) == {(1, 2): 1, (2, 1): 1}


def test_only_the_documents_of_the_named_splits_are_counted(tmp_path):
    documents, split_of = [[1, 2], [1, 3], [1, 4], [1, 5]], ["train", "valid", "test", "unlabelled"]
    assert set(pairs(counted(tmp_path, documents, split_of=split_of))) == {(1, 2), (2, 1), (1, 5), (5, 1)}
    assert set(pairs(counted(tmp_path, documents, split_of=split_of, name="v", splits=["valid"]))) == {(1, 3), (3, 1)}


def test_a_vocabulary_of_one_word_pairs_with_itself(tmp_path):
    assert pairs(counted(tmp_path, [[1, 1, 1]], window=1)) == {(1, 1): 4}
    profile = counted(tmp_path, [[1, 1, 1]], name="again", window=1).profile()
    assert profile["n_pairs"].tolist() == [0, 1]


def test_a_word_without_neighbours_is_an_empty_row_and_stays_in_the_vocabulary(tmp_path):
    counts = counted(tmp_path, [[1, 3], [2]], n_vocab=6)
    assert counts.profile()["n_pairs"].tolist() == [0, 1, 0, 1, 0, 0]
    assert counts.words() == ["<unk>", "w1", "w2", "w3", "w4", "w5"]


def test_the_matrix_is_sorted_and_passes_as_its_gate_looks_at_it(tmp_path):
    documents = np.random.default_rng(0).integers(0, 200, (300, 40)).tolist()
    counts = counted(tmp_path, documents)
    profile = counts.profile()
    assert profile[["n_not_positive", "n_unsorted", "n_outside"]].to_numpy().sum() == 0
    ids, offsets = np.array(documents, np.int32).ravel(), np.arange(0, 12_001, 40)
    row, col, count = count_plain(join(ids, offsets, 0), 200, 1 / np.arange(1, 11), True, True)
    found = [np.concatenate(part) for part in zip(*counts.blocks(), strict=True)]
    assert all((a == b).all() for a, b in zip(found, (row, col, count), strict=True))


def test_any_number_of_threads_writes_the_same_bytes(tmp_path):
    documents = np.random.default_rng(1).zipf(1.5, (200, 60)) % 500
    files = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        files.append((counted(tmp_path, documents.tolist(), name=f"t{threads}").folder / "counts.parquet").read_bytes())
    assert files[0] == files[-1]


@pytest.mark.parametrize(
    ("documents", "splits", "message"),
    [
        ([[0, 0], [0]], None, "the 2 documents of train, unlabelled hold no known token"),
        ([[1, 2]], ["test"], "no document is in train, unlabelled"),
        ([[1], [2], [0, 1, 0]], None, "no document of train, unlabelled has two known tokens"),
    ],
)
def test_a_text_with_nothing_to_count_is_a_fault_that_says_what_to_change(tmp_path, documents, splits, message):
    with pytest.raises(Fault, match=f"tokens/tokens: {message}.*Lower min_count of the tokenize row, or name other splits"):
        counted(tmp_path, documents, 3, splits)


@pytest.mark.slow
@pytest.mark.skipif("WORDLOOM_DATA" not in os.environ, reason="WORDLOOM_DATA names no folder with wikipedia/ in it")
def test_wikipedia_of_2015_has_as_many_non_zeros_as_the_authors_own_program_finds(tmp_path):
    from benchmarks.measure import wikipedia

    tokens = wikipedia(tmp_path)
    assert tokens.n_rows("vocab") - 1 == 72_245
    counts = cooccur(tokens, Params(window=10), Run(tmp_path / "w10"))
    assert counts.n_rows() == 51_763_242
    profile = counts.profile()
    assert profile[["n_not_positive", "n_unsorted", "n_outside"]].to_numpy().sum() == 0
