"""LSTM: reads a document word by word, in order, and says which class it is of.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form; or those of compress' method recurrent, whose
                      encoder, word vectors and LSTM, is then what training begins with (Dai, Le 2015)
writes  predictions   a probability per class for each document of valid and test; the model
source  Hochreiter, Schmidhuber 1997, with the forget gate of Gers, Schmidhuber, Cummins 2000;
        Graves, Schmidhuber 2005 for reading both ways
shapes  B documents of a batch, T tokens of the longest, D numbers a word, H = hidden_size, C classes;
        time comes first, (T, B, ...), which is how the kernels want it
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.fit import Recipe, apply, arrays, fit, prepare
from pipelines.labels import Split, classes_of, read, write, write_classes
from pipelines.method import Knobs, Run
from pipelines.reading import by_length, matched, padded, random_vectors, shuffled

PLOTS = {"curve": {"x": "epoch", "y": ["loss", "valid_loss"]}}


class Params(Knobs):
    hidden_size: int = Field(128, ge=1)  # H
    num_layers: int = Field(1, ge=1)
    bidirectional: bool = False  # a second LSTM reads each document backwards
    pooling: Literal["last", "max", "mean"] = "max"  # over a document's states
    vector_size: int = Field(100, ge=1)  # D when neither vectors nor codings are given; theirs otherwise
    fine_tune: bool = True  # go on training the given vectors with the rest
    max_tokens: int = Field(400, ge=1)  # of a document; what is longer is cut
    keep: Literal["head", "tail", "both"] = "head"  # which end of a document that is too long, or half of each
    dropout: float = Field(0.5, ge=0, lt=1)  # of the words' vectors, between layers and before the decision
    batch_size: int = Field(64, ge=1)  # documents a step
    epochs: int = Field(8, ge=1)  # at most
    patience: int = Field(2, ge=1)  # epochs without a lower loss on valid before training stops
    lr: float = Field(0.002, gt=0)  # Adam; on IMDb, one seed, 90.2 % of valid after 3 epochs, and 88.9 with 0.001
    clip: float = Field(1.0, gt=0)  # largest norm of a step's gradient


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    if vectors is not None and codings is not None:
        raise Fault(f"{run.name}: words have either vectors ({vectors.name}) or codings ({codings.name}), not both. Take one away")
    classes = classes_of(tokens)
    train, valid, test = (read(tokens, split, classes) for split in ("train", "valid", "test"))
    prepare(run)
    given, encoder = (vectors if vectors is not None else codings), _encoder(codings, params)
    if given is None:
        start = random_vectors(tokens.n_rows("vocab"), params.vector_size, run)
    elif encoder:
        start = matched(tokens, encoder.words, encoder.vectors, given.name, run, scaled=False)
    else:
        start = matched(tokens, given.items(), given.memmap(), given.name, run)
    model = Reader(start, len(classes), params, frozen=given is not None and not params.fine_tune)
    if encoder:
        model.onward.load_state_dict(encoder.layers)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        for rows in shuffled(train, params.batch_size, rng):
            yield *padded(train, rows, params.max_tokens, params.keep), train.class_ids[rows]

    def loss(model: Reader, ids: Tensor, lengths: Tensor, class_ids: Tensor) -> Tensor:
        return nn.functional.nll_loss(model(ids, lengths), class_ids, reduction="none")

    def validate() -> dict[str, float]:
        p = probabilities(model, valid, params, run)
        known = np.flatnonzero(valid.class_ids >= 0)
        of_truth = np.maximum(p[known, valid.class_ids[known]], np.finfo(np.float32).tiny)
        return {"valid_loss": float(-np.log(of_truth, dtype=np.float64).mean()), "valid_accuracy": valid.accuracy(p)}

    recipe = Recipe(epochs=params.epochs, lr=params.lr, clip=params.clip, patience=params.patience)
    judge = validate if (valid.class_ids >= 0).any() else None
    best = fit(model, batches, loss, run, recipe, judge, n_items=len(train), item_axis=(1, 0, 0))
    run.say(f"keeps the weights of epoch {best}")

    with run.open(Predictions) as out:
        write_classes(out, classes)
        for split in (valid, test):
            write(out, split, classes, probabilities(model, split, params, run))
        out.model({"model": "lstm", "classes": classes, "words": tokens.words(), "params": params.model_dump()}, arrays(model))
    return out.artifact


class Encoder(NamedTuple):
    words: list[str]
    vectors: np.ndarray  # (n, D) float32
    layers: dict[str, Tensor]  # of Reader.onward


def _encoder(codings: Codings | None, params: Params) -> Encoder | None:
    """That of a sequence autoencoder; None for codings of another kind. Raises Fault where it does not fit the knobs."""
    if codings is None or not (codings.folder / "model.json").exists():
        return None
    settings, weights = codings.model()
    if settings.get("model") != "recurrent":
        return None
    wanted = {**{knob: settings["params"][knob] for knob in ("hidden_size", "num_layers")}, "bidirectional": False}
    faults = [
        f"{codings.name}: its encoder has {knob} {value}, this row {getattr(params, knob)}. Say {knob}: {str(value).lower()}"
        for knob, value in wanted.items()
        if getattr(params, knob) != value
    ]
    if faults:
        raise Fault(faults)
    layers = {name.removeprefix("encoder."): torch.from_numpy(array) for name, array in weights.items() if name.startswith("encoder.")}
    return Encoder(settings["words"], weights["embedding.weight"], layers)


class Reader(nn.Module):
    """Words to vectors, one LSTM over them or two in opposite directions, their states pooled, a decision.

    Args:
        vectors: (V, D) float32, where training begins.
        frozen: leave them as they are.
    """

    def __init__(self, vectors: np.ndarray, n_classes: int, params: Params, frozen: bool):
        super().__init__()
        self.pooling = params.pooling
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=frozen)
        widths = [vectors.shape[1]] + [params.hidden_size * (1 + params.bidirectional)] * params.num_layers
        self.onward = nn.ModuleList(nn.LSTM(width, params.hidden_size) for width in widths[:-1])
        self.backward_ = nn.ModuleList(nn.LSTM(width, params.hidden_size) for width in widths[:-1] if params.bidirectional)
        self.dropout = nn.Dropout(params.dropout)
        self.decision = nn.Linear(widths[-1], n_classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B) token ids and (B,) lengths -> (B, C) logarithms of probabilities.

        Padded batches, not packed ones: packed, the kernel that runs a whole sequence at once is out of
        reach. What the padding does comes after a document's last word, and is never looked at.
        """
        place = torch.arange(len(ids), device=ids.device)[:, None]  # (T, 1)
        inside = place < lengths  # (T, B), false for padding
        turned = torch.where(inside, lengths - 1 - place, place)[:, :, None]  # (T, B, 1), each document's words last to first
        states = self.embedding(ids)  # (T, B, D)
        for i, onward in enumerate(self.onward):
            x = self.dropout(states)
            states = onward(x)[0]  # (T, B, H)
            if self.backward_:
                back = self.backward_[i](_take(x, turned))[0]
                states = torch.cat([states, _take(back, turned)], dim=2)  # (T, B, 2 H)
        return self.decision(self.dropout(self._pool(states, inside, lengths))).log_softmax(dim=1)

    def _pool(self, states: Tensor, inside: Tensor, lengths: Tensor) -> Tensor:
        """(T, B, H) -> (B, H), over the real words."""
        if self.pooling == "max":
            return states.masked_fill(~inside[:, :, None], -torch.inf).amax(dim=0)
        if self.pooling == "mean":
            return (states * inside[:, :, None]).sum(dim=0) / lengths[:, None]
        last = _take(states, (lengths - 1)[None, :, None])[0]  # (B, H) where each way of reading ...
        if self.backward_:
            half = states.shape[2] // 2
            last = torch.cat([last[:, :half], states[0, :, half:]], dim=1)  # ... has come to its end
        return last


def _take(x: Tensor, place: Tensor) -> Tensor:
    """x[place[t, b], b] for all t and b; (T, B, H) and (T', B, 1) -> (T', B, H)."""
    return x.gather(0, place.expand(-1, -1, x.shape[2]))


def probabilities(model: Reader, split: Split, params: Params, run: Run) -> np.ndarray:
    """(n, C) float32, in the split's order."""
    result = np.empty((len(split), model.decision.out_features), np.float32)
    parts = by_length(split, params.batch_size)
    blocks = (padded(split, rows, params.max_tokens, params.keep) for rows in parts)
    for rows, logs in zip(parts, apply(model, blocks, run, item_axis=(1, 0)), strict=True):
        result[rows] = np.exp(logs)
    return result


def rebuild(settings: dict, weights: dict[str, np.ndarray]) -> Reader:
    """The model that `classify` left in its artifact."""
    model = Reader(weights["embedding.weight"], len(settings["classes"]), Params(**settings["params"]), frozen=True)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model.eval()
