"""Bags of words as dense vectors."""

import numpy as np
import pytest

from pipelines.embed import bags
from pipelines.embed.bags import Params, embed
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import counts_of, files

WORDS = ["<unk>", "the", "sea", "boat", "barn", "rare"]
DENSE = np.array([
    [0, 4, 2, 1, 0, 0],
    [0, 2, 0, 1, 0, 0],
    [0, 1, 0, 1, 6, 0],
    [0, 3, 9, 0, 0, 1],  # of valid: its numbers decide nothing
    [0, 5, 0, 0, 0, 0],  # of test
], float)  # fmt: skip
SPLITS = ["train", "train", "unlabelled", "valid", "test"]
LABELS = ["a", "b", None, "a", "b"]


def made(folder, dense=DENSE, **knobs):
    documents = [(f"d{i}", SPLITS[i], LABELS[i]) for i in range(len(dense))]
    return embed(counts_of(folder / "c", dense, WORDS, documents), Params(**knobs), Run(folder / "v"))


def columns(vectors):
    return vectors.model()[0]["columns"]


def test_the_most_frequent_columns_are_those_of_the_most_documents(tmp_path):
    vectors = made(tmp_path, vector_size=3)
    assert columns(vectors) == ["the", "boat", "sea"]  # sea and barn are in one document each: the first of them
    assert vectors.matrix().tolist() == DENSE[:, [1, 3, 2]].tolist()
    assert vectors.model()[1]["column"].tolist() == [1, 3, 2]


def test_the_columns_of_largest_variance_are_those_that_numpy_finds(tmp_path):
    learned = DENSE[:3]
    wanted = {WORDS[i] for i in np.argsort(-learned.var(axis=0))[:2]}
    assert set(columns(made(tmp_path, vector_size=2, choose="variance"))) == wanted == {"barn", "the"}


def test_a_column_of_too_many_documents_is_left_out(tmp_path):
    vectors = made(tmp_path, vector_size=2, max_df=0.5)
    assert columns(vectors) == ["sea", "barn"]
    assert vectors.items() == ["d0", "d2", "d3"]  # the others have neither


def test_documents_keep_their_labels_but_those_of_test_do_not(tmp_path):
    vectors = made(tmp_path, vector_size=3)
    assert vectors.items() == [f"d{i}" for i in range(5)]
    assert vectors.read(columns=["label"])["label"].to_pylist() == ["a", "b", None, "a", None]


def test_with_nobody_to_infer_only_the_documents_learned_from_get_vectors(tmp_path):
    assert made(tmp_path, vector_size=3, infer=[]).items() == ["d0", "d1", "d2"]


def test_scaled_numbers_are_from_0_to_1_also_of_documents_with_larger_ones(tmp_path):
    vectors = made(tmp_path, vector_size=3, scale=True)
    assert vectors.matrix() == pytest.approx(np.array([[1, 1, 1], [0.5, 1, 0], [0.25, 1, 0], [0.75, 0, 1], [1, 0, 0]]))
    assert vectors.model()[1]["largest"].tolist() == [4, 1, 2]


@pytest.mark.parametrize(("how", "power"), [("sum", 1), ("length", 2)])
def test_rows_have_a_sum_or_a_length_of_1(tmp_path, how, power):
    x = made(tmp_path, vector_size=4, normalise=how).matrix()
    assert (x**power).sum(axis=1) == pytest.approx(np.ones(5))
    assert x[0, 0] / x[0, 1] == pytest.approx(4)  # of `the` and `boat`


def test_pieces_of_any_size_give_the_same_bytes(tmp_path, monkeypatch):
    whole = files(made(tmp_path / "a", vector_size=3))
    monkeypatch.setattr(bags, "ROWS", 2)
    assert files(made(tmp_path / "b", vector_size=3)) == whole


def test_more_columns_than_there_are_is_a_fault(tmp_path):
    with pytest.raises(
        Fault, match=r"counts/c: 4 columns are in a document of train, unlabelled; vector_size asks for 5\. Lower vector_size$"
    ):
        made(tmp_path / "a", vector_size=5)
    with pytest.raises(Fault, match=r"2 columns are .* and in no more than 0\.5 of them; .*or raise max_df"):
        made(tmp_path / "b", vector_size=3, max_df=0.5)


def test_numbers_below_0_cannot_be_scaled(tmp_path):
    counts = counts_of(tmp_path / "c", np.where(DENSE == 6, -6, DENSE), WORDS, [(f"d{i}", SPLITS[i], None) for i in range(5)])
    (counts.folder / "measure.csv").write_text("measure\npmi\n")
    with pytest.raises(Fault, match=r"counts/c: its numbers are pmi, some below 0; scale is for numbers from 0 on\. Leave scale out"):
        embed(counts, Params(vector_size=2, scale=True), Run(tmp_path / "v"))


def test_rows_of_words_are_a_fault(tmp_path):
    with pytest.raises(Fault, match="counts/w: its rows are tokens"):
        embed(counts_of(tmp_path / "w", np.eye(5)), Params(vector_size=2), Run(tmp_path / "v"))
