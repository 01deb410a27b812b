"""Ensemble: the average of what several classifiers say, document by document.

reads   predictions   two rows or more, of the same documents and the same classes, one class each or several; or of numbers
writes  predictions   a weighted mean of their probabilities, of these' logarithms, or of the numbers. The model holds the weights
source  Dietterich 2000, Ensemble methods in machine learning; Jordan, Jacobs 1994 for weights that are chosen: those of a mixture,
        by expectation-maximisation; Breiman 1996, Stacked regressions, for those of numbers: least squares, none below 0;
        Genest, Zidek 1986, Combining probability distributions, for the logarithmic pool
shapes  N documents, C classes

Weights that are chosen are chosen on valid, so the loss of valid is then a little too good.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.optimize import minimize, nnls
from scipy.special import softmax

from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.kernels.calibration import logarithms, smoothed_loss
from pipelines.method import Knobs, Run
from pipelines.told import KINDS, Told, told, write_told

GAIN = 1e-9  # nats a document; a round of expectation-maximisation that gains less was the last one
ROUNDS = 10_000  # at most
STRICT = 1e4  # weight of the equation that weights sum to 1, beside errors of at most 1
ANSWERS = "one", "several", "number"


class Params(Knobs):
    # chosen: at least 0, their sum 1, for the least log loss on valid, of numbers the least squared error
    weights: Literal["equal", "chosen"] = "equal"
    # logarithmic: the mean of logarithms, for one class each; chosen weights then need not sum to 1, so that many who agree are sure together
    pool: Literal["linear", "logarithmic"] = "linear"


def classify(predictions: list[Predictions], params: Params, run: Run) -> Predictions:
    if len(predictions) < 2:
        raise Fault(f"{run.name}: an average needs two rows of predictions or more, and only {predictions[0].name} is named")
    several = [told(one, ANSWERS) for one in predictions]
    first = several[0]
    faults = [fault for one, its in zip(predictions[1:], several[1:], strict=True) for fault in misfits(predictions[0], first, one, its)]
    if params.pool == "logarithmic" and first.answer != "one":
        faults.append(f"{run.name}: pool: logarithmic is for one class each, and these are {KINDS[first.answer]}. Leave pool out")
    if faults:
        raise Fault(faults)
    p = [aligned(first, one) for one in several]  # (N, C) each, documents in the first one's order
    settings = {"model": "ensemble", "classes": first.classes, "of": [one.classes for one in several], "params": params.model_dump()}
    weights = chosen(first, p, settings["of"], params.pool, run) if params.weights == "chosen" else np.full(len(several), 1 / len(several))
    run.say("weights " + ", ".join(f"{one.row} {weight:.3f}" for one, weight in zip(predictions, weights, strict=True)))
    kept = {"weights": weights}
    return write_told(run, first, combined(p, settings, kept), settings, kept)


def chosen(first: Told, p: list[np.ndarray], of: list[list[str]], pool: str, run: Run) -> np.ndarray:
    """(rows,) float64: the weights that serve the labelled documents of valid best. Raises Fault where there are none."""
    rows, truth = first.judged("valid") if first.answer == "one" else first.truth("valid")
    if not len(rows):
        among = " among the classes" if first.classes else ""
        raise Fault(f"{run.name}: no document of valid has a label{among}, so no weights can be chosen. Say weights: equal")
    said = np.stack([one[rows][:, order] for one, order in zip(p, orders(first.classes, of), strict=True)]).astype(np.float64)
    if first.answer == "number":
        return simplex(said[:, :, 0], truth[:, 0])
    if first.answer == "several":  # each class of each document is a question of its own
        return mixture(np.where(truth, said, 1 - said).reshape(len(p), -1))
    return logarithmic(logarithms(said), truth) if pool == "logarithmic" else mixture(said[:, np.arange(len(rows)), truth])


def orders(classes: list[str], of: list[list[str]]) -> list[list[int]]:
    """Where each row of predictions has the classes; numbers have one column."""
    return [[its.index(name) for name in classes] or [0] for its in of]


def combined(probabilities: list[np.ndarray], settings: dict, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(N, C) float32, of what the classifiers say of the same documents; each has the classes in an order of its own, `of`."""
    ordered = [p[:, order].astype(np.float64) for p, order in zip(probabilities, orders(settings["classes"], settings["of"]), strict=True)]
    if Params(**settings["params"]).pool == "logarithmic":
        return softmax(weighted(weights["weights"], map(logarithms, ordered)), axis=1).astype(np.float32)
    return weighted(weights["weights"], ordered).astype(np.float32)


def weighted(weights: np.ndarray, parts: Iterable[np.ndarray]) -> np.ndarray:
    """Their weighted sum, added up in one order whatever the number of threads."""
    return sum(weight * part for weight, part in zip(weights, parts, strict=True))


def misfits(a: Predictions, first: Told, b: Predictions, other: Told) -> list[str]:
    """Why the two cannot be averaged, a sentence each."""
    faults = []
    if first.answer != other.answer:
        return [f"the answers of {a.name} are {first.answer}, and those of {b.name} {other.answer}. Name rows of one target"]
    if set(first.classes) != set(other.classes):
        lacking = sorted(set(first.classes) ^ set(other.classes))
        faults.append(f"{a.name} and {b.name} have not the same classes: {lacking[0]!r} is of one alone. Train both on the same documents")
    mine, theirs = keys(first), keys(other)
    missing = [pc.filter(x, pc.invert(pc.is_in(x, y))) for x, y in ((mine, theirs), (theirs, mine))]
    if n := len(missing[0]) + len(missing[1]):
        example = (missing[0] if len(missing[0]) else missing[1])[0].as_py().split("\n", 1)
        faults.append(
            f"{a.name} and {b.name} are not of the same documents: {n} are of one alone, first {example[1]!r} of {example[0]}. "
            "Name rows that read the same tokens"
        )
    return faults


def keys(given: Told) -> pa.Array:
    """Split and doc_id in one."""
    return pc.binary_join_element_wise(given.table["split"], given.table["doc_id"], "\n").combine_chunks()


def aligned(first: Told, other: Told) -> np.ndarray:
    """(N, C) float32: the other's probabilities in the first one's order of documents."""
    return other.probabilities[pc.index_in(keys(first), keys(other)).to_numpy()]


def mixture(p: np.ndarray) -> np.ndarray:
    """(rows,) float64: the weights on the simplex with the least log loss.

    Args:
        p: (rows, n) what each says of the true class of each document. The loss is convex in the weights, and no round raises it.
    """
    p = np.maximum(p, np.finfo(np.float32).tiny)
    weights, before = np.full(len(p), 1 / len(p)), -np.inf
    for _ in range(ROUNDS):
        of_truth = weights @ p
        gained = np.log(of_truth).mean()
        if gained - before < GAIN:
            break
        before, weights = gained, weights * (p / of_truth).mean(axis=1)
    return weights / weights.sum()


def logarithmic(logs: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """(rows,) float64: the weights, none below 0, whose softmax(sum of weight ln p) has the least `smoothed_loss`; it is convex in them.

    Args:
        logs: (rows, N, C) what each says; class_ids: (N,).
    """
    rows, n, n_classes = logs.shape
    target = (n * np.eye(n_classes)[class_ids] + 1) / (n + n_classes)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = weighted(weights, logs)
        slope = softmax(scores, axis=1) - target
        return smoothed_loss(scores, class_ids), np.array([(part * slope).sum() / n for part in logs])

    return minimize(loss, np.full(rows, 1 / rows), jac=True, method="L-BFGS-B", bounds=[(0, None)] * rows).x


def simplex(said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(rows,) float64: the weights on the simplex with the least squared error.

    Args:
        said: (rows, n) numbers; truth: (n,). As the weights' sum is 1, the error is the weighted sum of the rows' errors.
    """
    errors = said - truth
    scale = np.abs(errors).max() or 1.0
    # one more equation, that the sum is 1, weighing so much that nothing is gained by missing it
    equations = np.concatenate([(errors / scale).T, np.full((1, len(said)), STRICT)])
    weights, _ = nnls(equations, np.append(np.zeros(len(truth)), STRICT))
    return weights / weights.sum()
