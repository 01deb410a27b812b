"""Majority: always the class that most training documents have; its probabilities are the classes' shares.

reads   tokens        documents of which the labels of train alone are looked at
writes  predictions   the same for each document of valid and test; the model
source  the baseline that every table of results begins with; of all answers that look at no document, the shares have the
        least log loss
"""

import numpy as np

from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.labels import check_held_out, classes_of, publish, read
from pipelines.method import Knobs, Run


class Params(Knobs):
    pass


def classify(tokens: Tokens, params: Params, run: Run) -> Predictions:
    classes = classes_of(tokens)
    train, valid, test = (read(tokens, split, classes) for split in ("train", "valid", "test"))
    check_held_out(tokens, valid, test)
    weights = {"shares": (np.bincount(train.class_ids) / len(train)).astype(np.float32)}
    settings = {"model": "majority", "classes": classes, "words": tokens.words(), "params": params.model_dump()}
    return publish(run, (valid, test), lambda it: probabilities_of(it.values, it.offsets, settings, weights, run), settings, weights)


def probabilities_of(values: np.ndarray, offsets: np.ndarray, settings: dict, weights: dict[str, np.ndarray], run: Run) -> np.ndarray:
    """(N, C) float32, from the model as an artifact keeps it."""
    return np.tile(weights["shares"], (len(offsets) - 1, 1))
