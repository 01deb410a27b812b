"""Small tasks for classifiers that read a document word by word, and what all of these owe."""

import numpy as np

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.labels import read
from pipelines.method import Run

WORDS = ["<unk>", "not", "good", "bad", "film", "the"]


def orders(n: int = 400, seed: int = 0, together: bool = False) -> list[tuple]:
    """Which of two words came first decides; every document has the same words, so their counts say nothing.

    Args:
        together: the two stand beside each other.
    """
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        length = int(rng.integers(4, 10))
        ids = np.full(length, 5)
        first = int(rng.integers(0, length - 1))
        second = first + 1 if together else int(rng.integers(first + 1, length))
        ids[[first, second]] = (2, 3) if i % 2 else (3, 2)
        documents.append((split_of(i, n), "good first" if i % 2 else "bad first", ids))
    return documents


def far_orders(n: int = 1600, length: int = 50, seed: int = 0) -> list[tuple]:
    """Two words, each w1 or w2, one near the beginning and one behind the middle, make the four classes; all others mean nothing.

    Hochreiter, Schmidhuber 1997, experiment 6a, with one end of all documents.
    """
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        ids = rng.integers(3, 7, length)
        first, second = rng.integers(0, length // 5), rng.integers(length // 2, length // 2 + length // 5)
        ids[[first, second]] = 1 + i % 2, 1 + i // 2 % 2
        documents.append((split_of(i, n), f"w{ids[first]} w{ids[second]}", ids))
    return documents


def counted(n: int = 400, seed: int = 0) -> list[tuple]:
    """The label is 1000, and 20 more for each `not`, 10 less for each `good`."""
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        ids = rng.integers(1, len(WORDS), int(rng.integers(4, 12)))
        documents.append((split_of(i, n), str(1000 + 20 * (ids == 1).sum() - 10 * (ids == 2).sum()), ids))
    return documents


def split_of(i: int, n: int) -> str:
    """Half is train, a quarter valid, a quarter test."""
    return ("train", "train", "valid", "test")[4 * i // n]


def accuracy(made: Predictions) -> float:
    return float(np.mean(made.frame("valid")[0].eval("label == predicted")))


def said_again(method, made: Predictions, tokens: Tokens, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """What was written of a split, and what the method says of its documents by what the artifact keeps."""
    settings, weights = made.model()
    documents = read(tokens, split, settings["classes"])
    again = method.probabilities_of(documents.values, documents.offsets, settings, weights, Run(made.folder / "again", seed=9))
    return made.frame(split)[1], again


def few_labels(seed: int, n_unlabelled: int = 400, n_words: int = 40, length: int = 6) -> list[tuple]:
    """Documents of two topics, each of `n_words` words; six have labels, and use few of the words that those of valid use."""
    rng, documents = np.random.default_rng(seed), []
    for i in range(n_unlabelled + 106):
        split = "train" if i < 6 else "valid" if i < 106 else "unlabelled"
        ids = 1 + n_words * (i % 2) + rng.integers(0, n_words, length)
        documents.append((split, None if split == "unlabelled" else "ab"[i % 2], ids))
    return documents


TOPICS = ["<unk>", *(f"w{i}" for i in range(80))]
