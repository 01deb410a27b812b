import json

import pyarrow as pa
import pytest

from pipelines.artifacts.scores import Scores, columns
from pipelines.method import Run
from tests.artifacts.asked import assert_asks_only_what_there_is, closing, failing


def write(folder, *figures):
    with Run(folder).open(Scores) as out:
        out.append(**columns(figures))
    return out.artifact


GOOD = {"of": "vectors/glove", "metric": "spearman", "on": "wordsim353", "value": 0.5, "low": 0.4, "high": 0.6, "n": 300}


def test_what_may_be_left_out_of_a_figure_comes_back_empty(tmp_path):
    bare = {key: GOOD[key] for key in ("of", "metric", "on", "value", "n")}
    (row,) = write(tmp_path / "x", bare).read().to_pylist()
    assert row == {**bare, "low": None, "high": None, "note": ""}


def test_metrics_json_says_what_the_table_says(tmp_path):
    scores = write(tmp_path / "x", GOOD, {**GOOD, "on": "simlex999", "value": 0.45})
    wanted = {"vectors/glove": {"spearman": {"wordsim353": 0.5, "simlex999": 0.45}}}
    assert json.loads((scores.folder / "metrics.json").read_text()) == wanted == scores.metrics()


@pytest.mark.parametrize(
    ("figure", "column", "bad"),
    [
        ({**GOOD, "value": float("inf"), "high": None}, "n_not_finite", 1),
        ({**GOOD, "value": 0.7}, "inside_interval", False),
        ({**GOOD, "low": 0.55}, "inside_interval", False),
        ({**GOOD, "n": -1}, "n", -1),
        ({**GOOD, "value": 1.2, "low": None, "high": None}, "in_range", False),
        ({**GOOD, "metric": "accuracy", "value": -0.1, "low": None, "high": None}, "in_range", False),
    ],
)
def test_the_profile_shows_a_figure_that_cannot_be(tmp_path, figure, column, bad):
    assert write(tmp_path / "x", figure).profile()[column].tolist() == [bad]


def test_the_profile_of_a_good_figure_shows_nothing_bad(tmp_path):
    (row,) = (
        write(
            tmp_path / "x",
            GOOD,
        )
        .profile()
        .to_dict("records")
    )
    assert (row["n_not_finite"], row["inside_interval"], row["name"]) == (0, True, "vectors/glove spearman wordsim353")


def test_a_figure_without_interval_is_inside_it(tmp_path):
    assert write(tmp_path / "x", {**GOOD, "low": None, "high": None}).profile()["inside_interval"].tolist() == [True]


def test_a_figure_must_have_a_value(tmp_path):
    with pytest.raises(pa.ArrowInvalid, match="value"):
        write(tmp_path / "x", {**GOOD, "value": None})


def test_a_figure_that_is_no_number_is_left_for_the_gate_to_find(tmp_path):
    assert write(tmp_path / "x", {**GOOD, "value": float("nan")}).profile()["n_not_finite"].tolist() == [1]


def test_the_gate_asks_only_what_there_is(tmp_path):
    assert_asks_only_what_there_is(write(tmp_path / "x", GOOD))


def test_an_accuracy_above_one_closes_the_gate_and_a_metric_that_nobody_knows_may_be_any_number(tmp_path):
    good = [GOOD, {**GOOD, "metric": "my-own", "value": 40.0, "low": None, "high": None}]
    assert failing(write(tmp_path / "good", *good)) == {}
    bad = write(tmp_path / "bad", GOOD, {**GOOD, "metric": "accuracy", "value": 1.01, "low": None, "high": None})
    assert closing(bad) == ["in_range"]
    assert failing(bad)["in_range"]["examples"][0]["metric"] == "accuracy"
