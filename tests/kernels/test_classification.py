import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    hamming_loss,
    log_loss,
    mean_absolute_error,
    precision_recall_fscore_support,
)

from pipelines.kernels.classification import (
    accuracy,
    bins,
    class_ids,
    confusion,
    gaps,
    likeliest,
    log_losses,
    macro_f1,
    mcnemar,
    per_class,
    score,
    score_several,
)


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
    assert figures["micro_f1"][0] == pytest.approx(f1_score(actual, predicted, average="micro"))
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


def test_ratings_are_scored_as_scikit_learn_scores_them():
    actual, predicted, probabilities = answers(n_classes=5)
    figures = score(actual, predicted, probabilities, 5, 500, seed=1, values=np.arange(1.0, 6.0))
    assert figures["mean_absolute_error"][0] == pytest.approx(mean_absolute_error(actual, predicted))
    assert figures["quadratic_kappa"][0] == pytest.approx(cohen_kappa_score(actual, predicted, weights="quadratic"))
    rng, slow = np.random.default_rng(9), []
    for _ in range(1000):
        drawn = rng.integers(0, len(actual), len(actual))
        slow.append(cohen_kappa_score(actual[drawn], predicted[drawn], weights="quadratic"))
    assert figures["quadratic_kappa"][1:] == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.02)


def test_numbers_count_by_their_distance_and_not_by_their_place():
    # 4 for 1 is three off, though only one rating lies between
    figures = score(np.array([0, 1, 2]), np.array([2, 1, 2]), np.full((3, 3), 1 / 3, np.float32), 3, 100, 1, values=np.array([1.0, 2, 4]))
    assert figures["mean_absolute_error"][0] == pytest.approx(1)


def test_kappa_of_answers_that_are_all_alike_is_that_of_chance():
    same = np.zeros(4, np.int64)
    assert score(same, same, np.ones((4, 2), np.float32), 2, 100, 1, values=np.array([1.0, 2]))["quadratic_kappa"] == (0, None, None)


def test_several_classes_of_a_document_are_scored_as_scikit_learn_scores_them():
    rng = np.random.default_rng(2)
    actual = rng.random((200, 6)) < 0.3
    predicted = actual ^ (rng.random((200, 6)) < 0.1)
    figures = score_several(actual, predicted, 1000, seed=1)
    assert figures["micro_f1"][0] == pytest.approx(f1_score(actual, predicted, average="micro"))
    assert figures["macro_f1"][0] == pytest.approx(f1_score(actual, predicted, average="macro"))
    assert figures["accuracy"][0] == pytest.approx(accuracy_score(actual, predicted))
    assert figures["hamming_loss"][0] == pytest.approx(hamming_loss(actual, predicted))
    slow = []
    for _ in range(1000):
        drawn = rng.integers(0, 200, 200)
        slow.append((f1_score(actual[drawn], predicted[drawn], average="micro"), hamming_loss(actual[drawn], predicted[drawn])))
    low, high = np.quantile(slow, [0.025, 0.975], axis=0)
    assert figures["micro_f1"][1:] == (pytest.approx(low[0], abs=0.012), pytest.approx(high[0], abs=0.012))
    assert figures["hamming_loss"][1:] == (pytest.approx(low[1], abs=0.006), pytest.approx(high[1], abs=0.006))


def test_the_calibration_error_by_hand():
    # bins of 1/15: .62 and .65 in the tenth, one of them right; .95 and 1 in the last, both right; .5 in the eighth, wrong
    confidence, right = np.array([0.62, 0.65, 0.95, 1.0, 0.5]), np.array([1, 0, 1, 1, 0])
    assert bins(confidence).tolist() == [9, 9, 14, 14, 7]
    by_hand = 2 / 5 * abs(0.635 - 0.5) + 2 / 5 * abs(0.975 - 1) + 1 / 5 * 0.5
    assert np.abs(gaps(confidence, right).mean(axis=0)).sum() == pytest.approx(by_hand)
    p = np.column_stack([confidence, 1 - confidence])
    figure = score(1 - right, np.zeros(5, int), p, 2, 1000, seed=1)["calibration_error"]
    assert figure[0] == pytest.approx(by_hand)
    assert figure[1] < figure[0] < figure[2]


def test_the_edge_of_a_bin_belongs_to_the_one_below():
    assert bins(np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 1.0])).tolist() == [0, 0, 1, 14]


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (3, 3), (2, 10), (40, 21), (300, 410)])
def test_mcnemar_is_the_two_sided_binomial_test(only_a, only_b):
    wanted = binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1
    assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a) == pytest.approx(wanted)


def test_of_each_row_as_many_classes_as_it_is_told_the_first_of_equal_ones():
    scores = np.array([[0.1, 0.9, 0.5], [0.1, 0.9, 0.5], [0.3, 0.3, 0.3], [0.2, 0.1, 0.0]])
    told = likeliest(scores, np.array([1, 2, 2, 0]))
    assert told.tolist() == [[False, True, False], [False, True, True], [True, True, False], [False] * 3]
