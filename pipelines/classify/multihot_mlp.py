"""Dense network on a multi-hot bag of words: which words a document has, not how often, nor where.

reads   tokens        documents as token ids, with labels and splits; how many words count is their max_vocab
writes  predictions   a probability per class for each document of valid and test; the model
source  Chollet 2018, Deep Learning with Python, 3.5: 10,000 words, two hidden layers of 16 ReLUs; training in pipelines/classifier.py
shapes  B documents of a batch, V words, C classes
"""

import itertools
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from pipelines import classifier
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.fit import apply, arrays, prepare
from pipelines.labels import Split, documents, publish
from pipelines.method import Run
from pipelines.reading import Documents

PLOTS = classifier.PLOTS


class Params(classifier.TrainingKnobs):
    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field([16, 16])  # of the layers between the words and the decision; [] for none
    dropout: float = Field(0.5, ge=0, lt=1)  # of what each hidden layer gives
    batch_size: int = Field(512, ge=1)  # documents a step; the book's
    epochs: int = Field(20, ge=1)  # at most
    lr: float = Field(0.001, gt=0)  # Adam


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    classes, train, valid, test = documents(tokens, params.n_train, run, params.target)
    scale, train, judged = classifier.standardised(train, valid)
    n_vocab = tokens.n_rows("vocab")
    prepare(run)
    model = network(n_vocab, classifier.outputs(classes, params.target), params)

    def batches(train: Split, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        for rows in np.split(rng.permutation(len(train)), range(params.batch_size, len(train), params.batch_size)):
            yield multi_hot(train, rows, n_vocab), classifier.truth(train, rows)

    def scores(split: Split) -> np.ndarray:
        return scores_of(model, split, n_vocab, params, run)

    classifier.learn(model, classifier.Course(batches), train, judged, scores, classes, params, run)
    settings = {"model": "multihot_mlp", "classes": classes, "words": tokens.words(), "params": params.model_dump(), **scale}
    return publish(run, (valid, test), lambda it: classifier.told(scores(it), settings), settings, arrays(model))


def network(n_vocab: int, n_scores: int, params: Params) -> nn.Sequential:
    """(B, V) -> (B, C) scores"""
    sizes = [n_vocab, *params.hidden_sizes]
    hidden = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU(), nn.Dropout(params.dropout))]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], n_scores))


def multi_hot(documents: Documents | Split, rows: np.ndarray, n_vocab: int) -> np.ndarray:
    """(B, V) float32, 1 for each word that a document has; the unknown one is none."""
    lengths = np.diff(documents.offsets)[rows]
    x = np.zeros((len(rows), n_vocab), np.float32)
    places = np.arange(lengths.sum()) + np.repeat(documents.offsets[rows] - np.cumsum(lengths) + lengths, lengths)
    x[np.repeat(np.arange(len(rows)), lengths), documents.values[places]] = 1
    x[:, UNKNOWN_ID] = 0
    return x


def scores_of(model: nn.Module, documents: Documents | Split, n_vocab: int, params: Params, run: Run) -> np.ndarray:
    """(N, C) float32"""
    n = len(documents.offsets) - 1
    parts = np.split(np.arange(n), range(params.batch_size, n, params.batch_size))
    return np.concatenate(list(apply(model, ((multi_hot(documents, rows, n_vocab),) for rows in parts), run)))


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(N, C) float32, as classifier.told, from the model as an artifact keeps it."""
    params, n_vocab = Params(**settings["params"]), len(settings["words"])
    model = network(n_vocab, classifier.outputs(settings["classes"], params.target), params)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return classifier.told(scores_of(model, Documents(values, offsets), n_vocab, params, run), settings)
