"""Logistic regression on weighted n-grams."""

import itertools

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from pipelines.classify.tfidf_logreg import Params, classify, count, frequent, probabilities
from pipelines.errors import Fault
from pipelines.kernels.bags import inverse_frequency as idf_of
from pipelines.kernels.bags import weigh
from pipelines.labels import read
from pipelines.method import Run
from tests.texts import labelled

N_WORDS = 30
WORDS = ["<unk>", *(f"w{i}" for i in range(1, N_WORDS))]


def tokens(folder, documents, words=WORDS):
    return labelled(folder, documents, words)


def topics(n=300, n_classes=3, seed=0):
    """Each class has words that it uses more often; no word is unknown."""
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        favourite = 1 + (i % n_classes) * 5 + rng.integers(0, 5, 3)
        ids = np.concatenate([favourite, rng.integers(1, N_WORDS, int(rng.integers(3, 12)))])
        documents.append((("train", "train", "valid", "test")[i // n_classes % 4], "abc"[i % n_classes], rng.permutation(ids)))
    return documents


def inverse_frequency(counts):
    return idf_of(np.bincount(counts.indices, minlength=counts.shape[1]), counts.shape[0])


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
    grams = frequent(*flat(documents), 5, Params(ngrams=n, min_df=min_df))
    listed = [plain_grams(d, n) for d in documents]
    kept = sorted((g for g in set(itertools.chain(*listed)) if sum(g in of_one for of_one in listed) >= min_df), key=lambda g: (len(g), g))
    assert readable(grams, 5) == kept
    expected = [[of_one.count(g) for g in kept] for of_one in listed]
    assert count(*flat(documents), 5, grams).toarray().tolist() == expected


def test_an_ngram_does_not_cross_from_one_document_to_the_next_nor_an_unknown_word():
    grams = frequent(*flat([[1, 2], [3, 0, 4]]), 5, Params(ngrams=2, min_df=1))
    assert readable(grams, 5) == [(1,), (2,), (3,), (4,), (1, 2)]


def test_weights_are_those_of_scikit_learn():
    documents = [d[2] for d in topics(60)]
    grams = frequent(*flat(documents), N_WORDS, Params(ngrams=2, min_df=2))
    counts = count(*flat(documents), N_WORDS, grams)
    ours = weigh(counts, inverse_frequency(counts), sublinear=True)
    theirs = TfidfVectorizer(analyzer=lambda ids: plain_grams(ids, 2), min_df=2, sublinear_tf=True)
    expected = theirs.fit_transform(documents).toarray()
    order = [theirs.vocabulary_[gram] for gram in readable(grams, N_WORDS)]
    assert ours.toarray() == pytest.approx(expected[:, order], abs=1e-6)


def test_weights_by_hand():
    # two documents; word 1 is in both (idf 1), word 2 in one (idf ln(3/2) + 1), three times there
    counts = count(*flat([[1], [1, 2, 2, 2]]), 3, [np.array([1, 2])])
    idf = inverse_frequency(counts)
    assert idf == pytest.approx([1, np.log(1.5) + 1])
    row = np.array([1, (1 + np.log(3)) * idf[1]])
    assert weigh(counts, idf, sublinear=True).toarray()[1] == pytest.approx(row / np.linalg.norm(row))
    row = np.array([1, 3 * idf[1]])
    assert weigh(counts, idf, sublinear=False).toarray()[1] == pytest.approx(row / np.linalg.norm(row))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_those_of_scikit_learn(tmp_path, n_classes):
    toy = tokens(tmp_path / "t", topics(n_classes=n_classes))
    made = classify(toy, Params(l2=0.1), Run(tmp_path / "p", seed=1))
    train, valid = (read(toy, split, made.classes()) for split in ("train", "valid"))
    weights = made.model()[1]
    x = [weigh(count(s.values, s.offsets, N_WORDS, [weights["grams1"], weights["grams2"]]), weights["idf"], True) for s in (train, valid)]
    expected = LogisticRegression(C=10, tol=1e-5).fit(x[0], train.class_ids).predict_proba(x[1])
    assert made.frame("valid")[1] == pytest.approx(expected, abs=1e-5)


def test_a_pair_of_words_says_what_neither_says_alone(tmp_path):
    # `w1 w2` or `w2 w1`: every document has both words
    documents = [(("train", "train", "valid")[i % 3], "ab"[i % 2], [3, *((1, 2) if i % 2 else (2, 1)), 3]) for i in range(60)]
    toy = tokens(tmp_path / "t", documents)
    right = [np.mean(classify(toy, Params(ngrams=n), Run(tmp_path / str(n))).frame("valid")[0].eval("label == predicted")) for n in (1, 2)]
    assert right[0] < 0.7
    assert right[1] == 1


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    toy = tokens(tmp_path / "t", topics())
    made = [classify(toy, Params(), Run(tmp_path / name, seed=1)) for name in ("a", "b")]
    for name in ("predictions.parquet", "classes.parquet", "model.safetensors", "model.json"):
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()


def test_what_was_kept_gives_the_same_probabilities_without_the_training_data(tmp_path):
    toy = tokens(tmp_path / "t", topics())
    made = classify(toy, Params(ngrams=3), Run(tmp_path / "p", seed=1))
    settings, weights = made.model()
    split = read(toy, "test", settings["classes"])
    assert np.array_equal(probabilities(split.values, split.offsets, settings, weights), made.frame("test")[1])


def test_a_document_without_known_words_gets_what_the_classes_have_in_common(tmp_path):
    documents = [*topics(120), ("valid", "a", [0]), ("valid", "b", [])]
    p = classify(tokens(tmp_path / "t", documents), Params(), Run(tmp_path / "p")).frame("valid")[1]
    assert np.array_equal(p[-1], p[-2])
    assert p[-1] == pytest.approx([1 / 3] * 3, abs=0.1)


def test_the_labels_of_test_are_neither_shown_nor_used(tmp_path):
    documents = topics()
    swapped = [(split, "a" if split == "test" else label, ids) for split, label, ids in documents]
    made = [classify(tokens(tmp_path / name, d), Params(), Run(tmp_path / f"p{name}")) for name, d in (("a", documents), ("b", swapped))]
    assert (made[0].folder / "predictions.parquet").read_bytes() == (made[1].folder / "predictions.parquet").read_bytes()
    assert made[0].frame("test")[0]["label"].isna().all()


def test_an_unsettled_solver_says_so(tmp_path, capsys):
    classify(tokens(tmp_path / "t", topics()), Params(max_iter=1), Run(tmp_path / "p", show=True))
    assert "not settled after max_iter = 1 steps" in capsys.readouterr().out


def test_a_min_df_that_no_ngram_reaches_is_refused(tmp_path):
    with pytest.raises(Fault, match="no n-gram is in 1000 or more of the .* training documents. Lower min_df"):
        classify(tokens(tmp_path / "t", topics()), Params(min_df=1000), Run(tmp_path / "p"))
