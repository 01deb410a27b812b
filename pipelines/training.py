"""What a row may say of how its network is trained."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field

from pipelines.fit import ADAM, Recipe
from pipelines.method import Knobs


class FitKnobs(Knobs):
    causes: ClassVar[str] = "lr"  # what is too large where a training goes astray

    batch_size: int = Field(64, ge=1)  # documents a step
    epochs: int = Field(8, ge=1)  # at most
    patience: int = Field(2, ge=1)  # epochs without a lower loss on valid before training stops
    lr: float = Field(0.002, gt=0)  # Adam
    decay: Literal["none", "cosine", "linear", "plateau"] = "none"  # of lr: see pipelines/fit.py
    clip: float = Field(1.0, gt=0)  # largest norm of a step's gradient
    l2: float = Field(0.0, ge=0)  # times each weight, added to its gradient
    ema: float = Field(0.0, ge=0, lt=1)  # judge and keep the average of the weights over the steps; 0.999, say. 0: the last ones
    mixed: bool = False  # products of matrices in bfloat16; for a GPU, or a processor that has them

    def recipe(self, optimiser: Callable[..., torch.optim.Optimizer] = ADAM) -> Recipe:
        return Recipe(
            epochs=self.epochs, lr=self.lr, decay=self.decay, clip=self.clip, patience=self.patience, l2=self.l2,
            ema=self.ema or None, mixed=self.mixed, optimiser=optimiser, causes=self.causes,
        )  # fmt: skip
