from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.test.utils import datapath
from pydantic import ValidationError
from scipy.stats import spearmanr

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.evaluate.similarity import Params, _read, evaluate, sources
from pipelines.method import Run
from tests.spelled import spelled


def make_vectors(folder, words, matrix):
    with Run(folder).open(Vectors) as out:
        out.append(item=words, count=np.arange(len(words), 0, -1), vector=matrix)
    return out.artifact


def words_of(name):
    lines = Path(datapath(name)).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t")[:2] for line in lines if not line.startswith("#")]
    return sorted({word.lower() for row in rows for word in row})


def figures(scores):
    return {(row["of"], row["metric"], row["on"]): row for row in scores.read().to_pylist()}


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """Random vectors of seven in ten words of both sets: in lower case, as a corpus has them."""
    rng = np.random.default_rng(0)
    words = [word for word in {*words_of("wordsim353.tsv"), *words_of("simlex999.txt")} if hash_of(word) % 10 < 7]
    words.sort()
    return words, rng.normal(size=(len(words), 20)).astype(np.float32)


def hash_of(word):
    return sum(map(ord, word))


def test_both_policies_for_unknown_words_give_what_gensim_gives(tmp_path, half):
    words, matrix = half
    seen = figures(evaluate([make_vectors(tmp_path / "half", words, matrix)], Params(), Run(tmp_path / "out", seed=1)))
    theirs = KeyedVectors(20)
    theirs.add_vectors(words, matrix)
    for on, file in (("wordsim353", "wordsim353.tsv"), ("simlex999", "simlex999.txt")):
        for metric, dummy in (("spearman", False), ("spearman_all", True)):
            _, wanted, unknown = theirs.evaluate_word_pairs(datapath(file), dummy4unknown=dummy, restrict_vocab=None)
            row = seen["vectors/half", metric, on]
            assert row["value"] == pytest.approx(wanted.statistic, abs=1e-6)
            assert row["low"] < row["value"] < row["high"]
        assert seen["vectors/half", "coverage", on]["value"] == pytest.approx(1 - unknown / 100)


def test_a_file_of_ones_own_is_ranked_as_people_did(tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("word1,word2,score\na,b,9\na,c,5\na,d,1\n# a comment\nb,x,3\n")
    vectors = make_vectors(tmp_path / "v", list("abcd"), np.array([[1, 0], [1, 0.1], [1, 1], [-1, 0]]))
    seen = figures(evaluate([vectors], Params(sets=[str(pairs)]), Run(tmp_path / "out", seed=1)))
    row = seen["vectors/v", "spearman", "pairs"]
    assert (row["value"], row["n"], row["note"]) == (pytest.approx(1.0), 3, "3 of 4 pairs have two known words")
    # cosines .995, .707, -1 and 0 for the pair with the unknown x; people said 9, 5, 1, 3
    assert seen["vectors/v", "spearman_all", "pairs"]["value"] == pytest.approx(spearmanr([0.995, 0.707, -1, 0], [9, 5, 1, 3]).statistic)
    assert seen["vectors/v", "coverage", "pairs"]["value"] == 0.75


@pytest.mark.parametrize("text", ["a,b,9\na,c,5\na,d,1\n", "a\tb\t9\tx\na\tc\t5\nz z\td\t1\n", "a b 9\na c 5\na d 1\n"])
def test_a_first_line_with_a_score_is_a_pair(tmp_path, text):
    (tmp_path / "pairs.csv").write_text(text)
    left, _, human = _read(tmp_path / "pairs.csv", Run(tmp_path))
    assert len(left) == 3
    assert human.tolist() == [9, 5, 1]


def test_a_first_line_without_a_number_is_the_heading_and_told_and_one_of_two_cells_is_a_fault(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("first\tsecond\tscore\na\tb\t9\n")
    run = Run(tmp_path)
    said = []
    run.say = said.append
    assert _read(path, run)[0] == ["a"]
    assert said == [f"{path}, line 1, 'first\\tsecond\\tscore', is taken as the heading: its score is no number"]
    path.write_text("a\tb\na\tc\t9\n\td\t9\n")
    with pytest.raises(Fault) as fault:
        _read(path, run)
    assert [line.split("; ")[0] for line in fault.value.faults] == [f"{path}, line 1 is 'a\\tb'", f"{path}, line 3 is '\\td\\t9'"]


def test_unknown_words_made_of_their_n_grams_are_scored_once_more_and_change_no_other_figure(tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("word1,word2,score\nsea,pea,9\nsea,lea,7\nTea,lea,2\nsea,ox,1\npea,pear,3\n")
    # lea: <le lea ea>, Tea: <te tea ea>, pear: <pe pea ear ar>, of which these are known; ox has none
    vectors = spelled(tmp_path / "v", {"sea": [1, 0], "pea": [4, 3]}, {"ea>": [0, 2], "<te": [2, 0], "ar>": [0, 1]})
    made = [
        evaluate([vectors], Params(sets=[str(pairs)], compose=compose), Run(tmp_path / str(compose), seed=1)) for compose in (False, True)
    ]
    without, seen = map(figures, made)
    row = seen.pop(("vectors/v", "spearman_composed", "pairs"))
    assert seen == without
    # lea (0, 2), tea (1, 1), pear (0, 1); cosines: sea pea 4/5, sea lea 0, tea lea 1/sqrt 2, sea ox 0, pea pear 3/5
    assert row["value"] == pytest.approx(spearmanr([0.8, 0, 0.707, 0, 0.6], [9, 7, 2, 1, 3]).statistic)
    assert row["n"] == 5
    assert row["note"] == (
        "3 of 5 pairs have a word made of its letter n-grams, 3 words in all; 1 pairs with a word that has none count as similarity 0"
    )
    assert seen["vectors/v", "coverage", "pairs"]["value"] == 0.2


def test_beside_vectors_with_n_grams_others_are_scored_as_ever_and_alone_they_are_a_fault(tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("sea,pea,9\nsea,lea,7\npea,lea,1\n")
    grams = spelled(tmp_path / "grams", {"sea": [1, 0], "pea": [4, 3]}, {"ea>": [0, 2]})
    none = make_vectors(tmp_path / "none", ["sea", "pea"], np.array([[1, 0], [4, 3]]))
    params = Params(sets=[str(pairs)], compose=True)
    seen = figures(evaluate([none, grams], params, Run(tmp_path / "out", seed=1)))
    assert {of for of, metric, _ in seen if metric == "spearman_composed"} == {"vectors/grams"}
    assert seen["vectors/grams", "spearman_all", "pairs"]["value"] == seen["vectors/none", "spearman_all", "pairs"]["value"]
    with pytest.raises(
        Fault, match=r"evaluate/mine: compose is true, and none of vectors/none holds letter n-grams. Name a row of fasttext"
    ):
        evaluate([none], params, Run(tmp_path / "alone", "evaluate/mine", seed=1))


def test_codings_are_scored_beside_the_vectors(tmp_path, half):
    words, matrix = half
    with Run(tmp_path / "short").open(Codings) as out:
        out.append(item=words, coding=matrix, error=np.zeros(len(words)))
    vectors = make_vectors(tmp_path / "long", words, matrix)
    seen = figures(evaluate([vectors], Params(), Run(tmp_path / "out", seed=1), codings=[out.artifact]))
    for (of, metric, on), row in seen.items():
        assert row["value"] == seen["vectors/long" if of == "codings/short" else "codings/short", metric, on]["value"]


def test_vectors_that_know_no_pair_have_a_coverage_of_zero_and_no_correlation(tmp_path):
    vectors = make_vectors(tmp_path / "v", ["xyzzy", "plugh"], np.eye(2))
    seen = figures(evaluate([vectors], Params(), Run(tmp_path / "out", seed=1)))
    assert {key[1] for key in seen} == {"coverage"}
    row = seen["vectors/v", "coverage", "wordsim353"]
    assert (row["value"], row["n"]) == (0.0, 353)
    assert row["note"] == "no spearman, spearman_all: it takes three pairs that differ"


def test_all_faults_of_all_files_are_told_at_once(tmp_path):
    bad, empty = tmp_path / "bad.tsv", tmp_path / "empty.tsv"
    bad.write_text("a\tb\t1\na\tb\nc\td\tnan\n")
    empty.write_text("# nothing\n")
    vectors = make_vectors(tmp_path / "v", ["a", "b"], np.eye(2))
    run = Run(tmp_path / "out", "evaluate/mine", seed=1)
    with pytest.raises(Fault) as fault:
        evaluate([vectors], Params(sets=[str(bad), str(empty), str(tmp_path / "none.tsv")]), run)
    assert [line.replace(str(tmp_path), "") for line in fault.value.faults] == [
        "evaluate/mine: /bad.tsv, line 2 is 'a\\tb'; it has to be word, word, score",
        "evaluate/mine: /bad.tsv, line 3: the score nan is not a number to be ranked",
        "evaluate/mine: /empty.tsv holds no pair; a line has to be word, word, score",
        "evaluate/mine: the set /none.tsv is missing. Put it there, or name one of wordsim353, simlex999 under `sets`",
    ]
    assert not (tmp_path / "out" / "scores.parquet").exists()


def test_a_name_that_is_no_set_is_refused_with_the_nearest_one():
    with pytest.raises(ValidationError, match=r"'wordsim' is neither. Did you mean 'wordsim353'\?"):
        Params(sets=["wordsim"])


def test_a_file_of_ones_own_is_a_source_of_the_stage_and_a_carried_set_is_not():
    assert sources(Params(sets=["simlex999", "mine/pairs.tsv"])) == ["mine/pairs.tsv"]


def test_the_same_seed_gives_the_same_bytes_twice(tmp_path, half):
    words, matrix = half
    vectors = make_vectors(tmp_path / "half", words, matrix)
    made = [evaluate([vectors], Params(), Run(tmp_path / name / "same", seed=1)).folder for name in "ab"]
    for file in ("scores.parquet", "metrics.json"):
        assert (made[0] / file).read_bytes() == (made[1] / file).read_bytes()


def test_a_vector_that_holds_no_number_is_named(tmp_path):
    (tmp_path / "pairs.tsv").write_text("sea\tboat\t9\nsea\tbarn\t1\n")
    broken = make_vectors(tmp_path / "v", ["sea", "boat", "barn"], np.float32([[1, 0], [np.nan, 1], [0, 1]]))
    with pytest.raises(Fault, match=r"vectors/v: 1 vectors hold a number that is not finite, first 'boat'"):
        evaluate([broken], Params(sets=[str(tmp_path / "pairs.tsv")]), Run(tmp_path / "out"))
