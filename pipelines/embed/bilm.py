"""BiLM: two LSTM language models, one reads onward, one backward; their states at a word are its vector in this context.

reads   tokens    documents as token ids; the unknown token is read, and not foretold
writes  vectors   one float32 vector per word that was seen: the mean of its vectors in context, over all documents of
                  `splits`; the model, from which `in_context` makes the vectors of the words of any document
source  Peters, Neumann, Iyyer, Gardner, Clark, Lee, Zettlemoyer 2018 (ELMo): both directions share word vectors and
        softmax, a residual connection from layer to layer, layer 0 is the word's own vector in both halves. Their words are
        made of characters, here they are rows of a table. Adaptive softmax: Grave, Joulin, Cisse, Grangier, Jegou 2017
shapes  V words, H = vector_size / 2, L = num_layers, B documents of a batch, T = bptt; time comes first. In memory: 16 bytes a weight, a
        batch of documents, and at the end 8 V vector_size bytes of sums

A document is one sequence. Gradients go back `bptt` tokens at most, states go on to the document's end.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault, too_few_words
from pipelines.fit import apply, arrays, fit, prepare
from pipelines.method import Run
from pipelines.softmax import softmax_over, surprise
from pipelines.training import FitKnobs

ROWS = 4096  # documents that are sorted by length together, and words that are written
CUTOFFS = (2_000, 10_000, 50_000)  # of the adaptive softmax; the vocabulary's first words are its most frequent
AXES = (1, 1, 0, 0)  # where the documents lie in the parts of a batch
PLOTS = {"curve": {"x": "epoch", "y": ["loss", "valid_loss"]}}


class Params(FitKnobs):
    vector_size: int = Field(256, ge=2, multiple_of=2)  # half of it for each direction; the paper: 1024
    num_layers: int = Field(2, ge=1)  # L, of each direction
    mix: list[float] = Field([])  # the weight of each layer in a vector, the words' own first; none: their mean
    softmax: Literal["auto", "full", "adaptive"] = "auto"  # full below 10,000 words
    bptt: int = Field(64, ge=1)  # tokens a step
    dropout: float = Field(0.1, ge=0, lt=1)  # of what goes into a layer, and into the softmax
    batch_size: int = Field(32, ge=1)  # documents a step
    epochs: int = Field(10, ge=1)  # at most
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)

    @model_validator(mode="after")
    def _a_weight_a_layer(self) -> Self:
        if self.mix and len(self.mix) != self.num_layers + 1:
            raise ValueError(
                f"mix has {len(self.mix)} weights; {self.num_layers} layers and the words' own vectors make {self.num_layers + 1}"
            )
        if self.mix and not any(self.mix):
            raise ValueError("mix is all zeros, which is no vector")
        return self


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    n_words = np.count_nonzero(tokens.known_counts(params.splits))
    if n_words < 2:
        raise too_few_words(f"{tokens.name}: the documents of {', '.join(params.splits)}", n_words)
    prepare(run)
    model = BiLM(tokens.n_rows("vocab"), params)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        return steps(tokens, params.splits, params, rng)

    def loss(model: BiLM, *batch: Tensor) -> Tensor:
        nll, n = model(*batch).unbind(dim=1)
        return nll / n.mean().clamp(min=1 / len(n))  # the mean over the batch is that over its tokens

    def validate() -> dict[str, float]:
        nll, n = sum(rows.sum(axis=0, dtype=np.float64) for rows in apply(model, steps(tokens, ["valid"], params), run, AXES))
        return {"valid_loss": float(nll / n), "valid_perplexity": math.exp(min(nll / n, 700))}

    judge = validate if any((values != UNKNOWN_ID).any() for values, _ in tokens.documents(["valid"], ROWS)) else None
    n_items = sum(part[0].shape[1] for part in steps(tokens, params.splits, params))
    best = fit(model, batches, loss, run, params.recipe(), judge, n_items, AXES)
    kept = run.curve[best - 1]  # its loss is a mean over the epoch, whose last steps may have gone astray
    run.hold(max(kept["loss"], kept.get("valid_loss", 0.0)), math.log(model.border), f"epoch {best}, the best", params.lr, 0.002, last=True)
    run.say(f"keeps the weights of epoch {best}")

    total, n = sums(model, steps(tokens, params.splits, params), params, run)
    words = tokens.words()
    seen = np.flatnonzero(n)
    with run.open(Vectors) as out:
        for rows in np.split(seen, range(ROWS, len(seen), ROWS)):
            out.append(item=[words[i] for i in rows], count=n[rows], vector=total[rows] / n[rows, None])
        out.model({"model": "bilm", "words": words, "params": params.model_dump()}, arrays(model))
    return out.artifact


class BiLM(nn.Module):
    """A table of words, a stack of LSTMs for each direction, and one softmax for both."""

    def __init__(self, n_words: int, params: Params):
        super().__init__()
        size = params.vector_size // 2
        self.border = n_words  # stands before a document's first word, from either end
        self.embedding = nn.Embedding(n_words + 1, size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.stacks = nn.ModuleList(nn.ModuleList(nn.LSTM(size, size) for _ in range(params.num_layers)) for _ in ("onward", "backward"))
        self.dropout = nn.Dropout(params.dropout)
        adaptive = params.softmax == "adaptive" or (params.softmax == "auto" and n_words >= 10_000)
        self.softmax = softmax_over(n_words, size, adaptive, CUTOFFS)
        self.batch_size = params.batch_size
        self.carried: dict[int, Tensor] = {}  # step of a group of documents -> (direction, layer, h and c, B, H)

    def forward(self, onward: Tensor, backward: Tensor, step: Tensor, place: Tensor) -> Tensor:
        """(T + 1, B) token ids in either order, (B,) which step of these documents, and which of them -> (B, 2).

        Each token is foretold from those before it in its order.

        Returns:
            Of each document, for both directions together: minus the logarithm of the probability, and how many were foretold.
        """
        total = 0
        for ids, states in zip((onward, backward), self.states(onward[:-1], backward[:-1], step, place), strict=True):
            target = ids[1:]
            known = target != UNKNOWN_ID  # (T, B); so is what stands behind a document's end
            nll = torch.zeros(target.shape, device=ids.device)
            nll[known] = surprise(self.softmax, self.dropout(states[-1][known]), target[known].long())
            total = total + torch.stack([nll.sum(dim=0), known.sum(dim=0).float()], dim=1)
        return total

    def states(self, onward: Tensor, backward: Tensor, step: Tensor, place: Tensor) -> list[list[Tensor]]:
        """Of each direction the L + 1 layers, (T, B, H) each, in its own order.

        What one step leaves is kept under its number, so that a step that is computed again, in pieces, finds the same.
        """
        k = int(step[0])
        self.carried = {i: kept for i, kept in self.carried.items() if i in (k - 1, k)}
        if k not in self.carried:
            n_layers, size = len(self.stacks[0]), self.embedding.embedding_dim
            self.carried[k] = self.embedding.weight.new_zeros((2, n_layers, 2, self.batch_size, size))
        before = self.carried[k - 1][:, :, :, place] if k else None
        found = []
        for direction, (ids, stack) in enumerate(zip((onward, backward), self.stacks, strict=True)):
            x = self.embedding(ids)
            layers = [x]
            for i, lstm in enumerate(stack):
                out, after = lstm(self.dropout(x), None if before is None else tuple(before[direction, i, :, None].contiguous()))
                self.carried[k][direction, i, :, place] = torch.cat(after).detach()
                x = out + x if i else out
                layers.append(x)
            found.append(layers)
        return found


class Mixed(nn.Module):
    """The layers of a model, as one: (T, B) token ids in either order -> (B, T, 2 H), each half in its own order."""

    def __init__(self, model: BiLM, mix: list[float]):
        super().__init__()
        self.model = model
        n = len(model.stacks[0]) + 1
        self.mix = mix or [1 / n] * n

    def forward(self, onward: Tensor, backward: Tensor, step: Tensor, place: Tensor) -> Tensor:
        both = [
            sum(w * layer for w, layer in zip(self.mix, layers, strict=True)) for layers in self.model.states(onward, backward, step, place)
        ]
        return torch.cat(both, dim=2).transpose(0, 1)


def steps(
    tokens: Tokens, splits: list[str], params: Params, rng: np.random.Generator | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """The batches of one pass: documents of similar length together, `bptt` tokens of each at a time.

    Yields:
        What BiLM is called with; in an order of chance where there is an rng.
    """
    border = tokens.n_rows("vocab")
    for values, offsets in tokens.documents(splits, ROWS):
        lengths = np.diff(offsets)
        order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
        order = order[lengths[order] > 0]
        order = order[np.argsort(lengths[order], kind="stable")]
        groups = np.split(order, range(params.batch_size, len(order), params.batch_size))
        for i in range(len(groups)) if rng is None else rng.permutation(len(groups)):
            if len(groups[i]):
                onward, backward = both_ways(values, offsets[:-1][groups[i]], lengths[groups[i]], border)
                place = np.arange(len(groups[i]))
                for k, start in enumerate(range(0, len(onward) - 1, params.bptt)):
                    part = slice(start, start + params.bptt + 1)
                    yield onward[part], backward[part], np.full_like(place, k), place


def both_ways(values: np.ndarray, starts: np.ndarray, lengths: np.ndarray, border: int) -> tuple[np.ndarray, np.ndarray]:
    """(longest + 2, B) int64, twice: border, the document from its head or from its end, then UNKNOWN_ID, once at least."""
    place = np.arange(lengths.max())[:, None]
    inside = place < lengths
    found = np.full((2, len(place) + 2, len(lengths)), UNKNOWN_ID, np.int64)
    found[:, 0] = border
    found[0, 1:-1][inside] = values[(starts + place)[inside]]
    found[1, 1:-1][inside] = values[(starts + lengths - 1 - place)[inside]]
    return found[0], found[1]


def sums(model: BiLM, batches: Iterable[tuple[np.ndarray, ...]], params: Params, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(V, 2 H) float64, the sum of each word's vectors in context, and (V,) int64, how many they were; 0 for the unknown token."""
    n_words, size = model.border, model.embedding.embedding_dim
    total, n = torch.zeros((n_words, 2 * size), dtype=torch.float64), np.zeros(n_words, np.int64)
    held: list[tuple[np.ndarray, ...]] = []

    def read() -> Iterator[tuple[np.ndarray, ...]]:
        for onward, backward, step, place in batches:
            held.append((onward[:-1], backward[:-1]))
            yield onward[:-1], backward[:-1], step, place

    with run.progress(None, "tokens", "vectors in context") as bar:
        for rows in apply(Mixed(model, params.mix), read(), run, AXES):
            both = torch.from_numpy(rows).transpose(0, 1).double()  # (T, B, 2 H)
            for half, ids in enumerate(held.pop()):
                known = (ids != UNKNOWN_ID) & (ids != model.border)
                part = slice(half * size, (half + 1) * size)
                total[:, part].index_add_(0, torch.from_numpy(ids[known]), both[torch.from_numpy(known)][:, part])
            n += np.bincount(ids[known], minlength=n_words)
            bar.advance(known.sum())
    return total.numpy(), n


def in_context(folder: Path | str, documents: Iterable[np.ndarray], mix: list[float] | None = None) -> Iterator[np.ndarray]:
    """The vectors in context of some documents.

    Args:
        folder: of the vectors that `embed` wrote.
        documents: (n,) rows of the vocabulary that it was trained with, of each.
        mix: the weight of each layer, the words' own first; none: as in training.

    Yields:
        (n, vector_size) float32 of each; the first half knows what stands before, and the second what comes after.

    Raises:
        Fault: the model is another's, or a token id is not of its vocabulary.
    """
    vectors = Vectors(folder)
    settings, weights = vectors.model()
    if settings.get("model") != "bilm":
        raise Fault(f"{vectors.name}: its model is {settings.get('model')!r}; vectors in context come from 'bilm'")
    params = Params(**settings["params"])
    model, half, first = rebuild(settings, weights), params.vector_size // 2, torch.zeros(1, dtype=torch.int64)
    mixed = Mixed(model, params.mix if mix is None else mix)
    for document in documents:
        ids = np.asarray(document, np.int64)
        outside = ids[(ids < 0) | (ids >= model.border)]
        if len(outside):
            raise Fault(f"{vectors.name}: token id {outside[0]} is none of its {model.border:,} words. Take the tokens it was trained on")
        if not len(ids):
            yield np.zeros((0, params.vector_size), np.float32)
            continue
        onward, backward = both_ways(ids, np.zeros(1, np.int64), np.array([len(ids)]), model.border)
        with torch.no_grad():
            both = mixed(torch.from_numpy(onward[:-1]), torch.from_numpy(backward[:-1]), first, first)[0, 1:].numpy()  # without the border
        yield np.concatenate([both[:, :half], both[::-1, half:]], axis=1)


def rebuild(settings: dict, weights: dict[str, np.ndarray]) -> BiLM:
    """The model that `embed` left in its artifact."""
    model = BiLM(len(settings["words"]), Params(**settings["params"]))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model.eval()
