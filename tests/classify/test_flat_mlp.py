"""The first or last words side by side."""

import numpy as np
import pytest
import torch

from pipelines.classify.flat_mlp import Flat, Params, classify, probabilities_of
from pipelines.labels import read
from pipelines.method import Run
from pipelines.reading import Documents, padded
from tests.kernels.test_grams import flat
from tests.texts import labelled

WORDS = ["<unk>", "good", "bad", "the", "film"]
SMALL = Params(max_tokens=3, dropout=0, batch_size=16, epochs=30, lr=0.02, patience=30)


def seen(keep, documents):
    """What the decision is made on: the vector of word i is (i, -i)."""
    vectors = np.float32([[i, -i] for i in range(5)])
    net = Flat(vectors, True, 2, Params(max_tokens=3, keep=keep)).eval()
    net.decision = torch.nn.Identity()
    ids, lengths = padded(Documents(*flat(documents)), np.arange(len(documents)), 3, keep)
    with torch.no_grad():
        return net(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()[:, ::2].tolist()


@pytest.mark.parametrize(
    ("keep", "expected"),
    [("tail", [[2, 3, 4], [0, 1, 2], [0, 0, 0]]), ("head", [[1, 2, 3], [1, 2, 0], [0, 0, 0]]), ("both", [[1, 2, 4], [1, 2, 0], [0, 0, 0]])],
)
def test_words_stand_where_the_end_that_is_kept_is_fixed(keep, expected):
    assert seen(keep, [[1, 2, 3, 4], [1, 2], []]) == expected


def test_in_a_batch_of_short_documents_they_stand_there_too():
    assert seen("tail", [[1, 2], [4]]) == [[0, 1, 2], [0, 0, 4]]


@pytest.mark.parametrize("keep", ["head", "tail"])
@pytest.mark.parametrize("hidden_size", [0, 8])
def test_it_learns_what_the_end_says_that_is_kept_and_nothing_of_the_other(tmp_path, keep, hidden_size):
    # the first word of a document tells its class, the last one does not, or the other way round
    rng, right = np.random.default_rng(0), {}
    for where in ("head", "tail"):
        documents = []
        for i in range(300):
            middle = [3, 4, 3, *rng.integers(3, 5, rng.integers(1, 4))]
            ends = [1 + i % 2, rng.integers(1, 3)]
            documents.append(
                (("train", "train", "valid")[i // 2 % 3], "ab"[i % 2], [ends[where == "tail"], *middle, ends[where == "head"]])
            )
        toy = labelled(tmp_path / where, documents, WORDS)
        params = SMALL.model_copy(update={"keep": keep, "hidden_size": hidden_size})
        right[where] = classify(toy, params, Run(tmp_path / f"p{where}", seed=1)).frame("valid")[0].eval("label == predicted").mean()
    assert right.pop(keep) == 1
    assert right.popitem()[1] < 0.7


def test_what_was_kept_gives_the_same_probabilities_without_the_training_data(tmp_path):
    documents = [(("train", "valid", "test")[i // 2 % 3], "ab"[i % 2], [3, 1 + i % 2][: i % 5]) for i in range(60)]
    toy = labelled(tmp_path / "t", documents, WORDS)
    made = classify(toy, SMALL.model_copy(update={"epochs": 2}), Run(tmp_path / "p", seed=1))
    settings, weights = made.model()
    split = read(toy, "test", settings["classes"])
    assert probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path)) == pytest.approx(made.frame("test")[1], abs=1e-6)
