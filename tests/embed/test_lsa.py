"""Latent semantic analysis: the paper's own example, NumPy's SVD, and documents that are folded in."""

import numpy as np
import pytest

from pipelines.embed.lsa import Params, embed
from pipelines.errors import Fault
from pipelines.kernels import svd as kernel
from pipelines.method import Run
from tests.matrices import counts_of, files

# Deerwester et al. 1990, table 2: nine titles and twelve words; appendix: the SVD to two places
WORDS = ["human", "interface", "computer", "user", "system", "response", "time", "EPS", "survey", "trees", "graph", "minors"]
TITLES = np.array([
    [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0],
    [0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0],
    [1, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0],
    [0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1],
], float)  # fmt: skip
VALUES = [3.34, 2.54, 2.35, 1.64, 1.50, 1.31, 0.85, 0.56, 0.36]
FIRST = [0.22, 0.20, 0.24, 0.40, 0.64, 0.27, 0.27, 0.30, 0.21, 0.01, 0.04, 0.03]
SECOND = [-0.11, -0.07, 0.04, 0.06, -0.17, 0.11, 0.11, -0.14, 0.27, 0.49, 0.62, 0.45]


def titles(folder, dense=TITLES, splits=None, labels=None):
    documents = [(f"c{i}", (splits or ["train"] * len(dense))[i], (labels or [None] * len(dense))[i]) for i in range(len(dense))]
    return counts_of(folder, dense, WORDS, documents)


def test_the_papers_example_has_the_singular_values_and_the_words_that_it_prints(tmp_path):
    vectors = embed(titles(tmp_path / "c"), Params(vector_size=9, exponent=0.0), Run(tmp_path / "v"))
    assert vectors.items() == WORDS
    assert np.abs(vectors.model()[1]["singular_values"] - VALUES).max() < 0.0051
    assert np.abs(vectors.matrix()[:, 0] - FIRST).max() < 0.0051
    assert np.abs(vectors.matrix()[:, 1] - SECOND).max() < 0.0051


@pytest.mark.parametrize("of", ["words", "documents"])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_vectors_are_those_of_numpys_svd_up_to_the_sign_of_a_direction(tmp_path, of, exponent):
    u, s, vt = np.linalg.svd(TITLES, full_matrices=False)
    expected = (vt.T if of == "words" else u)[:, :4] * s[:4] ** exponent
    found = embed(titles(tmp_path / "c"), Params(vector_size=4, of=of, exponent=exponent), Run(tmp_path / "v")).matrix()
    sign = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * sign, atol=1e-5)


def test_with_exponent_one_products_of_documents_are_nearly_those_of_their_bags(tmp_path):
    found = embed(titles(tmp_path / "c"), Params(vector_size=9, of="documents"), Run(tmp_path / "v")).matrix()
    np.testing.assert_allclose(found @ found.T, TITLES @ TITLES.T, atol=1e-4)


def test_documents_of_other_splits_have_no_part_in_the_directions_and_are_folded_in(tmp_path):
    splits = ["train"] * 8 + ["test"]
    found = embed(titles(tmp_path / "c", splits=splits), Params(vector_size=3, of="documents"), Run(tmp_path / "v"))
    _, weights = found.model()
    _, s, vt = np.linalg.svd(TITLES[:8], full_matrices=False)
    assert weights["singular_values"] == pytest.approx(s[:3])
    assert found.matrix()[8] == pytest.approx(TITLES[8] @ weights["directions"], abs=1e-5)
    assert np.abs(found.matrix()[8]) == pytest.approx(np.abs(TITLES[8] @ vt[:3].T), abs=1e-5)


def test_documents_carry_their_labels_but_those_of_test_do_not(tmp_path):
    splits, labels = ["train"] * 7 + ["valid", "test"], ["hci"] * 5 + ["graphs"] * 4
    found = embed(titles(tmp_path / "c", splits=splits, labels=labels), Params(vector_size=6, of="documents"), Run(tmp_path / "v"))
    assert found.items() == [f"c{i}" for i in range(9)]
    assert found.read(columns=["label"])["label"].to_pylist() == ["hci"] * 5 + ["graphs"] * 3 + [None]


def test_an_empty_document_and_a_word_of_no_document_get_no_vector(tmp_path):
    dense = np.vstack([TITLES, np.zeros((1, 12))])
    dense[:, 7] = 0
    counts = titles(tmp_path / "c", dense)
    assert embed(counts, Params(vector_size=2), Run(tmp_path / "v")).items() == [word for word in WORDS if word != "EPS"]
    assert embed(counts, Params(vector_size=2, of="documents"), Run(tmp_path / "w")).items() == [f"c{i}" for i in range(9)]


def test_documents_at_right_angles_to_all_directions_get_no_vector(tmp_path):
    # the first five titles and the next three have no word in common; the two largest directions are of the five
    found = embed(titles(tmp_path / "c", TITLES[:8]), Params(vector_size=2, of="documents"), Run(tmp_path / "v"))
    assert found.items() == [f"c{i}" for i in range(5)]


def test_the_same_seed_writes_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "DENSE", 0)
    counts = titles(tmp_path / "c")
    a, b = (embed(counts, Params(vector_size=2), Run(tmp_path / name / "v", seed=3)) for name in "ab")
    assert files(a) == files(b)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"vector_size": 10}, r"counts/c: 9 documents of train, unlabelled with 12 words have no 10 directions\. Lower vector_size"),
        ({"vector_size": 1, "splits": ["valid"]}, r"0 documents of valid with 0 words have no 1 directions\. .*or name other splits"),
    ],
)
def test_more_numbers_than_there_are_directions_are_a_fault(tmp_path, knobs, message):
    with pytest.raises(Fault, match=message):
        embed(titles(tmp_path / "c"), Params(**knobs), Run(tmp_path / "v"))


def test_titles_that_repeat_have_fewer_directions_and_that_is_a_fault(tmp_path):
    with pytest.raises(Fault, match=r"its matrix has rank 2, so no 3 directions\. Lower vector_size"):
        embed(titles(tmp_path / "c", TITLES[[0, 1, 0, 1, 0]]), Params(vector_size=3), Run(tmp_path / "v"))


def test_documents_of_one_word_are_a_fault(tmp_path):
    one = counts_of(tmp_path / "c", np.array([[0, 2.0], [0, 3.0]]), documents=[("a", "train", None), ("b", "train", None)])
    with pytest.raises(Fault, match="counts/c: the documents of train, unlabelled hold one known word only"):
        embed(one, Params(vector_size=1), Run(tmp_path / "v"))


def test_rows_of_words_are_a_fault(tmp_path):
    with pytest.raises(Fault, match="counts/w: its rows are tokens; .* method `documents`"):
        embed(counts_of(tmp_path / "w", np.eye(5)), Params(vector_size=2), Run(tmp_path / "v"))


def test_counts_that_are_no_numbers_are_a_fault(tmp_path):
    dense = TITLES.copy()
    dense[3, 4] = np.nan
    with pytest.raises(Fault, match=r"counts/c: 1 counts are no number above 0, first nan of row 3, col 4"):
        embed(titles(tmp_path / "c", dense), Params(vector_size=2), Run(tmp_path / "v"))
