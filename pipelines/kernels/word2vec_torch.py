"""word2vec's descent in batches, on a device of torch's: all chunks of a batch at once, as batched matrix products.

It does what kernels/word2vec.py does, with the same windows and noise words, for skip-gram and CBOW against noise words:
every chunk reads the vectors as they were when the batch began, changes are summed row by row, and a row's sum is divided
by its curvature where that is above SLACK. All hidden vectors of a chunk are held against all its words, and the pairs
that are in no window count for nothing: most of the product is wasted, and a GPU has it to waste.

A batch has the same few launches whatever its size, so a GPU wants large ones. Sums are by `index_put_`, which sorts its
rows on a GPU: the same bytes each time, and but for rounding those of the CPU.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from pipelines.kernels.word2vec import CBOW, EDGE, NEGATIVE, SKIPGRAM, SLACK, Form, Parts, Text, Weights

Draws = tuple[Tensor, Tensor, Tensor, Tensor]


def can(form: Form, parts: Parts) -> bool:
    return form.hidden in (SKIPGRAM, CBOW) and form.against == NEGATIVE and form.learn_words and not len(parts.first)


class Descent:
    """The weights on a device, and what does not change from batch to batch.

    Args:
        weights, chances, shift, form: as kernels.word2vec.train has them.
        n_chunks: of a batch.
        device: as torch names it.
    """

    def __init__(self, weights: Weights, chances: np.ndarray, shift: np.ndarray, form: Form, n_chunks: int, device: str):
        self.words, self.outputs = (torch.tensor(matrix, device=device) for matrix in (weights.words, weights.outputs))
        self.chances = torch.tensor(chances, device=device)
        self.shift = torch.tensor(shift, device=device) if shift.any() else None
        self.form, self.n_chunks, self.device = form, n_chunks, device
        self.slot = torch.arange(form.chunk + 2 * form.window, device=device)  # the places of a chunk, and a window to each side
        self.own = form.window + self.slot[: form.chunk]  # a centre's slot
        self.label = (torch.arange(form.chunk + form.noise, device=device) < form.chunk).float()

    def fetch(self, weights: Weights) -> None:
        """Copies the weights to where NumPy has them."""
        weights.words[:], weights.outputs[:] = self.words.cpu().numpy(), self.outputs.cpu().numpy()

    def finite(self) -> bool:
        return bool((self.words.sum() + self.outputs.sum()).isfinite())

    @torch.no_grad()
    def train(self, text: Text, chunks: np.ndarray, lr: float, last_lr: float, seed: int) -> tuple[float, int]:
        """As kernels.word2vec.train."""
        draws = self._draw(torch.tensor(text.token, device=self.device).long(), torch.tensor(chunks, device=self.device), seed)
        said = torch.zeros(2, dtype=torch.float64, device=self.device)
        for at in range(0, len(chunks), self.n_chunks):
            rate = lr + (last_lr - lr) * at / len(chunks)
            said += self._batch(*(part[at : at + self.n_chunks] for part in draws), rate)
        loss, n_pairs = said.tolist()
        return loss, int(n_pairs)

    def _draw(self, token: Tensor, chunks: Tensor, seed: int) -> Draws:
        """Of all chunks (K, ...): the words in its slots, the first and last slot of each centre's window, the noise words."""
        form, start = self.form, (chunks * self.form.chunk)[:, None]
        batch = torch.arange(len(chunks), device=self.device) // self.n_chunks * self.n_chunks
        seeds = _drawn(torch.tensor(seed, device=self.device), batch)[:, None]
        reach = 1 + _modulo(_drawn(seeds, start + self.slot[: form.chunk]), form.window)
        token = pad(token, (form.window, form.window + form.chunk), value=-1)
        place, outside = torch.arange(len(token), device=self.device), token < 0
        before = place.where(outside, 0).cummax(0).values  # the nearest place outside of any document, to the left
        after = place.where(outside, len(token)).flip(0).cummin(0).values.flip(0)
        own = start + self.own
        first = torch.maximum(own - reach, before[own] + 1) - start
        last = torch.minimum(own + reach, after[own] - 1) - start
        unit = _right(_drawn(~seeds, start * 64 + torch.arange(form.noise, device=self.device)), 11).double() / 2.0**53
        noise = torch.searchsorted(self.chances, unit, right=True).clamp(max=len(self.chances) - 1)
        return token[start + self.slot], first, last, noise

    def _batch(self, word: Tensor, first: Tensor, last: Tensor, noise: Tensor, lr: float) -> Tensor:
        """B chunks of C centres, S slots and N noise words, in place; gives (loss, pairs)."""
        form, target = self.form, word[:, self.form.window : self.form.window + self.form.chunk]
        rows, against = word.clamp(min=0), torch.cat([target.clamp(min=0), noise], 1)
        vectors, outputs = self.words[rows], self.outputs[against]  # (B, S, D), (B, C + N, D)
        sees = (self.slot >= first[:, :, None]) & (self.slot <= last[:, :, None]) & (self.slot != self.own[:, None])
        near = sees.float()  # (B, C, S)
        if form.hidden == CBOW:
            n_near = near.sum(2, keepdim=True)
            held, met = near @ vectors / n_near.clamp(min=1), torch.diag_embed((n_near[:, :, 0] > 0).float())
        else:
            held, met = vectors, near.mT  # (B, H, D), (B, H, C)

        share = (target[:, :, None] != noise[:, None, :]).float() * (form.negative / form.noise)  # a word is no noise to itself
        weight = torch.cat([met, met @ share], 2)  # (B, H, C + N)
        scores = held @ outputs.mT
        if self.shift is not None:
            scores -= self.shift[against][:, None, :]
        scores = scores.clamp_(-float(EDGE), float(EDGE))
        loss = binary_cross_entropy_with_logits(scores, self.label.expand_as(scores), weight, reduction="sum")
        step = (self.label - scores.sigmoid()) * weight
        half = scores.abs().mul_(0.5).clamp_(min=1e-6)
        bend = half.tanh().div_(half).mul_(0.25).mul_(weight)

        change, curve = step @ outputs, bend @ _squared(outputs)
        of_outputs = step.mT @ held, bend.mT @ _squared(held)
        if form.hidden == CBOW:  # each word of a window takes the whole step
            change, curve = near.mT @ change, near.mT @ curve
        _add(self.words, rows, change, curve, lr)
        _add(self.outputs, against, *of_outputs, lr)
        return torch.stack([loss, met.sum()])


def _squared(vectors: Tensor) -> Tensor:
    """(..., 1), squared lengths."""
    return (vectors * vectors).sum(-1, keepdim=True)


def _add(matrix: Tensor, rows: Tensor, change: Tensor, curve: Tensor, lr: float) -> None:
    """Changes (B, n, D) and curvatures (B, n, 1), for a learning rate of 1, of the rows (B, n)."""
    total = torch.zeros(len(matrix), device=matrix.device).index_put_((rows,), curve[:, :, 0], accumulate=True)
    scale = lr / (total * (lr / float(SLACK))).clamp_(min=1)
    matrix.index_put_((rows,), change.mul_(scale[rows][:, :, None]), accumulate=True)


# unsigned numbers of 64 bits in int64, which wraps as they do


def _right(x: Tensor, n: int) -> Tensor:
    return (x >> n) & ((1 << (64 - n)) - 1)


def _modulo(x: Tensor, n: int) -> Tensor:
    return (_right(x, 1) % n * 2 + (x & 1)) % n


def _drawn(seed: Tensor, place: Tensor) -> Tensor:
    """kernels.word2vec._drawn"""
    x = seed + (place + 1) * (0x9E3779B97F4A7C15 - 2**64)
    x = (x ^ _right(x, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    x = (x ^ _right(x, 27)) * (0x94D049BB133111EB - 2**64)
    return x ^ _right(x, 31)
