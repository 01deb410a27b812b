"""What the classifiers that read a document token by token share: their knobs, their training, what they write.

A method says what its network is; here it is trained on split train through fit.py, judged on valid, and asked of valid and test.
Knob `target` says what labels are (pipelines/labels.py), and with it what is descended:

one      softmax; cross-entropy
several  a sigmoid each; binary cross-entropy, its mean over the classes
ordinal  softmax; cross-entropy, and the squared earth mover's distance to it (Hou, Yu, Samaras 2017, eq. 6 with r = 2): a rating
         that is nearly right costs less than one far off
number   the score itself; squared error, of labels with mean 0 and variance 1 on train. The model's settings keep label_mean and
         label_spread, by which a score is a number again

source  Srivastava et al. 2014 (dropout); Szegedy et al. 2016 (label smoothing); King, Zeng 2001 (class weights)
shapes  B documents of a batch, T tokens of the longest, V words, D numbers a word, C classes; time comes first, (T, B, ...)
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.compact import TABLE, compact, whole
from pipelines.errors import Fault
from pipelines.fit import ADAM, Recipe, apply, arrays, fit, prepare
from pipelines.labels import NO_CLASS, Split, Target, documents, write, write_classes
from pipelines.method import Run
from pipelines.reading import Documents, by_length, matched, padded, random_vectors, shuffled, tell_cut
from pipelines.training import FitKnobs

PLOTS = {"curve": {"x": "epoch", "y": ["loss", "valid_loss"]}}


class TrainingKnobs(FitKnobs):
    target: Target = "one"
    n_train: int = Field(0, ge=0)  # documents to learn from, drawn by seed of each class its share; 0: all of train
    label_smoothing: float = Field(0.0, ge=0, lt=1)  # share of a document's weight that goes to all classes alike
    class_weights: Literal["none", "balanced"] = "none"  # balanced: every class counts the same, however few its documents
    lr: float = Field(0.002, gt=0)  # Adam; lstm on IMDb, one seed: 90.2 % of valid after 3 epochs, and 88.9 with 0.001
    judge: Literal["loss", "accuracy"] = "loss"  # on valid, by which an epoch is better than another

    def recipe(self, optimiser: Callable[..., torch.optim.Optimizer] = ADAM) -> Recipe:
        return replace(super().recipe(optimiser), judge=self.judge)

    @model_validator(mode="after")
    def _without_classes(self) -> Self:
        if self.target == "number" and (self.label_smoothing or self.class_weights != "none" or self.judge == "accuracy"):
            raise ValueError(
                "label_smoothing, class_weights and judge: accuracy are for classes, and with target: number there are none. Leave them out"
            )
        return self


class ReaderKnobs(TrainingKnobs):
    vector_size: int = Field(100, ge=1)  # D when neither vectors nor codings are given; theirs otherwise
    fine_tune: bool = True  # go on training the given vectors with the rest
    max_tokens: int = Field(400, ge=1)  # of a document; what is longer is cut
    keep: Literal["head", "tail", "both"] = "head"  # which end of a document that is too long, or half of each
    batch_tokens: int = Field(0, ge=0)  # a step has at most so many tokens, padding among them; 0: any number
    dropout: float = Field(0.5, ge=0, lt=1)  # of what a layer is given, and of what the decision is
    kept_bits: Literal[32, 8, 4] = 32  # of a number of the words' table, in the model that is kept and that answers: pipelines/compact.py
    word_dropout: float = Field(0.0, ge=0, lt=1)  # share of a document's tokens that a step does not show


class Course(NamedTuple):
    """How a network is trained, where it is not by the loss of labelled documents alone."""

    batches: Callable[[Split, np.random.Generator], Iterator[tuple[np.ndarray, ...]]]  # of an epoch, from split train
    item_axis: tuple[int, ...] | int = 0  # where the documents lie in the parts of a batch; the first and the last are of the labelled ones
    loss: Callable[..., Tensor] | None = None  # (weights of the classes (C,), network, *batch) -> (B,)
    optimiser: Callable[..., torch.optim.Optimizer] = ADAM
    passes: int = 1  # over the labelled documents in an epoch
    # a fault, where the loss on valid ends above the new network's, and no epoch is more right than one class for all
    must_learn: bool = False


Make = Callable[[np.ndarray, bool, int, Any], nn.Module]  # (vectors (V, D), frozen, C, params) -> (T, B) ids, (B,) lengths -> (B, C) scores


def classify(
    name: str, make: Make, tokens: Tokens, params: ReaderKnobs, run: Run, vectors: Vectors | None = None, codings: Codings | None = None,
    begin: Callable[[nn.Module], None] | None = None, course: Course | None = None,
) -> Predictions:  # fmt: skip
    """Trains the network that `make` makes, and writes what it says of valid and test, and itself.

    Args:
        name: of the method; the model's settings keep it.
        vectors, codings: what the words' vectors begin with; neither: random ones.
        begin: changes the new network's weights, those that come from elsewhere.
        course: trains by something else than the labelled documents' loss alone.
    """
    classes, train, valid, test = documents(tokens, params.n_train, run, params.target)
    scale, train, judged = standardised(train, valid)
    tell_cut((train, valid, test), params.max_tokens, run)
    prepare(run)
    start, frozen = first_vectors(tokens, params, run, vectors, codings)
    n_scores = outputs(classes, params.target)
    model = make(start, frozen, n_scores, params)
    if begin:
        begin(model)

    def batches(train: Split, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        for rows in shuffled(train, params.batch_size, rng, params.batch_tokens, params.max_tokens):
            ids, lengths = padded(train, rows, params.max_tokens, params.keep)
            yield without(ids, params.word_dropout, rng), lengths, truth(train, rows)

    def scores(split: Split) -> np.ndarray:
        return scores_of(model, split, n_scores, params, run)

    course = course or Course(batches, (1, 0, 0))
    learn(model, course, train, judged, scores, classes, params, run)
    kept = compact(arrays(model), params.kept_bits)
    if params.kept_bits < 32:  # what is written is what the kept model says
        load(model, kept, start.shape[1])
        run.say(f"keeps {sum(it.nbytes for it in kept.values()) / 1e6:.2f} MB of weights")
    settings = {
        "model": name,
        "classes": classes,
        "words": tokens.words(),
        "vector_size": start.shape[1],
        "params": params.model_dump(),
        **scale,
    }
    with run.open(Predictions) as out:
        write_classes(out, classes)
        for split in (valid, test):
            write(out, split, classes, told(scores(split), settings))
        out.model(settings, kept)
    return out.artifact


def outputs(classes: list[str], target: Target) -> int:
    """How many scores a network has for a document."""
    return 1 if target == "number" else len(classes)


def standardised(train: Split, valid: Split) -> tuple[dict[str, float], Split, Split]:
    """The two splits with numbers of mean 0 and variance 1 on train, and what a model's settings say of that; nothing, where labels are classes."""
    if train.numbers is None:
        return {}, train, valid
    mean, spread = float(train.numbers.mean()), float(train.numbers.std())
    scaled = (replace(split, numbers=(split.numbers - mean) / spread) for split in (train, valid))
    return {"label_mean": mean, "label_spread": spread}, *scaled


def load(model: nn.Module, kept: dict[str, np.ndarray], size: int) -> None:
    model.load_state_dict({name: torch.from_numpy(array) for name, array in whole(kept, size).items()})


def first_vectors(
    tokens: Tokens, params: ReaderKnobs, run: Run, vectors: Vectors | None, codings: Codings | None
) -> tuple[np.ndarray, bool]:
    """(V, D) float32 that training begins with, and whether they are left as they are. Raises Fault where both are given, or none fits."""
    if vectors is not None and codings is not None:
        raise Fault(f"{run.name}: words have either vectors ({vectors.name}) or codings ({codings.name}), not both. Take one away")
    given = vectors if vectors is not None else codings
    if given is None:
        return random_vectors(tokens.n_rows("vocab"), params.vector_size, run), False
    return matched(tokens, given.items(), given.memmap(), given.name, run), not params.fine_tune


def learn(
    model: nn.Module, course: Course, train: Split, valid: Split, scores: Callable[[Split], np.ndarray], classes: list[str],
    params: TrainingKnobs, run: Run,
) -> None:  # fmt: skip
    """Trains in place; keeps the weights of the epoch that is best on valid by params.judge, of the last one where valid has no label.

    Args:
        course: where it has no loss, the last part of a batch is `truth` of its rows, the others are what the model is called with.
        scores: of a split, (n, C), by the model as it is.
    """
    weigh = torch.from_numpy(class_weights(train, len(classes), params)).to(run.device)

    def loss(model: nn.Module, *batch: Tensor) -> Tensor:
        if course.loss:
            return course.loss(weigh, model, *batch)
        return losses(model(*batch[:-1]), batch[-1], params.target, params.label_smoothing, weigh)

    judge = judge_of(valid, scores, classes, params)
    untrained = judge()["valid_loss"] if judge and course.must_learn else np.inf
    batches, n_items = functools.partial(course.batches, train), course.passes * len(train)
    best = fit(model, batches, loss, run, params.recipe(course.optimiser), judge, n_items, course.item_axis)
    run.say(f"keeps the weights of epoch {best}")
    if judge and params.target in ("one", "ordinal"):
        check_learned(valid, untrained, params, run)


def check_learned(valid: Split, untrained: float, params: TrainingKnobs, run: Run) -> None:
    """Says where a training has learned nothing that valid shows, or ended with a loss there above `untrained`.

    Raises:
        Fault: both are so: the loss ended above, and no epoch is right of more of valid than one class for all would be, but by chance.
    """
    of_class = np.bincount(valid.class_ids[valid.class_ids != NO_CLASS])
    n, floor = of_class.sum(), of_class.max() / of_class.sum()
    best, ends = max(row["valid_accuracy"] for row in run.curve), run.curve[-1]["valid_loss"]
    chance = 2 * (floor * (1 - floor) / n) ** 0.5  # two standard errors
    rises = ends > 1.001 * untrained  # by more than rounding
    rose = f"the loss on valid rose from the new network's, {untrained:.4g}, to {ends:.4g}"
    beside = f"of more of valid than one class for all would be, {floor:.1%}"
    if rises and best <= floor + chance and floor < 1:  # of one class alone everything would be as right
        good = [row for row in run.curve if row["valid_loss"] <= untrained]
        kept = run.last_good(good[-1] if good else None)
        raise Fault(f"{run.name}: {rose}, and no epoch is right {beside}, but by chance ({best:.1%}); {kept}. Lower {params.causes}")
    if rises:
        run.say(f"{rose}: probabilities are too sure of themselves, which a row of temperature mends, or lower {params.causes}")
    elif best <= floor < 1:
        run.say(f"no epoch is right {beside}. Lower {params.causes}")


def judge_of(
    valid: Split, scores: Callable[[Split], np.ndarray], classes: list[str], params: TrainingKnobs
) -> Callable[[], dict[str, float]] | None:
    """What tells the loss on valid of the model as it is, and its accuracy, or r_squared; None where valid has no label that is known."""
    known = np.flatnonzero(valid.class_ids != NO_CLASS)

    def judge() -> dict[str, float]:
        said = scores(valid)
        given = torch.from_numpy(said[known].astype(np.float64)), torch.from_numpy(truth(valid, known))
        unweighted = torch.ones(len(classes), dtype=torch.float64)
        loss = {"valid_loss": float(losses(*given, params.target, 0.0, unweighted).mean())}
        if params.target == "number":
            return loss | {"valid_r_squared": valid.r_squared(said[:, 0])}
        return loss | {"valid_accuracy": valid.accuracy(probabilities(said, params.target))}

    return judge if len(known) else None


def truth(split: Split, rows: np.ndarray) -> np.ndarray:
    """(n,) int64 class ids, (n, C) float32 where a document may be of several, or (n,) float32 numbers."""
    if split.numbers is not None:
        return split.numbers[rows].astype(np.float32)
    return split.truth[rows] if split.truth.shape[1] else split.class_ids[rows]


def class_weights(split: Split, n_classes: int, params: TrainingKnobs) -> np.ndarray:
    """(C,) float32, 1 on average over the documents."""
    if params.class_weights == "none":
        return np.ones(n_classes, np.float32)
    n = split.truth.sum(axis=0) if split.truth.shape[1] else np.bincount(split.class_ids, minlength=n_classes)
    return (n.sum() / (n_classes * np.maximum(n, 1))).astype(np.float32)


def losses(scores: Tensor, truth: Tensor, target: Target, smoothing: float, weigh: Tensor) -> Tensor:
    """(B, C) scores, (B,) class ids or numbers, or (B, C) of several -> (B,)"""
    scores = scores.to(weigh.dtype)  # of half a precision where training is mixed
    if target == "number":
        return (scores[:, 0] - truth) ** 2
    n_classes = scores.shape[1]
    if target == "several":
        wanted = truth.to(scores.dtype) * (1 - smoothing) + smoothing / 2
        each = nn.functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
        return (each * torch.where(truth > 0, weigh, 1.0)).mean(dim=1)
    logs = scores.log_softmax(dim=1)
    loss = -(1 - smoothing) * logs.gather(1, truth[:, None])[:, 0] - smoothing * logs.mean(dim=1)
    if target == "ordinal":
        after = torch.arange(n_classes, device=scores.device) >= truth[:, None]  # the truth, summed up
        # (B, C): cumsum has no deterministic kernel on CUDA, and a product of matrices would be in half precision
        sums = (logs.exp()[:, None] * scores.new_ones(n_classes, n_classes).tril()).sum(dim=2)
        loss = loss + ((sums - after.to(scores.dtype)) ** 2).sum(dim=1)
    return loss * weigh[truth]


def probabilities(scores: np.ndarray, target: Target) -> np.ndarray:
    """(n, C) scores -> (n, C) float32"""
    scores = torch.from_numpy(scores.astype(np.float64))
    return (scores.sigmoid() if target == "several" else scores.softmax(dim=1)).float().numpy()


def told(scores: np.ndarray, settings: dict) -> np.ndarray:
    """What a model of these settings says by its scores, (n, C) -> (n, C) float32: probabilities, or, where its target is a number, (n, 1) numbers."""
    if settings["params"]["target"] == "number":
        return (settings["label_mean"] + settings["label_spread"] * scores.astype(np.float64)).astype(np.float32)
    return probabilities(scores, settings["params"]["target"])


def without(ids: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """(T, B) with a share of the tokens unknown."""
    return np.where(rng.random(ids.shape) < share, 0, ids).astype(np.int32) if share else ids


def scores_of(model: nn.Module, documents: Documents | Split, n_classes: int, params: ReaderKnobs, run: Run) -> np.ndarray:
    """(n, C) float32, in the documents' order."""
    result = np.empty((len(documents.offsets) - 1, n_classes), np.float32)
    parts = by_length(documents, params.batch_size)
    blocks = (padded(documents, rows, params.max_tokens, params.keep) for rows in parts)
    for rows, scores in zip(parts, apply(model, blocks, run, item_axis=(1, 0)), strict=True):
        result[rows] = scores
    return result


def rebuild(make: Make, knobs: type[ReaderKnobs], settings: dict, weights: dict[str, np.ndarray]) -> nn.Module:
    """The network that `classify` left in its artifact."""
    weights = whole(weights, settings["vector_size"])
    params = knobs(**settings["params"])
    model = make(weights[TABLE], True, outputs(settings["classes"], params.target), params)
    load(model, weights, settings["vector_size"])
    return model.eval()


def probabilities_of(
    make: Make, knobs: type[ReaderKnobs], values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run
) -> np.ndarray:
    """(n, C) float32 of documents values[offsets[i]:offsets[i + 1]], as `told`, from what the artifact keeps."""
    params = knobs(**settings["params"])
    model = rebuild(make, knobs, settings, weights)
    n_scores = outputs(settings["classes"], params.target)
    return told(scores_of(model, Documents(values, offsets), n_scores, params, run), settings)
