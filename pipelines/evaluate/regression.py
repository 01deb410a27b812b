"""Regression: how near the numbers are that a classifier says, on the validation split.

reads   predictions   a number per document
writes  scores    rmse, mean_absolute_error, r_squared (1 less the squared error over that of the split's mean; below 0 where the mean
                  is nearer), pearson, spearman; rmse_mean and mean_absolute_error_mean, those of always saying the split's mean
        beside it     numbers.csv: of, doc_id, actual, predicted; of at most 1,000 documents, evenly from the first to the last
source  Hastie, Tibshirani, Friedman 2009, ch. 3 (the figures); Spearman 1904; Efron, Tibshirani 1993, ch. 13 (percentile intervals)
shapes  n documents
"""

import numpy as np

from pipelines import scoring
from pipelines.artifacts.predictions import Predictions
from pipelines.artifacts.scores import Scores, columns
from pipelines.kernels.regression import score_mean
from pipelines.method import Run

SHOWN = 1000  # documents of each row in numbers.csv
PLOTS = {"numbers": {"template": "scatter", "x": "actual", "y": "predicted", "title": "predicted by actual number"}}


class Params(scoring.OnValid):
    pass


def evaluate(predictions: list[Predictions], params: Params, run: Run) -> Scores:
    asked = scoring.labelled(predictions, params.on, "numbers")
    told = []
    with run.open(Scores) as out:
        for artifact, (frame, probabilities) in zip(predictions, asked, strict=True):
            figures = scoring.figures(artifact, frame["label"], frame["predicted"], probabilities, params.n_bootstrap, run.seed)
            both = figures | score_mean(scoring.numbers(artifact, frame["label"]), params.n_bootstrap, run.seed)
            rows = ({"metric": metric, "value": value, "low": low, "high": high} for metric, (value, low, high) in both.items())
            out.append(**columns({"of": artifact.name, "on": params.on, "n": len(frame), **row} for row in rows))
            some = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, SHOWN).round().astype(int))]
            told += [
                {"of": artifact.name, "doc_id": doc_id, "actual": label, "predicted": predicted}
                for doc_id, label, predicted in zip(some["doc_id"], some["label"], some["predicted"], strict=True)
            ]
            run.say(f"{artifact.name}: " + ", ".join(f"{metric} {value:.4f}" for metric, (value, _, _) in figures.items()))
        out.csv("numbers", told)
    return out.artifact
