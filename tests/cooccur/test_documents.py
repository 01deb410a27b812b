"""Bags of words: what each cell is, against scikit-learn's vectorisers."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from pipelines.cooccur.documents import Params, cooccur
from pipelines.cooccur.windowed import Params as Windowed
from pipelines.cooccur.windowed import cooccur as windowed
from pipelines.embed import glove
from pipelines.errors import Fault
from pipelines.method import Run
from tests.texts import labelled

WORDS = ["<unk>", "the", "cat", "sat", "dog", "ran"]
DOCUMENTS = [
    ("train", "a", [1, 2, 2, 0, 3]),
    ("train", "b", [1, 4, 5]),
    ("valid", "a", [2, 5, 5, 5]),
    ("unlabelled", None, [0]),
    ("test", "b", [4]),
]
TEXTS = [" ".join(WORDS[i] for i in ids if i) for _, _, ids in DOCUMENTS]
VOCABULARY = {word: i for i, word in enumerate(WORDS)}


def made(tmp_path, documents=DOCUMENTS, name="bags", **knobs):
    tokens = labelled(tmp_path / "tokens", documents, WORDS)
    return cooccur(tokens, Params(**knobs), Run(tmp_path / name, name="cooccur/bags"))


def test_a_cell_is_how_often_a_document_has_a_token_and_the_unknown_token_is_in_none(tmp_path):
    bags = made(tmp_path)
    expected = CountVectorizer(vocabulary=VOCABULARY, token_pattern=r"\S+").transform(TEXTS).toarray()
    assert np.array_equal(bags.sparse().toarray(), expected)
    assert bags.read().to_pylist()[:3] == [
        {"row": 0, "col": 1, "count": 1.0},
        {"row": 0, "col": 2, "count": 2.0},
        {"row": 0, "col": 3, "count": 1.0},
    ]
    assert bags.documents().to_pylist()[2] == {"doc_id": "d2", "split": "valid", "label": "a"}


def test_binary_rows_are_multi_hot_and_log_is_one_plus_the_logarithm(tmp_path):
    counts = made(tmp_path).sparse().toarray()
    assert np.array_equal(made(tmp_path, name="b", weighting="binary").sparse().toarray(), counts > 0)
    log = made(tmp_path, name="l", weighting="log").sparse().toarray()
    assert np.allclose(log, np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0))


@pytest.mark.parametrize("sublinear", [True, False])
def test_tfidf_is_scikit_learns_fitted_on_train_alone(tmp_path, sublinear):
    vectorizer = TfidfVectorizer(vocabulary=VOCABULARY, token_pattern=r"\S+", sublinear_tf=sublinear).fit(TEXTS[:2])
    found = made(tmp_path, weighting="tfidf", sublinear=sublinear).sparse().toarray()
    assert np.allclose(found, vectorizer.transform(TEXTS).toarray(), atol=1e-6)


def test_hashed_columns_are_scikit_learns_and_collisions_are_counted(tmp_path):
    bags = made(tmp_path, buckets=4)
    hashed = HashingVectorizer(n_features=4, alternate_sign=False, norm=None, token_pattern=r"\S+").transform(TEXTS)
    # there the hash is signed, and its absolute value is taken; here it is unsigned
    assert bags.sparse().sum() == hashed.sum() == 12
    assert bags.n_rows("vocab") == 4
    lines = (bags.folder / "collisions.csv").read_text().splitlines()
    assert lines[0] == "tokens,buckets,buckets_used,tokens_sharing"
    tokens, buckets, used, sharing = map(int, lines[1].split(","))
    assert (tokens, buckets) == (5, 4)
    assert 5 - sharing < used <= 4  # five tokens in four buckets: some share


def test_many_buckets_give_each_token_its_own(tmp_path):
    bags = made(tmp_path, buckets=2**16)
    assert (bags.folder / "collisions.csv").read_text().splitlines()[1].endswith(",65536,5,0")
    assert sorted(bags.sparse().data) == sorted(made(tmp_path, name="plain").sparse().data)


def test_the_gate_looks_at_documents_where_rows_are_documents(tmp_path):
    profile = made(tmp_path).profile()
    assert profile["token"].tolist() == ["d0", "d1", "d2", "d3", "d4"]
    assert profile["n_pairs"].tolist() == [3, 3, 2, 0, 1]
    assert profile[["n_not_positive", "n_unsorted", "n_outside"]].to_numpy().sum() == 0


def test_batches_decide_no_byte(tmp_path, monkeypatch):
    whole = made(tmp_path, weighting="tfidf")
    monkeypatch.setattr("pipelines.cooccur.documents.ROWS", 2)
    pieces = made(tmp_path, name="pieces", weighting="tfidf")
    for table in ("counts", "vocab", "documents"):
        assert (whole.folder / f"{table}.parquet").read_bytes() == (pieces.folder / f"{table}.parquet").read_bytes()


def test_documents_without_a_known_token_have_no_bag(tmp_path):
    with pytest.raises(Fault, match="none of its 1 documents has a known token"):
        made(tmp_path, [("train", "a", [0])])
    with pytest.raises(Fault, match="no document is in test"):
        made(tmp_path, [("train", "a", [1])], weighting="tfidf", idf_splits=["test"])


def test_what_needs_words_near_words_says_so(tmp_path):
    with pytest.raises(Fault, match="its rows are documents; this method needs words near words"):
        glove.embed(made(tmp_path), glove.Params(), Run(tmp_path / "g"))
    words = windowed(labelled(tmp_path / "t", DOCUMENTS, WORDS), Windowed(), Run(tmp_path / "w"))
    with pytest.raises(Fault, match="its rows are tokens"):
        words.documents()
