"""A recurrent reader that learns from labels and from texts without, by what small changes of the word vectors do to its answer: what
mixed_lstm and lm_lstm share.

    loss = CE(y, p(. | x)) + a CE(y, p(. | x + r_adv)) + v KL(p(. | x) || p(. | x + r_vadv)) + e H(p(. | x))

The first two are means over the labelled documents of a step; the last two are means over these, plus means over its unlabelled ones,
each block by itself, so that v = 1 weighs as much as 2 of one mean over both; p(. | x) within KL is a constant.

source  Sachan, Zaheer, Salakhutdinov 2019; pipelines/perturbation.py. Entropy: Grandvalet, Bengio 2005
shapes  B documents of a batch, T tokens of the longest, D numbers a word, V words, C classes; time comes first

All passes over one block of documents draw the same dropout masks, so that only the perturbation differs between them.
"""

import functools
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from pipelines import classifier, perturbation
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.labels import Split
from pipelines.method import Run
from pipelines.reading import Documents, padded, shuffled
from pipelines.recurrence import Recurrent, RecurrentKnobs


class MixedKnobs(RecurrentKnobs):
    causes: ClassVar[str] = "epsilon, entropy or lr"

    adversarial: float = Field(1.0, ge=0)  # a; 0 leaves a term out
    virtual: float = Field(1.0, ge=0)  # v
    entropy: float = Field(1.0, ge=0)  # e
    epsilon: float = Field(5.0, gt=0)  # length of a perturbation, of a document as a whole
    xi: float = Field(0.1, ge=0.001)  # of the step at which the virtual one's gradient is taken; a shorter one is lost in float32
    power_steps: int = Field(1, ge=1)  # of its power iteration
    normalise: bool = True  # word vectors to mean 0 and variance 1, words counted as often as they are read
    n_unlabelled: float = Field(1.0, ge=0)  # unlabelled documents a labelled one in a step
    passes: int = Field(1, ge=1)  # over the labelled documents in an epoch: more where they are few and the others many
    # as in the paper: with entropy lowered probabilities are extreme, and a few that are wrong outweigh in the loss many that are right
    judge: Literal["loss", "accuracy"] = "accuracy"
    splits: list[Literal["unlabelled", "train"]] = Field(["unlabelled"], min_length=1)  # where these are from

    @field_validator("target")
    @classmethod
    def _one_class(cls, target: str) -> str:
        if target in ("several", "number"):
            raise ValueError("must be one or ordinal: the terms without labels are of a document's one class")
        return target


class Reader(Recurrent):
    """A recurrent reader whose word vectors are normalised by how often each is read."""

    def __init__(self, vectors: np.ndarray, frozen: bool, n_classes: int, params: MixedKnobs):
        super().__init__(nn.LSTM, vectors, frozen, n_classes, params)
        self.register_buffer("share", torch.zeros(len(vectors) if params.normalise else 0))

    def words(self, ids: Tensor) -> Tensor:
        """(T, B) -> (T, B, D)"""
        if not len(self.share):
            return self.embedding(ids)
        return nn.functional.embedding(ids, perturbation.normalised(self.embedding.weight, self.share))

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(T, B, D) -> (B, C), the scores in float32 also where training is mixed: in bfloat16 a divergence is mostly rounding."""
        states = self.dropout(self.pooled(x, lengths))
        with torch.autocast(x.device.type, enabled=False):
            return self.decision(states.to(self.decision.weight.dtype))


def classify(
    name: str, tokens: Tokens, params: MixedKnobs, run: Run, vectors: Vectors | None, codings: Codings | None,
    optimiser: Callable[..., torch.optim.Optimizer], before: Callable[[Reader], None] | None = None,
) -> Predictions:  # fmt: skip
    """As classifier.classify, by `mixed`.

    Args:
        before: what the new network learns before it sees a label.
    """
    others = Documents(*tokens.ids(params.splits))
    has_terms = params.virtual or params.entropy
    take_part = has_terms and params.n_unlabelled and len(others.offsets) > 1
    n_others = max(1, round(params.n_unlabelled * params.batch_size)) if take_part else 0
    if has_terms and not n_others:
        run.say("no text without labels takes part: the terms for it are of the labelled documents alone")

    def begin(model: Reader) -> None:
        if params.normalise:
            counts = torch.from_numpy(tokens.vocab().column("count").to_numpy().astype(np.float32))
            counts[0] = max(float(counts[0]), 1.0)  # the unknown token may be counted as never seen
            model.share.copy_(counts / counts.sum())
        if before:
            before(model)

    def batches(train: Split, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        more = _forever(others, n_others, params, rng)
        for _ in range(params.passes):
            for rows in shuffled(train, params.batch_size, rng, params.batch_tokens, params.max_tokens):
                blocks = [(train, rows), (others, next(more))] if n_others else [(train, rows)]
                shown: list[np.ndarray] = []
                for documents, chosen in blocks:
                    ids, lengths = padded(documents, chosen, params.max_tokens, params.keep)
                    shown += classifier.without(ids, params.word_dropout, rng), lengths
                if n_others:
                    shown.append(np.full(len(rows), len(rows) / len(blocks[1][1]), np.float32))
                yield *shown, classifier.truth(train, rows)

    axes = (1, 0, 1, 0, 0, 0) if n_others else (1, 0, 0)
    course = classifier.Course(batches, axes, functools.partial(mixed, params), optimiser, params.passes, must_learn=True)
    return classifier.classify(name, Reader, tokens, params, run, vectors, codings, begin, course)


def _forever(documents: Documents, n: int, params: MixedKnobs, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows of batches of about n documents, all of them once before any comes again within the epoch."""
    while n:
        yield from shuffled(documents, n, rng, params.batch_tokens, params.max_tokens)


def mixed(params: MixedKnobs, weigh: Tensor, model: Reader, *batch: Tensor) -> Tensor:
    """(B,) losses of the labelled documents, each with the mean of the terms of those without labels.

    Args:
        batch: ids (T, B) and lengths (B,); where there are documents without labels, those of these, and (B,) the labelled ones for each of them
            in the whole batch, of which this may be a piece; classes (B,).
    """
    ids, lengths, *others, truth = batch
    read, x, inside = _block(model, ids, lengths)
    scores = read(x)
    cost = functools.partial(classifier.losses, truth=truth, target=params.target, smoothing=params.label_smoothing, weigh=weigh)
    plain = cost(scores)
    total = plain
    if params.adversarial:
        r = perturbation.adversarial(plain, x, inside, params.epsilon)
        total = total + params.adversarial * cost(read(x + r))
    if params.virtual or params.entropy:
        total = total + _unlabelled(params, read, scores, x, inside)
        if others and others[0].shape[1]:  # a piece of a batch may have none
            read, x, inside = _block(model, *others[:2])
            total = total + others[2] * _unlabelled(params, read, read(x), x, inside).sum() / len(truth)
    return total


def _block(model: Reader, ids: Tensor, lengths: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor]:
    """What is said of vectors of these documents, by the same masks each time; the vectors; (T, B) false for padding."""
    chance = int(torch.randint(2**31, ()))  # on the host: nobody waits for a GPU

    def read(x: Tensor) -> Tensor:
        with torch.random.fork_rng([x.device] if x.device.type == "cuda" else []):
            torch.manual_seed(chance)
            return model.read(x, lengths)

    x = model.words(ids)
    if not x.requires_grad:  # of frozen vectors, whose perturbation follows the gradient all the same
        x.requires_grad_()
    return read, x, torch.arange(len(ids), device=ids.device)[:, None] < lengths


def _unlabelled(params: MixedKnobs, read: Callable[[Tensor], Tensor], scores: Tensor, x: Tensor, inside: Tensor) -> Tensor:
    """(B,) what a document costs whatever its class."""
    total = scores.new_zeros(len(scores))
    if params.virtual:
        r = perturbation.virtual(read, scores, x, inside, params.epsilon, params.xi, params.power_steps)
        total = total + params.virtual * perturbation.divergence(scores.detach().log_softmax(dim=1), read(x + r))
    return total + params.entropy * perturbation.entropy(scores) if params.entropy else total
