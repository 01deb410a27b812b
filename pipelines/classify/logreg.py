"""Logistic regression on the rows of a sparse matrix of documents: bags of words, TF-IDF, hashed or not.

reads   counts        documents as sparse rows (cooccur, method documents), with labels and splits
writes  predictions   a probability per class for each document of valid and test; the model
source  Cox 1958; solved by scikit-learn's L-BFGS, several classes as one multinomial model
shapes  N documents, F columns, C classes
"""

from pydantic import Field

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.predictions import Predictions
from pipelines.kernels.bags import class_probabilities, fit_logistic
from pipelines.labels import classes_of, read, write, write_classes
from pipelines.method import Knobs, Run


class Params(Knobs):
    l2: float = Field(0.03, gt=0)  # strength of the penalty on large weights; scikit-learn's C is 1 / l2
    tol: float = Field(1e-5, gt=0)  # largest slope of the loss at which it counts as settled
    max_iter: int = Field(500, ge=1)  # steps of L-BFGS


def classify(counts: Counts, params: Params, run: Run) -> Predictions:
    classes = classes_of(counts)
    x = counts.sparse()
    train, valid, test = (read(counts, split, classes) for split in ("train", "valid", "test"))
    weights, settled = fit_logistic(x[train.rows], train.class_ids, params.l2, params.tol, params.max_iter)
    if not settled:
        run.say(f"not settled after max_iter = {params.max_iter} steps; a larger max_iter or a larger l2 would settle it")
    with run.open(Predictions) as out:
        write_classes(out, classes)
        for split in (valid, test):
            p = class_probabilities(x[split.rows], weights)
            write(out, split, classes, p)
            if (split.class_ids >= 0).any():
                run.say(f"accuracy on {split.name} {split.accuracy(p):.4f}")
        out.model({"model": "logreg", "classes": classes, "params": params.model_dump()}, weights)
    return out.artifact
