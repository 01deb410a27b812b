"""Compositional codes."""

import numpy as np
import pytest
import torch

from pipelines.coding import cost, decode
from pipelines.compress import scalar_quantisation
from pipelines.compress.codebook import Composer, Params, compress
from pipelines.errors import Fault
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.matrices import files, vectors_of

KNOBS = {"n_parts": 4, "bits": 2, "epochs": 30, "lr": 0.01, "batch_size": 32}


def sums(n=400, size=8):
    """Points that are sums of an entry from each of four codebooks of four, and a little off; not centred."""
    rng = np.random.default_rng(0)
    books = rng.normal(size=(4, 4, size)) * np.array([4, 2, 1, 0.5])[:, None, None]
    points = sum(book[rng.integers(0, 4, n)] for book in books)
    return (points + rng.normal(size=points.shape) * 0.05 + 3).astype(np.float32)


def made(folder, x, seed=1, **knobs):
    vectors = vectors_of(folder / "v", [f"w{i}" for i in range(len(x))], x)
    return compress(vectors, Params(**{**KNOBS, **knobs}), Run(folder / "c", seed=seed))


def errors(codings):
    return codings.read(columns=["error"]).column("error").to_numpy()


def test_a_choice_is_the_softmax_of_the_sources_equation():
    """tau = 1 and no noise: d_m = alpha_m / sum alpha_m."""
    torch.manual_seed(0)
    model = Composer(np.zeros(3), 1.0, Params(n_parts=2, bits=4))
    x = torch.randn(5, 3)
    alpha = torch.nn.functional.softplus(model.chosen(torch.tanh(model.hidden(x)))).view(5, 2, 16)
    assert torch.allclose(model.logits(x).softmax(dim=2), alpha / alpha.sum(dim=2, keepdim=True), atol=1e-5)
    assert (model(x) == alpha.argmax(dim=2)).all()


def test_the_sum_of_the_chosen_entries_is_the_reconstruction_and_the_error_what_it_is_off(tmp_path):
    x = sums()
    for n_refine in (0, 3):
        codings = made(tmp_path / str(n_refine), x, n_refine=n_refine, epochs=3)
        books, codes = codings.model()[1]["codebooks"], codings.matrix().astype(int)
        by_hand = sum(books[m][codes[:, m]] for m in range(4))
        assert decode(codings) == pytest.approx(by_hand, abs=1e-5)
        assert errors(codings) == pytest.approx(((by_hand - x) ** 2).sum(axis=1), rel=1e-4, abs=1e-5)
        assert cost(codings) == (1, 4 * 4 * 4 * 8)


def test_the_network_learns_the_codes_and_refining_loses_less_still(tmp_path):
    x = sums()
    untrained, trained, refined = (
        errors(made(tmp_path / name, x, epochs=epochs, n_refine=n_refine)).sum()
        for name, epochs, n_refine in (("a", 1, 0), ("b", 60, 0), ("c", 60, 20))
    )
    assert trained < 0.5 * untrained
    assert refined < 0.9 * trained


def test_it_loses_less_than_scalar_quantisation_of_as_many_bits(tmp_path):
    x = sums()
    vectors = vectors_of(tmp_path / "v", [f"w{i}" for i in range(len(x))], x)
    scalar = scalar_quantisation.compress(vectors, scalar_quantisation.Params(bits=1), Run(tmp_path / "s", seed=1))
    composed = made(tmp_path, x)
    assert cost(scalar)[0] == cost(composed)[0] == 1
    assert errors(composed).sum() < 0.7 * errors(scalar).sum()


def test_a_stage_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    vectors = vectors_of(tmp_path / "v", [f"w{i}" for i in range(400)], sums())
    params = Params(**{**KNOBS, "epochs": 3})
    check_goes_on(lambda run: compress(vectors, params, run), tmp_path, monkeypatch)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    one, again, other = (made(tmp_path / name, sums(), seed=seed, epochs=2) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert files(one) == files(again)
    assert files(one)["codings.parquet"] != files(other)["codings.parquet"]


def test_what_cannot_be_coded_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="400 rows cannot fill codebooks of 512 entries"):
        made(tmp_path, sums(), n_parts=8, bits=9)
    x = sums()
    x[7, 3] = np.nan
    with pytest.raises(Fault, match="'w7' has nan in column 3"):
        made(tmp_path / "b", x)
    with pytest.raises(ValueError, match="multiple of 8, and is 12"):
        Params(n_parts=3, bits=4)


def test_the_lower_tau_the_harder_a_choice():
    """A choice is a softmax of (ln alpha + Gumbel noise) / tau (Jang, Gu, Poole 2017, eq. 2)."""
    x = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    for tau in (5.0, 0.01):
        torch.manual_seed(1)
        model = Composer(np.zeros(8), 1.0, Params(**KNOBS | {"tau": tau}))
        torch.manual_seed(2)
        noise = -torch.empty(20, 4, 4).exponential_().log()
        choices = ((model.logits(x) + noise) / tau).softmax(dim=2)
        assert choices.amax(dim=2).mean() > 0.95 if tau < 1 else choices.amax(dim=2).mean() < 0.6
        expected = ((torch.einsum("nmk,mkd->nd", choices, model.codebooks) - x) ** 2).mean(dim=1)
        torch.manual_seed(2)
        assert model.loss(x).tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_far_from_zero_it_loses_what_it_loses_near_it(tmp_path):
    x = sums()
    lost = []
    for far in (0, 10_000):
        made = compress(
            vectors_of(tmp_path / f"v{far}", [f"w{i}" for i in range(len(x))], x + far), Params(**KNOBS), Run(tmp_path / f"c{far}", seed=1)
        )
        lost.append(float(((decode(made) - (x + far)) ** 2).sum()))
    assert lost[1] < lost[0] + 0.05 * ((x - x.mean(axis=0)) ** 2).sum()
