"""The Tree-LSTM."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipelines.artifacts.vectors import Vectors
from pipelines.classify import lstm
from pipelines.classify.tree_lstm import NONE, Params, TreeLSTM, block, classify, probabilities_of, trees_of
from pipelines.errors import Fault
from pipelines.labels import read
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.texts import labelled

WORDS = ["<unk>", "(", ")", "not", "good", "bad", "and", "(good", "(bad"]
SMALL = Params(vector_size=8, hidden_size=12, dropout=0.0, epochs=25, lr=0.02, patience=25)


def ids_of(text):
    return [WORDS.index(word) if word in WORDS else 0 for word in text.split()]


def sentence(rng, depth, shown):
    """A tree and what it says: `not` turns what stands under the same bracket; `and` is good if both are."""
    kind = rng.integers(3) if depth else 2
    if kind == 2:
        word = str(rng.choice(["good", "bad"]))
        return (f"({word} {word} )" if shown else word), word
    text, value = sentence(rng, depth - 1, shown)
    if kind == 0:
        value = {"good": "bad", "bad": "good"}[value]
        text = f"not {text}"
    else:
        other, second = sentence(rng, depth - 1, shown)
        value = "good" if (value, second) == ("good", "good") else "bad"
        text = f"{text} and {other}"
    return f"({value if shown else ''} {text} )", value


def sentences(n=600, seed=0, depth=3, shown=False):
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        split = ("train", "train", "train", "valid", "test")[i % 5]
        text, value = sentence(rng, depth, shown and split == "train")
        documents.append((split, value, ids_of(text)))
    return documents


def tokens(folder, documents):
    return labelled(folder, documents, WORDS)


def right(made):
    frame = made.frame("valid")[0]
    return np.mean(frame["label"] == frame["predicted"])


def same_words(n=200, seed=0):
    """`not good bad` in two trees: which bracket `not` stands under decides, and nothing else."""
    texts = {"good": "( ( not bad ) good )", "bad": "( not ( bad good ) )"}
    return [
        (("train", "train", "valid", "test")[i % 4], label, ids_of(texts[label]))
        for i in range(n)
        for label in [("good", "bad")[i // 4 % 2]]
    ]


def test_learns_what_brackets_say(tmp_path):
    made = classify(tokens(tmp_path / "t", same_words()), SMALL, Run(tmp_path / "p", seed=1))
    made.verify()
    assert right(made) == 1.0
    plain = [(split, label, [i for i in ids if i > 2]) for split, label, ids in same_words()]
    flat = lstm.classify(tokens(tmp_path / "u", plain), lstm.Params(hidden_size=12, vector_size=8, epochs=5), Run(tmp_path / "q", seed=1))
    assert right(flat) < 0.7


def test_labels_of_the_nodes_teach_more_than_that_of_the_root(tmp_path):
    toy, params = tokens(tmp_path / "t", sentences(shown=True)), SMALL.model_copy(update={"epochs": 3})
    by_nodes, by_roots = (
        right(classify(toy, params.model_copy(update={"node_labels": used}), Run(tmp_path / str(used), seed=1))) for used in (True, False)
    )
    assert by_nodes > 0.9
    assert by_nodes > by_roots + 0.1


def parsed(text):
    trees = trees_of(np.int32(ids_of(text)), np.array([0, len(text.split())]), WORDS, ["bad", "good"])
    return list(
        zip(trees.word.tolist(), trees.left.tolist(), trees.right.tolist(), trees.height.tolist(), trees.label.tolist(), strict=True)
    )


def test_trees_by_hand():
    assert parsed("( not ( good bad ) )") == [
        (3, 0, 0, 0, -1),
        (4, 0, 0, 0, -1),
        (5, 0, 0, 0, -1),
        (NONE, 1, 2, 1, -1),
        (NONE, 0, 3, 2, -1),
    ]
    assert parsed("(bad (good good ) ( not ) )") == [(4, 0, 0, 0, 1), (3, 0, 0, 0, -1), (NONE, 0, 1, 1, 0)]


def test_three_children_and_what_has_no_brackets_are_put_together_from_the_left():
    chain = [(4, 0, 0, 0, -1), (6, 0, 0, 0, -1), (5, 0, 0, 0, -1), (NONE, 0, 1, 1, -1), (NONE, 3, 2, 2, -1)]
    assert (
        parsed("( good and bad )")
        == parsed("good and bad")
        == parsed("( ( good and ) bad )")[0:2] + parsed("( good and bad )")[2:]
        == chain
    )
    assert parsed("good") == [(4, 0, 0, 0, -1)]


def net(n_classes=2):
    torch.manual_seed(0)
    return TreeLSTM(
        np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32), False, n_classes, Params(hidden_size=3)
    ).eval()


def composed(model, tree):
    """h and c by the formulas; a tree is a word, or a pair."""

    def gate(matrix, x, n, size=3):
        return matrix.weight[n * size : (n + 1) * size] @ x + matrix.bias[n * size : (n + 1) * size]

    if isinstance(tree, str):
        x = model.embedding.weight[WORDS.index(tree)]
        i, o, u = (gate(model.leaf, x, n) for n in range(3))
        c = i.sigmoid() * u.tanh()
    else:
        (h_l, c_l), (h_r, c_r) = (composed(model, child) for child in tree)
        x = torch.cat([h_l, h_r])
        i, f_l, f_r, o, u = (gate(model.inner, x, n) for n in range(5))
        c = i.sigmoid() * u.tanh() + f_l.sigmoid() * c_l + f_r.sigmoid() * c_r
    return o.sigmoid() * c.tanh(), c


def test_trees_of_any_shape_together_are_composed_as_the_formulas_say():
    model = net()
    texts = ["( not ( good bad ) )", "good", "( ( ( bad and ) good ) ( not bad ) )"]
    shapes = [("not", ("good", "bad")), "good", ((("bad", "and"), "good"), ("not", "bad"))]
    ids = [ids_of(text) for text in texts]
    trees = trees_of(np.int32([i for text in ids for i in text]), np.cumsum([0, *map(len, ids)]), WORDS, ["bad", "good"])
    batch = [torch.from_numpy(part) for part in block(trees, np.arange(3))]
    with torch.no_grad():
        expected = torch.stack([model.decision(composed(model, shape)[0]) for shape in shapes])
        assert model(*batch).numpy() == pytest.approx(expected.numpy(), abs=1e-6)
        scores, place = model.scores(*batch)
        N = batch[0].shape[1]
        inner = scores[place.tolist().index(3)]  # ( good bad ) of the first
        assert inner.tolist() == pytest.approx(model.decision(composed(model, ("good", "bad"))[0]).tolist(), abs=1e-6)
    assert len(place) == 5 + 1 + 9
    assert N == 9


@pytest.mark.parametrize(
    ("text", "reason"),
    [("( good", "does not close a bracket"), ("good )", "closes a bracket that it has not opened"), ("( )", "has a node without a word")],
)
def test_brackets_that_do_not_fit_are_named(tmp_path, text, reason):
    documents = [*sentences(20), ("train", "good", ids_of(text))]
    with pytest.raises(Fault, match=f"1 of 13 documents are no trees, first d20 {reason}"):
        classify(tokens(tmp_path / "t", documents), SMALL, Run(tmp_path / "p"))


def test_tokens_without_brackets_are_a_fault(tmp_path):
    toy = labelled(tmp_path / "t", [("train", "a", [1]), ("train", "b", [2])], ["<unk>", "x", "y"])
    with pytest.raises(Fault, match="none of its 3 words is a bracket, so there are no trees. Take a source of method trees"):
        classify(toy, SMALL, Run(tmp_path / "p"))


@pytest.mark.parametrize("target", ["several", "number"])
def test_several_labels_and_numbers_are_refused(target):
    with pytest.raises(ValidationError, match="target is one or ordinal"):
        Params(target=target)


def test_frozen_vectors_stay_as_given(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    with Run(tmp_path / "v").open(Vectors) as out:
        out.append(item=["good", "bad"], count=[1] * 2, vector=matrix)
    params = SMALL.model_copy(update={"fine_tune": False, "epochs": 1})
    made = classify(tokens(tmp_path / "t", sentences(40)), params, Run(tmp_path / "p", seed=1), vectors=out.artifact)
    table = made.model()[1]["embedding.weight"]
    assert table[[4, 5]] / table[4, 0] == pytest.approx(matrix / matrix[0, 0], rel=1e-5)


def test_what_was_kept_gives_the_same_probabilities_without_the_training_data(tmp_path):
    toy = tokens(tmp_path / "t", [*sentences(60), ("test", None, [])])
    made = classify(toy, SMALL.model_copy(update={"epochs": 2, "target": "one"}), Run(tmp_path / "p", seed=1))
    split = read(toy, "test", [])
    again = probabilities_of(split.values, split.offsets, *made.model(), Run(tmp_path))
    assert again == pytest.approx(made.frame("test")[1], abs=1e-6)
    assert not made.profile()["test_label_shown"].any()


def test_the_labels_of_test_change_nothing(tmp_path):
    documents = sentences(60)
    swapped = [(split, "good" if split == "test" else label, ids) for split, label, ids in documents]
    params = SMALL.model_copy(update={"epochs": 1})
    made = [classify(tokens(tmp_path / n, d), params, Run(tmp_path / f"p{n}", seed=1)) for n, d in (("a", documents), ("b", swapped))]
    assert (made[0].folder / "predictions.parquet").read_bytes() == (made[1].folder / "predictions.parquet").read_bytes()


def test_ratings_are_learned_in_order(tmp_path):
    numbers = {"good": "2", "bad": "1"}
    documents = [(split, numbers[label], ids) for split, label, ids in same_words()]
    made = classify(tokens(tmp_path / "t", documents), SMALL.model_copy(update={"target": "ordinal"}), Run(tmp_path / "p", seed=1))
    assert right(made) == 1.0


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    toy, params = tokens(tmp_path / "t", sentences(60, shown=True)), SMALL.model_copy(update={"epochs": 3, "dropout": 0.3})
    check_goes_on(lambda run: classify(toy, params, run), tmp_path, monkeypatch)
