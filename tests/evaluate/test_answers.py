"""Scores of predictions that are texts."""

import csv

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.evaluate.answers import Params, evaluate
from pipelines.method import Run


def texts(folder, labels, predicted, splits=None, probabilities=None, settings=None):
    with Run(folder).open(Predictions) as out:
        n = len(labels)
        p = probabilities or [[0.5]] * n
        out.append(
            doc_id=[f"d{i}" for i in range(n)], split=splits or ["valid"] * n, answer=["text"] * n,
            label=labels, predicted=predicted, probabilities=p,
        )  # fmt: skip
        if settings:
            out.model(settings, {"w": np.zeros(1, np.float32)})
    return out.artifact


def scored(tmp_path, *made):
    scores = evaluate(list(made), Params(n_bootstrap=100), Run(tmp_path / "out", seed=1))
    scores.verify()
    return scores, {(row["of"], row["metric"]): row for row in scores.read().to_pylist()}


def read_csv(scores, name):
    with (scores.folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_spellings_and_tags_side_by_side(tmp_path):
    words = texts(tmp_path / "w", ["word", "text", None], ["word", "next", "x"], ["valid", "valid", "test"])
    tags = texts(tmp_path / "t", ["B-PER O", "O B-LOC"], ["B-PER O", "O B-PER"])
    scores, seen = scored(tmp_path, words, tags)
    assert [metric for of, metric in seen if of == "predictions/w"] == ["exact_match", "character_errors", "tokens_right"]
    assert (seen["predictions/w", "exact_match"]["value"], seen["predictions/w", "exact_match"]["n"]) == (0.5, 2)
    assert seen["predictions/w", "character_errors"]["value"] == pytest.approx(1 / 8)
    assert seen["predictions/t", "entity_f1"]["value"] == pytest.approx(0.5)
    assert read_csv(scores, "wrong")[0] == {"of": "predictions/w", "doc_id": "d1", "label": "text", "predicted": "next"}
    assert read_csv(scores, "entities") == [
        {"of": "predictions/t", "kind": "LOC", "precision": "0.0", "recall": "0.0", "f1": "0.0", "n": "1"},
        {"of": "predictions/t", "kind": "PER", "precision": "0.5", "recall": "1.0", "f1": "0.6667", "n": "1"},
    ]


def test_perplexity_is_of_language_models_alone(tmp_path):
    plain = texts(tmp_path / "s", ["a", "b"], ["a", "b"], probabilities=[[0.5], [0.125]], settings={"model": "seq2seq_attention"})
    model = texts(
        tmp_path / "l", ["a", "b"], ["a", "b"], probabilities=[[0.5], [0.125]], settings={"model": "next_word", "perplexity": True}
    )
    seen = scored(tmp_path, plain, model)[1]
    assert seen["predictions/l", "perplexity"]["value"] == pytest.approx(4)
    assert ("predictions/s", "perplexity") not in seen


def test_classes_are_sent_to_the_method_that_scores_them_along_with_all_other_faults(tmp_path):
    with Run(tmp_path / "p").open(Predictions) as out:
        out.append(doc_id=["a"], split=["valid"], answer=["one"], label=["x"], predicted=["x"], probabilities=[[1.0]])
        out.append("classes", class_id=[0], label=["x"])
    with pytest.raises(Fault) as fault:
        scored(tmp_path, out.artifact, texts(tmp_path / "q", [None], ["x"], ["test"]))
    assert [line.split(".")[0] for line in fault.value.faults] == [
        "predictions/p answers with classes, and not with texts",
        "predictions/q has no labelled document of split 'valid'",
    ]


def test_test_is_not_scored_here():
    with pytest.raises(ValidationError, match="must be valid; test is scored by `wordloom final ROW` alone"):
        Params(on="test")
