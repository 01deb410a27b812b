"""Hybrid: an LSTM reads words, each as its own vector beside one that is composed from its characters.

reads   tokens        documents as token ids, with labels and splits; a word's characters are those it is written with in vocab
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form
writes  predictions   a probability per class for each document of valid and test; the model
source  Ma, Hovy 2016 (a CNN over the characters); Lample et al. 2016 (a BiLSTM over them); pipelines/recurrence.py
shapes  B documents of a batch, T tokens of the longest, V words, D numbers a word, n different words of a batch, L letters of the
        longest of them, E numbers a letter, K = composed_size

A word is composed once a batch, however often it stands there. Tokens keep the spelling of the vocabulary's words alone: what was too
rare for it is <unk>, without characters, and composed it is zeros. For rare words take a large vocabulary (min_count: 1), whose own
vectors say little, or subword tokens.
"""

import functools
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.method import Run
from pipelines.recurrence import Recurrent, RecurrentKnobs

LONGEST = 32  # letters of a word that count
PLOTS = classifier.PLOTS


class Params(RecurrentKnobs):
    bidirectional: bool = True
    compose: Literal["cnn", "lstm"] = "cnn"
    letter_size: int = Field(25, ge=1)  # E
    composed_size: int = Field(50, ge=2, multiple_of=2)  # K: filters of the CNN, or the states of the LSTM, half of them each way
    width: int = Field(3, ge=1)  # letters that a filter looks at


class Hybrid(Recurrent):
    def __init__(self, words: list[str], vectors: np.ndarray, frozen: bool, n_classes: int, params: Params):
        super().__init__(nn.LSTM, vectors, frozen, n_classes, params, beside=params.composed_size)
        n_letters, spelled, n_spelled = spelling(words)
        self.register_buffer("spelled", torch.from_numpy(spelled), persistent=False)  # (V, LONGEST)
        self.register_buffer("n_spelled", torch.from_numpy(n_spelled), persistent=False)  # (V,)
        self.letters = nn.Embedding(1 + n_letters, params.letter_size, padding_idx=0)
        compose = {"cnn": Filters, "lstm": BothWays}[params.compose]
        self.compose = compose(params.letter_size, params.composed_size, params.width)

    def words(self, ids: Tensor) -> Tensor:
        """(T, B) -> (T, B, D + K)"""
        different, place = ids.unique(return_inverse=True)  # (n,), (T, B)
        n = self.n_spelled[different]
        letters = self.letters(self.spelled[different, : max(int(n.max()), 1)])  # (n, L, E)
        composed = self.compose(self.dropout(letters), n) * (n > 0)[:, None]
        return torch.cat([self.embedding(ids), nn.functional.embedding(place, composed)], dim=2)


class Filters(nn.Module):
    """Of each filter the strongest answer, where it sees a letter; what it reaches over a word's ends is zeros."""

    def __init__(self, letter_size: int, composed_size: int, width: int):
        super().__init__()
        self.filters = nn.Conv1d(letter_size, composed_size, width, padding=width - 1)

    def forward(self, letters: Tensor, n: Tensor) -> Tensor:
        """(n, L, E) letters and (n,) how many -> (n, K)"""
        found = self.filters(letters.transpose(1, 2)).relu()  # (n, K, L + width - 1)
        seen = torch.arange(found.shape[2], device=n.device) < n[:, None] + self.filters.kernel_size[0] - 1
        return (found * seen[:, None]).amax(dim=2)


class BothWays(nn.Module):
    """The last state of an LSTM that reads a word onward, and of one that reads it backward."""

    def __init__(self, letter_size: int, composed_size: int, width: int):
        super().__init__()
        self.lstm = nn.LSTM(letter_size, composed_size // 2, batch_first=True, bidirectional=True)

    def forward(self, letters: Tensor, n: Tensor) -> Tensor:
        """(n, L, E) letters and (n,) how many -> (n, K)"""
        packed = nn.utils.rnn.pack_padded_sequence(letters, n.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        last = self.lstm(packed)[1][0]  # (2, n, K / 2)
        return torch.cat([last[0], last[1]], dim=1)


def spelling(words: list[str]) -> tuple[int, np.ndarray, np.ndarray]:
    """How words are written.

    Returns:
        How many different letters there are; (V, LONGEST) int64, those of each word, from 1 on, 0 beyond its end; and (V,) int64,
        how many, 0 for the unknown token.
    """
    written = ["" if row == UNKNOWN_ID else word[:LONGEST] for row, word in enumerate(words)]
    code_of = {letter: code for code, letter in enumerate(sorted(set().union(*written)), 1)}
    spelled = np.zeros((len(words), LONGEST), np.int64)
    for row, word in enumerate(written):
        spelled[row, : len(word)] = [code_of[letter] for letter in word]
    return len(code_of), spelled, np.array([len(word) for word in written])


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    return classifier.classify("hybrid", functools.partial(Hybrid, tokens.words()), tokens, params, run, vectors, codings)


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    make = functools.partial(Hybrid, settings["words"])
    return classifier.probabilities_of(make, Params, values, offsets, settings, weights, run)
