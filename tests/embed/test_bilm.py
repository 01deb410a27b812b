"""Vectors in context: what each direction may know, what is carried from step to step, and that a language is learned."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.artifacts.vectors import Vectors
from pipelines.embed.bilm import BiLM, Mixed, Params, both_ways, embed, in_context, rebuild, steps
from pipelines.errors import Fault
from pipelines.fit import apply, prepare
from pipelines.method import Run
from pipelines.softmax import surprise
from tests.kill import check_goes_on
from tests.matrices import files
from tests.texts import tokens_of, two_topics

SMALL = Params(vector_size=16, bptt=7, batch_size=16, epochs=6, lr=0.01, dropout=0, patience=6)


def language(n, seed=0):
    """Documents of words 1 to 9, in which i + 1 follows i nine times of ten."""
    rng, documents = np.random.default_rng(seed), []
    for _ in range(n):
        document = [int(rng.integers(1, 10))]
        for _ in range(int(rng.integers(0, 30))):
            document.append(document[-1] % 9 + 1 if rng.random() < 0.9 else int(rng.integers(1, 10)))
        documents.append(document)
    return documents


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return tokens_of(tmp_path_factory.mktemp("t") / "tokens", language(200), n_vocab=12, splits=["train"] * 160 + ["valid"] * 40)


@pytest.fixture(scope="module")
def trained(tokens, tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("v") / "v", seed=1)
    return embed(tokens, SMALL, run), run


def contextual(folder, token_ids, mix=None):
    (found,) = in_context(folder, [token_ids], mix)
    return found


def model_of(n_words=12, **knobs):
    prepare(Run("."))
    params = SMALL.model_copy(update=knobs)
    return BiLM(n_words, params).eval(), params


# what is read


def test_a_document_is_laid_out_from_its_head_and_from_its_end():
    onward, backward = both_ways(np.array([1, 2, 3, 7]), np.array([0, 3]), np.array([3, 1]), border=9)
    assert onward.T.tolist() == [[9, 1, 2, 3, 0], [9, 7, 0, 0, 0]]
    assert backward.T.tolist() == [[9, 3, 2, 1, 0], [9, 7, 0, 0, 0]]


def test_steps_follow_each_other_and_meet_in_one_token(tmp_path):
    tokens = tokens_of(tmp_path / "t", [[1, 2, 3, 4, 5], [], [6]], n_vocab=9)
    found = [(onward.T.tolist(), step.tolist(), place.tolist()) for onward, _, step, place in steps(tokens, ["train"], Params(bptt=3))]
    assert found == [([[9, 6, 0, 0], [9, 1, 2, 3]], [0, 0], [0, 1]), ([[0, 0, 0, 0], [3, 4, 5, 0]], [1, 1], [0, 1])]


def test_every_document_is_read_once_in_every_order(tokens):
    read = []
    for rng in (None, np.random.default_rng(0), np.random.default_rng(1)):
        ids = [onward[1:][onward[1:] != UNKNOWN_ID] for onward, *_ in steps(tokens, ["train"], SMALL, rng)]
        read.append(np.concatenate(ids))
    assert all((np.sort(ids) == np.sort(tokens.ids(["train"])[0])).all() for ids in read)
    assert read[1].tolist() != read[2].tolist()


def test_states_go_on_to_the_documents_end_however_short_the_steps_are(tmp_path, tokens):
    model, params = model_of()
    found = []
    for bptt, batch_size in ((1, 16), (7, 16), (1000, 16), (5, 3)):
        parts = steps(tokens, ["train"], params.model_copy(update={"bptt": bptt, "batch_size": batch_size}))
        found.append(sum(rows.sum(axis=0, dtype=float) for rows in apply(model, parts, Run(tmp_path), (1, 1, 0, 0))))
    assert found[0][1] == 2 * len(tokens.ids(["train"])[0])
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-5)


def test_a_step_computed_in_pieces_or_again_carries_the_same_states(tmp_path, tokens):
    model, params = model_of()
    whole, split = Run(tmp_path), Run(tmp_path)
    split.batch_split = 3
    once, pieces = ([rows.copy() for rows in apply(model, steps(tokens, ["train"], params), run, (1, 1, 0, 0))] for run in (whole, split))
    assert np.concatenate(pieces) == pytest.approx(np.concatenate(once), rel=1e-5)
    first, *_ = steps(tokens, ["train"], params)
    batch = [torch.from_numpy(part) for part in first]
    with torch.no_grad():
        assert torch.equal(model(*batch), model(*batch))


# what is foretold


def test_the_states_are_those_of_torchs_lstm_with_what_went_in_added_from_the_second_layer_on():
    model, _ = model_of(num_layers=2)
    ids = torch.tensor([[9, 3, 1, 4]]).T
    with torch.no_grad():
        for direction, layers in enumerate(model.states(ids, ids, torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))):
            x = model.embedding.weight[ids]
            first, second = model.stacks[direction]
            low = first(x)[0]
            for found, expected in zip(layers, (x, low, second(low)[0] + low), strict=True):
                assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_what_is_foretold_is_a_probability_and_of_unknown_tokens_and_padding_nothing(softmax):
    model, _ = model_of(softmax=softmax)
    states = torch.randn(1, 8)
    with torch.no_grad():
        p = torch.exp(-surprise(model.softmax, states.expand(12, 8), torch.arange(12)))
        assert p.sum().item() == pytest.approx(1, abs=1e-5)
        onward, backward = both_ways(np.array([1, 0, 3, 5, 5]), np.array([0, 3]), np.array([3, 2]), border=12)
        found = model(*map(torch.from_numpy, (onward, backward, np.zeros(2, np.int64), np.arange(2))))
        layers = model.states(
            torch.from_numpy(onward[:-1]), torch.from_numpy(backward[:-1]), torch.zeros(2, dtype=torch.int64), torch.arange(2)
        )
        by_hand = sum(
            surprise(model.softmax, layers[d][-1][at, 0][None], torch.tensor([word]))
            for d, at, word in ((0, 0, 1), (0, 2, 3), (1, 0, 3), (1, 2, 1))
        )
    assert found[:, 1].tolist() == [4, 4]  # two known words, from both ends
    assert found[0, 0].item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_softmax_is_adaptive_where_the_vocabulary_is_large():
    assert isinstance(model_of(n_words=9_999, softmax="auto")[0].softmax, nn.Linear)
    large = model_of(n_words=60_000, softmax="auto")[0].softmax
    assert isinstance(large, nn.AdaptiveLogSoftmaxWithLoss)
    assert large.cutoffs == [2_000, 10_000, 50_000, 60_000]


# what is learned


def test_perplexity_falls_towards_that_of_the_language(trained):
    figures = [point["valid_perplexity"] for point in trained[1].curve]
    assert len(figures) == 6
    # nine words; nine times of ten the next is known, which is exp(0.49) = 1.6, and the first of a document is anyone
    assert figures[0] > 2 * figures[-1]
    assert 1.6 < figures[-1] < 3
    assert all(point["valid_loss"] == pytest.approx(math.log(point["valid_perplexity"])) for point in trained[1].curve)


def test_a_word_has_another_vector_in_another_context(trained):
    here, there = (contextual(trained[0].folder, document)[1] for document in ([4, 5, 6], [8, 5, 2]))
    assert np.abs(here - there).max() > 0.05
    again = contextual(trained[0].folder, [4, 5, 6])[1]
    assert (here == again).all()


def test_the_first_half_knows_nothing_of_what_follows_and_the_second_nothing_of_what_was_before(trained):
    given = np.array([4, 5, 6, 7, 8, 9])
    later, earlier = given.copy(), given.copy()
    later[4:], earlier[:2] = 1, 1
    base, with_later, with_earlier = (contextual(trained[0].folder, ids) for ids in (given, later, earlier))
    assert (base[:4, :8] == with_later[:4, :8]).all()
    assert (np.abs(base[:4, 8:] - with_later[:4, 8:]).max(axis=1) > 0).all()
    assert (base[2:, 8:] == with_earlier[2:, 8:]).all()
    assert (np.abs(base[2:, :8] - with_earlier[2:, :8]).max(axis=1) > 0).all()


def test_layer_0_is_the_words_own_vector_in_both_halves_and_the_mix_weighs_the_layers(trained):
    vectors = trained[0]
    table = vectors.model()[1]["embedding.weight"]
    layers = [contextual(vectors.folder, [4, 5, 4], mix=mix) for mix in ([1, 0, 0], [0, 1, 0], [0, 0, 1])]
    assert (layers[0] == np.concatenate([table[[4, 5, 4]]] * 2, axis=1)).all()
    assert contextual(vectors.folder, [4, 5, 4], mix=[0.5, 0.25, 2]) == pytest.approx(
        0.5 * layers[0] + 0.25 * layers[1] + 2 * layers[2], abs=1e-5
    )
    assert contextual(vectors.folder, [4, 5, 4]) == pytest.approx(sum(layers) / 3, abs=1e-5)


def test_vectors_in_context_are_those_that_training_evaluates_in_batches_and_steps(trained, tokens, tmp_path):
    values, offsets = tokens.ids(["valid"])
    documents = sorted((ids for ids in np.split(values, offsets[1:-1]) if len(ids)), key=len)  # as `steps` reads them
    batches = [(onward[:-1], backward[:-1], step, place) for onward, backward, step, place in steps(tokens, ["valid"], SMALL)]
    groups = []
    mixed = Mixed(rebuild(*trained[0].model()), SMALL.mix)
    for (_, _, step, _), rows in zip(batches, apply(mixed, iter(batches), Run(tmp_path), (1, 1, 0, 0)), strict=True):
        if step[0] == 0:
            groups.append([])
        groups[-1].append(rows.copy())  # (B, T, 2 H), each half in its own order
    assert max(map(len, groups)) > 2
    evaluated = [rows[1:] for group in groups for rows in np.concatenate(group, axis=1)]  # without the border
    for ids, both, found in zip(documents, evaluated, in_context(trained[0].folder, documents), strict=True):
        assert found[:, :8] == pytest.approx(both[: len(ids), :8], abs=1e-5)
        assert found[:, 8:] == pytest.approx(both[: len(ids), 8:][::-1], abs=1e-5)


def test_a_words_vector_is_the_mean_of_its_vectors_in_context(trained, tokens):
    values, offsets = tokens.ids(["train"])
    in_context = np.concatenate([contextual(trained[0].folder, document) for document in np.split(values, offsets[1:-1])])
    table = trained[0].read()
    assert table["item"].to_pylist() == [f"w{i}" for i in range(1, 10)]  # w10 and w11 are never seen
    assert table["count"].to_pylist() == np.bincount(values)[1:].tolist()
    assert trained[0].matrix() == pytest.approx(np.stack([in_context[values == i].mean(axis=0) for i in range(1, 10)]), abs=1e-5)


def test_neighbours_in_the_chain_lie_closer_than_words_far_apart(tmp_path):
    """With [0, 0, 1] a vector says what is foretold: words that foretell the same are alike."""
    rng = np.random.default_rng(0)
    documents = [[int(rng.integers(1, 4)), 7, int(rng.integers(4, 7)), 8] * 3 for _ in range(150)]
    params = SMALL.model_copy(update={"mix": [0, 0, 1]})
    vectors = embed(tokens_of(tmp_path / "t", documents), params, Run(tmp_path / "v", seed=1)).matrix()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[:3, :3].min() > cosine[:3, 3:6].max()
    assert cosine[3:6, 3:6].min() > cosine[:3, 3:6].max()


# the same again


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path, tokens):
    params = SMALL.model_copy(update={"epochs": 2, "dropout": 0.3, "softmax": "adaptive"})
    written = [files(embed(tokens, params, Run(tmp_path / f"{i}" / "v", seed=seed))) for i, seed in enumerate((1, 1, 2))]
    assert written[0] == written[1]
    assert written[0]["vectors.parquet"] != written[2]["vectors.parquet"]


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path, tokens, monkeypatch):
    params = SMALL.model_copy(update={"epochs": 3, "dropout": 0.3})
    n_calls = sum(1 for split in ("train", "valid") for _ in steps(tokens, [split], params))  # an epoch
    check_goes_on(lambda run: embed(tokens, params, run), tmp_path, monkeypatch, int(2.5 * n_calls), BiLM, "forward")


def test_without_a_validation_split_all_epochs_are_trained(tmp_path):
    run = Run(tmp_path / "v", seed=1)
    embed(tokens_of(tmp_path / "t", language(30)), SMALL.model_copy(update={"epochs": 2}), run)
    assert [set(point) for point in run.curve] == [{"epoch", "loss"}] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_it_learns_the_same_language_and_gives_the_same_bytes_again(tmp_path, tokens):
    params = SMALL.model_copy(update={"softmax": "adaptive"})
    runs = [Run(tmp_path / name / "v", seed=1, device="cuda") for name in "ab"]
    made = [files(embed(tokens, params, run)) for run in runs]
    assert made[0] == made[1]
    assert runs[0].curve[-1]["valid_perplexity"] < 3


# what cannot be learned from, or read


@pytest.mark.parametrize(("document", "what"), [([0, 0], "no known word"), ([1, 1, 0], "one known word only")])
def test_text_of_fewer_than_two_known_words_is_a_fault(tmp_path, document, what):
    with pytest.raises(Fault, match=f"tokens/t: the documents of train, unlabelled hold {what}, and a word is learned from others"):
        embed(tokens_of(tmp_path / "t", [document, []], n_vocab=3), Params(), Run(tmp_path / "v"))


def test_a_training_that_ends_far_above_chance_is_a_fault(tmp_path):
    with pytest.raises(Fault, match=r"embed/b: the loss is .*, and was 2.398 before the first step, .*Lower lr \(0.002 is usual\)"):
        embed(tokens_of(tmp_path / "t", two_topics(100, 0)), Params(vector_size=8, epochs=2, lr=3.0), Run(tmp_path / "v", name="embed/b"))


def test_a_training_whose_validation_ends_far_above_chance_is_a_fault_though_its_only_epoch_began_well(tmp_path):
    """The loss of an epoch is a mean over its steps, of which the first was taken by weights that knew nothing yet: 2.449 here."""
    tokens, run = (
        tokens_of(tmp_path / "t", two_topics(40, 0), splits=["train"] * 30 + ["valid"] * 10),
        Run(tmp_path / "v", "embed/b", seed=1),
    )
    with pytest.raises(Fault, match=r"embed/b: the loss is 7.*, and was 2.398 before the first step, in epoch 1, .*; no epoch ended well"):
        embed(tokens, Params(vector_size=8, epochs=1, lr=3.0), run)
    assert run.curve[0]["loss"] < 1.5 * 2.398 < run.curve[0]["valid_loss"]


def test_one_word_a_document_and_steps_without_a_known_word_are_no_fault(tmp_path):
    tokens = tokens_of(tmp_path / "t", [[1], [0] * 20 + [2], [2, 0]], n_vocab=3)
    vectors = embed(tokens, Params(vector_size=50, bptt=4, epochs=1), Run(tmp_path / "v"))
    assert (vectors.items(), vectors.size) == (["w1", "w2"], 50)
    assert np.isfinite(vectors.matrix()).all()


def test_a_rate_that_is_too_high_is_a_fault_and_names_the_step(tmp_path, tokens):
    with pytest.raises(Fault, match=r"embed/b: the loss.* epoch \d+, step \d+.*Lower lr"):
        embed(tokens, SMALL.model_copy(update={"lr": 1e38}), Run(tmp_path / "v", name="embed/b"))


def test_a_folder_of_another_model_and_a_token_of_another_vocabulary_are_refused(tmp_path, trained):
    with pytest.raises(Fault, match="token id 12 is none of its 12 words"):
        contextual(trained[0].folder, [1, 12])
    with Run(tmp_path / "v").open(Vectors) as out:
        out.append(item=["a"], count=[1], vector=np.ones((1, 2)))
        out.model({"model": "glove"}, {"x": np.ones(1, np.float32)})
    with pytest.raises(Fault, match="vectors/v: its model is 'glove'; vectors in context come from 'bilm'"):
        contextual(tmp_path / "v", [1])
    assert contextual(trained[0].folder, []).shape == (0, 16)


def test_what_was_kept_is_rebuilt_to_the_same_weights(trained):
    settings, weights = trained[0].model()
    again = {name: value.numpy() for name, value in rebuild(settings, weights).state_dict().items()}
    assert again.keys() == weights.keys()
    assert all((again[name] == weights[name]).all() for name in again)


@pytest.mark.parametrize("knobs", [{"mix": [1.0, 1.0]}, {"mix": [0.0, 0.0, 0.0]}, {"vector_size": 7}, {"num_layers": 0}])
def test_knobs_that_fit_nothing_are_refused(knobs):
    with pytest.raises(ValidationError):
        Params(**knobs)
