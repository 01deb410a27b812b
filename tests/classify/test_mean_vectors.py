"""Logistic regression on means, extremes and components of words' vectors."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.classify.mean_vectors import Params, classify, probabilities_of
from pipelines.errors import Fault
from pipelines.labels import read
from pipelines.method import Run
from tests.classify.test_tfidf_logreg import N_WORDS, WORDS, topics
from tests.texts import labelled

KINDS = [
    {},
    {"weights": "idf"},
    {"weights": "sif", "remove": 1},
    {"pooling": "mean_max_min"},
    {"pooling": "components", "n_components": 2, "weights": "sif"},
]


def word_vectors(folder, items=WORDS[1:], size=8, noun=Vectors):
    matrix = np.random.default_rng(0).normal(size=(len(items), size)).astype(np.float32)
    with Run(folder).open(noun) as out:
        if noun is Vectors:
            out.append(item=items, count=[1] * len(items), vector=matrix)
        else:
            out.append(item=items, coding=matrix, error=[0] * len(items))
    return out.artifact


def means(split, word):
    return np.stack([word[split.values[a:b]].mean(axis=0) for a, b in zip(split.offsets, split.offsets[1:], strict=False)])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_scikit_learns_on_standardised_means(tmp_path, n_classes):
    toy, given = labelled(tmp_path / "t", topics(n_classes=n_classes), WORDS), word_vectors(tmp_path / "v")
    made = classify(toy, Params(tol=1e-8), Run(tmp_path / "p", seed=1), given)
    train, valid = (read(toy, split, made.classes()) for split in ("train", "valid"))
    word = np.vstack([np.zeros(8), given.matrix()])  # topics has no unknown word
    x, y = means(train, word), means(valid, word)
    model = LogisticRegression(C=1, tol=1e-8, max_iter=500).fit((x - x.mean(axis=0)) / x.std(axis=0), train.class_ids)
    assert made.frame("valid")[1] == pytest.approx(model.predict_proba((y - x.mean(axis=0)) / x.std(axis=0)), abs=1e-4)


@pytest.mark.parametrize("empty", ["valid", "test"])
@pytest.mark.parametrize("knobs", KINDS)
def test_a_split_without_documents_has_no_predictions(tmp_path, knobs, empty):
    documents = [document for document in topics() if document[0] != empty]
    made = classify(labelled(tmp_path / "t", documents, WORDS), Params(**knobs), Run(tmp_path / "p"), word_vectors(tmp_path / "v"))
    made.verify()
    assert set(made.read()["split"].to_pylist()) == {"valid", "test"} - {empty}


def test_sif_by_hand(tmp_path):
    # train has 8 tokens: w1 5, w2 3; a document's vector is the mean of a / (a + p) v, less its part in the first direction of all
    documents = [("train", "a", [1, 1, 1, 2]), ("train", "b", [1, 2, 1, 2]), ("valid", "a", [1])]
    given = word_vectors(tmp_path / "v", ["w1", "w2"], 3)
    made = classify(
        labelled(tmp_path / "t", documents, WORDS), Params(weights="sif", a=0.1, remove=1, splits=["train"]), Run(tmp_path / "p"), given
    )
    weights = made.model()[1]
    v1, v2 = (0.1 / (0.1 + p) * v for p, v in zip((5 / 8, 3 / 8), given.matrix(), strict=True))
    x = np.stack([(3 * v1 + v2) / 4, (v1 + v2) / 2])
    assert weights["weight"][[1, 2]] == pytest.approx([0.1 / (0.1 + 5 / 8), 0.1 / (0.1 + 3 / 8)])
    assert np.abs(weights["removed"]) == pytest.approx(np.abs(np.linalg.svd(x)[2][:1]), abs=1e-6)


def test_idf_by_hand(tmp_path):
    # w1 is in both documents of train, w2 in one, twice; valid does not count
    documents = [("train", "a", [1, 2, 2]), ("train", "b", [1]), ("valid", "a", [2])]
    given = word_vectors(tmp_path / "v", ["w1", "w2"], 3)
    made = classify(labelled(tmp_path / "t", documents, WORDS), Params(weights="idf", n_components=1), Run(tmp_path / "p"), given)
    assert made.model()[1]["weight"][[1, 2]] == pytest.approx([1, np.log(3 / 2) + 1])


@pytest.mark.parametrize("knobs", KINDS)
def test_it_tells_topics_and_what_was_kept_says_the_same(tmp_path, knobs):
    toy = labelled(tmp_path / "t", [*topics(600), ("test", None, []), ("test", None, [0, 0])], WORDS)
    made = classify(toy, Params(**knobs), Run(tmp_path / "p", seed=1), word_vectors(tmp_path / "v", size=20))
    # by chance a third; where the vectors are random, components tell less than the mean
    assert made.frame("valid")[0].eval("label == predicted").mean() > (0.5 if "pooling" in knobs else 0.75)
    settings, weights = made.model()
    split = read(toy, "test", settings["classes"])
    again = probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path))
    assert again == pytest.approx(made.frame("test")[1], abs=1e-6)
    assert np.array_equal(again[-1], again[-2])  # no known word, one way or the other
    assert np.isfinite(again).all()


def test_the_vector_of_the_unknown_word_is_not_looked_at(tmp_path):
    toy = labelled(tmp_path / "t", topics(60), WORDS)
    weights = classify(toy, Params(), Run(tmp_path / "p"), word_vectors(tmp_path / "v", WORDS)).model()[1]
    assert not weights["word"][0].any()
    assert weights["word"][1:].any(axis=1).sum() == N_WORDS - 1


def test_codings_serve_as_well(tmp_path):
    toy = labelled(tmp_path / "t", topics(600), WORDS)
    made = classify(toy, Params(), Run(tmp_path / "p"), codings=word_vectors(tmp_path / "c", size=20, noun=Codings))
    assert made.frame("valid")[0].eval("label == predicted").mean() > 0.75


def test_of_few_documents_to_learn_from_each_class_has_its_share(tmp_path, capsys):
    toy, given = labelled(tmp_path / "t", topics(600), WORDS), word_vectors(tmp_path / "v", size=20)
    few, all_ = (
        classify(toy, Params(n_train=n), Run(tmp_path / str(n), seed=1), given).frame("valid")[0].eval("label == predicted").mean()
        for n in (6, 0)
    )
    assert 0.3 < few < all_


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"remove": 8}, "vectors/v: its rows have 8 numbers, so there are no more components"),
        ({"pooling": "components", "n_components": 9}, "vectors/v: its rows have 8 numbers, so there are no more components"),
        ({"pooling": "mean_max_min", "remove": 1}, "remove is of pooling: mean, and this row's is mean_max_min"),
    ],
)
def test_what_cannot_be_taken_away_or_had_is_refused(tmp_path, knobs, message):
    with pytest.raises(Fault, match=message):
        classify(labelled(tmp_path / "t", topics(60), WORDS), Params(**knobs), Run(tmp_path / "p"), word_vectors(tmp_path / "v"))


def test_neither_vectors_nor_codings_or_vectors_of_other_words_are_a_fault(tmp_path):
    toy = labelled(tmp_path / "t", topics(60), WORDS)
    with pytest.raises(Fault, match="words have either vectors or codings"):
        classify(toy, Params(), Run(tmp_path / "p"))
    with pytest.raises(Fault, match="none of the 30 words of tokens/t is in vectors/v, whose first items are 'Oslo', 'Rome'"):
        classify(toy, Params(), Run(tmp_path / "p"), word_vectors(tmp_path / "v", ["Oslo", "Rome"]))


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    toy, given = labelled(tmp_path / "t", topics(), WORDS), word_vectors(tmp_path / "v")
    made = [classify(toy, Params(weights="sif", remove=1), Run(tmp_path / name, seed=1), given) for name in ("a", "b")]
    for name in ("predictions.parquet", "model.safetensors"):
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()
