"""LSTM: reads a document word by word, in order, and says which class it is of; with `bidirectional` also from its end, a BiLSTM.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with, matched to the vocabulary by the word itself
        codings       optional, instead of vectors: their compressed form; or those of compress' method recurrent, whose
                      encoder, word vectors and LSTM, is then what training begins with (Dai, Le 2015)
writes  predictions   a probability per class for each document of valid and test; the model
source  Hochreiter, Schmidhuber 1997, with the forget gate of Gers, Schmidhuber, Cummins 2000; pipelines/recurrence.py
shapes  V words, D numbers a word, H = hidden_size

Tokens of characters make it a character LSTM.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.reading import matched
from pipelines.recurrence import Recurrent, RecurrentKnobs

PLOTS = classifier.PLOTS
make = functools.partial(Recurrent, nn.LSTM)


class Params(RecurrentKnobs):
    pass


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None, codings: Codings | None = None) -> Predictions:
    encoder = _encoder(codings, params)
    if encoder is None or vectors is not None:
        return classifier.classify("lstm", make, tokens, params, run, vectors, codings)
    start = matched(tokens, encoder.words, encoder.vectors, codings.name, run, scaled=False)

    def begin(model: Recurrent) -> None:
        model.embedding = nn.Embedding.from_pretrained(torch.from_numpy(start), freeze=not params.fine_tune)
        model.onward.load_state_dict(encoder.layers)

    params = params.model_copy(update={"vector_size": start.shape[1]})
    return classifier.classify("lstm", make, tokens, params, run, begin=begin)


class Encoder(NamedTuple):
    words: list[str]
    vectors: np.ndarray  # (n, D) float32
    layers: dict[str, Tensor]  # of Recurrent.onward


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


probabilities_of = functools.partial(classifier.probabilities_of, make, Params)
