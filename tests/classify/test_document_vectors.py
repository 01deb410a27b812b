"""Logistic regression on one vector a document."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.classify.document_vectors import Params, classify
from pipelines.errors import Fault
from pipelines.labels import read
from pipelines.method import Run
from tests.classify.test_tfidf_logreg import WORDS, topics
from tests.texts import labelled


def of_documents(folder, doc_ids, seed=0, noun=Vectors):
    matrix = np.random.default_rng(seed).normal(size=(len(doc_ids), 4)).astype(np.float32)
    with Run(folder).open(noun) as out:
        if noun is Vectors:
            out.append(item=doc_ids, count=[1] * len(doc_ids), vector=matrix)
        else:
            out.append(item=doc_ids, coding=matrix, error=[0] * len(doc_ids))
    return out.artifact


def ids(tokens):
    return tokens.read(columns=["doc_id"])["doc_id"].to_pylist()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("normalise", [False, True])
def test_probabilities_are_scikit_learns_on_standardised_vectors_in_any_order(tmp_path, n_classes, normalise):
    toy = labelled(tmp_path / "t", topics(n_classes=n_classes), WORDS)
    given = of_documents(tmp_path / "v", ids(toy)[::-1])
    made = classify(toy, Params(tol=1e-8, normalise=normalise), Run(tmp_path / "p"), given)
    row_of = {item: row for row, item in enumerate(given.items())}
    matrix = given.matrix() / (np.linalg.norm(given.matrix(), axis=1, keepdims=True) if normalise else 1)
    train, valid = (read(toy, split, made.classes()) for split in ("train", "valid"))
    x, y = (matrix[[row_of[doc_id] for doc_id in split.doc_ids.to_pylist()]] for split in (train, valid))
    model = LogisticRegression(C=1, tol=1e-8, max_iter=500).fit((x - x.mean(axis=0)) / x.std(axis=0), train.class_ids)
    assert made.frame("valid")[1] == pytest.approx(model.predict_proba((y - x.mean(axis=0)) / x.std(axis=0)), abs=1e-4)


def test_vectors_that_know_the_class_are_always_right_and_codings_will_do(tmp_path):
    toy = labelled(tmp_path / "t", topics(n_classes=2), WORDS)
    table = toy.read(columns=["doc_id", "label", "split"]).to_pandas()
    side = np.where(table["label"].fillna("") == "a", 1.0, -1.0)
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=table["doc_id"].to_list(), coding=np.column_stack([side, side]).astype(np.float32), error=[0] * len(table))
    frame, _ = classify(toy, Params(), Run(tmp_path / "p"), codings=out.artifact).frame("valid")
    assert len(frame) > 10
    assert (frame["label"] == frame["predicted"]).all()


def test_a_document_without_a_vector_has_zeros_and_its_name_is_taken_as_it_is_written(tmp_path, capsys):
    toy = labelled(tmp_path / "t", topics(n_classes=2), WORDS)
    strange = toy.read().to_pandas().query("split == 'valid'")["doc_id"].iloc[0]
    items = [doc_id.upper() if doc_id == strange else doc_id for doc_id in ids(toy)]
    made = classify(toy, Params(), Run(tmp_path / "p", show=True), of_documents(tmp_path / "v", items))
    assert f"1 of {len(items)} documents have no vector" in capsys.readouterr().out
    weights, told = made.model()[1], made.read().to_pandas().set_index("doc_id")["probabilities"]
    assert told[strange][1] == pytest.approx(1 / (1 + np.exp(-weights["intercept"][0])), abs=1e-5)


def test_vectors_of_words_are_a_fault_that_says_what_to_name(tmp_path):
    toy = labelled(tmp_path / "t", topics(n_classes=2), WORDS)
    with pytest.raises(Fault, match=r"none of the .* training documents of .* has a vector; its first items are 'w1'.*doc2vec"):
        classify(toy, Params(), Run(tmp_path / "p"), of_documents(tmp_path / "v", WORDS[1:]))


def test_neither_vectors_nor_codings_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="documents have either vectors or codings"):
        classify(labelled(tmp_path / "t", topics(n_classes=2), WORDS), Params(), Run(tmp_path / "p"))
