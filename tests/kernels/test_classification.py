import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

from pipelines.kernels.classification import accuracy, class_ids, confusion, log_losses, macro_f1, per_class, score


def answers(n=300, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, n_classes, n)
    probabilities = rng.dirichlet(np.ones(n_classes), n) * 0.5
    probabilities[np.arange(n), actual] += 0.5 * rng.random(n) + 1e-3
    probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
    return actual, probabilities.argmax(axis=1), probabilities


def test_two_classes_by_hand():
    # actual a a a b, predicted a a b b: F1 of a is 2*2/(2+3), of b 2*1/(2+1)
    matrix = confusion(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2)
    assert matrix.tolist() == [[2, 1], [0, 1]]
    assert accuracy(matrix) == 0.75
    assert macro_f1(matrix) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_figures_are_those_of_scikit_learn():
    actual, predicted, probabilities = answers()
    figures = score(actual, predicted, probabilities, 4, 200, seed=1)
    assert figures["accuracy"][0] == pytest.approx((actual == predicted).mean())
    assert figures["macro_f1"][0] == pytest.approx(f1_score(actual, predicted, average="macro"))
    assert figures["log_loss"][0] == pytest.approx(log_loss(actual, probabilities, labels=range(4)), rel=1e-5)
    mine = per_class(confusion(actual, predicted, 4))
    theirs = precision_recall_fscore_support(actual, predicted)
    for key, values in zip(("precision", "recall", "f1", "n"), theirs, strict=True):
        assert mine[key] == pytest.approx(values)


def test_a_class_that_neither_occurs_nor_is_predicted_does_not_lower_macro_f1():
    actual, predicted = np.array([0, 0, 2]), np.array([0, 2, 2])
    assert macro_f1(confusion(actual, predicted, 5)) == pytest.approx(f1_score(actual, predicted, average="macro"))


def test_intervals_agree_with_drawing_documents_one_by_one():
    actual, predicted, probabilities = answers(n=200, n_classes=3)
    figures = score(actual, predicted, probabilities, 3, 2000, seed=5)
    rng = np.random.default_rng(9)
    slow = []
    for _ in range(1000):
        drawn = rng.integers(0, 200, 200)
        slow.append((np.mean(actual[drawn] == predicted[drawn]), f1_score(actual[drawn], predicted[drawn], average="macro")))
    low, high = np.quantile(slow, [0.025, 0.975], axis=0)
    for i, metric in enumerate(("accuracy", "macro_f1")):
        assert figures[metric][1:] == (pytest.approx(low[i], abs=0.012), pytest.approx(high[i], abs=0.012))


def test_a_class_that_training_never_saw_costs_the_most_and_not_infinity():
    loss = log_losses(np.array([[0.25, 0.75], [1.0, 0.0]], np.float32), np.array([1, 2]))
    assert loss == pytest.approx([-np.log(0.75), -np.log(np.finfo(np.float32).eps)])


def test_labels_become_places_in_the_list_of_classes():
    assert class_ids(["b", "a"], ["a", "b"]).tolist() == [1, 0]
    with pytest.raises(KeyError):
        class_ids(["c"], ["a", "b"])
