"""Logistic regression on weighted n-grams."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from pipelines.classify.tfidf_logreg import Params, classify, probabilities_of
from pipelines.errors import Fault
from pipelines.kernels.bags import inverse_frequency as idf_of
from pipelines.kernels.bags import weigh
from pipelines.kernels.grams import count, frequent
from pipelines.labels import read
from pipelines.method import Run
from tests.kernels.test_grams import flat, plain_grams, readable
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


def counted(documents, grams):
    return count(*flat(documents), N_WORDS, grams)


def inverse_frequency(counts):
    return idf_of(np.bincount(counts.indices, minlength=counts.shape[1]), counts.shape[0])


def test_weights_are_those_of_scikit_learn():
    documents = [d[2] for d in topics(60)]
    grams = frequent(*flat(documents), N_WORDS, 2, 2)
    counts = counted(documents, grams)
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


def test_a_bag_of_words_as_it_stands_is_scikit_learns(tmp_path):
    toy = tokens(tmp_path / "t", topics())
    knobs = {
        "ngrams": 1,
        "min_df": 1,
        "weighting": "counts",
        "sublinear": False,
        "normalise": False,
        "class_weights": "balanced",
        "tol": 1e-8,
    }
    made = classify(toy, Params(l2=1, **knobs), Run(tmp_path / "p", seed=1))
    train, valid = (read(toy, split, made.classes()) for split in ("train", "valid"))
    bags = [[np.bincount(s.values[a:b], minlength=N_WORDS) for a, b in zip(s.offsets, s.offsets[1:], strict=False)] for s in (train, valid)]
    expected = LogisticRegression(C=1, tol=1e-8, max_iter=500, class_weight="balanced").fit(bags[0], train.class_ids)
    assert made.frame("valid")[1] == pytest.approx(expected.predict_proba(bags[1]), abs=2e-3)


def test_balanced_classes_are_told_as_often_as_they_are_missed(tmp_path):
    # one document in ten is of class b, and all words are of both
    rng = np.random.default_rng(0)
    documents = [(("train", "valid")[i % 2], "ab"[i // 2 % 10 == 0], rng.integers(1, 9, 6)) for i in range(800)]
    share = {}
    for how in ("none", "balanced"):
        made = classify(tokens(tmp_path / how, documents), Params(l2=10, class_weights=how), Run(tmp_path / f"p{how}"))
        share[how] = made.frame("valid")[1][:, 1].mean()
    assert share["none"] == pytest.approx(0.1, abs=0.03)
    assert share["balanced"] == pytest.approx(0.5, abs=0.1)


def test_one_example_a_class_is_enough_to_learn(tmp_path):
    documents = [("train", label, [i + 1, 9]) for i, label in enumerate("abcd")] + [
        ("valid", label, [i + 1]) for i, label in enumerate("abcd")
    ]
    made = classify(tokens(tmp_path / "t", documents), Params(min_df=1), Run(tmp_path / "p"))
    assert made.frame("valid")[0]["predicted"].tolist() == list("abcd")


def test_a_class_that_no_training_document_has_is_never_told_and_counts_as_wrong(tmp_path, capsys):
    documents = [*topics(120), *[("valid", "new", [1, 2])] * 30]
    made = classify(tokens(tmp_path / "t", documents), Params(), Run(tmp_path / "p", show=True))
    assert made.classes() == ["a", "b", "c"]
    frame = made.frame("valid")[0]
    assert f"accuracy on valid {(frame['label'] == frame['predicted']).mean():.4f}" in capsys.readouterr().out
    assert (frame["label"] == "new").sum() == 30


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
    assert np.array_equal(probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path)), made.frame("test")[1])


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


def test_each_of_several_classes_is_asked_for_by_itself_as_one_against_the_rest_does(tmp_path):
    rng, documents = np.random.default_rng(0), []
    for i in range(600):
        has = rng.random(3) < 0.5
        ids = np.concatenate([rng.integers(10, N_WORDS, 6), *([1 + 3 * c + rng.integers(0, 3)] for c in np.flatnonzero(has))])
        label = "|".join(name for name, there in zip("abc", has, strict=True) if there)
        documents.append((("train", "valid", "test")[i // 200], label, ids))
    params = Params(target="several", ngrams=1, min_df=1, l2=0.1, tol=1e-7)
    made = classify(tokens(tmp_path / "t", documents), params, Run(tmp_path / "p", seed=1))
    frame, p = made.frame("valid")
    assert made.answer() == "several"
    assert (frame["label"] == frame["predicted"]).mean() > 0.9
    train, valid = ([" ".join(f"w{i}" for i in ids) for split, _, ids in documents if split == wanted] for wanted in ("train", "valid"))
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"w\d+")
    truth = np.array([[name in label.split("|") for name in "abc"] for split, label, _ in documents if split == "train"])
    theirs = OneVsRestClassifier(LogisticRegression(C=10, tol=1e-7, max_iter=500)).fit(vectorizer.fit_transform(train), truth)
    assert p == pytest.approx(theirs.predict_proba(vectorizer.transform(valid)), abs=2e-3)
    settings, weights = made.model()
    split = read(tokens(tmp_path / "u", documents), "test", settings["classes"], "several")
    again = probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path))
    assert again == pytest.approx(made.frame("test")[1], abs=1e-6)


def test_a_class_of_all_documents_is_likely_and_has_no_weights(tmp_path):
    documents = [("train", "a|b" if i % 2 else "a", [1 + i % 2, 3]) for i in range(20)] + [("valid", "a", [1]), ("test", "a", [2])]
    made = classify(tokens(tmp_path / "t", documents), Params(target="several", min_df=1), Run(tmp_path / "p", seed=1))
    assert made.frame("valid")[1][0, 0] == pytest.approx(20.5 / 21)
    assert not made.model()[1]["coefficients"][0].any()
