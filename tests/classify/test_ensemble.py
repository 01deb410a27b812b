"""The average of several classifiers."""

import numpy as np
import pytest
from scipy.special import softmax

from pipelines.artifacts.predictions import Predictions, as_label
from pipelines.classify.ensemble import Params, classify, combined, logarithmic, mixture, simplex
from pipelines.errors import Fault
from pipelines.kernels.calibration import log_loss, smoothed_loss
from pipelines.method import Run
from tests.classify.test_temperature import CLASSES, predictions

N = 3000
SPLITS = ["valid"] * (N * 2 // 3) + ["test"] * (N // 3)


def several(folder, noises):
    """Classifiers that see the same truth, each through noise of its own."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (N, 3))
    drawn = (softmax(scores, axis=1).cumsum(axis=1) < rng.random((N, 1))).sum(axis=1)
    labels = [CLASSES[c] if split == "valid" else None for c, split in zip(drawn, SPLITS, strict=True)]
    return [
        predictions(folder / str(i), softmax(scores + rng.normal(0, s, (N, 3)), axis=1), SPLITS, labels) for i, s in enumerate(noises)
    ], drawn


def test_equal_weights_are_the_mean(tmp_path):
    given, _ = several(tmp_path, [1, 2])
    made = classify(given, Params(), Run(tmp_path / "p"))
    for split in ("valid", "test"):
        assert made.frame(split)[1] == pytest.approx((given[0].frame(split)[1] + given[1].frame(split)[1]) / 2, abs=1e-6)
    frame, p = made.frame("test")
    assert frame["predicted"].tolist() == [CLASSES[i] for i in p.argmax(axis=1)]


def test_chosen_weights_serve_test_better_than_any_one_and_than_equal_ones(tmp_path):
    given, truth = several(tmp_path, [1, 1, 6])
    losses = [log_loss(np.log(one.frame("test")[1]), truth[N * 2 // 3 :]) for one in given]
    for weights in ("equal", "chosen"):
        made = classify(given, Params(weights=weights), Run(tmp_path / weights))
        losses.append(log_loss(np.log(made.frame("test")[1]), truth[N * 2 // 3 :]))
    assert min(losses) == losses[-1]
    assert made.model()[1]["weights"].sum() == pytest.approx(1)


def test_no_other_point_of_the_simplex_has_a_lower_loss():
    rng = np.random.default_rng(1)
    p = rng.random((3, 50))
    best = mixture(p)
    assert (best >= 0).all()
    loss = -np.log(best @ p).mean()
    assert all(-np.log(other @ p).mean() >= loss - 1e-6 for other in rng.dirichlet(np.full(3, 0.5), 500))


def test_equal_weights_of_logarithms_are_the_geometric_mean(tmp_path):
    one, two = (
        predictions(tmp_path / str(i), np.array([p, p]), ["valid", "test"], ["a", None], classes=["a", "b"])
        for i, p in enumerate([[0.9, 0.1], [0.5, 0.5]])
    )
    made = classify([one, two], Params(pool="logarithmic"), Run(tmp_path / "p"))
    assert made.frame("test")[1] == pytest.approx(np.array([[0.75, 0.25]]))  # odds of 9 and of 1: their geometric mean is 3


def test_what_two_know_by_themselves_adds_up_in_logarithms(tmp_path):
    """Where each has evidence of its own, the odds are the product of theirs (Bayes): weights of 1 each, which no linear pool can say."""
    rng = np.random.default_rng(0)
    n, shift = 40_000, np.array([1.0, 1.5])
    truth = rng.integers(2, size=n)
    seen = rng.normal(size=(2, n)) + shift[:, None] * (truth - 0.5)  # the log-odds of each are shift times what it has seen
    p = 1 / (1 + np.exp(-shift[:, None] * seen))
    labels = [["no", "yes"][c] if i < n // 2 else None for i, c in enumerate(truth)]
    splits = ["valid"] * (n // 2) + ["test"] * (n // 2)
    given = [predictions(tmp_path / str(i), np.stack([1 - q, q], axis=1), splits, labels, classes=["no", "yes"]) for i, q in enumerate(p)]
    made = classify(given, Params(weights="chosen", pool="logarithmic"), Run(tmp_path / "p"))
    assert made.model()[1]["weights"] == pytest.approx([1, 1], abs=0.06)
    linear = classify(given, Params(weights="chosen"), Run(tmp_path / "linear"))
    losses = [log_loss(np.log(it.frame("test")[1]), truth[n // 2 :]) for it in (made, linear)]
    assert losses[0] < losses[1] - 0.01
    assert np.array_equal(combined([it.frame("test")[1] for it in given], *made.model()), made.frame("test")[1])


def test_no_other_weights_of_logarithms_have_a_lower_loss():
    rng = np.random.default_rng(1)
    logs, truth = np.log(rng.dirichlet(np.ones(3), (4, 50))), rng.integers(3, size=50)
    logs[3] = 2 * np.eye(3)[(truth + 1) % 3]  # always wrong
    best = logarithmic(logs, truth)
    assert (best >= 0).all()
    assert best[3] == 0
    loss = smoothed_loss(np.tensordot(best, logs, 1), truth)
    others = [best + rng.normal(0, 0.3, 4) for _ in range(300)] + [*rng.dirichlet(np.full(4, 0.5), 300)]
    assert all(smoothed_loss(np.tensordot(np.maximum(other, 0), logs, 1), truth) >= loss - 1e-7 for other in others)


def test_a_logarithmic_pool_of_who_is_always_right_stays_finite(tmp_path):
    p = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [1.0, 0.0, 0.0]])
    given = [predictions(tmp_path / name, p, ["valid", "valid", "test"], ["a", "b", None]) for name in ("one", "two")]
    made = classify(given, Params(weights="chosen", pool="logarithmic"), Run(tmp_path / "p"))
    assert np.isfinite(made.model()[1]["weights"]).all()
    assert made.frame("valid")[1].max() < 0.95  # of two documents: (2 + 1) / (2 + 3) of the truth is the aim
    assert made.frame("test")[1] == pytest.approx(np.array([[1, 0, 0]]), abs=1e-6)


def test_documents_in_another_order_and_classes_in_another_order_are_matched(tmp_path):
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    one = predictions(tmp_path / "one", p, ["valid", "test"], ["a", None])
    other = predictions(
        tmp_path / "other", p[::-1][:, [2, 0, 1]], ["test", "valid"], [None, "a"], classes=["c", "a", "b"], ids=["d1", "d0"]
    )
    for weights, pool in (("equal", "logarithmic"), ("equal", "linear"), ("chosen", "linear")):
        made = classify([one, other], Params(weights=weights, pool=pool), Run(tmp_path / weights / pool))
        assert made.frame("valid")[1] == pytest.approx(p[:1], abs=1e-6)
        assert made.frame("test")[1] == pytest.approx(p[1:], abs=1e-6)
    made = classify(
        [one, other], Params(weights="chosen", pool="logarithmic"), Run(tmp_path / "free")
    )  # one document: they are as sure as may be
    assert made.frame("test")[1][0].argmax() == 2
    assert np.array_equal(combined([one.frame("test")[1], other.frame("test")[1]], *made.model()), made.frame("test")[1])


def test_rows_of_other_documents_or_classes_are_refused_all_at_once(tmp_path):
    p = np.full((2, 3), 1 / 3)
    one = predictions(tmp_path / "one", p, ["valid", "test"], ["a", None])
    others = predictions(tmp_path / "others", p, ["valid", "test"], ["a", None], ids=["d0", "x"])
    new = predictions(tmp_path / "new", p, ["valid", "test"], ["a", None], classes=["a", "b", "z"])
    with pytest.raises(Fault) as caught:
        classify([one, others, new], Params(), Run(tmp_path / "p"))
    assert caught.value.faults == [
        "predictions/one and predictions/others are not of the same documents: 2 are of one alone, first 'd1' of test. "
        "Name rows that read the same tokens",
        "predictions/one and predictions/new have not the same classes: 'c' is of one alone. Train both on the same documents",
    ]


def test_one_row_alone_is_no_average(tmp_path):
    one = predictions(tmp_path / "one", np.full((1, 3), 1 / 3), ["valid"], ["a"])
    with pytest.raises(Fault, match="an average needs two rows of predictions or more, and only predictions/one is named"):
        classify([one], Params(), Run(tmp_path / "p"))


def test_without_labels_in_valid_no_weights_can_be_chosen(tmp_path):
    one, two = (predictions(tmp_path / name, np.full((1, 3), 1 / 3), ["test"], [None]) for name in ("one", "two"))
    with pytest.raises(Fault, match="no document of valid has a label among the classes, so no weights can be chosen"):
        classify([one, two], Params(weights="chosen"), Run(tmp_path / "p"))


def of_several(folder, p, labels, splits, classes=CLASSES):
    with Run(folder).open(Predictions) as out:
        out.append("classes", class_id=range(len(classes)), label=classes)
        named = ["|".join(name for name, x in zip(classes, row, strict=True) if x >= 0.5) for row in p]
        out.append(
            doc_id=[f"d{i}" for i in range(len(p))], split=splits, answer=["several"] * len(p), label=labels,
            predicted=named, probabilities=p.astype(np.float32),
        )  # fmt: skip
    return out.artifact


def of_numbers(folder, x, labels, splits):
    with Run(folder).open(Predictions) as out:
        out.append(
            doc_id=[f"d{i}" for i in range(len(x))], split=splits, answer=["number"] * len(x), label=labels,
            predicted=[as_label(number) for number in x], probabilities=np.ones((len(x), 1), np.float32),
        )  # fmt: skip
    return out.artifact


def test_several_classes_are_each_averaged_and_told_from_a_half_on(tmp_path):
    one = of_several(tmp_path / "one", np.array([[0.9, 0.2, 0.4], [0.1, 0.1, 0.1]]), ["a|c", None], ["valid", "test"])
    two = of_several(
        tmp_path / "two", np.array([[0.2, 0.5, 0.8], [0.9, 0.2, 0.95]])[:, [1, 0, 2]], ["a|c", None], ["valid", "test"], ["b", "a", "c"]
    )
    made = classify([one, two], Params(), Run(tmp_path / "p"))
    assert made.answer() == "several"
    frame, p = made.frame("test")
    assert p == pytest.approx(np.array([[0.5, 0.15, 0.525]]))
    assert frame["predicted"].tolist() == ["a|c"]
    assert made.frame("valid")[1] == pytest.approx(np.array([[0.55, 0.35, 0.6]]))


def test_the_one_that_knows_several_classes_gets_the_weight(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.random((400, 3)) < 0.4
    labels = ["|".join(name for name, is_one in zip(CLASSES, row, strict=True) if is_one) or "|" for row in truth]
    knows = of_several(tmp_path / "knows", np.where(truth, 0.9, 0.1), labels, ["valid"] * 400)
    guesses = of_several(tmp_path / "guesses", rng.random((400, 3)), labels, ["valid"] * 400)
    weights = classify([guesses, knows], Params(weights="chosen"), Run(tmp_path / "p")).model()[1]["weights"]
    assert weights[1] > 0.95


def test_numbers_are_averaged_and_their_weights_are_those_of_least_squares(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 3, 600)
    labels = [as_label(x) for x in truth[:400]] + [None] * 200
    splits = ["valid"] * 400 + ["test"] * 200
    said = [truth + rng.normal(0, s, 600) for s in (1.0, 2.0)]
    given = [of_numbers(tmp_path / str(i), x, labels, splits) for i, x in enumerate(said)]
    equal = classify(given, Params(), Run(tmp_path / "equal"))
    assert [float(x) for x in equal.frame("test")[0]["predicted"]] == pytest.approx((said[0] + said[1])[400:] / 2, rel=1e-5)
    made = classify(given, Params(weights="chosen"), Run(tmp_path / "chosen"))
    weights = made.model()[1]["weights"]
    # of two errors without a bias: the first one's weight is cov(e2, e2 - e1) / var(e1 - e2)
    e1, e2 = said[0][:400] - truth[:400], said[1][:400] - truth[:400]
    assert weights[0] == pytest.approx((e2 @ (e2 - e1)) / ((e1 - e2) @ (e1 - e2)), abs=1e-3)
    assert combined([x[:, None].astype(np.float32) for x in said], *made.model())[:, 0] == pytest.approx(weights @ np.array(said), rel=1e-5)


def test_weights_of_numbers_are_never_below_nought_and_no_other_point_of_the_simplex_is_better():
    rng = np.random.default_rng(1)
    said, truth = rng.normal(size=(4, 60)), rng.normal(size=60)
    best = simplex(said, truth)
    assert best.sum() == pytest.approx(1)
    assert (best >= 0).all()
    error = np.square(best @ said - truth).sum()
    assert all(np.square(other @ said - truth).sum() >= error - 1e-6 for other in rng.dirichlet(np.full(4, 0.5), 500))
    assert simplex(np.zeros((2, 3)), np.zeros(3)).sum() == 1  # both are right everywhere


def test_logarithms_are_of_one_class_each(tmp_path):
    given = [of_several(tmp_path / name, np.full((1, 3), 1 / 3), ["a"], ["valid"]) for name in ("one", "two")]
    with pytest.raises(Fault, match="pool: logarithmic is for one class each, and these are several classes each. Leave pool out"):
        classify(given, Params(pool="logarithmic"), Run(tmp_path / "p"))


def test_rows_of_other_answers_are_refused(tmp_path):
    one = predictions(tmp_path / "one", np.full((1, 3), 1 / 3), ["valid"], ["a"])
    several_ = of_several(tmp_path / "several", np.full((1, 3), 1 / 3), ["a"], ["valid"])
    with pytest.raises(
        Fault, match="the answers of predictions/one are one, and those of predictions/several several. Name rows of one target"
    ):
        classify([one, several_], Params(), Run(tmp_path / "p"))
    text = predictions(tmp_path / "text", np.full((1, 3), 1 / 3), ["valid"], ["a"], answer="text")
    with pytest.raises(Fault, match="its answers are text, and this is for one class each or several classes each or numbers"):
        classify([text, text], Params(), Run(tmp_path / "p"))
