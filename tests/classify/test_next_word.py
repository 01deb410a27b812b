"""The language model."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipelines.classify.next_word import (
    END,
    NOT_ASKED,
    LanguageModel,
    Params,
    block,
    classify,
    continued,
    judged,
    pieces,
    rebuild,
    texts_of,
)
from pipelines.errors import Fault
from pipelines.evaluate import answers
from pipelines.labels import read
from pipelines.method import Run
from pipelines.reading import Documents
from tests.kill import check_goes_on
from tests.texts import labelled

WORDS = ["<unk>", *"abcdefgh"]
SMALL = Params(
    vector_size=12,
    hidden_size=24,
    dropout=0.0,
    batch_size=16,
    epochs=25,
    lr=0.01,
    patience=25,
    prompt_tokens=2,
    told_tokens=3,
    max_tokens=8,
)
KINDS = [{}, {"tied": True}, {"softmax": "adaptive"}, {"num_layers": 2}]


def rounds(n=160, seed=0):
    """Documents that go round a ring of eight words, onward or backward: the first two words say all that follows, but where it ends."""
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        start, way, length = int(rng.integers(8)), 1 if rng.random() < 0.5 else -1, int(rng.integers(6, 14))
        split = ("train", "unlabelled", "valid", "test")[i % 4]
        documents.append((split, None if split == "unlabelled" else "ring", (start + way * np.arange(length)) % 8 + 1))
    return documents


def net(**knobs):
    torch.manual_seed(0)
    params = Params(vector_size=5, hidden_size=7, dropout=0.0, **knobs)
    return LanguageModel(np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32), params).eval()


def documents_of(*documents):
    return Documents(np.array([i for ids in documents for i in ids], np.int32), np.cumsum([0, *map(len, documents)]))


@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_as_the_texts_do(tmp_path, kind):
    run = Run(tmp_path / "p", seed=1)
    made = classify(labelled(tmp_path / "t", rounds(), WORDS), SMALL.model_copy(update=kind), run)
    made.verify()
    frame, probabilities = made.frame("valid")
    assert np.mean(frame["label"] == frame["predicted"]) > 0.9
    # the first word is one of eight, the second one of two; where a document ends is left to chance
    best = (math.log(8) + math.log(2) + math.log(8)) / 10.5
    assert best * 0.8 < -np.log(probabilities).mean() < best * 1.5
    assert run.curve[-1]["valid_perplexity"] < 3


def test_labels_are_how_the_documents_of_valid_go_on_and_none_is_shown_of_test(tmp_path):
    documents = [
        ("train", None, [1, 2, 3, 4]),
        ("valid", "x", [1, 2, 3, 0, 5, 6]),
        ("valid", None, [1]),
        ("valid", None, []),
        ("test", "x", [1, 2, 3, 4]),
    ]
    made = classify(labelled(tmp_path / "t", documents, WORDS), SMALL.model_copy(update={"epochs": 1}), Run(tmp_path / "p", seed=1))
    assert made.read()["label"].to_pylist() == ["c <unk> e", "", "", None]
    assert made.answer() == "text"
    assert not made.profile()["test_label_shown"].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_is_as_improbable_as_its_words_one_by_one(tmp_path, kind):
    model, ids = net(**kind), [3, 0, 7, 3]
    found = judged(model, documents_of(ids, [1, 2, 3, 4, 5, 6]), Params(), Run(tmp_path))[0]
    state, nats = None, []
    with torch.no_grad():
        for before, word in zip([END, *ids], [*ids, END], strict=True):
            out, state = model.step(torch.tensor([[before]]), state)
            logs = model.logs(out[0])[0]
            assert logs.exp().sum().item() == pytest.approx(1, abs=1e-5)
            nats.append(-logs[word].item())
    assert found.tolist() == pytest.approx([sum(nats[i] for i in (0, 2, 3, 4)), 4], abs=1e-5)  # the unknown word is not foretold


def test_pieces_hold_each_word_once_after_the_one_before_it():
    documents = documents_of([1, 2, 3, 0, 5], [], [6], [1, 2, 3])
    document, first, lengths = pieces(documents, 4)
    assert list(zip(document.tolist(), first.tolist(), lengths.tolist(), strict=True)) == [
        (0, 0, 4),
        (0, 4, 2),
        (1, 0, 1),
        (2, 0, 2),
        (3, 0, 4),
    ]
    before, after = block(documents, document, first, lengths)
    no = NOT_ASKED
    assert before.T.tolist() == [[END, 1, 2, 3], [0, 5, 0, 0], [END, 0, 0, 0], [END, 6, 0, 0], [END, 1, 2, 3]]
    assert after.T.tolist() == [[1, 2, 3, no], [5, END, no, no], [END, no, no, no], [6, END, no, no], [1, 2, 3, END]]


def test_tied_vectors_are_kept_once_and_serve_both_ends():
    model = net(tied=True)
    assert sum(weights.numel() for weights in model.parameters()) < sum(weights.numel() for weights in net().parameters())
    model(torch.tensor([[1]]), torch.tensor([[2]])).sum().backward()
    assert model.embedding.weight.grad[2].abs().sum() > 0  # of a word that was foretold, and not read


def test_tied_and_adaptive_are_refused():
    with pytest.raises(ValidationError, match="tied wants the full softmax"):
        Params(tied=True, softmax="adaptive")


def test_test_and_valid_are_no_splits_to_learn_from():
    with pytest.raises(ValidationError):
        Params(splits=["train", "valid"])


def test_unlabelled_documents_are_learned_from_unless_they_are_left_out(tmp_path):
    documents = [("train", "x", [1, 1, 1]), ("unlabelled", None, [2, 3, 2, 3, 2, 3]), ("valid", "x", [2, 3, 2, 3, 2])]
    toy, params = labelled(tmp_path / "t", documents, WORDS), SMALL.model_copy(update={"epochs": 60, "patience": 60})
    made = classify(toy, params, Run(tmp_path / "p", seed=1))
    assert made.frame("valid")[0]["predicted"][0] == "b c b"
    with pytest.raises(Fault, match="the documents of train hold one known word only"):
        classify(toy, params.model_copy(update={"splits": ["train"]}), Run(tmp_path / "q", seed=1))


def test_what_was_kept_says_the_same_and_goes_on_with_a_prompt(tmp_path):
    toy = labelled(tmp_path / "t", [*rounds(), ("test", None, [])], WORDS)
    made = classify(toy, SMALL, Run(tmp_path / "p", seed=1))
    settings, weights = made.model()
    split, (frame, probabilities) = read(toy, "test", []), made.frame("test")
    texts, again = texts_of(split.values, split.offsets, settings, weights, Run(tmp_path))
    assert texts == frame["predicted"].to_list()
    assert again == pytest.approx(probabilities[:, 0], abs=1e-6)
    assert continued(settings, weights, split.values[:2], 3, 0.0, seed=1) == texts[0]
    assert continued(settings, weights, [1, 2], 4, 0.0, seed=1) == "c d e f"
    assert continued(settings, weights, [2, 1], 4, 0.0, seed=1) == "h g f e"
    drawn = {continued(settings, weights, [], 3, 1.5, seed=seed) for seed in range(12)}
    assert len(drawn) > 5
    assert continued(settings, weights, [], 3, 1.5, seed=3) == continued(settings, weights, [], 3, 1.5, seed=3)
    assert rebuild(settings, weights).embedding.num_embeddings == len(WORDS)


def test_words_are_drawn_as_often_as_they_are_probable(tmp_path):
    model = net()
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    settings = {"words": WORDS, "between": " ", "params": Params(vector_size=5, hidden_size=7, dropout=0.0).model_dump()}
    with torch.no_grad():
        p = (model.logs(model.step(torch.tensor([[END], [3]]))[0][-1])[0] / 0.5).softmax(0).numpy()
    drawn = [continued(settings, weights, [3], 1, 0.5, seed) for seed in range(400)]
    shares = [np.mean([word == ("" if i == END else WORDS[i]) for word in drawn]) for i in range(len(WORDS))]
    assert shares == pytest.approx(p.tolist(), abs=0.08)


def test_perplexity_is_scored_where_the_probability_means_it(tmp_path):
    made = classify(labelled(tmp_path / "t", rounds(40), WORDS), SMALL.model_copy(update={"epochs": 1}), Run(tmp_path / "p", seed=1))
    scores = answers.evaluate([made], answers.Params(n_bootstrap=100), Run(tmp_path / "s", seed=1)).metrics()["predictions/p"]
    assert scores["perplexity"]["valid"] == pytest.approx(float(np.exp(-np.log(made.frame("valid")[1]).mean())), rel=1e-5)
    assert set(scores) == {"exact_match", "character_errors", "tokens_right", "perplexity"}


def test_characters_are_told_without_spaces(tmp_path):
    toy = labelled(tmp_path / "t", rounds(20), WORDS)
    (toy.folder / "tokenizer.json").write_text('{"decoder": {"type": "Fuse"}}')
    made = classify(toy, SMALL.model_copy(update={"epochs": 1}), Run(tmp_path / "p", seed=1))
    assert all(len(label) == 3 for label in made.frame("valid")[0]["label"])


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    toy, params = labelled(tmp_path / "t", rounds(40), WORDS), SMALL.model_copy(update={"epochs": 3, "dropout": 0.3, "num_layers": 2})
    check_goes_on(lambda run: classify(toy, params, run), tmp_path, monkeypatch)
