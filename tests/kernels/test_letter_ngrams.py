"""Letter n-grams: their hashes are those of fastText, as gensim reads it, and vectors are their means."""

import numpy as np
import pytest
from gensim.models.fasttext import ft_ngram_hashes
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels import letter_ngrams
from pipelines.kernels.letter_ngrams import mean_of_rows, subwords, unknown


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.integers(1, 4), st.integers(0, 3))
def test_the_buckets_of_any_word_are_those_of_gensim(word, n_min, more):
    assert subwords([word.encode()], n_min, n_min + more, 1000)[0].tolist() == ft_ngram_hashes(word, n_min, n_min + more, 1000)


def test_the_buckets_of_subwords_are_those_of_gensim():
    for word in ["ice", "\u00fcber", "\u0434\u043e\u043c", "\U0001f9ca", "a", "x" * 100]:
        for min_n, max_n in [(3, 6), (1, 2), (2, 2)]:
            ids, n_ids = subwords([b"ice", word.encode()], min_n, max_n, 1000)
            assert ids[n_ids[0] :].tolist() == ft_ngram_hashes(word, min_n, max_n, 1000)


def test_the_means_of_many_rows_are_taken_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    matrix, n_ids = rng.normal(size=(50, 3)).astype(np.float32), np.array([0, 4, 0, 9, 1, 30, 2, 0])
    ids = rng.integers(0, 50, n_ids.sum())
    expected = [matrix[part].mean(axis=0) if len(part) else np.zeros(3) for part in np.split(ids, np.cumsum(n_ids)[:-1])]
    for held in (2**16, 10, 1):
        monkeypatch.setattr(letter_ngrams, "HELD", held)
        assert mean_of_rows(matrix, ids, n_ids, None) == pytest.approx(np.stack(expected), abs=1e-6)


def test_a_word_has_the_mean_of_its_known_n_grams_and_zeros_without_one():
    ids, _ = subwords([b"sea"], 3, 3, 100)  # <se sea ea>
    buckets = np.unique(np.append(ids[:2], 99))
    weights = {"buckets": buckets, "ngrams": np.arange(len(buckets), dtype=np.float32)[:, None]}
    settings = {"n_min": 3, "n_max": 3, "bucket": 100}
    wanted = np.searchsorted(buckets, ids[:2]).mean()
    assert unknown(settings, weights, ["sea", "x"]).tolist() == [[wanted], [0]]
    assert unknown(settings, {"buckets": buckets[:0], "ngrams": weights["ngrams"][:0]}, ["sea"]).tolist() == [[0]]
