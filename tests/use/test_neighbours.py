"""Who lies nearest: to words that have a vector, to words made of letter n-grams, to words in a sentence."""

import numpy as np
import pytest

from pipelines import layout
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.kernels.nearest import unit
from pipelines.method import Run
from pipelines.use import space
from pipelines.use.in_context import sentences
from pipelines.use.neighbours import by_codings, in_sentences, neighbours
from pipelines.use.space import Space
from tests.matrices import vectors_of
from tests.spelled import spelled

WORDS = {"sea": [1.0, 0.0], "pea": [0.0, 2.0], "<unk>": [1.0, 0.0], "ox": [-1.0, 0.0]}


def test_the_nearest_come_first_without_the_word_itself_or_the_unknown_token(tmp_path):
    spelled(tmp_path / layout.artifact("vectors", "v"), WORDS, {"ea>": [2, 1]})
    known, made = neighbours(Space(tmp_path, "v"), ["sea", "lea"], 2)
    assert (known.word, known.origin, known.near) == ("sea", "", [("pea", 0.0), ("ox", -1.0)])
    assert (made.word, made.origin) == ("lea", "made of its letter n-grams")
    assert made.near == [("sea", pytest.approx(2 / 5**0.5)), ("pea", pytest.approx(1 / 5**0.5))]
    assert [word for word, _ in neighbours(Space(tmp_path, "v"), ["sea"], 10)[0].near] == ["pea", "ox"]


def test_all_words_that_have_no_vector_are_named(tmp_path):
    spelled(tmp_path / layout.artifact("vectors", "v"), WORDS, {"ea>": [2, 1]})
    with pytest.raises(Fault) as fault:
        neighbours(Space(tmp_path, "v"), ["cow", "sea", "gnu"], 2)
    assert [line.split(",")[0] for line in fault.value.faults] == ["vectors/v has no vector of 'cow'", "vectors/v has no vector of 'gnu'"]


def test_a_word_that_is_spelled_otherwise_gets_the_nearest_that_is_there(tmp_path):
    vectors_of(tmp_path / layout.artifact("vectors", "v"), ["harbour", "horse", "<unk>"], np.eye(3))
    with pytest.raises(Fault) as fault:
        neighbours(Space(tmp_path, "v"), ["Harbor", "unk"], 1)
    first, second = fault.value.faults
    assert first == "vectors/v has no vector of 'Harbor', and no letter n-grams for one. Did you mean 'harbour'?"
    assert second.endswith("Look for another word, or in a row of fasttext")


def test_a_row_that_is_not_there_is_told_from_one_that_has_not_run(tmp_path):
    (tmp_path / "params.yaml").write_text("embed: {glove: {}, skipgram: {}}")
    with pytest.raises(Fault, match=r"params.yaml: embed has no row 'glvoe'; it has glove, skipgram. Did you mean 'glove'\?"):
        Space(tmp_path, "glvoe")
    with pytest.raises(Fault, match=r"vectors/glove is not there. Run: dvc repro embed-glove"):
        Space(tmp_path, "embed/glove")
    with pytest.raises(Fault, match=r"compress/b: words have vectors in rows of embed. Name one, such as a row of decoded that reads b"):
        Space(tmp_path, "compress/b")


def test_what_is_read_piece_by_piece_is_what_is_held_at_once(tmp_path, monkeypatch):
    x = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    x[7], x[9] = 0, np.nan  # a row that points nowhere, and one that holds no numbers
    vectors_of(tmp_path / layout.artifact("vectors", "v"), [f"w{i}" for i in range(50)], x)
    monkeypatch.setattr(space, "ROWS", 8)
    read, held = Space(tmp_path, "v"), Space(tmp_path, "v", hold=True)
    assert [len(piece) for piece in read.pieces()] == [8] * 6 + [2]
    rows = np.array([49, 3, 3, 20])
    assert (read.rows(rows) == x[rows]).all()
    asked, own = x[[3, 30]], np.array([3, -1])
    near = read.near(asked, own, 60)
    assert near == held.near(asked, own, 60)
    with np.errstate(invalid="ignore"):
        cosine = unit(asked) @ unit(x).T
    cosine[:, 9], cosine[0, 3] = -2, -2
    assert [word for word, _ in near[0]] == [f"w{i}" for i in np.argsort(-cosine[0], kind="stable")[:48]]
    assert near[1][0] == ("w30", pytest.approx(1))
    monkeypatch.setattr(space, "CELLS", 50)  # one question at a time
    again = read.near(asked, own, 60)
    assert [[word for word, _ in line] for line in again] == [[word for word, _ in line] for line in near]
    assert [cosine for _, cosine in again[1]] == pytest.approx([cosine for _, cosine in near[1]], abs=1e-6)


BITS = {"sea": [1, 1, 1, 1], "pea": [1, 1, 1, -1], "<unk>": [1, 1, 1, 1], "ox": [1, 1, -1, -1], "fox": [-1, -1, -1, -1]}


def coded(root, bits):
    with Run(root / layout.artifact("codings", "b")).open(Codings) as out:
        out.append(item=list(bits), coding=np.array(list(bits.values())), error=np.ones(len(bits)))
        out.model({"code": "sign"}, {})


def test_bits_answer_by_how_many_differ_and_vectors_put_the_best_in_order(tmp_path):
    coded(tmp_path, BITS)
    (sea,) = by_codings(tmp_path, "b", ["Sea"], 10)
    assert (sea.word, sea.origin) == ("Sea", "by Hamming distance")
    assert sea.near == [("pea", 0.5), ("ox", 0.0), ("fox", -1.0)]
    vectors_of(tmp_path / layout.artifact("vectors", "v"), list(WORDS), np.array(list(WORDS.values())))
    with pytest.raises(Fault, match="vectors/v: its items are not those of codings/b"):
        by_codings(tmp_path, "b", ["sea"], 1, "v")
    vectors_of(tmp_path / layout.artifact("vectors", "w"), list(BITS), np.array([*WORDS.values(), [0.6, 0.8]]))
    (sea,) = by_codings(tmp_path, "b", ["sea"], 2, "w")
    assert sea.near == [("fox", pytest.approx(0.6)), ("pea", pytest.approx(0))]
    assert sea.origin == "by Hamming distance, the first 3 again by vectors/w"


def test_all_words_that_have_no_coding_are_named(tmp_path):
    coded(tmp_path, BITS)
    with pytest.raises(Fault) as fault:
        by_codings(tmp_path, "b", ["cow", "sea", "<unk>"], 1)
    assert [line.split(".")[0] for line in fault.value.faults] == ["codings/b has no coding of 'cow'", "codings/b has no coding of '<unk>'"]


def test_a_word_in_sentences_has_neighbours_of_each_place_and_is_compared_with_itself_elsewhere(trained):
    texts = ["the boat lies in the harbour", "A storm drives the boat to the barn", "the horse"]
    found = in_sentences(trained, "bilm", ["Boat", "horse"], texts, 3)
    assert [(it.word, it.origin) for it in found] == [("Boat", "in 1"), ("Boat", "in 2"), ("horse", "in 3")]
    first, second, _ = sentences(trained, "bilm", texts)
    (x,), (y,) = unit(first.vector[1:2]), unit(second.vector[4:5])
    assert found[0].elsewhere == [("in 2", pytest.approx(float(x @ y), abs=1e-6))]
    vectors = Vectors(trained / layout.artifact("vectors", "bilm"))
    cosine = unit(vectors.matrix()) @ x
    cosine[vectors.items().index("boat")] = -2
    assert [word for word, _ in found[0].near] == [vectors.items()[i] for i in np.argsort(-cosine)[:3]]
    twice = in_sentences(trained, "bilm", ["the"], texts[:1], 1)
    assert [(it.origin, [where for where, _ in it.elsewhere]) for it in twice] == [
        ("in 1, word 1", ["in 1, word 5"]), ("in 1, word 5", ["in 1, word 1"]),
    ]  # fmt: skip


def test_a_word_that_stands_in_no_sentence_is_a_fault(trained):
    with pytest.raises(Fault, match=r"'horse' is no token of the sentences, which are cut into: the boat. Write one"):
        in_sentences(trained, "bilm", ["horse", "boat"], ["The boat"], 3)


def test_a_vector_that_holds_no_number_is_named_whoever_asks(tmp_path):
    from pipelines.use.analogy import analogy, similar
    from pipelines.use.export import export

    (tmp_path / "params.yaml").write_text(
        "run: {seed: 1}\ningest: {t: {method: lines, source: t.txt}}\ntokenize: {w: {method: words, corpus: t}}\n"
        "embed: {broken: {method: skipgram, tokens: w}}\n"
    )
    with Run(tmp_path / layout.artifact("vectors", "broken")).open(Vectors) as out:
        out.append(item=["sea", "boat", "barn"], count=[1] * 3, vector=np.float32([[1, 0], [np.nan, 1], [0, 1]]))
    space = Space(tmp_path, "broken")
    told = "vectors/broken: 1 vectors hold a number that is not finite, first 'boat'"
    for asked in (
        lambda: neighbours(space, ["boat"], 1),
        lambda: similar(space, "sea", "boat"),
        lambda: analogy(space, "sea", "boat", "barn"),
        lambda: export(tmp_path, "vectors", "broken", tmp_path / "x.vec"),
    ):
        with pytest.raises(Fault, match=told):
            asked()
    assert not list(tmp_path.glob("x*"))
    assert [item for item, _ in neighbours(space, ["sea"], 5)[0].near] == ["barn"]
