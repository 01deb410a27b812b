"""Layers that read a document from one end to the other, one way or both: what simple_rnn, lstm, gru and lstm_attention share.

source  Graves, Schmidhuber 2005 (both ways); Gal, Ghahramani 2016 (one dropout mask for all of a document's tokens); Wan et al. 2013 and
        Merity, Keskar, Socher 2018 (dropout of the weights between one state and the next); Gers, Schmidhuber, Cummins 2000 and
        Jozefowicz, Zaremba, Sutskever 2015 (a forget gate that is open at first)
shapes  B documents of a batch, T tokens of the longest, D numbers a word, H = hidden_size, H' = H or, both ways, 2 H, C classes; time
        comes first, (T, B, ...), which is how the kernels want it
"""

import functools
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.classifier import ReaderKnobs

Cell = type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]


class RecurrentKnobs(ReaderKnobs):
    hidden_size: int = Field(128, ge=1)  # H
    num_layers: int = Field(1, ge=1)
    bidirectional: bool = False  # a second layer reads each document backwards
    pooling: Literal["last", "max", "mean"] = "max"  # over a document's states
    locked: bool = False  # dropout draws one mask for all of a document's tokens, and not one for each
    recurrent_dropout: float = Field(0.0, ge=0, lt=1)  # of the weights between one state and the next, drawn for each batch
    forget_bias: float = Field(0.0, ge=0)  # of an LSTM's forget gates at first, in which more forgets less; 0: as torch draws it, about 0


class Recurrent(nn.Module):
    """Words to vectors, layers over them, their states pooled, a decision.

    Args:
        cell: nn.RNN, nn.LSTM or nn.GRU.
        vectors: (V, D) float32, where training begins.
        frozen: leave them as they are.
        beside: numbers that `words` puts beside each of them.
    """

    def __init__(self, cell: Cell, vectors: np.ndarray, frozen: bool, n_classes: int, params: RecurrentKnobs, beside: int = 0):
        super().__init__()
        self.pooling, self.locked, self.recurrent_dropout = params.pooling, params.locked, params.recurrent_dropout
        self.embedding = nn.Embedding.from_pretrained(torch.from_numpy(vectors), freeze=frozen)
        widths = [vectors.shape[1] + beside] + [params.hidden_size * (1 + params.bidirectional)] * params.num_layers
        self.onward = nn.ModuleList(cell(width, params.hidden_size) for width in widths[:-1])
        self.backward_ = nn.ModuleList(cell(width, params.hidden_size) for width in widths[:-1] if params.bidirectional)
        for layer in [*self.onward, *self.backward_]:
            if params.forget_bias and isinstance(layer, nn.LSTM):
                forget = slice(params.hidden_size, 2 * params.hidden_size)  # the second of its four gates
                nn.init.constant_(layer.bias_ih_l0[forget], params.forget_bias)
                nn.init.zeros_(layer.bias_hh_l0[forget])
        self.dropout = nn.Dropout(params.dropout)
        self.decision = nn.Linear(widths[-1], n_classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B) token ids and (B,) lengths -> (B, C) scores."""
        return self.read(self.words(ids), lengths)

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(T, B), (B,) -> (B, H'), what the decision is made from."""
        return self.pooled(self.words(ids), lengths)

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(T, B, D) vectors of the words -> (B, C) scores."""
        return self.decision(self.dropout(self.pooled(x, lengths)))

    def pooled(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(T, B, D) vectors of the words -> (B, H').

        Padded batches, not packed ones: packed, the kernel that runs a whole sequence at once is out of
        reach. What the padding does comes after a document's last word, and is never looked at.
        """
        inside = torch.arange(len(x), device=x.device)[:, None] < lengths  # (T, B), false for padding
        return self.pool(self.states(x, lengths), inside, lengths)

    def words(self, ids: Tensor) -> Tensor:
        """(T, B) -> (T, B, D)"""
        return self.embedding(ids)

    def states(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(T, B, D) vectors of the words -> (T, B, H')"""
        for i, onward in enumerate(self.onward):
            x = self.drop(x)
            states = self.run(onward, x)  # (T, B, H)
            if self.backward_:
                back = backwards(functools.partial(self.run, self.backward_[i]), x, lengths)
                states = torch.cat([states, back], dim=2)  # (T, B, 2 H)
            x = states
        return x

    def drop(self, x: Tensor) -> Tensor:
        return locked(x, self.dropout.p) if self.locked and self.training else self.dropout(x)

    def run(self, layer: nn.RNN | nn.LSTM | nn.GRU, x: Tensor) -> Tensor:
        if not (self.training and self.recurrent_dropout):
            return layer(x)[0]
        dropped = nn.functional.dropout(layer.weight_hh_l0, self.recurrent_dropout)
        return torch.func.functional_call(layer, {"weight_hh_l0": dropped}, (x,))[0]

    def pool(self, states: Tensor, inside: Tensor, lengths: Tensor) -> Tensor:
        """(T, B, H') -> (B, H'), over the real words."""
        if self.pooling == "max":
            return states.masked_fill(~inside[:, :, None], -torch.inf).amax(dim=0)
        if self.pooling == "mean":
            return (states * inside[:, :, None]).sum(dim=0) / lengths[:, None]
        last = take(states, (lengths - 1)[None, :, None])[0]  # (B, H') where each way of reading ...
        if self.backward_:
            half = states.shape[2] // 2
            last = torch.cat([last[:, :half], states[0, :, half:]], dim=1)  # ... has come to its end
        return last


def locked(x: Tensor, p: float) -> Tensor:
    """(T, B, D) with a share p of the numbers 0 and the others larger, by one mask for all words of a document."""
    return x * torch.empty((1, *x.shape[1:]), device=x.device, dtype=x.dtype).bernoulli_(1 - p) / (1 - p) if p else x


def backwards(read: Callable[[Tensor], Tensor], x: Tensor, lengths: Tensor) -> Tensor:
    """read(x), (T, B, H), where each document's words are read last to first; states stand where their words do."""
    place = torch.arange(len(x), device=x.device)[:, None]  # (T, 1)
    turned = torch.where(place < lengths, lengths - 1 - place, place)[:, :, None]  # (T, B, 1)
    return Turned.apply(read(Turned.apply(x, turned)), turned)


class Turned(torch.autograd.Function):
    """take, where what is taken twice is as it was: so its gradient is taken, too, and none is added up, which a GPU does slowly where the
    order of sums must not be left to chance."""

    @staticmethod
    def forward(ctx, x: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(place)
        return take(x, place)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return Turned.apply(gradient, *ctx.saved_tensors), None


def take(x: Tensor, place: Tensor) -> Tensor:
    """x[place[t, b], b] for all t and b; (T, B, H) and (T', B, 1) -> (T', B, H)."""
    return x.gather(0, place.expand(-1, -1, x.shape[2]))
