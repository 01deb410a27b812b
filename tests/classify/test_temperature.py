"""One temperature for another classifier's probabilities."""

import numpy as np
import pytest
from scipy.special import softmax

from pipelines.artifacts.predictions import Predictions
from pipelines.classify.temperature import Params, classify, combined
from pipelines.errors import Fault
from pipelines.kernels.calibration import log_loss
from pipelines.method import Run

CLASSES = ["a", "b", "c"]


def predictions(folder, p, splits, labels, classes=CLASSES, ids=None, answer="one"):
    """Rows with such probabilities; labels of test are never written."""
    with Run(folder).open(Predictions) as out:
        out.append("classes", class_id=range(len(classes)), label=classes)
        out.append(
            doc_id=ids or [f"d{i}" for i in range(len(p))], split=splits, answer=[answer] * len(p), label=labels,
            predicted=[classes[i] for i in p.argmax(axis=1)], probabilities=p.astype(np.float32),
        )  # fmt: skip
    return out.artifact


def too_sure(folder, factor=3.0, n=4000, **more):
    """Predictions whose log odds are `factor` times what the labels say; the last quarter is test."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, (n, 3))
    drawn = (softmax(scores, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    splits = ["valid"] * (n * 3 // 4) + ["test"] * (n // 4)
    labels = [CLASSES[c] if split == "valid" else None for c, split in zip(drawn, splits, strict=True)]
    return predictions(folder, softmax(factor * scores, axis=1), splits, labels, **more), drawn


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_what_was_too_sure_by_a_factor_is_divided_by_it_in_test_too(tmp_path, factor):
    given, truth = too_sure(tmp_path / "given", factor)
    made = classify(given, Params(), Run(tmp_path / "p"))
    assert made.model()[1]["temperature"][0] == pytest.approx(factor, rel=0.1)
    for split, actual in (("valid", truth[:3000]), ("test", truth[3000:])):
        frame, p = made.frame(split)
        before, p_before = given.frame(split)
        assert frame.equals(before)  # the same documents, labels and decisions
        assert log_loss(np.log(p), actual) < log_loss(np.log(p_before), actual)
        assert p.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_what_was_kept_says_the_same_of_what_the_classifier_says(tmp_path):
    given, _ = too_sure(tmp_path / "given")
    made = classify(given, Params(), Run(tmp_path / "p"))
    assert np.array_equal(combined([given.frame("test")[1]], *made.model()), made.frame("test")[1])


def test_a_probability_of_zero_is_no_fault(tmp_path):
    p = np.array([[1.0, 0, 0], [0, 1, 0], [0.2, 0.2, 0.6], [0, 0, 1]])
    made = classify(predictions(tmp_path / "g", p, ["valid"] * 4, ["a", "c", "c", "c"]), Params(), Run(tmp_path / "p"))
    assert np.isfinite(made.frame("valid")[1]).all()


def test_a_label_that_is_none_of_the_classes_is_left_out_and_without_any_other_there_is_nothing_to_choose_by(tmp_path):
    p = np.full((3, 3), 1 / 3)
    given = predictions(tmp_path / "g", p, ["valid", "valid", "test"], ["new", None, None])
    with pytest.raises(Fault, match="predictions/g: no document of valid has a label among its classes"):
        classify(given, Params(), Run(tmp_path / "p"))


@pytest.mark.parametrize("answer", ["several", "number"])
def test_answers_that_are_not_one_class_are_refused(tmp_path, answer):
    given = predictions(tmp_path / "g", np.full((1, 3), 0.2), ["valid"], ["a"], answer=answer)
    with pytest.raises(Fault, match=f"predictions/g: its answers are {answer}"):
        classify(given, Params(), Run(tmp_path / "p"))
