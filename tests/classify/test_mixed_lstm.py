"""The mixed objective."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines import classifier, perturbation
from pipelines.classify import lstm
from pipelines.classify.mixed_lstm import Params, classify, probabilities_of
from pipelines.embed import skipgram
from pipelines.errors import Fault
from pipelines.ingest import imdb
from pipelines.labels import read
from pipelines.method import Run
from pipelines.mixed import Reader, mixed
from pipelines.tokenize import words
from tests.kill import check_goes_on
from tests.matrices import vectors_of
from tests.texts import labelled

IMDB = Path(os.environ.get("WORDLOOM_DATA", "/nowhere")) / "imdb"
WORDS = ["<unk>", *(f"w{i}" for i in range(1, 41))]
SMALL = {"hidden_size": 16, "vector_size": 16, "batch_size": 16, "epochs": 3, "lr": 0.01, "dropout": 0.2, "epsilon": 1.0}
ONES = torch.ones(2)


def topics(n_train, n_valid, n_unlabelled, seed=0):
    """Class x has words 1 to 20, class y words 21 to 40, a third of them by chance from anywhere."""
    rng = np.random.default_rng(seed)

    def document(of):
        ids = rng.integers(1, 21, 12) + 20 * of
        wild = rng.random(12) < 0.33
        ids[wild] = rng.integers(1, 41, wild.sum())
        return ids

    rows = [("train", "xy"[i % 2], document(i % 2)) for i in range(n_train)]
    rows += [("valid", "xy"[i % 2], document(i % 2)) for i in range(n_valid)]
    rows += [("unlabelled", None, document(i % 2)) for i in range(n_unlabelled)]
    return [*rows, ("test", "x", document(0)), ("test", "y", document(1))]


def reader(**knobs):
    torch.manual_seed(0)
    params = Params(**({"hidden_size": 4, "dropout": 0.0, "normalise": False} | knobs))
    return Reader(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32), False, 2, params).train(), params


BATCH = torch.tensor([[1, 2, 3], [4, 5, 0]]).T, torch.tensor([3, 2]), torch.tensor([0, 1])
OTHERS = torch.tensor([[5, 4], [3, 1], [2, 0]]), torch.tensor([3, 2])


def test_without_its_terms_it_is_the_plain_loss():
    model, params = reader(adversarial=0.0, virtual=0.0, entropy=0.0)
    ids, lengths, truth = BATCH
    assert mixed(params, ONES, model, *BATCH).tolist() == classifier.losses(model(ids, lengths), truth, "one", 0.0, ONES).tolist()


def test_its_loss_is_the_sum_of_its_terms():
    """Each with its weight; class 0 weighs twice and class 1 half; of the unlabelled ones there is one for two labelled."""
    model, params = reader(adversarial=0.5, virtual=0.7, entropy=0.3, power_steps=3, label_smoothing=0.2)
    ids, lengths, truth = BATCH
    weigh, half = torch.tensor([2.0, 0.5]), torch.full((2,), 0.5)
    inside = torch.arange(3)[:, None] < lengths

    def cost(scores):
        return classifier.losses(scores, truth, "one", 0.2, weigh)

    def moved(ids, lengths, inside):
        """What the terms without labels cost, by random directions that are drawn as `mixed` draws them."""
        x = model.words(ids)
        scores = model.read(x, lengths)
        r = perturbation.virtual(lambda x: model.read(x, lengths), scores, x, inside, params.epsilon, params.xi, 3)
        return 0.7 * perturbation.divergence(scores.log_softmax(1), model.read(x + r, lengths)) + 0.3 * perturbation.entropy(scores)

    x = model.words(ids)
    plain = cost(model.read(x, lengths))
    hit = cost(model.read(x + perturbation.adversarial(plain, x, inside, params.epsilon), lengths))
    assert (hit > plain).all()
    torch.manual_seed(7)
    torch.randint(2**31, ())
    own = moved(ids, lengths, inside)
    torch.randint(2**31, ())
    others = moved(*OTHERS, torch.arange(3)[:, None] < OTHERS[1])
    torch.manual_seed(7)
    whole = mixed(params, weigh, model, *BATCH[:2], *OTHERS, half, truth)
    assert whole.tolist() == pytest.approx((plain + 0.5 * hit + own + 0.5 * others.mean()).tolist(), rel=1e-4)


def test_word_vectors_learn_from_the_adversarial_term_too_and_what_is_added_to_them_is_a_constant():
    model, params = reader(virtual=0.0, entropy=0.0)
    ids, lengths, truth = BATCH
    mixed(params, ONES, model, *BATCH).sum().backward()
    made = model.embedding.weight.grad.clone()
    model.zero_grad()
    x = model.words(ids)
    plain = classifier.losses(model.read(x, lengths), truth, "one", 0.0, ONES)
    r = perturbation.adversarial(plain, x, torch.arange(3)[:, None] < lengths, params.epsilon).clone()
    (plain + classifier.losses(model.read(x + r, lengths), truth, "one", 0.0, ONES)).sum().backward()
    torch.testing.assert_close(made, model.embedding.weight.grad)


def test_where_training_is_mixed_the_divergence_is_what_it_is_in_float32():
    """At a new network, whose answers hardly differ: of scores in bfloat16 a quarter of the divergences were below 0, and their mean twice as large."""
    torch.manual_seed(0)
    model = Reader(np.random.default_rng(0).normal(size=(500, 20)).astype(np.float32), False, 2, Params(hidden_size=16, dropout=0.0))
    model.share.fill_(1 / 500)
    ids, lengths, found = torch.randint(0, 500, (40, 32)), torch.full((32,), 40), []
    for rounded in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            x, inside = model.words(ids), torch.ones(40, 32, dtype=torch.bool)
            r = perturbation.virtual(lambda x: model.read(x, lengths), model.read(x, lengths), x, inside, 0.5, 0.1, 1)
            found.append(perturbation.divergence(model.read(x, lengths).log_softmax(1), model.read(x + r, lengths)))
            assert found[-1].dtype == x.dtype == torch.float32
    assert found[1].mean().item() == pytest.approx(found[0].mean().item(), rel=0.02)
    assert (found[1] >= 0).all()


def test_what_is_said_of_a_document_as_it_is_gets_no_gradient_by_the_divergence():
    """KL(p || q) descends by q alone: the gradient is that of cross-entropy with p as it stands."""
    model, params = reader(adversarial=0.0, entropy=0.0)
    gradients = []
    for term in ("kl", "cross-entropy"):
        model.zero_grad()
        torch.manual_seed(5)
        if term == "kl":
            (mixed(params, ONES, model, *BATCH) - mixed(params.model_copy(update={"virtual": 0.0}), ONES, model, *BATCH)).sum().backward()
        else:
            ids, lengths, _ = BATCH
            torch.randint(2**31, ())
            x, inside = model.words(ids), torch.arange(3)[:, None] < lengths
            p = model.read(x, lengths).detach()
            r = perturbation.virtual(lambda x, n=lengths: model.read(x, n), p, x, inside, params.epsilon, params.xi, 1)
            (-(p.softmax(1) * model.read(x + r, lengths).log_softmax(1)).sum()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-3)


def test_all_passes_over_a_block_drop_the_same_numbers_and_other_blocks_others(monkeypatch):
    model, params = reader(dropout=0.5, hidden_size=40)
    masks, dropout = [], torch.nn.functional.dropout

    def watched(x, p, training, inplace=False):
        made = dropout(x, p, training)
        masks.append((made != 0) | (x == 0))
        return made

    monkeypatch.setattr(torch.nn.functional, "dropout", watched)
    mixed(params, ONES, model, *BATCH[:2], *OTHERS, torch.ones(2), BATCH[2])
    of_words = [mask for mask in masks if mask.shape == (3, 2, 3)]
    first, last = of_words[0], of_words[-1]
    assert len(of_words) == 4 + 3  # plain, adversarial, two for the virtual one; of the others one less
    for mask in of_words[:4]:
        assert (mask == first).all()
    for mask in of_words[4:]:
        assert (mask == last).all()
    assert not (first == last).all()


def test_the_share_of_each_word_is_kept_with_the_model_and_answers_are_the_same_without_the_data(tmp_path):
    toy = labelled(tmp_path / "t", topics(32, 16, 16), WORDS)
    made = classify(toy, Params(**SMALL), Run(tmp_path / "p", seed=1))
    settings, weights = made.model()
    counts = toy.vocab().column("count").to_numpy()
    assert weights["share"][1:] == pytest.approx(counts[1:] / (counts[1:].sum() + 1))
    split = read(toy, "test", settings["classes"])
    assert probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path)) == pytest.approx(made.frame("test")[1], abs=1e-6)


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    toy, params = labelled(tmp_path / "t", topics(32, 16, 48), WORDS), Params(**SMALL)
    check_goes_on(lambda run: classify(toy, params, run), tmp_path, monkeypatch)


def test_texts_without_labels_are_all_read_before_any_is_again_and_lose_words_too(tmp_path, monkeypatch):
    """An epoch of 4 steps of 4 labelled texts, and of 8 of the 32 others; one of three words is not shown."""
    courses = []
    monkeypatch.setattr(classifier, "classify", lambda *given: courses.append(given[-1]))
    rows = [("train", "xy"[i % 2], [1 + i] * 30) for i in range(16)]
    rows += [("unlabelled", None, [1 + i] * 30) for i in range(32)] + [("valid", "xy"[i % 2], [1]) for i in range(2)]
    toy = labelled(tmp_path / "t", [*rows, ("test", "x", [1])], WORDS)
    classify(toy, Params(**SMALL | {"batch_size": 4, "n_unlabelled": 2.0, "word_dropout": 0.33}), Run(tmp_path / "p", seed=1))
    shown = list(courses[0].batches(read(toy, "train", ["x", "y"]), np.random.default_rng(0)))
    assert sorted(i for _, _, others, *_ in shown for i in others.max(axis=0)) == list(range(1, 33))
    assert all(batch[4].tolist() == [0.5] * 4 for batch in shown)  # labelled ones for each of the others
    for part in (0, 2):
        assert 0.2 < np.mean([(batch[part] == 0).mean() for batch in shown]) < 0.45


@pytest.mark.parametrize("n_unlabelled", [0.1, 0.7])  # 2 of them a step of 16 labelled ones, so that most pieces have none; and 11
def test_in_pieces_a_batch_costs_what_it_does_as_a_whole(tmp_path, n_unlabelled):
    toy, losses = labelled(tmp_path / "t", topics(40, 40, 40), WORDS), []
    for n_pieces in (1, 5):
        run = Run(tmp_path / str(n_pieces), seed=1)
        run.batch_split = n_pieces
        classify(toy, Params(**SMALL | {"dropout": 0.0, "virtual": 0.0, "n_unlabelled": n_unlabelled}), run)
        losses.append([row[name] for row in run.curve for name in ("loss", "valid_loss")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_words_that_a_step_does_not_show_change_what_is_learned(tmp_path):
    toy = labelled(tmp_path / "t", topics(32, 16, 48), WORDS)
    made = [classify(toy, Params(**SMALL, word_dropout=share), Run(tmp_path / f"{share}", seed=1)).model()[1] for share in (0.0, 0.5)]
    assert not np.array_equal(made[0]["decision.weight"], made[1]["decision.weight"])


def test_frozen_vectors_are_perturbed_and_stay_as_they_are(tmp_path):
    vectors = vectors_of(tmp_path / "v", WORDS[1:], np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32))
    toy = labelled(tmp_path / "t", topics(64, 40, 64), WORDS)
    made = classify(toy, Params(**SMALL | {"fine_tune": False}), Run(tmp_path / "p", seed=1), vectors=vectors)
    assert made.frame("valid")[0].eval("label == predicted").mean() > 0.8
    begun = classify(toy, Params(**SMALL | {"fine_tune": False, "epochs": 1}), Run(tmp_path / "q", seed=1), vectors=vectors)
    assert np.array_equal(made.model()[1]["embedding.weight"], begun.model()[1]["embedding.weight"])


def test_without_texts_without_labels_it_says_so_and_learns(tmp_path, capsys):
    made = classify(labelled(tmp_path / "t", topics(64, 40, 0), WORDS), Params(**SMALL), Run(tmp_path / "p", seed=1, show=True))
    assert "no text without labels takes part" in capsys.readouterr().out
    assert (made.frame("valid")[0].eval("label == predicted")).mean() > 0.8


def test_a_model_that_has_learned_nothing_is_none_and_what_to_lower_is_named(tmp_path):
    right = topics(64, 40, 64)
    wrong = [(split, {"x": "y", "y": "x"}[label] if split == "valid" else label, ids) for split, label, ids in right]
    classify(labelled(tmp_path / "right", right, WORDS), Params(**SMALL), Run(tmp_path / "p", seed=1))
    run = Run(tmp_path / "q", seed=1, checkpoints=tmp_path / "kept")
    with pytest.raises(
        Fault,
        match=r"rose from the new network's, 0\.\d+, to \d.*, and no epoch .* for all would be, 50\.0%, but by chance \(.*Lower epsilon, entropy or lr",
    ):
        classify(labelled(tmp_path / "wrong", wrong, WORDS), Params(**SMALL), run)
    assert run.checkpoint.load()[1]["epoch"] == len(run.curve)
    assert not (tmp_path / "q").exists()


def test_an_epsilon_that_makes_the_loss_rise_is_named_and_a_smaller_one_learns(tmp_path):
    toy = labelled(tmp_path / "t", topics(64, 40, 64), WORDS)
    knobs = SMALL | {"entropy": 2.0, "lr": 0.03}
    made = classify(toy, Params(**knobs | {"epsilon": 0.5}), Run(tmp_path / "p", seed=5))
    assert made.frame("valid")[0].eval("label == predicted").mean() > 0.8
    run = Run(tmp_path / "q", seed=5, checkpoints=tmp_path / "kept")
    with pytest.raises(
        Fault, match=r"the loss on valid rose from .*, but by chance .*; (the last good|no) epoch .*\. Lower epsilon, entropy or lr"
    ):
        classify(toy, Params(**knobs | {"epsilon": 20.0}), run)
    assert run.curve[-1]["valid_loss"] > run.curve[0]["valid_loss"]


@pytest.mark.parametrize(("ends", "best", "heard"), [
    (0.8, 0.55, "fault"),  # of 100, half of them of one class: 60 right are no more than chance
    (0.8, 0.65, "too sure of themselves"),
    (0.6, 0.50, "no epoch is right of more of valid"),
    (0.6, 0.51, ""),
])  # fmt: skip
def test_what_is_told_of_a_training_that_may_have_learned_nothing(tmp_path, capsys, ends, best, heard):
    valid = read(labelled(tmp_path / "t", [("valid", "xy"[i % 2], [1]) for i in range(100)], WORDS), "valid", ["x", "y"])
    run = Run(tmp_path / "p", show=True)
    run.curve += [
        {"epoch": 1, "loss": 0.7, "valid_loss": 0.69, "valid_accuracy": best}, {"epoch": 2, "loss": 0.7, "valid_loss": ends, "valid_accuracy": 0.4},
    ]  # fmt: skip
    if heard == "fault":
        with pytest.raises(Fault, match=r"rose from the new network's, 0\.7, to 0\.8, .* \(55\.0%\); the last good epoch is 1"):
            classifier.check_learned(valid, 0.7, Params(), run)
    else:
        classifier.check_learned(valid, 0.7, Params(), run)
        said = capsys.readouterr().out
        assert heard in said
        assert bool(heard) == bool(said)


def test_a_valid_of_one_class_cannot_say_that_nothing_was_learned(tmp_path, capsys):
    rows = [row for row in topics(64, 40, 64) if row[:2] != ("valid", "y")]
    classify(labelled(tmp_path / "t", rows, WORDS), Params(**SMALL), Run(tmp_path / "p", seed=1, show=True))
    assert "epsilon" not in capsys.readouterr().out


def test_of_another_network_it_is_told_and_the_model_is_kept(tmp_path, capsys):
    wrong = [(split, {"x": "y", "y": "x"}[label] if split == "valid" else label, ids) for split, label, ids in topics(64, 40, 0)]
    toy = labelled(tmp_path / "t", wrong, WORDS)
    lstm.classify(toy, lstm.Params(hidden_size=16, epochs=3, lr=0.01), Run(tmp_path / "p", seed=1, show=True))
    assert "than one class for all would be, 50.0%. Lower lr" in capsys.readouterr().out


def test_a_loss_that_is_no_number_any_more_ends_the_run_and_the_last_good_state_is_kept(tmp_path, monkeypatch):
    toy = labelled(tmp_path / "t", topics(64, 40, 64), WORDS)
    run = Run(tmp_path / "p", seed=1, checkpoints=tmp_path / "kept")
    virtual = perturbation.virtual
    steps = iter(range(10**6))
    monkeypatch.setattr(perturbation, "virtual", lambda *given: virtual(*given) * (1 if next(steps) < 16 else torch.inf))
    with pytest.raises(
        Fault, match=r"the loss, its gradient or a weight is not a number .* epoch 3.*last good epoch is 2.*Lower epsilon, entropy or lr"
    ):
        classify(toy, Params(**SMALL), run)
    assert run.checkpoint.load()[1]["epoch"] == 2


def test_one_class_and_several_at_once_are_refused(tmp_path):
    for target in ("several", "number"):
        with pytest.raises(ValueError, match="must be one or ordinal"):
            Params(target=target)
    documents = [(split, "x", ids) for split, _, ids in topics(8, 4, 4)]
    with pytest.raises(Fault, match="are of one class, 'x'"):
        classify(labelled(tmp_path / "t", documents, WORDS), Params(**SMALL), Run(tmp_path / "p"))


def test_an_epoch_goes_over_the_labelled_documents_as_often_as_it_is_told(tmp_path, monkeypatch):
    toy, courses = labelled(tmp_path / "t", topics(20, 4, 30), WORDS), []
    monkeypatch.setattr(classifier, "classify", lambda *given: courses.append(given[-1]))
    for passes in (1, 3):
        classify(toy, Params(**SMALL | {"passes": passes}), Run(tmp_path / "p"))
    train = read(toy, "train", ["x", "y"])
    once, thrice = ([batch[-1] for batch in course.batches(train, np.random.default_rng(0))] for course in courses)
    assert sorted(len(truth) for truth in once) == [4, 16]
    assert sum(len(truth) for truth in thrice) == 60
    assert np.concatenate(thrice).sum() == 30  # every document three times: half of them are of class y
    assert [course.passes for course in courses] == [1, 3]


def gains(tokens, folder, knobs, vectors=None):
    """How much more of valid is right with the virtual term than without it, all else being equal, in five draws."""
    found = []
    for draw in range(1, 6):
        right = []
        for virtual in (0.0, 1.0):
            run = Run(folder / f"{draw}, {virtual}", seed=draw)
            classify(tokens, Params(**knobs, virtual=virtual, adversarial=0.0, entropy=0.0), run, vectors)
            assert run.curve[-1]["loss"] < run.curve[0]["loss"]
            right.append(max(row["valid_accuracy"] for row in run.curve))
        found.append(right[1] - right[0])
    print(found)
    return np.array(found)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_with_few_labels_texts_without_help(tmp_path):
    """Ten labels, 400 texts without: better on average than cross-entropy alone, and no draw much worse."""
    knobs = SMALL | {"batch_size": 10, "passes": 3, "epochs": 10, "patience": 10, "n_unlabelled": 4.0, "n_train": 10}
    found = gains(labelled(tmp_path / "t", topics(100, 400, 400), WORDS), tmp_path, knobs)
    assert found.mean() > 0.01
    assert found.min() > -0.02


@pytest.mark.slow
@pytest.mark.skipif(not IMDB.is_dir(), reason="WORDLOOM_DATA names no folder with imdb/ in it")
def test_with_few_labels_reviews_without_help(tmp_path):
    """200 labels and 4,000 reviews of IMDb without, their first 80 words: better on average than cross-entropy alone."""
    corpus = imdb.ingest(imdb.Params(source=str(IMDB), limit=4000), Run(tmp_path / "corpus", seed=1))
    tokens = words.tokenize(corpus, words.Params(min_count=5), Run(tmp_path / "tokens"))
    vectors = skipgram.embed(tokens, skipgram.Params(vector_size=50), Run(tmp_path / "vectors", seed=1))
    knobs = {
        "hidden_size": 32, "max_tokens": 80, "batch_size": 20, "n_unlabelled": 2.0, "n_train": 200, "passes": 10, "epochs": 4, "patience": 4,
        "decay": "none", "lr": 0.002, "ema": 0.98, "epsilon": 2.0,
    }  # fmt: skip
    assert gains(tokens, tmp_path, knobs, vectors).mean() > 0.005
