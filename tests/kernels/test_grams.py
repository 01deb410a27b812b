"""N-grams of token ids."""

import itertools

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from pipelines.kernels.grams import count, frequent


def flat(documents):
    return np.concatenate([np.asarray(d, np.int32) for d in documents]), np.cumsum([0, *map(len, documents)])


def readable(grams, n_vocab):
    """The words of each n-gram, unfolded from the keys."""
    found = [[(int(key),) for key in grams[0]]]
    for keys in grams[1:]:
        found.append([(*found[-1][key // n_vocab], int(key % n_vocab)) for key in keys])
    return [gram for of_one_length in found for gram in of_one_length]


def plain_grams(ids, n):
    """The n-grams of one document, one at a time; those with an unknown word are none."""
    spans = (tuple(int(i) for i in ids[start : start + k]) for k in range(1, n + 1) for start in range(len(ids) - k + 1))
    return [span for span in spans if 0 not in span]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("min_df", [1, 2, 4])
def test_ngrams_and_their_counts_are_those_found_one_by_one(n, min_df):
    rng = np.random.default_rng(n)
    documents = [rng.integers(0, 5, length) for length in (0, 1, 2, 9, 30, 0, 14, 0)]
    grams = frequent(*flat(documents), 5, n, min_df)
    listed = [plain_grams(d, n) for d in documents]
    kept = sorted((g for g in set(itertools.chain(*listed)) if sum(g in of_one for of_one in listed) >= min_df), key=lambda g: (len(g), g))
    assert readable(grams, 5) == kept
    expected = [[of_one.count(g) for g in kept] for of_one in listed]
    assert count(*flat(documents), 5, grams).toarray().tolist() == expected


def test_without_unknown_words_they_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    documents = [rng.integers(1, 9, length) for length in (3, 20, 11, 7, 1)]
    grams = frequent(*flat(documents), 9, 3, 2)
    theirs = CountVectorizer(ngram_range=(1, 3), min_df=2, token_pattern=r"\d+")
    expected = theirs.fit_transform([" ".join(map(str, d)) for d in documents]).toarray()
    order = [theirs.vocabulary_[" ".join(map(str, gram))] for gram in readable(grams, 9)]
    assert len(order) == expected.shape[1]
    assert count(*flat(documents), 9, grams).toarray().tolist() == expected[:, order].tolist()


def test_an_ngram_does_not_cross_from_one_document_to_the_next_nor_an_unknown_word():
    grams = frequent(*flat([[1, 2], [3, 0, 4]]), 5, 2, 1)
    assert readable(grams, 5) == [(1,), (2,), (3,), (4,), (1, 2)]
