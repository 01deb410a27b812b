"""An LSTM that reads texts without labels before it learns from labels: what the methods masked and contrastive share.

A method says what is asked of the LSTM before; then it is trained on labels like any other classifier, all of it or its decision alone.

source  Dai, Le 2015 (a text without labels gives a text classifier its first weights)
"""

import functools
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field
from torch import nn

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.fit import Recipe, fit
from pipelines.method import Run
from pipelines.reading import Documents, padded, shuffled
from pipelines.recurrence import Recurrent, RecurrentKnobs

PLOTS = {**classifier.PLOTS, "pretraining": {"x": "epoch", "y": ["loss"]}}
make = functools.partial(Recurrent, nn.LSTM)


class PretrainingKnobs(RecurrentKnobs):
    bidirectional: bool = True
    pretraining_epochs: int = Field(3, ge=1)
    pretraining_lr: float = Field(0.002, gt=0)  # Adam
    tune: Literal["all", "decision"] = "all"  # what labels change then
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)  # read without labels


Show = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, ...]]


def classify(
    name: str, task: Callable[[Recurrent], nn.Module], show: Show, item_axis: tuple[int, ...],
    tokens: Tokens, params: PretrainingKnobs, run: Run, vectors: Vectors | None, codings: Codings | None,
) -> Predictions:  # fmt: skip
    """
    Args:
        task: of the network that learns from labels later, another around it, with the same weights.
        show: of (T, B) token ids and (B,) lengths, what the task is called with; it gives the loss of each document, (B,).
        item_axis: where the documents lie in the parts of that.

    Raises:
        Fault: the splits have no known word.
    """
    before = run.part("pretraining")

    def begin(model: Recurrent) -> None:
        documents = Documents(*tokens.ids(params.splits))
        if not (documents.values != UNKNOWN_ID).any():
            raise Fault(f"{tokens.name}: the documents of {', '.join(params.splits)} have no known word. Change splits")

        def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
            for rows in shuffled(documents, params.batch_size, rng, params.batch_tokens, params.max_tokens):
                yield show(*padded(documents, rows, params.max_tokens, params.keep), rng)

        recipe = Recipe(epochs=params.pretraining_epochs, lr=params.pretraining_lr, clip=params.clip, mixed=params.mixed)
        n_items = len(documents.offsets) - 1
        fit(task(model), batches, lambda task, *batch: task(*batch), before, recipe, n_items=n_items, item_axis=item_axis)
        if params.tune == "decision":
            model.requires_grad_(False)
            model.decision.requires_grad_(True)

    made = classifier.classify(name, make, tokens, params, run, vectors, codings, begin)
    run.open(Predictions).csv("pretraining", before.curve)
    return made
