"""A layer that lets numbers through and turns their gradient round, so that one loss trains two that work against each other.

source  Ganin, Lempitsky 2015, eq. 14-15: R(x) = x, dR/dx = -w I

    loss = judge(Reversed.apply(x, w))      # the judge learns to lower it, what made x to raise it, w times as hard
"""

import torch
from torch import Tensor


class Reversed(torch.autograd.Function):
    """x; its gradient is -weight times what comes back."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: float = 1.0) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None
