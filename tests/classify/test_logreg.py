"""Logistic regression on sparse rows of documents."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.classify.logreg import Params, classify
from pipelines.cooccur.documents import Params as Bags
from pipelines.cooccur.documents import cooccur
from pipelines.errors import Fault
from pipelines.kernels.bags import class_probabilities
from pipelines.method import Run
from tests.classify.test_tfidf_logreg import WORDS, topics
from tests.texts import labelled


def bags(tmp_path, documents, **knobs):
    return cooccur(labelled(tmp_path / "tokens", documents, WORDS), Bags(**knobs), Run(tmp_path / "bags"))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_scikit_learns(tmp_path, n_classes):
    counts = bags(tmp_path, topics(n_classes=n_classes), weighting="tfidf")
    made = classify(counts, Params(), Run(tmp_path / "p"))
    documents, x = counts.documents().to_pandas(), counts.sparse()
    train = documents["split"] == "train"
    model = LogisticRegression(C=1 / 0.03, tol=1e-5, max_iter=500).fit(x[np.flatnonzero(train)], documents["label"][train])
    frame = made.read().to_pandas()
    for split in ("valid", "test"):
        mine = np.stack(frame[frame["split"] == split]["probabilities"])
        assert np.allclose(mine, model.predict_proba(x[np.flatnonzero(documents["split"] == split)]), atol=1e-4)
    assert frame[frame["split"] == "valid"]["predicted"].eq(frame[frame["split"] == "valid"]["label"]).mean() > 0.8


def test_the_model_that_is_kept_gives_the_probabilities_that_were_written(tmp_path):
    counts = bags(tmp_path, topics())
    made = classify(counts, Params(), Run(tmp_path / "p"))
    _, weights = made.model()
    rows = np.flatnonzero(counts.documents().to_pandas()["split"] == "test")
    frame = made.read().to_pandas()
    assert np.array_equal(class_probabilities(counts.sparse()[rows], weights), np.stack(frame[frame["split"] == "test"]["probabilities"]))


def test_the_labels_of_test_are_not_in_the_predictions(tmp_path):
    frame = classify(bags(tmp_path, topics()), Params(), Run(tmp_path / "p")).read().to_pandas()
    assert frame[frame["split"] == "test"]["label"].isna().all()


def test_one_class_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="of one class, 'a'"):
        classify(bags(tmp_path, [("train", "a", [1]), ("train", "a", [2])]), Params(), Run(tmp_path / "p"))
