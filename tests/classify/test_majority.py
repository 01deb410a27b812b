"""Majority."""

import numpy as np
import pytest

from pipelines.classify.majority import Params, classify, probabilities_of
from pipelines.labels import read
from pipelines.method import Run
from tests.texts import labelled

DOCUMENTS = [("train", label, [1]) for label in "abbbcc"] + [("valid", "a", [1]), ("valid", "b", []), ("test", "c", [2])]


def test_every_document_is_told_the_most_frequent_class_with_the_shares_of_all(tmp_path):
    made = classify(labelled(tmp_path / "t", DOCUMENTS, ["<unk>", "x", "y"]), Params(), Run(tmp_path / "p"))
    for split, n in (("valid", 2), ("test", 1)):
        frame, p = made.frame(split)
        assert frame["predicted"].tolist() == ["b"] * n
        assert p == pytest.approx(np.tile([1 / 6, 1 / 2, 1 / 3], (n, 1)))


def test_what_was_kept_says_the_same(tmp_path):
    toy = labelled(tmp_path / "t", DOCUMENTS, ["<unk>", "x", "y"])
    made = classify(toy, Params(), Run(tmp_path / "p"))
    settings, weights = made.model()
    split = read(toy, "valid", settings["classes"])
    assert np.array_equal(probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path)), made.frame("valid")[1])
