"""The layer that turns a gradient round."""

import pytest
import torch

from pipelines.reversal import Reversed


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_numbers_pass_and_the_gradient_comes_back_turned_round_and_weighted(weight):
    x = torch.tensor([2.0, -3.0], requires_grad=True)
    y = Reversed.apply(x, weight)
    assert y.tolist() == [2, -3]
    (y**2).sum().backward()
    assert x.grad.tolist() == [-weight * 4, weight * 6]


def test_one_loss_trains_the_judge_down_and_what_it_judges_up():
    made, judge = torch.tensor([1.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)
    (judge * Reversed.apply(made)).sum().backward()
    assert (judge.grad.item(), made.grad.item()) == (1.0, -2.0)
