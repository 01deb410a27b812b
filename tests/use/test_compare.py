"""Two rows side by side: what the evaluations say of both, and what they do not."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from flows import __main__ as command
from pipelines import layout
from pipelines.artifacts.scores import Scores
from pipelines.errors import Fault
from pipelines.kernels.intervals import wilson
from pipelines.use.compare import compare, overlap, text
from tests.matrices import vectors_of

pytestmark = [pytest.mark.slow, pytest.mark.quick_slow]


def scored(root, row, of):
    frame = Scores(root / layout.artifact("scores", row)).frame()
    return {(it.metric, it.on): it for it in frame[frame["of"] == of].itertuples()}


def test_settings_are_those_that_differ(exported):
    found = compare(exported, "lstm", "lstm-last")
    assert {it["setting"]: (it["a"], it["b"]) for it in found["settings"]} == {
        "vectors": ("skipgram", "-"), "num_layers": (1, 2), "bidirectional": (False, True), "pooling": ("max", "last"),
        "max_tokens": (400, 7), "keep": ("head", "both"),
    }  # fmt: skip
    # of another method: what both have and differ in, and what was written for one
    told = {it["setting"]: (it["a"], it["b"]) for it in compare(exported, "tfidf", "svm")["settings"]}
    assert told == {
        "method": ("tfidf_logreg", "linear_svm"), "ngrams": (3, 1), "min_df": (1, 2), "weighting": ("tfidf", "binary"),
        "l2": (0.03, 1.0), "tol": (1e-5, 1e-3), "max_iter": (500, 1000),
    }  # fmt: skip


def test_scores_stand_beside_each_other_with_intervals_and_their_difference(exported):
    found = {(it["metric"], it["on"]): it for it in compare(exported, "tfidf", "lstm")["scores"]}
    a, b = (scored(exported, "classification", f"predictions/{row}") for row in ("tfidf", "lstm"))
    assert found.keys() == a.keys() | b.keys()
    line = found["accuracy", "valid"]
    assert (line["by"], line["a"]["value"], line["b"]["low"]) == (
        "classification",
        a["accuracy", "valid"].value,
        b["accuracy", "valid"].low,
    )
    assert line["difference"] == pytest.approx(b["accuracy", "valid"].value - a["accuracy", "valid"].value)


def test_a_figure_that_one_alone_has_has_no_difference(exported):
    found = {it["metric"]: it for it in compare(exported, "skipgram", "other")["scores"]}
    assert found["isotropy"]["b"] is None
    assert found["isotropy"]["difference"] is None
    assert found["overlap"]["difference"] is not None


def test_mcnemar_is_that_of_the_evaluation(exported):
    with (exported / layout.artifact("scores", "classification") / "mcnemar.csv").open() as file:
        lines = {(row["a"], row["b"]): row for row in csv.DictReader(file)}
    found = compare(exported, "tfidf", "lstm")["mcnemar"]
    expected = lines["predictions/tfidf", "predictions/lstm"]
    assert [found[name] for name in ("n", "only_a", "only_b")] == [int(expected[name]) for name in ("n", "only_a", "only_b")]
    assert f"{found['p']:.4g}" == expected["p"]
    assert found["both_right"] + found["only_a"] + found["only_b"] + found["neither"] == found["n"] == 6
    assert len(found["examples"]) == min(found["only_a"] + found["only_b"], 5)


def test_rows_of_other_documents_have_no_mcnemar(exported):
    assert compare(exported, "lstm", "tagger")["mcnemar"] is None


def test_numbers_are_compared_by_how_far_off_they_are(exported):
    found = compare(exported, "ridge", "lstm-number")
    assert found["mcnemar"] is None
    for name, row in (("a", "ridge"), ("b", "lstm-number")):
        expected = scored(exported, "regression", f"predictions/{row}")["mean_absolute_error", "valid"]
        assert (found["errors"][name], found["errors"]["n"]) == (pytest.approx(expected.value), expected.n)
    it = found["errors"]
    assert it["difference"] == pytest.approx(it["b"] - it["a"])
    assert it["low"] < it["difference"] < it["high"]
    assert compare(exported, "tfidf", "lstm")["errors"] is None
    assert compare(exported, "tfidf", "ridge")["errors"] is None


def test_overlap_of_neighbours_is_that_of_stability(exported):
    found = compare(exported, "skipgram", "other")["overlap"]
    expected = scored(exported, "stability", "vectors/skipgram")["overlap", "the other rows"]
    assert [found[name] for name in ("overlap", "low", "high", "n")] == pytest.approx(
        [expected.value, expected.low, expected.high, expected.n]
    )
    for line in [*found["least"], *found["most"]]:
        assert len(set(line["a"]) & set(line["b"])) / found["k"] == pytest.approx(line["overlap"])
    assert found["least"][0]["overlap"] <= found["overlap"] <= found["most"][0]["overlap"]


def test_codings_are_compared_by_bytes_and_by_the_error_of_the_items_of_both(exported):
    found = compare(exported, "pca", "linear")["codings"]
    for name, row in (("a", "pca"), ("b", "linear")):
        expected = scored(exported, "reconstruction", f"codings/{row}")
        assert found[name]["bytes_per_item"] == expected["bytes_per_item", "vectors/skipgram"].value
        assert found[name]["mean_error"] == pytest.approx(8 * expected["mean_squared_error", "vectors/skipgram"].value)
    assert found["difference"] == pytest.approx(found["b"]["mean_error"] - found["a"]["mean_error"])
    assert found["low"] < found["difference"] < found["high"]
    assert found["low"] > 0  # two components of the vectors keep less than three


def test_rows_of_any_stage_can_be_compared(exported):
    assert compare(exported, "words", "characters")["settings"][0] == {"setting": "method", "a": "words", "b": "characters"}
    assert compare(exported, "embed/skipgram", "other")["verb"] == "embed"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("lstm", "lstmm"), r"params.yaml has no row 'lstmm'. Did you mean 'lstm'\?"),
        (("lstm", "skipgram"), r"lstm is a row of classify, skipgram of embed. Name two rows of one verb"),
        (("classify/lstm", "lstm"), r"are the same row"),
        (("clasify/lstm", "gru"), r"'clasify' is not a stage.*Did you mean 'classify'\?"),
    ],
)
def test_what_cannot_be_compared_says_why(exported, names, told):
    with pytest.raises(Fault, match=told):
        compare(exported, *names)


def test_words_and_documents_have_nothing_in_common_and_the_fault_shows_both(tmp_path):
    one, other = (
        vectors_of(tmp_path / "words", ["sea", "boat", "the"], np.eye(3)),
        vectors_of(tmp_path / "topics", ["d-1", "d-2", "d-3"], np.eye(3)),
    )
    with pytest.raises(
        Fault, match=r"Those of words begin with 'sea', 'boat', 'the', of topics with 'd-1', 'd-2', 'd-3'\. .*words here and documents"
    ):
        overlap(one, other)


def test_of_few_words_not_all_others_count_as_neighbours_and_rows_that_agree_are_not_certain(tmp_path):
    """With k = 3 each of the four words has all others as neighbours, whatever the vectors."""
    rows = [vectors_of(tmp_path / name, list("abcd"), np.eye(4) + np.arange(4)) for name in "pq"]
    found = overlap(*rows)
    assert (found["k"], found["overlap"], found["low"]) == (2, 1, wilson(4, 4)[0])
    cost = list(text({"verb": "embed", "a": "p", "b": "q", "settings": [], "scores": [], "cost": [], "overlap": found}))
    assert any("2 nearest neighbours in common: 1 [0.5101, 1], of 4 words" in str(line) for line in cost)


def test_a_row_that_has_not_been_run_says_so(tmp_path):
    (tmp_path / "params.yaml").write_text(
        Path("experiments/using.yaml").read_text().replace("tfidf: {", "other: {method: majority, tokens: words}\n  tfidf: {")
    )
    with pytest.raises(Fault, match=r"classify/tfidf has not been run. Run: dvc repro classify-tfidf\nclassify/other has not been run"):
        compare(tmp_path, "tfidf", "other")


@pytest.mark.parametrize("names", [("tfidf", "lstm"), ("ridge", "lstm-number"), ("skipgram", "other"), ("pca", "linear")])
def test_the_command_shows_tables_or_json(exported, monkeypatch, names):
    monkeypatch.chdir(exported)
    shown = CliRunner().invoke(command.app, ["compare", *names])
    assert shown.exit_code == 0, shown.exception
    assert all(name in shown.output for name in (*names, "setting", "difference", "cost"))
    told = CliRunner().invoke(command.app, ["compare", *names, "--json"])
    assert json.loads(told.output) == json.loads(json.dumps(compare(exported, *names)))


def test_names_that_are_no_rows_are_taken_for_experiments(exported, monkeypatch):
    monkeypatch.chdir(exported)
    done = CliRunner().invoke(command.app, ["compare", "foo", "bar"])
    assert isinstance(done.exception, Fault)
    assert "there is no experiment 'foo'" in str(done.exception)
    assert CliRunner().invoke(command.app, ["compare", "main"]).exit_code == 0
