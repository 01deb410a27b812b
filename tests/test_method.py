"""What a method is given of the world: when a training that diverges is ended, and one that gains no more."""

import numpy as np
import pytest

from pipelines.errors import Fault
from pipelines.method import Run


def after(losses, tmp_path):
    run = Run(tmp_path, name="embed/x")
    for epoch, loss in enumerate(losses, 1):
        run.log(epoch=epoch, loss=loss)
    return run


@pytest.mark.parametrize(
    ("losses", "ends"),
    [
        ([9.0], False),
        ([9.0, 9.0, 9.0], False),  # too few to tell
        ([9.0, 5.0, 5.0, 4.0], False),  # one epoch without a gain
        ([9.0, 5.0, 5.1, 5.0], False),  # of the last three one is far below all before
        ([9.0, 5.0, 5.1, 5.0, 5.2], True),
        ([9.0, 5.0, 4.99, 4.98, 4.96], True),  # a hundredth of 5 is .05
        ([9.0, 5.0, 4.99, 4.97, 4.94], False),
        ([9.0, 5.0, 5.0, 5.0, 4.0], False),  # it falls again
    ],
)
def test_a_training_is_stalled_when_three_epochs_together_gain_less_than_is_asked(tmp_path, losses, ends):
    assert after(losses, tmp_path).stalled(0.01) == ends
    assert not after(losses, tmp_path).stalled(0)


@pytest.mark.parametrize(
    ("lr", "advice"),
    [(0.5, r"Lower lr \(0\.05 is usual\)"), (0.1, r"Lower lr \(0\.05 is usual\)"), (0.05, r"Lower lr, say to a quarter, 0\.013;"),
     (0.048, r"Lower lr, say to a quarter, 0\.012;"), (0.01, r"Lower lr, say to a quarter, 0\.0025;")],
)  # fmt: skip
def test_the_advice_is_a_rate_far_below_the_one_that_diverged(tmp_path, lr, advice):
    with pytest.raises(Fault, match=f"embed/x: the loss is no number any more, in epoch 1, with lr {lr}; no epoch ended well. {advice}"):
        after([], tmp_path).hold(np.nan, 4.0, "epoch 1", lr, 0.05)


def test_a_loss_four_times_the_first_ends_a_training_and_one_and_a_half_times_its_last_step(tmp_path):
    run = after([3.0, 7.0], tmp_path)
    run.hold(7.9, 2.0, "epoch 3", 0.1, 0.05)
    assert not run.checkpoint.good
    run.hold(2.9, 2.0, "epoch 3", 0.1, 0.05, last=True)
    assert run.checkpoint.good
    for loss, last in ((8.0, False), (3.1, True)):
        with pytest.raises(Fault, match=rf"the loss is {loss:.4g}, and was 2 before the first step, in epoch 3, .*; no epoch ended well"):
            run.hold(loss, 2.0, "epoch 3", 0.1, 0.05, last)
    with pytest.raises(Fault, match="the last good epoch is 1, loss 2.5"):
        after([2.5, 7.0], tmp_path).hold(9.0, 2.0, "epoch 3", 0.1, 0.05)
