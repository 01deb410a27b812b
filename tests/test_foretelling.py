"""The language model that a reader learns first: its streams, its carried states, its softmax."""

import numpy as np
import pytest
import torch
from torch import nn

from pipelines import foretelling
from pipelines.errors import Fault
from pipelines.foretelling import END, NOT_ASKED, Foreteller, LanguageKnobs, foretell, partition, streams
from pipelines.method import Run
from pipelines.reading import Documents
from pipelines.recurrence import Recurrent, RecurrentKnobs
from tests.texts import tokens_of

TEXT = Documents(np.array([1, 2, 3, 4, 0, 5, 6], np.int32), np.array([0, 3, 3, 7]))


def reader(n_words=7, both=False, **knobs):
    torch.manual_seed(0)
    params = RecurrentKnobs(hidden_size=5, bidirectional=both, **({"dropout": 0.0} | knobs))
    return Recurrent(nn.LSTM, np.random.default_rng(0).normal(size=(n_words, 4)).astype(np.float32), False, 2, params)


def model(n_words=7, **knobs):
    net = reader(n_words)
    return Foreteller(net, net.onward, np.full(n_words, 1 / n_words), LanguageKnobs(**({"lm_streams": 2} | knobs)))


def test_documents_stand_end_to_end_with_the_ends_sign_between_them():
    """END 4 0 5 6 END 1 2 3 END END: ten that follow one, in two streams of five, in steps of three."""
    made = list(streams(TEXT, np.array([2, 0, 1]), n=2, steps=3))
    assert [before.T.tolist() for before, *_ in made] == [[[END, 4, 0], [END, 1, 2]], [[5, 6], [3, END]]]
    assert [after.T.tolist() for _, after, *_ in made] == [[[4, NOT_ASKED, 5], [1, 2, 3]], [[6, END], [END, END]]]
    assert [begins.tolist() for *_, begins in made] == [[True, True], [False, False]]


def test_every_word_is_foretold_once_but_for_the_last_few():
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 20, 50)
    text = Documents(rng.integers(1, 9, lengths.sum()).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    after = np.concatenate([part[1].T.ravel() for part in streams(text, rng.permutation(50), n=4, steps=7)])
    counts, whole = np.bincount(after, minlength=9), np.bincount(text.values, minlength=9)
    whole[END] = 50
    assert len(after) == (lengths.sum() + 50) // 4 * 4
    assert (whole - counts >= 0).all()
    assert (whole - counts).sum() < 4


def test_carried_states_read_as_one_long_sequence_does():
    net = model(lm_softmax="full").eval()
    ids = torch.randint(0, 7, (12, 2))
    after = torch.randint(0, 7, (12, 2))
    stream, yes, no = torch.arange(2), torch.ones(2, dtype=torch.bool), torch.zeros(2, dtype=torch.bool)
    with torch.no_grad():
        whole = net(ids, after, stream, yes)
        parts = [net(ids[i : i + 4], after[i : i + 4], stream, yes if i == 0 else no) for i in (0, 4, 8)]
        again = net(ids[:4], after[:4], stream, yes)
    assert (sum(parts) / 3).tolist() == pytest.approx(whole.tolist(), rel=1e-5)
    assert again.tolist() == pytest.approx(parts[0].tolist())  # a stream that begins knows nothing of what was before
    by_stream = [net(ids[:4, i : i + 1], after[:4, i : i + 1], stream[i : i + 1], yes[:1]).item() for i in range(2)]
    assert by_stream == pytest.approx(parts[0].tolist(), rel=1e-5)  # a batch in pieces keeps each stream's states apart


def test_the_estimate_of_the_sum_over_all_words_is_that_sum_on_average():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    chance = torch.tensor([0.3, 0.1, 0.2, 0.15, 0.05, 0.2], dtype=torch.float64)
    own = torch.tensor([2, 0, 5])
    found = []
    for _ in range(20_000):
        drawn = torch.multinomial(chance, 4, replacement=True, generator=generator)
        found.append(partition(scores[torch.arange(3), own], scores[:, drawn], chance[drawn], drawn == own[:, None]).exp())
    made = torch.stack(found)
    wanted, error = scores.exp().sum(dim=1), made.std(dim=0) / len(made) ** 0.5
    assert ((made.mean(dim=0) - wanted).abs() < 4 * error).all()


def test_of_many_drawn_words_the_estimate_is_the_full_softmax():
    net = model(lm_softmax="sampled", n_sampled=200_000)
    torch.manual_seed(1)
    nn.init.normal_(net.softmax.bias)
    states, words = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 6])
    with torch.no_grad():
        estimate, full = net.train().surprise(states, words), net.eval().surprise(states, words)
    assert estimate.tolist() == pytest.approx(full.tolist(), rel=0.02)


def test_words_are_drawn_by_their_share_and_those_without_one_never():
    share = np.array([0.0, 0.5, 0.0, 0.2, 1e-9, 0.3 - 1e-9, 0.0])
    net = Foreteller(reader(7), reader(7).onward, share, LanguageKnobs(lm_softmax="sampled", n_sampled=100_000))
    torch.manual_seed(0)
    drawn = torch.bincount(net.draw(), minlength=7).numpy() / 100_000
    assert drawn[[0, 2, 6]].tolist() == [0, 0, 0]
    assert np.abs(drawn - share).max() < 4 * np.sqrt(0.25 / 100_000)


def test_a_sampled_softmax_learns_what_the_full_one_does(tmp_path):
    """Three words three times over, of which the third is one of two."""
    rng, losses = np.random.default_rng(0), {}
    tokens = tokens_of(tmp_path / "t", [[1, 2, int(rng.integers(3, 5))] * 3 for _ in range(120)], 40, ["train"] * 100 + ["valid"] * 20)
    for kind in ("full", "sampled", "adaptive"):
        run = Run(tmp_path / kind, seed=1)
        net = reader(40)
        knobs = LanguageKnobs(lm_softmax=kind, n_sampled=20, lm_streams=4, lm_steps=10, lm_epochs=12, lm_lr=0.02)
        foretell(tokens, net, net.onward, knobs, run)
        losses[kind] = run.curve[-1]["valid_loss"]
        assert run.curve[0]["valid_loss"] > 1.5 * losses[kind]
    choice = np.log(2) / 10  # the one choice in a document, of the ten words and ends that follow one
    assert losses["full"] > choice
    assert max(losses["full"], losses["adaptive"]) < 0.45
    assert losses["sampled"] < losses["full"] + 0.15


def test_the_loss_on_valid_is_a_mean_over_words_however_they_are_cut_into_steps(tmp_path):
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 9, n).tolist() for n in (40, 11, 0, 8)]
    toy = tokens_of(tmp_path / "t", texts, 9, ["train"] + ["valid"] * 3)
    losses = []
    for steps in (3, 7, 100):  # ten words of each of two streams
        run = Run(tmp_path / str(steps), seed=1)
        net = reader(9)
        foretell(toy, net, net.onward, LanguageKnobs(lm_streams=2, lm_steps=steps, lm_epochs=1, lm_lr=1e-12), run)
        losses.append(run.curve[-1]["valid_loss"])
    assert losses == pytest.approx(losses[:1] * 3, rel=1e-6)


def test_a_valid_of_fewer_words_than_streams_is_judged(tmp_path):
    toy = tokens_of(tmp_path / "t", [[1, 2, 3, 4, 5, 6, 7, 8] * 5, [1, 2]], 9, ["train", "valid"])
    net, run = reader(9), Run(tmp_path / "p", seed=1)
    foretell(toy, net, net.onward, LanguageKnobs(lm_streams=4, lm_steps=3, lm_epochs=1), run)
    assert run.curve[0]["valid_perplexity"] > 1


@pytest.mark.parametrize("valid", [[], [[]], [[0]]])
def test_without_a_word_in_valid_all_epochs_are_trained(tmp_path, valid):
    toy = tokens_of(tmp_path / "t", [[1, 2, 3, 4, 5, 6, 7, 8] * 5, *valid], 9, ["train"] + ["valid"] * len(valid))
    net, run = reader(9), Run(tmp_path / "p", seed=1)
    foretell(toy, net, net.onward, LanguageKnobs(lm_streams=4, lm_steps=3, lm_epochs=2), run)
    assert len(run.curve) == 2
    assert "valid_loss" not in run.curve[0]


def test_backwards_the_words_stay_as_they_are_and_the_other_layers_learn(tmp_path):
    tokens = tokens_of(tmp_path / "t", [[1, 2, 3] * 4] * 30, 5)
    net = reader(5, both=True)
    before = {name: weights.clone() for name, weights in net.state_dict().items()}
    knobs = LanguageKnobs(lm_streams=4, lm_steps=10, lm_epochs=1)
    foretell(tokens, net, net.backward_, knobs, Run(tmp_path / "r", seed=1), backwards=True)
    after = net.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"backward_"}
    assert net.embedding.weight.requires_grad


def test_backwards_documents_are_read_from_their_ends(tmp_path, monkeypatch):
    toy = tokens_of(tmp_path / "t", [[1, 2, 3], [4, 5], [5, 6]], 7, ["train", "train", "valid"])
    read = []
    monkeypatch.setattr(foretelling, "streams", lambda documents, *more: read.append(documents) or streams(documents, *more))
    for backwards in (False, True):
        net = reader(7, both=True)
        knobs = LanguageKnobs(lm_streams=2, lm_epochs=1)
        foretell(toy, net, net.backward_ if backwards else net.onward, knobs, Run(tmp_path / f"{backwards}", seed=1), backwards)
    assert [(it.values.tolist(), it.offsets.tolist()) for it in read] == [
        ([5, 6], [0, 2]), ([1, 2, 3, 4, 5], [0, 3, 5]), ([6, 5], [0, 2]), ([5, 4, 3, 2, 1], [0, 2, 5]),
    ]  # fmt: skip


def test_a_step_drops_the_same_numbers_of_all_its_words(tmp_path):
    net = reader(7, dropout=0.5)
    kept = Foreteller(net, net.onward, np.full(7, 1 / 7), LanguageKnobs(lm_streams=2)).train().drop(torch.ones(6, 20, 50)) != 0
    assert (kept == kept[0]).all()
    assert 0.4 < kept.float().mean() < 0.6
    assert not (kept[:, 0] == kept[:, 1]).all()


def test_what_is_read_and_what_foretells_is_dropped_in_training_alone(monkeypatch):
    seen, net = [], model(lm_softmax="full")
    net.reader.dropout.p = 0.5
    monkeypatch.setattr(foretelling, "locked", lambda x, p: seen.append((tuple(x.shape), p)) or x)
    step = torch.ones(6, 2, dtype=torch.int64), torch.ones(6, 2, dtype=torch.int64), torch.arange(2), torch.ones(2, dtype=torch.bool)
    net.eval()(*step)
    assert seen == []
    net.train()(*step)
    assert seen == [((6, 2, 4), 0.5), ((6, 2, 5), 0.5)]


def test_too_few_words_for_the_streams_are_refused(tmp_path):
    net = reader(5)
    with pytest.raises(Fault, match="tokens/t: 3 words are too few for 64 streams. Lower lm_streams"):
        foretell(tokens_of(tmp_path / "t", [[1, 2, 3]], 5), net, net.onward, LanguageKnobs(), Run(tmp_path / "r"))
