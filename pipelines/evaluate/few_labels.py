"""Few labels: what an autoencoder, which needs no labels, is worth to a classifier that is told few of them.

reads   vectors   with labels: documents, images, any rows
        codings   one or more compressions, of these vectors or of some of them
        tokens    optional: the documents, whose splits and labels are then the vectors', matched by doc_id; without it a share
                  of the labelled vectors, drawn by seed and by class, is kept to score on
writes  scores    accuracy on valid, the mean over draws of the labels of train, of: a logistic regression on the vectors; one on the
                  codings; a network of the encoder's shape with a linear layer on top, begun with the autoencoder's weights
                  (pretrained), and begun with ones of chance (random), both trained to the end by the labels. accuracy_gain, in
                  the same draws: of the codings over the vectors, and of pretrained over random
        beside it few_labels.csv: of, classifier, share, draw, labels, accuracy
source  Bengio et al. 2007 (layers begun by autoencoders); Erhan et al. 2010, Why does unsupervised pre-training help deep learning?;
        Student 1908 for intervals of few draws
shapes  N labelled items of train, D = vector_size, K numbers of a coding, C classes. In memory: 4 N (D + K) bytes

Test is not read. A coding is the encoder's of the vector, so the autoencoder may have seen the vectors of train and `unlabelled` alone.
Without tokens it has seen those that are scored, too, where it was trained on these vectors: the report calls it transductive.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines import autoencoder, convolution
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.scores import Scores, columns
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.autoencoder import Autoencoder, Layers
from pipelines.coding import decoder, no_coordinates
from pipelines.convolution import Convolutional
from pipelines.errors import Fault
from pipelines.fit import Recipe, apply, fit, prepare
from pipelines.kernels.bags import class_probabilities, fit_logistic
from pipelines.kernels.intervals import of_mean
from pipelines.kernels.splits import stratified
from pipelines.method import Knobs, Progress, Run
from pipelines.named_sets import once

NETWORKS = {"autoencoder": autoencoder.rebuild, "convolutional": convolution.rebuild}  # whose encoders can be trained further
LOGREG, PRETRAINED, RANDOM = "logistic regression", "network, pretrained", "network, random"
PIECE = 4096  # rows that a network sees at a time
SOME = 1024  # of train, unlabelled, by which a network's numbers are scaled
TOL, MAX_ITER = 1e-4, 1000  # of L-BFGS


class Params(Knobs):
    # of the labels of train
    shares: Annotated[list[Annotated[float, Field(gt=0, le=1)]], once("a share")] = Field([0.01, 0.05, 0.1], min_length=1)
    n_draws: int = Field(5, ge=2, le=1000)  # of each share, of every class at least one label
    valid_share: float = Field(0.2, gt=0, lt=1)  # that is scored where there are no tokens
    l2: float = Field(0.03, gt=0)  # of logistic regression, on rows whose mean squared distance from their mean is made 1
    steps: int = Field(300, ge=1)  # that a network is trained, whatever the share
    batch_size: int = Field(32, ge=1)
    lr: float = Field(0.001, gt=0)  # Adam, falling to 0 along a half cosine


@dataclass(frozen=True)
class Part:
    x: np.ndarray  # (n, D) float32
    y: np.ndarray  # (n,) int64 class ids


@dataclass(frozen=True)
class Draw:
    share: float
    number: int  # from 1
    rows: np.ndarray  # of train


def evaluate(vectors: Vectors, codings: list[Codings], params: Params, run: Run, tokens: Tokens | None = None) -> Scores:
    if faults := [fault for coding in codings for fault in no_coordinates(coding)]:
        raise Fault(faults)
    rows, y, is_valid, n_classes = _labelled(vectors, tokens, params, run)
    draws = list(_draws(y[~is_valid], params, run.seed))
    items, models = vectors.items(), [_encoder(coding, vectors) for coding in codings]
    x = vectors.finite(vectors.memmap())[rows]

    def parted(x: np.ndarray) -> tuple[Part, Part]:
        return Part(x[~is_valid], y[~is_valid]), Part(x[is_valid], y[is_valid])

    found: list[dict] = []
    n_classifiers = len(draws) * (1 + sum(1 if model is None else 3 for model in models))
    with run.progress(n_classifiers, "classifiers") as bar:
        found += _logistic(vectors.name, *parted(x), draws, params, bar)
        for coding, model in zip(codings, models, strict=True):
            h = _of_items(coding, [items[i] for i in rows]) if model is None else _encoded(model, x, run)
            found += _logistic(coding.name, *parted(h), draws, params, bar)
            if model is None:
                run.say(f"{coding.name} has no encoder of vectors to go on with, so it has no network")
            else:
                found += _networks(coding.name, model, *parted(x), n_classes, draws, params, run, bar)
    scored = f"scored on {is_valid.sum():,} items{' of valid' if tokens is not None else ''}, {n_classes} classes"
    figures = [*_accuracies(found, scored), *_gains(found, vectors.name)]
    with run.open(Scores) as out:
        out.append(**columns(figures))
        out.csv("few_labels", [{**line, "accuracy": f"{line['accuracy']:.4f}"} for line in found])
    for figure in figures:
        run.say(f"{figure['of']}: {figure['metric']} {figure['value']:.4f}, {figure['on']}")
    return out.artifact


def _labelled(vectors: Vectors, tokens: Tokens | None, params: Params, run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(rows of the vectors that have a label and are not of test, their class ids, bool which of them are scored, classes).

    Raises Fault where there is nothing to learn, or to score.
    """
    items = np.array(vectors.items(), object)
    if tokens is None:
        label = np.array(vectors.read(columns=["label"])["label"].to_pylist(), object)
        rows = np.flatnonzero(np.not_equal(label, None))
        if not len(rows):
            raise Fault(
                f"{vectors.name}: none of its {len(items):,} items has a label. Name vectors that have, or the tokens of its documents"
            )
        part = stratified(items[rows].tolist(), label[rows], {"valid": params.valid_share}, np.random.default_rng(run.seed))
        labels, is_valid = label[rows].astype(str), np.array([part[item] == "valid" for item in items[rows]])
    else:
        table = tokens.read(columns=["doc_id", "split", "label"])
        table = table.filter(pc.is_in(table["split"], pa.array(["train", "valid"]))).drop_null()
        known = {doc_id: (split, label) for doc_id, split, label in zip(*(column.to_pylist() for column in table.columns), strict=True)}
        rows = np.array([i for i, item in enumerate(items) if item in known], np.int64)
        if not len(rows):
            raise Fault(
                f"{vectors.name}: none of its items is a labelled document of train or valid of {tokens.name}; its first are "
                f"{', '.join(map(repr, items[:3]))}. Name vectors of these documents"
            )
        splits, labels = np.array([known[item] for item in items[rows]]).T
        is_valid = splits == "valid"
    if (n_learned := len(np.unique(labels[~is_valid]))) < 2:
        raise Fault(f"{vectors.name}: its labelled items to train on are of {n_learned} classes; a classifier needs two or more")
    if not is_valid.any():
        more = "Give its corpus a validation split" if tokens is not None else "Label two items or more of a class"
        raise Fault(f"{vectors.name}: no labelled item is there to score on. {more}")
    classes, y = np.unique(labels, return_inverse=True)
    return rows, y, is_valid, len(classes)


def _draws(y: np.ndarray, params: Params, seed: int) -> Iterator[Draw]:
    """Of each class its share, but one item at least."""
    for share in params.shares:
        for number in range(1, params.n_draws + 1):
            rng = np.random.default_rng([seed, round(share * 1e9), number])
            mine = [rng.permutation(np.flatnonzero(y == k))[: max(1, round(share * (y == k).sum()))] for k in np.unique(y)]
            yield Draw(share, number, np.sort(np.concatenate(mine)))


def _encoder(coding: Codings, vectors: Vectors) -> Autoencoder | None:
    """The model behind the codings, where it is an autoencoder. Raises Fault for one of vectors of another length."""
    settings, weights = coding.model()
    if settings.get("model") not in NETWORKS:
        return None
    decoder(coding)  # whose faults are the encoder's, too
    if settings["sizes"][0] != vectors.size:
        raise Fault(
            f"{coding.name}: it was made of vectors of {settings['sizes'][0]} numbers, and {vectors.name} has {vectors.size}. "
            "Name the vectors that it was made from, or others with the same columns"
        )
    return NETWORKS[settings["model"]](settings, weights)


def _of_items(coding: Codings, items: list[str]) -> np.ndarray:
    """(n, K) float32. Raises Fault for items without a coding."""
    row_of = {item: row for row, item in enumerate(coding.items())}
    missing = [item for item in items if item not in row_of]
    if missing:
        raise Fault(
            f"{coding.name}: {len(missing):,} of {len(items):,} labelled items have no coding, first {missing[0]!r}. Code all of them"
        )
    return coding.finite(coding.memmap()[[row_of[item] for item in items]], items)


def _encoded(model: Autoencoder, x: np.ndarray, run: Run) -> np.ndarray:
    """(n, D) -> (n, K)"""
    prepare(run)
    return np.concatenate([rows[:, :-1] for rows in apply(model, ((piece,) for piece in _pieces(x)), run)])


def _pieces(x: np.ndarray) -> list[np.ndarray]:
    return [x[start : start + PIECE] for start in range(0, len(x), PIECE)]


def _logistic(of: str, train: Part, valid: Part, draws: list[Draw], params: Params, bar: Progress) -> Iterator[dict]:
    mean = train.x.mean(axis=0, dtype=np.float64)
    scale = max(np.sqrt(((train.x - mean) ** 2).sum(axis=1).mean()), 1e-30)
    learned, scored = (train.x - mean) / scale, (valid.x - mean) / scale
    classes = np.unique(train.y)  # all of them are in every draw
    for draw in draws:
        weights, _ = fit_logistic(learned[draw.rows], train.y[draw.rows], params.l2, TOL, MAX_ITER)
        predicted = classes[class_probabilities(scored, weights).argmax(axis=1)]
        yield _line(of, LOGREG, draw, predicted == valid.y)
        bar.advance()


class Network(nn.Module):
    """The encoder of an autoencoder, and a linear layer on its coding.

    Args:
        some: (n, D) of the vectors. One factor makes the numbers of their codings 1 in the quadratic mean, so that one learning
            rate serves encoders of any scale.
    """

    def __init__(self, model: Autoencoder, n_classes: int, some: Tensor):
        super().__init__()
        self.model = model
        with torch.no_grad():
            self.size = max(float((model.encode(some) ** 2).mean().sqrt()), 1e-12)
        self.decision = nn.Linear(model.settings["sizes"][-1], n_classes)
        nn.init.zeros_(self.decision.weight)  # the same beginning, whatever the encoder's
        nn.init.zeros_(self.decision.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, D) -> (n, C) logarithms of probabilities."""
        return self.decision(self.model.encode(x) / self.size).log_softmax(dim=1)


def _networks(
    of: str, model: Autoencoder, train: Part, valid: Part, n_classes: int, draws: list[Draw], params: Params, run: Run, bar: Progress
) -> Iterator[dict]:
    for draw in draws:
        few = Part(train.x[draw.rows], train.y[draw.rows])
        # seconds each: no checkpoint, no bar; chance is the draw's own, and the same for both beginnings
        seed = int(np.random.default_rng([run.seed, len(draw.rows), draw.number]).integers(2**31))
        alone = Run(run.folder, f"{run.name}, {of}", seed=seed, threads=run.threads, device=run.device)
        for classifier in (PRETRAINED, RANDOM):
            prepare(alone)
            start = copy.deepcopy(model)
            if classifier == RANDOM:
                start.encoder.load_state_dict(_untrained(model).state_dict())
            network = Network(start.cpu(), n_classes, torch.from_numpy(train.x[:SOME].copy()))
            _train(network, few, params, alone)
            logs = np.concatenate(list(apply(network, ((piece,) for piece in _pieces(valid.x)), alone)))
            yield _line(of, classifier, draw, logs.argmax(axis=1) == valid.y)
            bar.advance()


def _untrained(model: Autoencoder) -> nn.Module:
    """An encoder of the same shape, as training begins with it."""
    made = model.settings
    if isinstance(model, Convolutional):
        network = (made[knob] for knob in ("shape", "channels", "kernel_size", "activation"))
        return Convolutional(made["sizes"], np.zeros(made["sizes"][0]), 1.0, *network).encoder
    return Layers(made["sizes"], made["activation"], made["code"])


def _train(network: Network, few: Part, params: Params, run: Run) -> None:
    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = rng.permutation(len(few.y))
        for start in range(0, len(order), params.batch_size):
            rows = order[start : start + params.batch_size]
            yield few.x[rows], few.y[rows]

    def loss(network: Network, x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.nll_loss(network(x), y, reduction="none")

    epochs = max(1, round(params.steps / np.ceil(len(few.y) / params.batch_size)))
    fit(network, batches, loss, run, Recipe(epochs=int(epochs), lr=params.lr, decay="cosine", clip=1.0))


def _line(of: str, classifier: str, draw: Draw, right: np.ndarray) -> dict:
    return {
        "of": of, "classifier": classifier, "share": draw.share, "draw": draw.number, "labels": len(draw.rows),
        "accuracy": float(right.mean()),
    }  # fmt: skip


def _accuracies(found: list[dict], scored: str) -> Iterator[dict]:
    for (of, classifier, share), values, n_labels in _by_classifier(found):
        low, high = of_mean(values, 0.0, 1.0)
        yield {
            "of": of, "metric": "accuracy", "on": f"{_percent(share)}, {classifier}", "value": values.mean(),
            "low": low, "high": high, "n": len(values),
            "note": f"{n_labels:,} labels, drawn {len(values)} times, the interval over draws; {scored}",
        }  # fmt: skip


def _gains(found: list[dict], vectors: str) -> Iterator[dict]:
    accuracy = {key: values for key, values, _ in _by_classifier(found)}
    for (of, classifier, share), values in accuracy.items():
        if of == vectors or classifier == RANDOM:
            continue
        rival, name = ((vectors, LOGREG, share), vectors) if classifier == LOGREG else ((of, RANDOM, share), "random")
        gain = values - accuracy[rival]
        low, high = of_mean(gain)
        yield {
            "of": of, "metric": "accuracy_gain", "on": f"{_percent(share)}, {classifier} over {name}",
            "value": gain.mean(), "low": low, "high": high, "n": len(gain), "note": "both in the same draws, the interval over draws",
        }  # fmt: skip


def _by_classifier(found: list[dict]) -> Iterator[tuple[tuple[str, str, float], np.ndarray, int]]:
    keys = list(dict.fromkeys((line["of"], line["classifier"], line["share"]) for line in found))
    for key in keys:
        mine = [line for line in found if (line["of"], line["classifier"], line["share"]) == key]
        yield key, np.array([line["accuracy"] for line in mine]), mine[0]["labels"]


def _percent(share: float) -> str:
    return f"{100 * share:.4g} % of labels"
