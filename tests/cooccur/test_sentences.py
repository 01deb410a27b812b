"""Words of the same documents: what is counted, and how much."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from pipelines.artifacts.corpus import Corpus
from pipelines.cooccur import sentences
from pipelines.cooccur.sentences import Params, cooccur
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.tokenize import words
from tests.texts import tokens_of


def counted(tmp_path, documents, n_vocab=None, split_of=None, name="s", threads=1, **knobs):
    tokens = tokens_of(tmp_path / "tokens", documents, n_vocab, split_of)
    return cooccur(tokens, Params(**knobs), Run(tmp_path / name, name="cooccur/s", threads=threads))


def pairs(counts):
    return {(pair["row"], pair["col"]): pair["count"] for pair in counts.read().to_pylist()}


def test_a_pair_counts_once_a_document_however_far_apart_and_however_often(tmp_path):
    found = pairs(counted(tmp_path, [[1, 2, 1, 0, 3], [2, 1], [3]]))
    assert found == {(1, 1): 2, (1, 2): 2, (1, 3): 1, (2, 1): 2, (2, 2): 2, (2, 3): 1, (3, 1): 1, (3, 2): 1, (3, 3): 2}


def test_unless_binary_a_document_adds_the_product_of_how_often_it_has_the_two(tmp_path):
    found = pairs(counted(tmp_path, [[1, 2, 1, 2, 2], [1, 2]], binary=False))
    assert found == {(1, 1): 5, (1, 2): 7, (2, 1): 7, (2, 2): 10}


@pytest.mark.parametrize("binary", [True, False])
def test_the_matrix_is_x_transposed_times_x_of_scikit_learns_term_document_matrix(tmp_path, binary):
    texts = ["the cat saw the dog", "a dog saw a dog a cat", "snow", "the snow the cat the the"]
    with Run(tmp_path / "corpus").open(Corpus) as out:
        out.append(doc_id=list("abcd"), text=texts, label=[None] * 4, split=["train"] * 4, group=[None] * 4)
    tokens = words.tokenize(out.artifact, words.Params(min_count=1), Run(tmp_path / "tokens"))
    found = cooccur(tokens, Params(binary=binary), Run(tmp_path / "s"))
    x = CountVectorizer(vocabulary=found.words(), binary=binary, token_pattern=r"\S+").transform(texts).toarray()
    assert np.array_equal(found.sparse().toarray(), x.T @ x)
    assert np.array_equal(found.sparse().toarray(), found.sparse().toarray().T)


def test_only_the_documents_of_the_named_splits_are_counted(tmp_path):
    documents, split_of = [[1, 2], [1, 3], [1, 4], [1, 5]], ["train", "valid", "test", "unlabelled"]
    assert set(pairs(counted(tmp_path, documents, split_of=split_of))) == {(1, 1), (1, 2), (2, 1), (2, 2), (1, 5), (5, 1), (5, 5)}
    assert set(pairs(counted(tmp_path, documents, split_of=split_of, name="v", splits=["valid"]))) == {(1, 1), (1, 3), (3, 1), (3, 3)}


def test_threads_batches_and_blocks_decide_no_byte(tmp_path, monkeypatch):
    documents = (np.random.default_rng(1).zipf(1.4, (60, 30)) % 200).tolist()
    expected = counted(tmp_path, documents)
    monkeypatch.setattr(sentences, "ROWS", 7)
    monkeypatch.setattr(sentences.kernel, "CELLS", 100)
    found = counted(tmp_path, documents, name="again", threads=3)
    assert (found.folder / "counts.parquet").read_bytes() == (expected.folder / "counts.parquet").read_bytes()


def test_the_matrix_passes_as_its_gate_looks_at_it(tmp_path):
    documents = (np.random.default_rng(2).zipf(1.4, (200, 20)) % 100).tolist()
    profile = counted(tmp_path, documents).profile()
    assert profile[["n_not_positive", "n_unsorted", "n_outside"]].to_numpy().sum() == 0
    assert profile["asymmetry"].max() < 1e-6


@pytest.mark.parametrize(
    ("documents", "splits", "message"),
    [
        ([[0, 0], [0]], None, "its 2 documents of train, unlabelled hold no known token"),
        ([[1, 2]], ["test"], "no document is in train, unlabelled"),
    ],
)
def test_a_text_with_nothing_to_count_is_a_fault_that_says_what_to_change(tmp_path, documents, splits, message):
    with pytest.raises(Fault, match=f"tokens/tokens: {message}.*Lower min_count of the tokenize row, or name other splits"):
        counted(tmp_path, documents, 3, splits)
