"""The encoder and decoder with attention."""

from itertools import product

import numpy as np
import pytest
import torch

from pipelines.classify.seq2seq_attention import END, Params, Search, Translator, classify, rebuild, texts_of
from pipelines.errors import Fault
from pipelines.labels import read
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.texts import labelled

LETTERS = ["<unk>", *"abcdef"]
SMALL = Params(vector_size=12, hidden_size=24, attention_size=16, dropout=0.0, batch_size=16, epochs=60, lr=0.01, patience=60)


def turned(n=240, longest=5, seed=0):
    """Words and the same from their end: which symbol comes next depends on where in the word it stands."""
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        ids = rng.integers(1, len(LETTERS), rng.integers(1, longest + 1))
        documents.append((("train", "train", "valid", "test")[i % 4], "".join(LETTERS[j] for j in ids[::-1]), ids))
    return documents


def net(n_symbols=3, seed=0, **knobs):
    torch.manual_seed(seed)
    params = Params(vector_size=5, hidden_size=7, attention_size=4, dropout=0.0, **knobs)
    return Translator(np.random.default_rng(seed).normal(size=(6, 5)).astype(np.float32), n_symbols, params).eval()


@pytest.mark.parametrize("beam", [1, 3])
def test_learns_to_tell_a_word_from_its_end(tmp_path, beam):
    made = classify(labelled(tmp_path / "t", turned(), LETTERS), SMALL.model_copy(update={"beam": beam}), Run(tmp_path / "p", seed=1))
    made.verify()
    frame, probabilities = made.frame("valid")
    assert np.mean(frame["label"] == frame["predicted"]) > 0.9
    assert made.answer() == "text"
    assert ((probabilities > 0) & (probabilities <= 1)).all()
    assert not made.profile()["test_label_shown"].any()


def test_words_are_told_with_spaces_between(tmp_path):
    names = dict(zip("abcdef", ["one", "two", "three", "four", "five", "six"], strict=True))
    documents = [(split, " ".join(names[letter] for letter in label), ids) for split, label, ids in turned(longest=3)]
    params = SMALL.model_copy(update={"told": "words", "epochs": 30})
    frame = classify(labelled(tmp_path / "t", documents, LETTERS), params, Run(tmp_path / "p", seed=1)).frame("valid")[0]
    assert np.mean(frame["label"] == frame["predicted"]) > 0.8


def test_padding_of_words_and_labels_changes_nothing():
    model = net()
    ids, told = torch.tensor([[1, 2], [3, 4], [0, 5]]), torch.tensor([[1, 2], [0, 3], [0, 1]])
    with torch.no_grad():
        together = model(ids, torch.tensor([2, 3]), told, torch.tensor([1, 3]))
        alone = model(ids[:2, :1], torch.tensor([2]), told[:1, :1], torch.tensor([1]))
    assert together[0].tolist() == pytest.approx(alone[0].tolist(), abs=1e-6)
    assert together[:, 1].tolist() == [2, 4]  # the end is told, too


def nats(model, ids, told):
    """Of one label of one document, symbol by symbol as the formula has it."""
    with torch.no_grad():
        x = model.embedding(torch.tensor(ids))
        h = torch.cat([model.onward(x)[0], model.backward_(x.flip(0))[0].flip(0)], dim=1)  # (T, 2 H)
        c = model.begin(h[0, 7:])
        state, before, total = (torch.tanh(c), c), END, 0.0
        for symbol in [*told, END]:
            energy = [model.attend.weight[0] @ torch.tanh(model.attend_read(row) + model.attend_state.weight @ state[0]) for row in h]
            context = sum(a * row for a, row in zip(torch.stack(energy).softmax(0), h, strict=True))
            y = model.symbols.weight[before]
            state = tuple(part[0] for part in model.cell(torch.cat([y, context])[None], tuple(part[None] for part in state)))
            total -= model.decision(torch.cat([state[0], context, y])).log_softmax(0)[symbol].item()
            before = symbol
    return total


def test_a_label_is_as_improbable_as_the_formula_says():
    model = net()
    with torch.no_grad():
        found = model(torch.tensor([[1, 4, 2]]).T, torch.tensor([3]), torch.tensor([[3, 1]]).T, torch.tensor([2]))
    assert found[0].tolist() == pytest.approx([nats(model, [1, 4, 2], [3, 1]), 3], abs=1e-5)


def test_a_symbol_that_train_does_not_have_is_not_asked_for():
    model = net(n_symbols=3)
    with torch.no_grad():
        found = model(torch.tensor([[1, 2]]).T, torch.tensor([2]), torch.tensor([[1, 4, 2]]).T, torch.tensor([3]))
    assert found[0, 1] == 3
    assert np.isfinite(found.numpy()).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_as_wide_as_all_answers_finds_the_likeliest_of_them(seed):
    model = net(n_symbols=2, seed=seed)
    with torch.no_grad():
        model.decision.weight.mul_(4)  # answers far from alike
    answers = [told for n in range(4) for told in product((1, 2), repeat=n)]
    best = min(answers, key=lambda told: nats(model, [1, 3], told))
    with torch.no_grad():
        found = Search(model, 30, 3)(torch.tensor([[1, 3]]).T, torch.tensor([2]))[0]
    assert [int(i) for i in found[:-1] if i != END] == list(best)
    assert -found[-1].item() == pytest.approx(nats(model, [1, 3], best), abs=1e-5)


def test_a_beam_of_one_takes_the_likeliest_symbol_at_each_step_and_a_wider_one_is_never_less_probable():
    for seed in range(8):
        model = net(seed=seed)
        ids, lengths = torch.randint(1, 6, (4, 6), generator=torch.Generator().manual_seed(seed)), torch.full((6,), 4)
        with torch.no_grad():
            one, more = Search(model, 1, 5)(ids, lengths), Search(model, 4, 5)(ids, lengths)
            read_, state = model.encode(ids, lengths)
            before, alive, greedy = torch.full((6,), END), torch.ones(6, dtype=torch.bool), []
            for _ in range(5):
                y = model.symbols(before)
                context, state = model.step(y, read_, state)
                before = model.scores(state[0], context, y).argmax(dim=1)
                alive = alive & (before != END)
                greedy.append(torch.where(alive, before, END))
        assert torch.equal(one[:, :-1].long(), torch.stack(greedy, dim=1))
        assert (more[:, -1] >= one[:, -1] - 1e-5).float().mean() > 0.8  # greedy's answer may fall out of the beam, seldom


def test_documents_searched_together_are_answered_as_alone():
    model = net()
    ids, lengths = torch.tensor([[1, 2, 3], [4, 0, 5], [0, 0, 2]]), torch.tensor([2, 1, 3])
    with torch.no_grad():
        together = Search(model, 3, 4)(ids, lengths)
        alone = torch.cat([Search(model, 3, 4)(ids[:n, i : i + 1], lengths[i : i + 1]) for i, n in enumerate(lengths)])
    assert together.numpy() == pytest.approx(alone.numpy(), abs=1e-5)


def test_what_was_kept_says_the_same_without_the_training_data(tmp_path):
    toy = labelled(tmp_path / "t", [*turned(60), ("test", None, [])], LETTERS)
    made = classify(toy, SMALL.model_copy(update={"epochs": 2, "beam": 2}), Run(tmp_path / "p", seed=1))
    split, (frame, probabilities) = read(toy, "test", []), made.frame("test")
    texts, again = texts_of(split.values, split.offsets, *made.model(), Run(tmp_path))
    assert texts == frame["predicted"].to_list()
    assert again == pytest.approx(probabilities[:, 0], abs=1e-6)
    assert rebuild(*made.model()).symbols.num_embeddings == 6 + 2


def test_a_training_document_without_a_label_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="1 of 2 training documents have no label"):
        classify(labelled(tmp_path / "t", [("train", "a", [1]), ("train", None, [1])], LETTERS), SMALL, Run(tmp_path / "p"))


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    toy, params = labelled(tmp_path / "t", turned(60), LETTERS), SMALL.model_copy(update={"epochs": 3, "dropout": 0.3})
    check_goes_on(lambda run: classify(toy, params, run), tmp_path, monkeypatch)
