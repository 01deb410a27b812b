import numpy as np
import pytest
from gensim.models import KeyedVectors

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.evaluate.analogy import Params, _read, evaluate
from pipelines.kernels import analogies as kernel
from pipelines.kernels.nearest import unit
from pipelines.method import Run

PUBLISHED = [
    "capital-common-countries", "capital-world", "currency", "city-in-state", "family", "gram1-adjective-to-adverb",
    "gram2-opposite", "gram3-comparative", "gram4-superlative", "gram5-present-participle", "gram6-nationality-adjective",
    "gram7-past-tense", "gram8-plural", "gram9-plural-verbs",
]  # fmt: skip


@pytest.fixture(scope="module")
def half_right(tmp_path_factory):
    """Vectors of most words of the published questions, in which half of the pairs are parallel, about."""
    rng = np.random.default_rng(0)
    section, questions = _read("questions-words", Run(tmp_path_factory.mktemp("none")))
    place: dict[str, np.ndarray] = {}
    offset = {name: rng.normal(size=40) for name in PUBLISHED}
    for name, (a, b, _, _) in zip(section, np.char.lower(questions), strict=True):
        place.setdefault(a, rng.normal(size=40))
        place.setdefault(b, place[a] + offset[name] + rng.normal(size=40))
    words = sorted(place)
    rng.shuffle(words)
    words = ["<unk>", *words[50:]]
    matrix = np.stack([place.get(word, np.zeros(40)) for word in words]).astype(np.float32)
    folder = tmp_path_factory.mktemp("vectors") / "half"
    with Run(folder).open(Vectors) as out:
        out.append(item=words, count=np.zeros(len(words)), vector=matrix)
    return out.artifact


def figures(scores):
    return {(row["of"], row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def test_the_published_file_has_19544_questions_in_14_sections(tmp_path):
    section, questions = _read("questions-words", Run(tmp_path))
    assert questions.shape == (19_544, 4)
    assert list(dict.fromkeys(section.tolist())) == PUBLISHED
    assert questions[0].tolist() == ["Athens", "Greece", "Baghdad", "Iraq"]


def test_every_section_and_the_total_are_those_of_gensim(tmp_path, half_right):
    from gensim.test.utils import datapath

    seen = figures(evaluate([half_right], Params(max_vocab=600), Run(tmp_path / "out", seed=1)))
    words, matrix = half_right.items()[1:600], half_right.matrix()[1:600]
    theirs = KeyedVectors(matrix.shape[1])
    theirs.add_vectors(words, matrix)
    total, sections = theirs.evaluate_word_analogies(datapath("questions-words.txt"), restrict_vocab=600)
    of = half_right.name
    assert 0.2 < total < 0.9
    assert seen[of, "accuracy", "all"]["value"] == pytest.approx(total)
    found = 0
    for section in sections[:-1]:
        right, wrong = len(section["correct"]), len(section["incorrect"])
        if right + wrong:
            found += 1
            row = seen[of, "accuracy", section["section"]]
            assert (row["value"], row["n"]) == (pytest.approx(right / (right + wrong)), right + wrong)
            assert row["low"] <= row["value"] <= row["high"]
    assert found > 10


def test_kinds_add_up_and_the_note_says_how_many_questions_were_asked(tmp_path, half_right):
    seen = figures(evaluate([half_right], Params(max_vocab=600), Run(tmp_path / "out", seed=1)))
    every, semantic, syntactic = (seen[half_right.name, "accuracy", on] for on in ("all", "semantic", "syntactic"))
    assert every["n"] == semantic["n"] + syntactic["n"]
    assert every["note"] == f"{every['n']:,} of 19,544 questions have four words among the first 600; 3CosAdd"
    whole = seen[half_right.name, "accuracy_all", "all"]
    assert whole["value"] == pytest.approx(every["value"] * every["n"] / 19_544)
    assert seen[half_right.name, "coverage", "all"]["value"] == pytest.approx(every["n"] / 19_544)


def test_codings_are_asked_the_same_questions(tmp_path, half_right):
    with Run(tmp_path / "same").open(Codings) as out:
        out.append(item=half_right.items(), coding=half_right.matrix(), error=np.zeros(half_right.n_rows()))
    seen = figures(evaluate([half_right], Params(), Run(tmp_path / "out", seed=1), codings=[out.artifact]))
    assert seen["codings/same", "accuracy", "all"]["value"] == seen[half_right.name, "accuracy", "all"]["value"]


def test_questions_of_ones_own_by_hand(tmp_path):
    own = tmp_path / "own.txt"
    own.write_text(": kings\nman king woman queen\nman king woman man\nman king woman nobody\n")
    with Run(tmp_path / "v").open(Vectors) as out:
        vector = np.array([[9, 9, 9], [1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]])
        out.append(item=["<unk>", "man", "king", "woman", "queen"], count=np.zeros(5), vector=vector)
    seen = figures(evaluate([out.artifact], Params(questions=str(own)), Run(tmp_path / "out", seed=1)))
    # the second asks for a word of the question, which is never the answer; the third is not asked
    assert (seen["vectors/v", "accuracy", "kings"]["value"], seen["vectors/v", "accuracy", "kings"]["n"]) == (0.5, 2)
    assert seen["vectors/v", "accuracy_all", "all"]["value"] == pytest.approx(1 / 3)
    assert ("vectors/v", "accuracy", "semantic") not in seen


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.csv", ': kings,,,\nman,king,woman,queen\n\n"man",king, woman ,man\nman,king,woman,New York\n'),
        ("own.tsv", "# by me\n: kings\nman\tking\twoman\tqueen\nman\tking\twoman\tman\nman\tking\twoman\tNew York\n"),
        ("own.txt", ": kings\nman king woman queen\nman king woman man\nman king woman york\n"),
    ],
)
def test_questions_between_tabs_commas_and_blanks_are_read_alike(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    section, questions = _read(str(tmp_path / name), Run(tmp_path))
    assert section.tolist() == ["kings"] * 3
    assert questions[:2].tolist() == [["man", "king", "woman", "queen"], ["man", "king", "woman", "man"]]
    assert questions[2, 3] in ("New York", "york")


def test_questions_that_are_not_there_or_have_an_empty_cell_are_a_fault(tmp_path):
    (tmp_path / "own.csv").write_text("man,king,woman,queen\nman,,woman,queen\nman,king,woman,queen,5\n")
    with pytest.raises(Fault) as fault:
        _read(str(tmp_path / "own.csv"), Run(tmp_path, "evaluate/mine"))
    assert [line.split(" is ")[0].replace(str(tmp_path), "") for line in fault.value.faults] == [
        "evaluate/mine: /own.csv, line 2",
        "evaluate/mine: /own.csv, line 3",
    ]
    with pytest.raises(Fault, match=r"evaluate/mine: the set none.csv is missing. Put it there, or say questions: questions-words"):
        _read("none.csv", Run(tmp_path, "evaluate/mine"))


def test_vectors_that_know_no_question_have_a_coverage_of_zero(tmp_path):
    with Run(tmp_path / "v").open(Vectors) as out:
        out.append(item=["xyzzy", "plugh"], count=[1, 1], vector=np.eye(2))
    seen = figures(evaluate([out.artifact], Params(), Run(tmp_path / "out", seed=1)))
    assert {key[1:]: row["value"] for key, row in seen.items()} == {("accuracy_all", "all"): 0.0, ("coverage", "all"): 0.0}


def test_all_lines_that_are_no_question_are_told(tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("one two three\none two three four\nfive\n")
    with pytest.raises(Fault) as fault:
        _read(str(own), Run(tmp_path, "evaluate/mine"))
    assert [line.replace(str(tmp_path), "") for line in fault.value.faults] == [
        "evaluate/mine: /own.txt, line 1 is 'one two three'; it has to be four words, or `: name of a section`",
        "evaluate/mine: /own.txt, line 3 is 'five'; it has to be four words, or `: name of a section`",
    ]


def test_the_same_seed_gives_the_same_bytes_twice(tmp_path, half_right):
    vectors = half_right
    made = [evaluate([vectors], Params(), Run(tmp_path / name / "same", seed=1)).folder for name in "ab"]
    for file in ("scores.parquet", "metrics.json"):
        assert (made[0] / file).read_bytes() == (made[1] / file).read_bytes()


def test_each_way_to_ask_has_its_own_figures(tmp_path, half_right):
    ways = ["3CosAdd", "3CosMul", "PairDistance"]
    seen = figures(evaluate([half_right], Params(max_vocab=600, by=ways), Run(tmp_path / "out", seed=1)))
    values = [seen[half_right.name, "accuracy", on]["value"] for on in ("all", "all, by 3CosMul", "all, by PairDistance")]
    assert len(set(values)) == 3
    assert min(values) > 0
    assert seen[half_right.name, "accuracy", "all, by PairDistance"]["note"].endswith("PairDistance")
    assert {on for _, metric, on in seen if metric == "coverage"} == {"all", "all, by 3CosMul", "all, by PairDistance"}
    with pytest.raises(ValueError, match="must not name a way twice"):
        Params(by=["3CosAdd", "3CosAdd"])


def test_answers_by_3cosmul_are_gensims(monkeypatch, half_right):
    monkeypatch.setattr(kernel, "EPSILON", 1e-6)  # theirs; ours is the authors'
    words, matrix = half_right.items()[1:], half_right.matrix()[1:]
    theirs = KeyedVectors(matrix.shape[1])
    theirs.add_vectors(words, matrix)
    a, b, c = np.random.default_rng(0).integers(len(words), size=(3, 200))
    mine = kernel.analogies(unit(matrix), a, b, c, "3CosMul")
    asked = [[words[row] for row in rows] for rows in zip(b, c, a, strict=True)]
    assert [words[row] for row in mine] == [
        theirs.most_similar_cosmul(positive=[q[0], q[1]], negative=[q[2]], topn=1)[0][0] for q in asked
    ]  # fmt: skip
