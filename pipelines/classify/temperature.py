"""Temperature: another classifier's probabilities, sharpened or flattened by one number until they can be believed.

reads   predictions   of one class each, with labelled documents in valid
writes  predictions   the same decisions, softmax(ln p / T); T has the least log loss on valid, smoothed as Platt does. The model holds T
source  Guo, Pleiss, Sun, Weinberger 2017, On calibration of modern neural networks

T is chosen on valid, so the log loss and the calibration of valid are then a little too good; one number fits little.
"""

import numpy as np
from scipy.special import softmax

from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.kernels.calibration import log_loss, logarithms, temperature
from pipelines.method import Knobs, Run
from pipelines.told import told, write_told


class Params(Knobs):
    pass


def classify(predictions: Predictions, params: Params, run: Run) -> Predictions:
    given = told(predictions)
    logits, (mine, class_ids) = logarithms(given.probabilities), given.judged("valid")
    if not len(mine):
        raise Fault(
            f"{predictions.name}: no document of valid has a label among its classes, so no temperature can be chosen. Take it as it is"
        )
    t = temperature(logits[mine], class_ids)
    before, after = log_loss(logits[mine], class_ids), log_loss(logits[mine] / t, class_ids)
    run.say(f"temperature {t:.4f}; log loss of {len(mine)} documents of valid {before:.4f} before, {after:.4f} after")
    settings = {"model": "temperature", "classes": given.classes, "params": params.model_dump()}
    weights = {"temperature": np.array([t])}
    return write_told(run, given, combined([given.probabilities], settings, weights), settings, weights)


def combined(probabilities: list[np.ndarray], settings: dict, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, C) float32, of what the one classifier says of any documents."""
    return softmax(logarithms(probabilities[0]) / weights["temperature"], axis=1).astype(np.float32)
