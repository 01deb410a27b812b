"""The one reading of the test split: predictions, which know no test label, against the corpus, which does."""

import pyarrow.compute as pc

from pipelines import scoring
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.predictions import Predictions
from pipelines.errors import Fault
from pipelines.kernels.classification import Figure

N_BOOTSTRAP = 1000


def score_test(predictions: Predictions, corpus: Corpus, seed: int) -> list[dict]:
    """Figures of the test split; of a language model its perplexity alone, since no label says how a text goes on.

    Returns:
        metric, value, low, high (a 95 % interval over documents) and n, a dict for each figure.

    Raises:
        Fault: no test documents, or ones that the corpus has not, or has without a label.
    """
    frame, probabilities = predictions.frame("test")
    if not len(frame):
        raise Fault(f"{predictions.name} has no document of split 'test', so there is nothing to score")
    if scoring.is_language_model(predictions):
        return _rows(scoring.perplexity(predictions, probabilities, N_BOOTSTRAP, seed), len(frame))
    truth = _test_labels(corpus)
    missing = [doc_id for doc_id in frame["doc_id"] if doc_id not in truth]
    if missing:
        raise Fault(
            f"{corpus.name} has no test label for {len(missing)} of {len(frame)} documents of {predictions.name}, first {missing[0]!r}. "
            "Name the corpus that they were made from"
        )
    labels = [truth[doc_id] for doc_id in frame["doc_id"]]
    return _rows(scoring.figures(predictions, labels, frame["predicted"], probabilities, N_BOOTSTRAP, seed), len(frame))


def _rows(figures: dict[str, Figure], n: int) -> list[dict]:
    return [{"metric": metric, "value": value, "low": low, "high": high, "n": n} for metric, (value, low, high) in figures.items()]


def _test_labels(corpus: Corpus) -> dict[str, str]:
    """doc_id -> label of every labelled test document; the texts are not read."""
    truth: dict[str, str] = {}
    for batch in corpus.batches(["doc_id", "label", "split"]):
        batch = batch.filter(pc.and_(pc.equal(batch.column("split"), "test"), pc.is_valid(batch.column("label"))))
        truth.update(zip(batch.column("doc_id").to_pylist(), batch.column("label").to_pylist(), strict=True))
    return truth
