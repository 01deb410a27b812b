"""A language model that a recurrent reader learns before it sees a label: each word by those before it, over all texts end to end.

The texts stand in an order of chance, the end's sign between them, in as many streams as a batch has; a step reads so many words of each, and
the states at its end are those that the next one begins in (truncated back-propagation, Williams, Peng 1990).

source  Dai, Le 2015; Miyato, Dai, Goodfellow 2017, 4.1; Gal, Ghahramani 2016 for one dropout mask a sequence. Sampled softmax: Bengio,
        Senecal 2003 and Jean et al. 2015; adaptive: Grave et al. 2017
shapes  V words, N streams, T words a step, D numbers a word, H numbers a state; time comes first
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.fit import Recipe, apply, fit
from pipelines.method import Knobs, Run
from pipelines.reading import Documents
from pipelines.recurrence import Recurrent, locked
from pipelines.softmax import softmax_over, surprise

END = UNKNOWN_ID  # the unknown token is never foretold, so its place is the end's
NOT_ASKED = -1
CUTOFFS = (2_000, 10_000, 50_000)
AXES = (1, 1, 0, 0)  # where the streams lie in the parts of a batch


class LanguageKnobs(Knobs):
    lm_epochs: int = Field(5, ge=1)
    lm_lr: float = Field(0.001, gt=0)  # Adam
    lm_streams: int = Field(64, ge=1)  # N; the paper's 256
    lm_steps: int = Field(100, ge=1)  # T; the paper's 400
    lm_softmax: Literal["auto", "full", "adaptive", "sampled"] = "auto"  # full below 5,000 words, else adaptive; sampled: the paper's
    n_sampled: int = Field(1024, ge=1)  # words drawn in a step
    lm_mixed: bool = False  # products of matrices in bfloat16, as `mixed` has it for the classes
    lm_splits: list[Literal["train", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)


def streams(documents: Documents, order: np.ndarray, n: int, steps: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Batches of (T, N) int32 words that are read, (T, N) int64 that follow (NOT_ASKED for one unknown), (N,) the streams' numbers and
    (N,) whether a stream begins.

    Args:
        order: of the documents. Their last words, fewer than n, are left out.
    """
    lengths = np.diff(documents.offsets)[order]
    ends = np.cumsum(lengths + 1)
    text = np.full(lengths.sum() + len(order) + 1, END, np.int32)  # END, document, END, document, ..., END
    place = np.arange(lengths.sum()) + np.repeat(np.arange(len(order)), lengths) + 1
    source = np.repeat(documents.offsets[:-1][order] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
    text[place] = documents.values[source]
    known = text != UNKNOWN_ID
    known[np.concatenate([[0], ends])] = True
    per = (len(text) - 1) // n
    for start in range(0, per, steps):
        at = np.arange(start, min(start + steps, per))[:, None] + np.arange(n) * per  # (T, N)
        after = np.where(known[at + 1], text[at + 1], NOT_ASKED).astype(np.int64)
        yield text[at], after, np.arange(n), np.full(n, start == 0)


class Foreteller(nn.Module):
    """The layers of a reader that go one way, and a softmax over the words behind them.

    Args:
        share: (V,) of the text, by which words are drawn.
    """

    def __init__(self, reader: Recurrent, layers: nn.ModuleList, share: np.ndarray, params: LanguageKnobs):
        super().__init__()
        self.reader, self.layers = reader, layers
        n_words, size = len(share), layers[-1].hidden_size
        kind = params.lm_softmax
        if kind == "auto":
            kind = "full" if n_words < 5_000 else "adaptive"
        self.n_sampled = params.n_sampled if kind == "sampled" else 0
        self.softmax = softmax_over(n_words, size, kind == "adaptive", CUTOFFS)
        self.register_buffer("share", torch.from_numpy(share.astype(np.float32)), persistent=False)
        below = share.astype(np.float64).cumsum()
        self.register_buffer("below", torch.from_numpy(below / below[-1]), persistent=False)  # (V,) share of a word and of those before it
        for i, _ in enumerate(layers):
            for kept in ("h", "c"):
                self.register_buffer(f"{kept}{i}", torch.zeros(1, params.lm_streams, size), persistent=False)

    def forward(self, before: Tensor, after: Tensor, stream: Tensor, begins: Tensor) -> Tensor:
        """(T, B) words, (T, B) that follow, (B,) streams, (B,) bool -> (B,) nats; their mean is that of the words that are asked for."""
        x = self.reader.words(before)
        for i, layer in enumerate(self.layers):
            h, c = (getattr(self, f"{kept}{i}")[:, stream] * ~begins[None, :, None] for kept in ("h", "c"))
            x, (h, c) = layer(self.drop(x), (h, c))
            getattr(self, f"h{i}")[:, stream], getattr(self, f"c{i}")[:, stream] = h.detach().float(), c.detach().float()
        asked = after != NOT_ASKED  # the few that are not are told, too, and left out: to pick the others a GPU would have to be waited for
        told = self.surprise(self.drop(x).flatten(0, 1), after.where(asked, 0).flatten())
        nats = told.reshape(after.shape) * asked
        return nats.sum(dim=0) * after.shape[1] / asked.sum().clamp(min=1)

    def drop(self, x: Tensor) -> Tensor:
        """One mask for all words of a step."""
        return locked(x, self.reader.dropout.p) if self.training else x

    def surprise(self, states: Tensor, words: Tensor) -> Tensor:
        """(n, H) and (n,) -> (n,) minus the logarithm of their probability; of a sampled softmax while it trains, an estimate."""
        if not (self.n_sampled and self.training):
            return surprise(self.softmax, states, words)
        drawn = self.draw()
        own = (states * self.softmax.weight[words]).sum(dim=1) + self.softmax.bias[words]
        others = (states @ self.softmax.weight[drawn].T).float() + self.softmax.bias[drawn]
        return partition(own, others, self.share[drawn], drawn == words[:, None]) - own

    def draw(self) -> Tensor:
        """(n_sampled,) words by their share, with replacement; torch.multinomial has no deterministic kernel on CUDA."""
        at = torch.rand(self.n_sampled, dtype=self.below.dtype, device=self.below.device)
        return torch.searchsorted(self.below, at, right=True)


def partition(own: Tensor, scores: Tensor, chance: Tensor, same: Tensor) -> Tensor:
    """(n,) logarithm of an estimate of the sum of e^score over all words, whose mean over the draws is that sum.

    Args:
        own: (n,) scores of the words that follow.
        scores: (n, k) of words drawn with the chances, (k,).
        same: (n, k) where what was drawn is the word that follows, which is in the sum already.
    """
    others = (scores - torch.log(chance * len(chance))).masked_fill(same, -torch.inf)
    return torch.logaddexp(own, others.logsumexp(dim=1))


def foretell(tokens: Tokens, reader: Recurrent, layers: nn.ModuleList, params: LanguageKnobs, run: Run, backwards: bool = False) -> None:
    """Trains the reader's word vectors, and these of its layers, in place.

    Args:
        backwards: each word by those after it; the word vectors stay as they are.

    Raises:
        Fault: the texts have fewer words than a batch has streams.
    """
    given, held_out = (Documents(*tokens.ids(splits)) for splits in (params.lm_splits, ["valid"]))
    if len(given.values) < 2 * params.lm_streams:
        raise Fault(f"{tokens.name}: {len(given.values)} words are too few for {params.lm_streams} streams. Lower lm_streams")
    if backwards:
        given, held_out = (Documents(it.values[::-1].copy(), it.offsets[-1] - it.offsets[::-1]) for it in (given, held_out))
    counts = tokens.known_counts(params.lm_splits).astype(np.float64)
    counts[END] = len(given.offsets) - 1
    model = Foreteller(reader, layers, counts / counts.sum(), params)
    trained = reader.embedding.weight.requires_grad
    reader.embedding.weight.requires_grad_(trained and not backwards)

    def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        return streams(given, rng.permutation(len(given.offsets) - 1), params.lm_streams, params.lm_steps)

    n_known = np.count_nonzero(held_out.values != UNKNOWN_ID)
    n_judged = min(params.lm_streams, n_known or params.lm_streams)  # of few words fewer streams, so that they have one each
    judged = list(streams(held_out, np.arange(len(held_out.offsets) - 1), n_judged, params.lm_steps))
    asked = [np.count_nonzero(after != NOT_ASKED) for _, after, *_ in judged]

    def validate() -> dict[str, float]:
        loss = float(np.average([part.mean() for part in apply(model, judged, run, AXES)], weights=asked))
        return {"valid_loss": loss, "valid_perplexity": float(np.exp(min(loss, 700.0)))}

    n_steps = -(-((len(given.values) + len(given.offsets) - 1) // params.lm_streams) // params.lm_steps)
    fit(
        model, batches, lambda model, *batch: model(*batch), run, Recipe(epochs=params.lm_epochs, lr=params.lm_lr, clip=1.0, mixed=params.lm_mixed),
        validate if sum(asked) else None, n_items=n_steps * params.lm_streams, item_axis=AXES,
    )  # fmt: skip
    reader.embedding.weight.requires_grad_(trained)
