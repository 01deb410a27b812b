"""The tagger."""

import numpy as np
import pytest
import torch

from pipelines.artifacts.vectors import Vectors
from pipelines.classify.tagger import Params, Tagger, classify, spelled, texts_of
from pipelines.errors import Fault
from pipelines.labels import read
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.texts import labelled

SMALL = Params(hidden_size=16, vector_size=8, character_size=8, filters=12, dropout=0.0, batch_size=8, epochs=15, lr=0.02, patience=15)
WORDS = [
    "<unk>",
    "the",
    "a",
    *(f"{stem}{end}" for stem in ("bal", "dor", "fim", "gul", "kep", "lan", "mor", "nis", "pat", "rov") for end in ("ing", "s", "ed")),
]


def tagged(n=150, seed=0, held_out=()):
    """Sentences of words and their tags: a verb by its ending, and `s` a noun after `the`, else a verb: order and spelling decide.

    Words of `held_out` are in no sentence of train.
    """
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        split = ("train", "train", "valid", "test")[i % 4]
        words, tags = [], []
        for _ in range(int(rng.integers(1, 5))):
            some = [w for w in range(3, len(WORDS)) if (w in held_out) <= (split != "train")]
            word, first = int(rng.choice(some)), int(rng.integers(1, 3))
            words += [first, word]
            tags += ["D", {"ing": "G", "ed": "P"}.get(WORDS[word][3:], "N" if first == 1 else "V")]
        documents.append((split, " ".join(tags), words))
    return documents


def right(made, split="valid"):
    frame = made.frame(split)[0]
    pairs = [
        (a, b)
        for label, said in zip(frame["label"], frame["predicted"], strict=True)
        for a, b in zip(label.split(), said.split(), strict=True)
    ]
    return np.mean([a == b for a, b in pairs])


def test_learns_tags_that_order_and_spelling_decide_also_of_words_it_has_never_read(tmp_path):
    new = [w for w in range(3, len(WORDS)) if WORDS[w][:3] in ("nis", "pat", "rov")]
    made = classify(labelled(tmp_path / "t", tagged(held_out=new), WORDS), SMALL, Run(tmp_path / "p", seed=1))
    made.verify()
    assert right(made) > 0.95
    blind = classify(
        labelled(tmp_path / "u", tagged(held_out=new), WORDS), SMALL.model_copy(update={"filters": 0}), Run(tmp_path / "q", seed=1)
    )
    assert right(blind) < 0.9


def test_as_many_tags_as_tokens_and_no_label_of_test(tmp_path):
    documents = [*tagged(20), ("test", None, []), ("valid", None, [3, 3])]
    made = classify(labelled(tmp_path / "t", documents, WORDS), SMALL.model_copy(update={"epochs": 1}), Run(tmp_path / "p", seed=1))
    rows = {row["doc_id"]: row for row in made.read().to_pylist()}
    assert made.answer() == "text"
    for i, (split, label, words) in enumerate(documents):
        if split in ("valid", "test"):
            assert len(rows[f"d{i}"]["predicted"].split()) == len(words)
            assert rows[f"d{i}"]["label"] == (label if split == "valid" else None)
    assert not made.profile()["test_label_shown"].any()


def test_documents_with_more_or_fewer_tags_than_tokens_are_named_all_at_once(tmp_path):
    toy = labelled(tmp_path / "t", [("train", "D N", [1, 4]), ("train", "D", [1, 4]), ("train", "D N V", [1, 4])], WORDS)
    with pytest.raises(
        Fault,
        match=r"2 of 3 documents of split train have not as many tags as tokens, first d1 \(2 tokens, 1 tags\), d2 \(2 tokens, 3 tags\)",
    ):
        classify(toy, SMALL, Run(tmp_path / "p"))


def test_a_training_document_without_tags_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="1 of 2 training documents have no label"):
        classify(labelled(tmp_path / "t", [("train", "D", [1]), ("train", None, [1])], WORDS), SMALL, Run(tmp_path / "p"))


def test_a_tag_that_train_does_not_have_is_an_error_and_the_loss_stays_a_number(tmp_path):
    run = Run(tmp_path / "p", seed=1)
    documents = [d for d in tagged(80) if d[0] != "valid"] + [("valid", "X D", [4, 1])]
    classify(labelled(tmp_path / "t", documents, WORDS), SMALL.model_copy(update={"epochs": 2}), run)
    assert run.curve[-1]["valid_accuracy"] <= 0.5
    assert np.isfinite(run.curve[-1]["valid_loss"])


def net(**knobs):
    torch.manual_seed(0)
    params = SMALL.model_copy(update=knobs)
    alphabet = sorted(set("".join(WORDS[1:])))
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32)
    return Tagger(vectors, spelled(WORDS, alphabet, params), len(alphabet), 3, params).eval()


@pytest.mark.parametrize("knobs", [{}, {"num_layers": 2}, {"filters": 0}])
def test_padding_does_not_change_what_is_said_of_a_document(knobs):
    model = net(**knobs)
    alone, together = torch.tensor([[5, 6, 7]]).T, torch.tensor([[5, 6, 7, 0, 0], [8, 8, 8, 8, 8]]).T
    with torch.no_grad():
        short, long = model(alone, alone, torch.tensor([3])), model(together, together, torch.tensor([3, 5]))
    assert long[:3, 0].numpy() == pytest.approx(short[:, 0].numpy(), abs=1e-6)


def test_a_word_is_composed_of_its_characters_wherever_it_stands():
    model = net()
    with torch.no_grad():
        made = model.spelling(torch.tensor([0, 5, 5, 9]))
        letters = model.characters.weight[
            torch.from_numpy(spelled(WORDS, sorted(set("".join(WORDS[1:]))), SMALL)[9, : len(WORDS[9])]).long()
        ]
        frame = torch.cat([torch.zeros(1, 8), letters, torch.zeros(1, 8)])
        by_hand = torch.stack([
            torch.einsum("kd,fdk->f", frame[i : i + 3], model.filters.weight) + model.filters.bias for i in range(len(letters))
        ]).amax(0)  # fmt: skip
    assert not made[0].any()
    assert torch.equal(made[1], made[2])
    assert made[3].tolist() == pytest.approx(by_hand.tolist(), abs=1e-6)


def test_of_a_long_word_both_ends_are_spelled():
    letters = spelled(["<unk>", "abcdef", "ab"], list("abcdef"), Params(max_characters=4))
    assert letters.tolist() == [[0, 0, 0, 0], [2, 3, 6, 7], [2, 3, 0, 0]]


def test_what_was_kept_says_the_same_without_the_training_data(tmp_path):
    toy = labelled(tmp_path / "t", tagged(40), WORDS)
    made = classify(toy, SMALL.model_copy(update={"epochs": 2, "num_layers": 2}), Run(tmp_path / "p", seed=1))
    split, (frame, probabilities) = read(toy, "test", []), made.frame("test")
    texts, again = texts_of(split.values, split.offsets, *made.model(), Run(tmp_path))
    assert texts == frame["predicted"].to_list()
    assert again == pytest.approx(probabilities[:, 0], abs=1e-6)


def test_a_word_behind_the_vocabulary_is_known_by_its_spelling(tmp_path):
    made = classify(labelled(tmp_path / "t", tagged(), WORDS), SMALL, Run(tmp_path / "p", seed=1))
    settings, weights = made.model()
    settings["words"] = [*settings["words"], "zobing", "zobed"]
    n = len(WORDS)
    texts, _ = texts_of(np.int32([1, n, 2, n + 1]), np.array([0, 4]), settings, weights, Run(tmp_path))
    assert texts == ["D G D P"]


def test_given_vectors_serve_words_that_train_does_not_have(tmp_path):
    with Run(tmp_path / "v").open(Vectors) as out:
        matrix = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
        out.append(item=WORDS[3:6], count=[1] * 3, vector=matrix)
    toy = labelled(tmp_path / "t", [("train", "D N", [1, 3]), ("valid", "D N", [1, 4]), ("test", None, [1, 6])], WORDS)
    made = classify(toy, SMALL.model_copy(update={"epochs": 1, "fine_tune": False}), Run(tmp_path / "p", seed=1), vectors=out.artifact)
    weights = made.model()[1]
    assert np.flatnonzero(weights["seen"]).tolist() == [1, 3, 4, 5]
    assert weights["embedding.weight"][3:6] / weights["embedding.weight"][3, 0] == pytest.approx(matrix / matrix[0, 0], rel=1e-5)


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    toy, params = labelled(tmp_path / "t", tagged(40), WORDS), SMALL.model_copy(update={"epochs": 3, "dropout": 0.3})
    check_goes_on(lambda run: classify(toy, params, run), tmp_path, monkeypatch)
