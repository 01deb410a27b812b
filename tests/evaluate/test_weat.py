"""WEAT by the definition, by the five published values, and with what is missing or wrong."""

import csv
import json
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.artifacts.codings import Codings
from pipelines.embed import pretrained
from pipelines.errors import Fault
from pipelines.evaluate.weat import Params, association, effect_size, evaluate, permutation_p, sources
from pipelines.method import Run
from tests.matrices import vectors_of

# X, Y, A, B, and the effect that was published of word2vec's GoogleNews
PUBLISHED = [
    (["flowers", "insects", "pleasant_5", "unpleasant_5a"], 1.539),
    (["instruments", "weapons", "pleasant_5", "unpleasant_5a"], 1.628),
    (["male_names", "female_names", "career", "family"], 1.890),
    (["math", "arts", "male_terms", "female_terms"], 0.966),
    (["science", "arts_2", "male_terms_2", "female_terms_2"], 1.244),
]
SETS = {"x": ["a", "b"], "y": ["c", "d"], "a": ["up", "up2"], "b": ["down", "down2"]}
ONE = [["x", "y", "a", "b"]]


def figures(scores):
    return {(row["of"], row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def plane(folder, degrees):
    angle = np.radians(list(degrees.values()))
    length = 1 + np.arange(len(angle))[:, None]  # which says nothing
    return vectors_of(folder, list(degrees), np.stack([np.cos(angle), np.sin(angle)], axis=1) * length)


def small(folder):
    return plane(folder, {"a": 0, "b": 60, "c": 120, "d": 180, "up": 0, "up2": 0, "down": 180, "down2": 180})


def test_an_effect_worked_out_by_hand(tmp_path):
    """Associations 2 cos: 2, 1, -1, -2. Means 1.5 and -1.5, sample variance 10 / 3. One of six partings goes as far."""
    seen = figures(evaluate([small(tmp_path / "v")], Params(words=SETS, tests=ONE), Run(tmp_path / "out", seed=1)))
    row = seen["vectors/v", "effect_size", "x and y, a and b"]
    assert row["value"] == pytest.approx(3 / np.sqrt(10 / 3))
    assert row["low"] <= row["value"] <= row["high"]
    assert row["n"] == 4
    p = seen["vectors/v", "p_value", "x and y, a and b"]
    assert (p["value"], p["note"]) == (pytest.approx(1 / 6), "one-sided, all 6 ways to part the targets")
    assert seen["vectors/v", "coverage", "x and y, a and b"]["value"] == 1
    with (tmp_path / "out" / "weat.csv").open() as file:
        assert [(line["set"], line["word"], line["association"]) for line in csv.DictReader(file)] == [
            ("x", "a", "2.0000"), ("x", "b", "1.0000"), ("y", "c", "-1.0000"), ("y", "d", "-2.0000"),
        ]  # fmt: skip


def test_relative_norm_distances_by_hand_and_weat_is_left_out_where_it_is_not_asked_for(tmp_path):
    """a and b at 0 and 60 degrees have the mean (3/4, sqrt 3 / 4), c and d (-3/4, sqrt 3 / 4). up, at 0, is 1/2 from the first and
    sqrt(49/16 + 3/16) = sqrt 13 / 2 from the second; down the other way round."""
    sets = {**SETS, "lone": ["nobody", "up"]}
    params = Params(by=["rnd"], words=sets, tests=[*ONE, ["x", "y", "a", "lone"]])
    seen = figures(evaluate([small(tmp_path / "v")], params, Run(tmp_path / "out", seed=1)))
    assert {metric for _, metric, _ in seen} == {"relative_norm_distance", "coverage"}
    for on, sign in (("x and y, a", 1), ("x and y, b", -1)):
        row = seen["vectors/v", "relative_norm_distance", on]
        assert row["value"] == pytest.approx(sign * (1 - np.sqrt(13)) / 2)
        assert (row["n"], row["low"], row["note"]) == (2, None, f"below 0: nearer to x; 95 % of draws of {on[-1]}")  # its two words are one
    assert "no effect" not in seen["vectors/v", "coverage", "x and y, a and lone"]["note"]
    both = figures(evaluate([small(tmp_path / "w")], Params(by=["weat", "rnd"], words=SETS, tests=ONE), Run(tmp_path / "both", seed=1)))
    assert {metric for _, metric, _ in both} == {"relative_norm_distance", "coverage", "effect_size", "p_value"}


def plain(x, y, a, b):
    """The paper's formulae, word by word."""

    def cosine(u, v):
        return u @ v / np.linalg.norm(u) / np.linalg.norm(v)

    def s(w):
        return np.mean([cosine(w, it) for it in a]) - np.mean([cosine(w, it) for it in b])

    both = [*x, *y]
    effect = (np.mean([s(w) for w in x]) - np.mean([s(w) for w in y])) / np.std([s(w) for w in both], ddof=1)
    found, ways = sum(map(s, x)) - sum(map(s, y)), []
    for chosen in combinations(range(len(both)), len(x)):
        ways.append(sum(s(w) if i in chosen else -s(w) for i, w in enumerate(both)))
    return effect, np.mean(np.array(ways) >= found - 1e-12)


def test_the_fast_form_is_the_papers_and_drawn_permutations_come_near_to_all_of_them():
    rng = np.random.default_rng(0)
    x, y, a, b = rng.normal(size=(4, 5, 7)) + rng.normal(size=(4, 1, 7)) * 0.4
    effect, p = plain(x, y, a, b)
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (x, y, a, b)]
    of_x, of_y = association(unit[0], *unit[2:]), association(unit[1], *unit[2:])
    assert effect_size(of_x, of_y) == pytest.approx(effect)
    exact, how = permutation_p(of_x, of_y, 252, rng)
    assert (exact, how) == (pytest.approx(p), "all 252 ways to part the targets")
    drawn, how = permutation_p(of_x, of_y, 251, np.random.default_rng(1))
    assert how == "251 drawn ways to part the targets"
    many = [permutation_p(of_x, of_y, 251, np.random.default_rng(seed))[0] for seed in range(40)]
    assert drawn == permutation_p(of_x, of_y, 251, np.random.default_rng(1))[0]
    assert np.mean(many) == pytest.approx(p, abs=0.02)


def test_unknown_words_are_left_out_and_told_and_capitals_are_looked_for_first(tmp_path):
    vectors = plane(tmp_path / "v", {"a": 10, "A": 0, "b": 60, "c": 120, "d": 180, "up": 0, "up2": 0, "down": 180, "down2": 180})
    sets = {**SETS, "x": ["A", "B", "nobody"]}
    seen = figures(evaluate([vectors], Params(words=sets, tests=ONE), Run(tmp_path / "out", seed=1)))
    assert seen["vectors/v", "effect_size", "x and y, a and b"]["value"] == pytest.approx(3 / np.sqrt(10 / 3))
    coverage = seen["vectors/v", "coverage", "x and y, a and b"]
    assert (coverage["value"], coverage["n"]) == (pytest.approx(8 / 9), 9)
    assert coverage["note"] == "known 2 of 3 x, 2 of 2 y, 2 of 2 a, 2 of 2 b; left out: nobody"


def test_sets_that_are_not_known_have_a_coverage_and_no_effect(tmp_path):
    seen = figures(evaluate([small(tmp_path / "v")], Params(words=SETS), Run(tmp_path / "out", seed=1)))
    assert {metric for _, metric, _ in seen} == {"coverage"}
    row = seen["vectors/v", "coverage", "trees and vermin, good and bad"]
    assert row["value"] == 0
    assert "no effect: it takes two known words of each set" in row["note"]


def test_codings_are_scored_as_vectors_are(tmp_path):
    vectors = small(tmp_path / "v")
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=vectors.items(), coding=vectors.matrix(), error=np.zeros(8))
    seen = figures(evaluate([vectors], Params(words=SETS, tests=ONE), Run(tmp_path / "out", seed=1), [out.artifact]))
    on = "x and y, a and b"
    assert seen["codings/c", "effect_size", on]["value"] == seen["vectors/v", "effect_size", on]["value"]


def test_sets_come_from_a_json_file_and_what_is_wrong_there_is_told(tmp_path):
    vectors, path = small(tmp_path / "v"), tmp_path / "sets.json"
    path.write_text(json.dumps(SETS))
    params = Params(file=str(path), tests=ONE)
    assert sources(params) == [str(path)]
    assert sources(Params()) == []
    inline = evaluate([vectors], Params(words=SETS, tests=ONE), Run(tmp_path / "inline", seed=1))
    assert figures(evaluate([vectors], params, Run(tmp_path / "out", seed=1))) == figures(inline)
    with pytest.raises(Fault, match=r"evaluate/mine: there is no set 'tree'; .*Did you mean 'trees'\?"):
        evaluate([vectors], Params(tests=[["tree", "vermin", "good", "bad"]]), Run(tmp_path / "x", "evaluate/mine"))
    for text, what in (("{", "cannot be read"), ("[]", "are a list; they have to be a JSON object"), ('{"x": "ab"}', "'x' is no list")):
        path.write_text(text)
        with pytest.raises(Fault, match=what):
            evaluate([vectors], params, Run(tmp_path / "y"))
    with pytest.raises(Fault, match="is missing"):
        evaluate([vectors], Params(file="none.json"), Run(tmp_path / "z"))
    with pytest.raises(ValidationError, match="must each name four sets"):
        Params(tests=[["x", "y", "a", "a"]])


def test_a_vector_that_is_not_finite_is_a_fault(tmp_path):
    matrix = small(tmp_path / "v").matrix()
    matrix[1, 0] = np.nan
    vectors = vectors_of(tmp_path / "n", ["a", "b", "c", "d", "up", "up2", "down", "down2"], matrix)
    with pytest.raises(Fault, match=r"vectors/n: 1 vectors hold a number that is not finite, first 'b'"):
        evaluate([vectors], Params(words=SETS, tests=ONE), Run(tmp_path / "out"))


@pytest.mark.skipif("WORDLOOM_DATA" not in os.environ, reason="WORDLOOM_DATA names no folder with weat/")
def test_the_five_published_effects_of_word2vec_come_out(tmp_path):
    folder = Path(os.environ["WORDLOOM_DATA"]) / "weat"
    knobs = pretrained.Params(source=str(folder / "word2vec_googlenews_347.txt"))
    vectors = pretrained.embed(knobs, Run(tmp_path / "googlenews"))
    params = Params(file="data:weat/WEAT.json", tests=[names for names, _ in PUBLISHED])
    seen = figures(evaluate([vectors], params, Run(tmp_path / "out", seed=1)))
    for (x, y, a, b), wanted in PUBLISHED:
        row = seen["vectors/googlenews", "effect_size", f"{x} and {y}, {a} and {b}"]
        assert row["value"] == pytest.approx(wanted, abs=0.01), row
        assert row["low"] < row["value"] < row["high"] + 1e-12
        assert seen["vectors/googlenews", "p_value", f"{x} and {y}, {a} and {b}"]["value"] < 0.05
