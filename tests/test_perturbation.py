"""Perturbations: lengths, masks, constants and directions, by hand and by a dense Jacobian."""

import numpy as np
import pytest
import torch

from pipelines.perturbation import adversarial, divergence, entropy, normalised, rounds, unit, virtual

INSIDE = torch.tensor([[True, True], [True, False], [True, False]])  # documents of three tokens and of one


def test_a_norm_is_of_a_whole_document():
    x = torch.tensor([[[3.0, 0.0], [5.0, 12.0]], [[0.0, 4.0], [0.0, 0.0]]])  # (T, B, D)
    assert unit(x)[:, 0].flatten().tolist() == pytest.approx([3 / 5, 0, 0, 4 / 5])
    assert unit(x)[:, 1].flatten().tolist() == pytest.approx([5 / 13, 12 / 13, 0, 0])
    assert not unit(torch.zeros(2, 1, 3)).isnan().any()


def test_the_adversarial_step_is_along_the_gradient_of_each_documents_own_loss():
    w = torch.tensor([[1.0, -2.0], [0.5, 0.5], [2.0, 0.0]])  # of each place
    x = torch.randn(3, 2, 2, requires_grad=True)
    losses = (x * w[:, None]).sum(dim=(0, 2))
    r = adversarial(losses, x, INSIDE, epsilon=5.0)
    assert r[:, 0].flatten().tolist() == pytest.approx((5 * w / w.norm()).flatten().tolist())
    assert r[0, 1].tolist() == pytest.approx((5 * w[0] / w[0].norm()).tolist())  # the document's one word has it all
    assert not r[1:, 1].any()
    assert not r.requires_grad


def test_the_divergence_and_the_entropy_by_hand():
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.75, 0.25]])
    assert divergence(p.log(), q.log() + 3).item() == pytest.approx(0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25))
    assert divergence(q.log(), q.log()).item() == pytest.approx(0, abs=1e-7)
    assert entropy(q.log() - 1).item() == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))


def net():
    torch.manual_seed(3)
    layers = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    return lambda x: layers(x.transpose(0, 1).flatten(1))


def test_power_iteration_finds_the_direction_that_changes_the_answer_most():
    """Of KL(p(x) || p(x + r)) the second derivative at 0 is J' F J: J of the scores by x, dense, F = diag(p) - p p'. Its first eigenvector."""
    read, x = net(), torch.randn(3, 1, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(read, x).reshape(3, 6)
    p = read(x).softmax(dim=1)[0]
    curved = jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian
    worst = torch.linalg.eigh(curved).eigenvectors[:, -1].detach()
    inside = torch.ones(3, 1, dtype=torch.bool)
    r = virtual(read, read(x), x, inside, epsilon=2.0, xi=1e-3, n_steps=60)
    assert abs(float(r.flatten() @ worst)) == pytest.approx(2.0, rel=1e-3)
    one = virtual(read, read(x), x, inside, epsilon=2.0, xi=1e-3, n_steps=1).flatten() / 2
    assert (one @ curved @ one).item() > torch.diagonal(curved).mean().item()  # better than by chance after one step
    assert not r.requires_grad


@pytest.fixture
def products():
    """What may round products on a GPU; as it was afterwards."""
    several = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [it.allow_tf32 for it in several]
    yield several
    for it, allowed in zip(several, before, strict=True):
        it.allow_tf32 = allowed


def test_the_direction_is_found_without_tf32_whatever_the_rest_uses(products):
    read, x = net(), torch.randn(3, 1, 2, dtype=torch.float64)
    scores, seen = read(x), []

    def watched(x):
        seen.extend(it.allow_tf32 for it in products)
        return read(x)

    for it in products:
        it.allow_tf32 = True
    virtual(watched, scores, x, torch.ones(3, 1, dtype=torch.bool), epsilon=1.0, xi=0.1, n_steps=1)
    assert seen == [False, False]
    assert all(it.allow_tf32 for it in products)


def test_the_direction_is_found_in_float32_where_training_is_mixed():
    """To the bit that of a training that is not; in bfloat16 the two would have a cosine of 0.6 or so."""
    torch.manual_seed(3)
    lstm, decision, x = torch.nn.LSTM(16, 8), torch.nn.Linear(8, 2), torch.randn(50, 4, 16)
    inside, found = torch.ones(50, 4, dtype=torch.bool), []

    def read(x):
        return decision(lstm(x)[0].amax(dim=0))

    for mixed in (False, True):
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            scores = read(x)
            assert scores.dtype == (torch.bfloat16 if mixed else torch.float32)
            found.append(virtual(read, scores, x, inside, epsilon=2.0, xi=0.1, n_steps=1))
    assert torch.equal(*found)


def test_on_a_gpu_that_rounds_products_what_is_said_is_read_again_without(products):
    """Only then are both sides of the divergence of numbers that were made alike."""
    for it in products:
        it.allow_tf32 = False
    assert not rounds("cuda")
    for it in products:
        it.allow_tf32 = True
        assert rounds("cuda")
        assert not rounds("cpu")
        it.allow_tf32 = False
    with torch.autocast("cpu", torch.bfloat16):
        assert rounds("cpu")


def test_padding_is_left_as_it_is_and_every_document_moves_as_far():
    read = net()
    x = torch.randn(3, 2, 2, dtype=torch.float64)
    r = virtual(read, read(x), x, INSIDE, epsilon=0.7, xi=0.1, n_steps=1)
    assert not r[1:, 1].any()
    assert r.square().sum(dim=(0, 2)).sqrt().tolist() == pytest.approx([0.7, 0.7])


def test_each_step_of_the_search_is_of_the_length_that_is_asked_and_within_the_document():
    read, x, steps = net(), torch.randn(3, 2, 2, dtype=torch.float64), []

    def watched(y):
        steps.append((y - x).detach())
        return read(y)

    virtual(watched, read(x), x, INSIDE, epsilon=0.7, xi=0.1, n_steps=3)
    assert len(steps) == 3
    for d in steps:
        assert not d[1:, 1].any()
        assert d.square().sum(dim=(0, 2)).sqrt().tolist() == pytest.approx([0.1, 0.1])


def test_what_normalises_words_has_a_gradient_too():
    share = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: normalised(x, share), torch.randn(3, 2, dtype=torch.float64, requires_grad=True))


def test_vectors_are_normalised_by_how_often_words_are_read():
    vectors, share = torch.tensor([[1.0, 2.0], [3.0, -2.0], [9.0, 9.0]]), torch.tensor([0.75, 0.25, 0.0])
    made = normalised(vectors, share)
    assert (share @ made).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert (share @ made.square()).tolist() == pytest.approx([1, 1])
    assert made[0].tolist() == pytest.approx([(1 - 1.5) / 0.75**0.5, (2 - 1) / 3**0.5])
