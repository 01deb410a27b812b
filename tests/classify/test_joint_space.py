"""Items and names in one space."""

import csv

import numpy as np
import pytest
import torch

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.classify.joint_space import JointSpace, Params, classify, losses, probabilities_of_items, retrieval
from pipelines.errors import Fault
from pipelines.labels import NO_CLASS
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.texts import labelled

WORDS = ["<unk>", "a", "the", "zero", "one", "two", "three"]
SMALL = Params(joint_size=8, hidden_size=24, vector_size=8, dropout=0.0, batch_size=16, epochs=15, lr=0.01)


def things(n=160, seed=0):
    """Points around four corners, and their names, with an article or without."""
    rng, documents = np.random.default_rng(seed), []
    corners = np.array([[0, 0], [0, 4], [4, 0], [4, 4]], np.float32)
    matrix = np.empty((n, 3), np.float32)
    for i in range(n):
        kind = int(rng.integers(4))
        matrix[i] = [*(corners[kind] + rng.normal(0, 0.7, 2)), 5.0]
        documents.append((("train", "train", "valid", "test")[i % 4], str(kind), [*([], [1], [2])[rng.integers(3)], 3 + kind]))
    return documents, matrix


def numbers(folder, matrix, noun=Vectors, items=None):
    items = items or [f"d{i}" for i in range(len(matrix))]
    with Run(folder).open(noun) as out:
        if noun is Vectors:
            out.append(item=items, count=[0] * len(items), vector=matrix)
        else:
            out.append(item=items, coding=matrix, error=[0] * len(items))
    return out.artifact


@pytest.fixture
def pairs(tmp_path):
    documents, matrix = things()
    return labelled(tmp_path / "t", documents, WORDS), numbers(tmp_path / "v", matrix)


def right(made):
    frame = made.frame("valid")[0]
    return np.mean(frame["label"] == frame["predicted"])


@pytest.mark.parametrize("loss", ["contrastive", "ranking"])
def test_an_item_is_near_its_names_both_ways(tmp_path, pairs, loss):
    made = classify(pairs[0], SMALL.model_copy(update={"loss": loss}), Run(tmp_path / "p", seed=1), vectors=pairs[1])
    made.verify()
    assert right(made) > 0.9
    with (made.folder / "retrieval.csv").open(newline="") as file:
        rows = {(row["direction"], row["right"]): row for row in csv.DictReader(file)}
    there, back = rows["item to text", "class"], rows["text to item", "class"]
    assert (there["candidates"], there["n"], back["candidates"], back["n"]) == ("11", "40", "40", "11")
    assert float(there["recall_1"]) > 0.9
    assert float(back["recall_1"]) > 0.9
    # of the three texts of a kind one is as right as the other
    assert float(rows["item to text", "text"]["recall_1"]) < 0.7 < float(rows["item to text", "text"]["recall_5"])
    assert not made.profile()["test_label_shown"].any()


def test_codings_serve_as_well_and_one_of_the_two_is_wanted(tmp_path, pairs):
    coded = numbers(tmp_path / "c", things()[1], Codings)
    made = classify(pairs[0], SMALL, Run(tmp_path / "p", seed=1), codings=coded)
    assert right(made) > 0.9
    for given in ({}, {"vectors": pairs[1], "codings": coded}):
        with pytest.raises(Fault, match="items have either vectors or codings. Name one of them"):
            classify(pairs[0], SMALL, Run(tmp_path / "q"), **given)


def test_names_of_no_item_are_told(tmp_path):
    documents, matrix = things(20)
    some = numbers(tmp_path / "v", matrix[:15])
    with pytest.raises(
        Fault, match=r"2 of 10 documents of split train of tokens/t are of no item of vectors/v, first 'd16'; its items begin with 'd0'"
    ):
        classify(labelled(tmp_path / "t", documents, WORDS), SMALL, Run(tmp_path / "p"), vectors=some)


def unit(*rows):
    made = torch.tensor(rows, dtype=torch.float64)
    return made / made.norm(dim=1, keepdim=True)


def test_losses_by_hand():
    items, texts = unit([1, 0], [0, 1]), unit([1, 0], [1, 1])
    near = 2**-0.5  # cosines: 1, .71; 0, .71
    ranking = losses(items, texts, torch.tensor([0, 1]), Params(loss="ranking", margin=0.5))
    # the first item beside the second text, and the first text beside the second item; the second, each the other way round
    assert ranking.tolist() == pytest.approx([max(0.5 + near - 1, 0) + 0, 0 + 0.5], abs=1e-6)
    found = losses(items, texts, torch.tensor([0, 1]), Params(temperature=1.0))
    first = -(1 - np.log(np.e + np.exp(near)) + 1 - np.log(np.e + 1)) / 2
    second = -(near - np.log(1 + np.exp(near)) + near - np.log(2 * np.exp(near))) / 2
    assert found.tolist() == pytest.approx([first, second])


@pytest.mark.parametrize("loss", ["contrastive", "ranking"])
def test_a_text_that_reads_the_same_is_no_wrong_one(loss):
    items, texts = unit([1, 0], [0, 1], [1, 1]), unit([1, 0], [1, 0], [0, 1])
    params = Params(loss=loss)
    first_two = losses(items, texts, torch.tensor([0, 0, 1]), params)[0]
    assert first_two.item() == pytest.approx(losses(items[[0, 2]], texts[[0, 2]], torch.tensor([0, 1]), params)[0].item())
    assert losses(items[:2], texts[:2], torch.tensor([0, 0]), params).tolist() == [0, 0]


def test_recall_by_hand():
    items = np.array([[1, 0], [0.9, 0.1], [0, 1], [1, 0.2]], np.float32)
    texts = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    rows = {
        (row.pop("direction"), row.pop("right")): row for row in retrieval(items, texts, np.array([7, 7, 3, 3]), np.array([0, 0, 1, 1]))
    }
    assert rows["item to text", "text"] == {"recall_1": 0.75, "recall_5": 1.0, "candidates": 2, "n": 4}
    assert rows["text to item", "text"] == {"recall_1": 1.0, "recall_5": 1.0, "candidates": 4, "n": 2}
    rows = retrieval(items, texts, np.array([7, 8, 3, 3]), np.array([0, 0, 1, 1]))
    assert [row["recall_1"] for row in rows] == [0.75, 0.75, 0.6667, 1.0]  # of a tie none is nearer


def test_things_of_classes_that_train_does_not_have_are_not_of_one_class():
    items, texts = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[::-1]  # each is nearest to the other's
    rows = retrieval(items, texts, np.array([0, 1]), np.array([NO_CLASS, NO_CLASS]))
    assert [(row["right"], row["recall_1"], row["recall_5"]) for row in rows] == [("text", 0, 1), ("class", 0, 0)] * 2
    rows = retrieval(items, items, np.array([0, 1]), np.array([NO_CLASS, 4]))
    assert [(row["right"], row["recall_1"], row["recall_5"]) for row in rows] == [("text", 1, 1), ("class", 0.5, 0.5)] * 2


def test_all_that_comes_into_the_space_has_length_one_whatever_the_padding():
    torch.manual_seed(0)
    model = JointSpace(np.random.default_rng(0).normal(size=(7, 8)).astype(np.float32), 3, SMALL).eval()
    x = torch.randn(2, 3)
    with torch.no_grad():
        both = model(x, torch.tensor([[1, 2], [3, 0], [4, 0]]), torch.tensor([3, 1]))
        alone = model(x[1:], torch.tensor([[2]]), torch.tensor([1]))
    assert both.view(2, 2, -1).norm(dim=2).flatten().tolist() == pytest.approx([1] * 4)
    assert both[1].tolist() == pytest.approx(alone[0].tolist(), abs=1e-6)


def test_what_was_kept_gives_the_same_probabilities_of_items_alone(tmp_path, pairs):
    made = classify(pairs[0], SMALL.model_copy(update={"epochs": 2}), Run(tmp_path / "p", seed=1), vectors=pairs[1])
    again = probabilities_of_items(things()[1][3::4], *made.model(), Run(tmp_path))
    assert again == pytest.approx(made.frame("test")[1], abs=1e-6)


def test_the_labels_and_names_of_test_change_nothing(tmp_path, pairs):
    documents = things()[0]
    other = [(split, "0" if split == "test" else label, [3] if split == "test" else ids) for split, label, ids in documents]
    params = SMALL.model_copy(update={"epochs": 1})
    made = [
        classify(toy, params, Run(tmp_path / f"p{i}", seed=1), vectors=pairs[1])
        for i, toy in enumerate([pairs[0], labelled(tmp_path / "u", other, WORDS)])
    ]
    assert (made[0].folder / "predictions.parquet").read_bytes() == (made[1].folder / "predictions.parquet").read_bytes()


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, pairs, monkeypatch):
    params = SMALL.model_copy(update={"epochs": 3, "dropout": 0.3})
    tokens, vectors = pairs
    check_goes_on(lambda run: classify(tokens, params, run, vectors=vectors), tmp_path, monkeypatch)
