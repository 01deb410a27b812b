"""Documents as means of their words' vectors."""

import numpy as np
import pytest

from pipelines.artifacts.codings import Codings
from pipelines.embed.mean_of_words import Params, embed
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import files, vectors_of
from tests.texts import labelled

WORDS = ["<unk>", "sea", "boat", "barn", "nobody"]
DOCUMENTS = [
    ("train", "a", [1, 1, 2, 0]),
    ("train", "b", [3]),
    ("unlabelled", None, [2, 4, 4]),
    ("valid", "a", [0, 4]),  # no word that has a vector
    ("test", "b", [1, 3]),
]
VECTORS = {"barn": [0.0, 0.0, 4.0], "sea": [3.0, 0.0, 0.0], "boat": [0.0, 6.0, 0.0], "<unk>": [9.0, 9.0, 9.0], "else": [1.0, 1.0, 1.0]}


def words(folder):
    return vectors_of(folder, list(VECTORS), np.array(list(VECTORS.values())))


def made(folder, **knobs):
    return embed(labelled(folder / "t", DOCUMENTS, WORDS), Params(**knobs), Run(folder / "v"), words(folder / "w"))


def test_a_document_is_the_mean_of_its_known_words(tmp_path):
    vectors = made(tmp_path)
    assert vectors.items() == ["d0", "d1", "d2", "d4"]
    assert vectors.matrix() == pytest.approx(np.array([[2, 2, 0], [0, 0, 4], [0, 6, 0], [1.5, 0, 2]]))
    table = vectors.read(columns=["count", "label"])
    assert table["count"].to_pylist() == [3, 1, 1, 2]
    assert table["label"].to_pylist() == ["a", "b", None, None]  # that of test is not shown


def test_sif_weighs_a_word_by_a_over_a_plus_its_share_of_the_text(tmp_path):
    # train and unlabelled have 8 tokens: sea 2, boat 2, barn 1, nobody 2, unknown 1
    weight = {"sea": 0.5 / (0.5 + 2 / 8), "boat": 0.5 / (0.5 + 2 / 8), "barn": 0.5 / (0.5 + 1 / 8)}
    x = made(tmp_path, weights="sif", a=0.5).matrix()
    assert x[0] == pytest.approx(np.array([weight["sea"] * 2 * 3, weight["boat"] * 6, 0]) / 3)
    assert x[1] == pytest.approx([0, 0, weight["barn"] * 4])


def test_idf_weighs_a_word_by_the_documents_that_have_it(tmp_path):
    # of three documents one has sea, two boat, one barn: ln(4 / (1 + df)) + 1
    one, two = np.log(4 / 2) + 1, np.log(4 / 3) + 1
    x = made(tmp_path, weights="idf").matrix()
    assert x[0] == pytest.approx(np.array([one * 2 * 3, two * 6, 0]) / 3)
    assert x[3] == pytest.approx(np.array([one * 3, 0, one * 4]) / 2)


def test_what_was_taken_away_is_the_first_singular_vector_of_the_documents_of_the_splits(tmp_path):
    plain = made(tmp_path / "a").matrix().astype(np.float64)
    vectors = made(tmp_path / "b", remove=1)
    first = np.linalg.svd(plain[:3])[2][0]  # d0, d1, d2 are of train and unlabelled
    assert np.abs(vectors.model()[1]["components"][0]) == pytest.approx(np.abs(first), abs=1e-6)
    assert vectors.matrix() == pytest.approx(plain - np.outer(plain @ first, first), abs=1e-6)


def test_codings_serve_as_well_as_vectors(tmp_path):
    with Run(tmp_path / "codings").open(Codings) as out:
        out.append(item=["sea", "barn"], coding=np.array([[1.0, 0.0], [0.0, 2.0]]), error=[0.0, 0.0])
    vectors = embed(labelled(tmp_path / "t", DOCUMENTS, WORDS), Params(), Run(tmp_path / "v"), codings=out.artifact)
    assert vectors.items() == ["d0", "d1", "d4"]
    assert vectors.matrix()[2] == pytest.approx([0.5, 1.0])


def test_the_share_of_the_running_text_and_the_documents_without_a_vector_are_told(tmp_path, capsys):
    run = Run(tmp_path / "v", "embed/x", show=True)
    embed(labelled(tmp_path / "t", DOCUMENTS, WORDS), Params(), run, words(tmp_path / "w"))
    said = capsys.readouterr().out
    assert "3 of 5 words have a vector in vectors/w, 75.0% of the running text" in said  # each of four words counts 1
    assert "1 of 5 documents have no word with a vector" in said


def test_the_same_bytes_twice(tmp_path):
    a, b = (files(made(tmp_path / name, weights="sif", remove=1)) for name in "ab")
    assert a == b


def test_words_that_nobody_knows_are_a_fault(tmp_path):
    strange = vectors_of(tmp_path / "w", ["Oslo", "<unk>"], np.eye(2))
    with pytest.raises(
        Fault, match=r"none of the 4 words of tokens/t is in vectors/w, whose first items are 'Oslo', '<unk>'\. Take vectors"
    ):
        embed(labelled(tmp_path / "t", DOCUMENTS, WORDS), Params(), Run(tmp_path / "v"), strange)


def test_neither_or_both_of_vectors_and_codings_are_a_fault(tmp_path):
    with pytest.raises(Fault, match="words have either vectors or codings"):
        embed(labelled(tmp_path / "t", DOCUMENTS, WORDS), Params(), Run(tmp_path / "v"))


def test_as_many_directions_as_there_are_numbers_cannot_go(tmp_path):
    with pytest.raises(Fault, match=r"vectors/w: its rows have 3 numbers, so 3 directions cannot go\. Lower remove"):
        made(tmp_path, remove=3)


def test_numbers_that_are_not_finite_are_a_fault(tmp_path):
    broken = vectors_of(tmp_path / "w", ["sea", "barn"], np.array([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(Fault, match="vectors/w: it holds numbers that are not finite"):
        embed(labelled(tmp_path / "t", DOCUMENTS, WORDS), Params(), Run(tmp_path / "v"), broken)
