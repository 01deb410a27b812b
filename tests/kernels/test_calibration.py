"""Temperatures, and scores of what was held out."""

import numpy as np
import pytest
from scipy.special import softmax

from pipelines.kernels.calibration import cross_validated, log_loss, smoothed_loss, temperature


def test_the_log_loss_by_hand():
    assert log_loss(np.log([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 1])) == pytest.approx(-np.log(0.5 * 0.8) / 2)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_scores_that_are_too_large_by_a_factor_have_that_temperature(factor):
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (40_000, 3))
    class_ids = (softmax(scores, axis=1).cumsum(axis=1) < rng.random((len(scores), 1))).sum(axis=1)  # drawn as the scores say
    assert temperature(factor * scores, class_ids) == pytest.approx(factor, rel=0.03)


def test_no_other_temperature_has_a_lower_loss():
    rng = np.random.default_rng(1)
    class_ids = rng.integers(0, 4, 50)
    scores = rng.normal(0, 1, (50, 4)) + np.eye(4)[class_ids]
    t = temperature(scores, class_ids)
    least = smoothed_loss(scores / t, class_ids)
    assert all(smoothed_loss(scores / other, class_ids) > least for other in (t * 0.99, t * 1.01, t / 3, t * 3))


def test_two_documents_that_are_right_are_believed_to_three_quarters():
    # (2 + 1) / (2 + 2) for the true class: sigmoid(2 / T) = 3/4, so T = 2 / ln 3
    assert temperature(np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([0, 1])) == pytest.approx(2 / np.log(3), rel=1e-4)


def test_no_document_is_scored_by_a_model_that_learned_from_it_and_every_model_knows_all_classes():
    class_ids = np.array([0] * 7 + [1] * 2 + [2])
    seen = []

    def scores_of(learned, others):
        assert not set(learned) & set(others)
        assert set(class_ids[learned]) == {0, 1, 2}
        seen.extend(others)
        return np.eye(3)[class_ids[others]]

    scores, held_out = cross_validated(scores_of, class_ids, 3, np.random.default_rng(0))
    assert sorted(seen) == list(range(9))  # the only document of its class is learned from by all
    assert scores.argmax(axis=1).tolist() == held_out.tolist()


def test_of_one_document_a_class_none_is_held_out():
    assert len(cross_validated(lambda a, b: pytest.fail("asked"), np.array([0, 1]), 3, np.random.default_rng(0))[1]) == 0
