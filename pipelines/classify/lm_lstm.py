"""Language model first: an LSTM that learns to foretell words in all texts, and then the classes, with virtual adversarial training or without.

reads   tokens        documents as token ids, with labels and splits
        vectors       optional: word vectors to begin with
writes  predictions   a probability per class for each document of valid and test; the model
        beside it     language.csv, and backwards.csv for a second model: epoch, loss, valid_perplexity
source  Dai, Le 2015; Miyato, Dai, Goodfellow 2017, whose settings are larger: 1,024 states, 256 numbers a word, lm_streams 256, lm_steps 400,
        lm_softmax sampled; pipelines/foretelling.py, pipelines/mixed.py. With bidirectional: Peters et al. 2017, a model each way
"""

import functools
from typing import Literal

from pydantic import Field, model_validator

from pipelines import classifier, foretelling, mixed
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.fit import ADAM, Point
from pipelines.method import Run

CURVE = {"x": "epoch", "y": ["loss", "valid_loss"]}
PLOTS = {**classifier.PLOTS, "language": CURVE, "backwards": CURVE}


class Params(foretelling.LanguageKnobs, mixed.MixedKnobs):
    hidden_size: int = Field(256, ge=1)
    vector_size: int = Field(128, ge=1)
    pooling: Literal["last", "max", "mean"] = "last"
    lr: float = Field(0.0005, gt=0)
    ema: float = Field(0.998, ge=0, lt=1)  # 0.999 in the paper, whose trainings are longer
    adversarial: float = Field(0.0, ge=0)  # the paper adds it to the virtual one on other data than IMDb
    entropy: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _one_layer_each_way(self) -> "Params":
        if self.bidirectional and self.num_layers > 1:
            raise ValueError(
                "num_layers must be 1 where bidirectional: a second layer reads both ways at once, and would be shown what it foretells"
            )
        return self


def classify(tokens: Tokens, params: Params, run: Run, vectors: Vectors | None = None) -> Predictions:
    curves = {}

    def before(model: mixed.Reader) -> None:
        curves.update(language(tokens, model, params, run))

    made = mixed.classify("lm_lstm", tokens, params, run, vectors, None, ADAM, before)
    for name, curve in curves.items():
        run.open(Predictions).csv(name, curve)
    return made


def language(tokens: Tokens, model: mixed.Reader, params: Params, run: Run) -> dict[str, list[Point]]:
    """Trains the new network's language models in place, one for each way that it reads; their curves."""
    curves = {}
    for name, layers in (("language", model.onward), ("backwards", model.backward_)):
        if len(layers):
            part = run.part(name)
            foretelling.foretell(tokens, model, layers, params, part, backwards=name == "backwards")
            curves[name] = part.curve
    return curves


probabilities_of = functools.partial(classifier.probabilities_of, mixed.Reader, Params)
