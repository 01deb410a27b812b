"""Windowed co-occurrence: what is counted, what is not, and how much."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.cooccur import windowed
from pipelines.cooccur.windowed import Params, cooccur
from pipelines.errors import Fault
from pipelines.kernels.cooccur import Window, count_plain, join, weights, whole
from pipelines.method import Run
from tests.texts import tokens_of


def counted(tmp_path, documents, n_vocab=None, split_of=None, name="w", threads=1, seed=0, **knobs):
    tokens = tokens_of(tmp_path / "tokens", documents, n_vocab, split_of)
    return cooccur(tokens, Params(**knobs), Run(tmp_path / name, name="cooccur/w", threads=threads, seed=seed))


def plain(documents, n_vocab, window, **more):
    ids, offsets = np.array([i for d in documents for i in d], np.int32), np.cumsum([0, *map(len, documents)])
    return count_plain(whole([join(ids, offsets, 0)]), Window(*weights(window, "distance"), **more))


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
    found = [np.concatenate(part) for part in zip(*counts.blocks(), strict=True)]
    assert all((a == b).all() for a, b in zip(found, plain(documents, 200, 10), strict=True))


def test_rows_and_columns_are_kept_as_differences_which_are_small(tmp_path):
    columns = counted(tmp_path, [[1, 2, 3]]).file().metadata.row_group(0)
    assert ["DELTA_BINARY_PACKED" in columns.column(i).encodings for i in range(3)] == [True, True, False]


def test_counts_are_the_nearest_float32_of_the_exact_sums(tmp_path):
    documents = (np.random.default_rng(0).zipf(1.4, (60, 80)) % 40).tolist()
    found, expected = pairs(counted(tmp_path, documents, window=40)), {}  # in a window of 40 weights are rounded, to 2**-32
    for document in documents:
        known = [i for i in document if i]
        for place, row in enumerate(known):
            for other, col in enumerate(known):
                if place != other and abs(place - other) <= 40:
                    expected[row, col] = expected.get((row, col), 0) + 1 / abs(place - other)
    assert found.keys() == expected.keys()
    assert max(abs(found[pair] - expected[pair]) / np.spacing(np.float32(expected[pair])) for pair in expected) <= 1


def test_linear_sightings_add_one_part_in_window_less_for_each_token_between(tmp_path):
    third = np.float32(1 / 3), np.float32(2 / 3)
    assert pairs(counted(tmp_path, [[1, 2, 3, 4, 5]], window=3, weighting="linear", context="right")) == {
        (1, 2): 1, (1, 3): third[1], (1, 4): third[0], (2, 3): 1, (2, 4): third[1], (2, 5): third[0],
        (3, 4): 1, (3, 5): third[1], (4, 5): 1,
    }  # fmt: skip


@pytest.mark.parametrize("weighting", ["distance", "flat", "linear"])
def test_a_symmetric_context_gives_a_symmetric_matrix_and_left_is_right_turned_over(tmp_path, weighting):
    documents = (np.random.default_rng(2).zipf(1.5, (50, 40)) % 60).tolist()
    both, left, right = (
        counted(tmp_path, documents, name=context, context=context, weighting=weighting, window=7).sparse().toarray()
        for context in ("symmetric", "left", "right")
    )
    assert (both == both.T).all()
    assert (left == right.T).all()
    assert both == pytest.approx(left + right, rel=1e-6)


def test_a_dynamic_window_is_drawn_by_each_place_from_the_seed(tmp_path):
    documents = np.random.default_rng(3).integers(1, 50, (40, 60)).tolist()
    knobs = {"window": 6, "dynamic": True, "weighting": "flat"}
    found = counted(tmp_path, documents, seed=4, **knobs).sparse().toarray()
    full, other = (
        counted(tmp_path, documents, name="full", window=6, weighting="flat"),
        counted(tmp_path, documents, name="o", seed=5, **knobs),
    )
    assert (found <= full.sparse().toarray()).all()
    assert (found != other.sparse().toarray()).any()
    # a place sees 2 x (1 to 6) others, so 7 on average, and 2400 places that many; less at the ends of documents
    inner = 7 * 2400 - 40 * 2 * np.mean([sum(range(1, b + 1)) for b in range(1, 7)])
    assert found.sum() == pytest.approx(inner, rel=0.03)


def test_sampling_passes_over_frequent_words_before_windows_are_laid(tmp_path):
    documents = [[1, 2, 1, 3, 1, 4, 1, 5] * 50 for _ in range(20)]
    assert not pairs(counted(tmp_path, documents, window=1)).keys() & {(2, 3), (3, 4), (4, 5)}
    sampled = counted(tmp_path, documents, name="s", window=1, sample=0.12)  # word 1 has half of the text, the others an eighth
    assert {(2, 3), (3, 4), (4, 5)} <= pairs(sampled).keys()
    # word2vec keeps (sqrt(.5 / .12) + 1) x .12 / .5 of word 1, and all of the others
    assert sampled.sparse().sum() == pytest.approx(2 * (4000 * (np.sqrt(0.5 / 0.12) + 1) * 0.12 / 0.5 + 4000), rel=0.03)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 400), st.integers(1, 7), st.integers(1, 8), st.sampled_from(["distance", "flat", "linear"]), st.booleans(),
    st.sampled_from([0, 0.01]), st.integers(1, 30), st.sampled_from([64, 2**22]),
)  # fmt: skip
def test_any_number_of_shards_and_threads_writes_the_same_bytes(
    tmp_path_factory, shard_tokens, documents_at_a_time, threads, weighting, dynamic, sample, window, cells
):
    tmp_path = tmp_path_factory.mktemp("shards")
    documents = np.random.default_rng(1).zipf(1.5, (40, 30)) % 90
    knobs = {"window": window, "weighting": weighting, "dynamic": dynamic, "sample": sample, "seed": 3}
    expected = (counted(tmp_path, documents.tolist(), **knobs).folder / "counts.parquet").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windowed, "DOCUMENTS", documents_at_a_time)
        patch.setattr(windowed.kernel, "CELLS", cells)
        sharded = counted(tmp_path, documents.tolist(), name="shards", threads=threads, shard_tokens=shard_tokens, **knobs)
    assert (sharded.folder / "counts.parquet").read_bytes() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shards", "tokens", "w"]  # what was put aside is gone


class Workers(ThreadPoolExecutor):
    """Stands for pipelines/cluster.py's: what is shared and submitted goes through pickle, as to another process."""

    n_threads = 2

    def share(self, values):
        return [pickle.dumps(value) for value in values]

    def submit(self, function, item, *held):
        return super().submit(lambda: pickle.loads(pickle.dumps(function(item, *map(pickle.loads, held)))))  # noqa: S301

    def result(self, future):
        return future.result()


@pytest.mark.parametrize("shard_tokens", [300, 10**6])
def test_a_cluster_writes_the_same_bytes(tmp_path, monkeypatch, shard_tokens):
    monkeypatch.setattr(windowed, "DOCUMENTS", 4)
    documents = (np.random.default_rng(1).zipf(1.5, (40, 30)) % 90).tolist()
    params = Params(window=5, dynamic=True, sample=0.01, shard_tokens=shard_tokens)
    tokens = tokens_of(tmp_path / "tokens", documents)
    made = [cooccur(tokens, params, Run(tmp_path / str(cluster), seed=2, cluster=cluster)) for cluster in (None, Workers)]
    assert made[0].n_rows() > 500
    assert len({(counts.folder / "counts.parquet").read_bytes() for counts in made}) == 1


def test_a_small_shard_is_counted_apart_and_merged(tmp_path, monkeypatch):
    merged = []
    monkeypatch.setattr(windowed, "DOCUMENTS", 1)
    monkeypatch.setattr(windowed, "_merge", lambda rows, shards, merge=windowed._merge: merged.append(len(shards)) or merge(rows, shards))
    documents = [[1, 2, 3]] * 9
    found = pairs(counted(tmp_path, documents, shard_tokens=6, window=1))
    assert set(merged) == {5}  # two documents a shard, and the last
    assert found == {(1, 2): 9, (2, 1): 9, (2, 3): 9, (3, 2): 9}


def test_a_word_too_frequent_for_exact_sums_is_a_fault_that_says_what_to_change(tmp_path):
    window = Window(*weights(1000, "distance"))
    with pytest.raises(
        Fault, match=r"'b' stands 200,000,000 times.*exact for 143,\d+,\d+ sightings.*window of 22 or less, or sample: 1e-3"
    ):
        windowed._check_exact(np.array([0, 2 * 10**8]), lambda: ["a", "b"], window, Params(window=1000))
    windowed._check_exact(np.array([0, 10**13]), lambda: ["a", "b"], Window(*weights(10, "distance")), Params(window=10))


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
def test_wikipedia_of_2015_has_as_many_non_zeros_as_the_authors_own_program_finds(tmp_path, monkeypatch):
    from benchmarks.measure import wikipedia

    tokens = wikipedia(tmp_path)
    assert tokens.n_rows("vocab") - 1 == 72_245
    counts = cooccur(tokens, Params(window=10), Run(tmp_path / "w10", threads=2))
    assert counts.n_rows() == 51_763_242
    profile = counts.profile()
    assert profile[["n_not_positive", "n_unsorted", "n_outside"]].to_numpy().sum() == 0
    monkeypatch.setattr(windowed, "DOCUMENTS", 500)
    sharded = cooccur(tokens, Params(window=10, shard_tokens=2_000_000), Run(tmp_path / "shards", threads=2))
    assert (sharded.folder / "counts.parquet").read_bytes() == (counts.folder / "counts.parquet").read_bytes()
