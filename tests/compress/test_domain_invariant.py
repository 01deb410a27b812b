"""The autoencoder whose codings do not say of which corpus they are."""

import numpy as np
import pytest
import torch

from pipelines.coding import cost, decode
from pipelines.compress.domain_invariant import Invariant, Params, compress, told_apart
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.reversal import Reversed
from tests.kill import check_goes_on
from tests.matrices import vectors_of


def corpora(tmp_path, n=(400, 200), shift=4.0, size=8):
    """Two clouds in the same four directions, the second one `shift` away from the first."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(4, size)) / 2
    away = np.zeros(size)
    away[0] = shift
    clouds = [rng.normal(size=(m, 4)) @ plane + 0.1 * rng.normal(size=(m, size)) + i * away for i, m in enumerate(n)]
    return [
        vectors_of(tmp_path / name, [f"{name}{i}" for i in range(len(x))], x.astype(np.float32))
        for name, x in zip("ab", clouds, strict=True)
    ]


SMALL = Params(sizes=[8, 3], epochs=3, batch_size=64)


def test_the_corpora_cannot_be_told_apart_by_the_codings_and_these_still_say_much(tmp_path):
    params = Params(sizes=[16, 5], epochs=60, batch_size=100, weight=1)
    parts = corpora(tmp_path)
    plain, invariant = (compress(parts, params.model_copy(update={"weight": w}), Run(tmp_path / f"c{w}", seed=1)) for w in (0, 1))
    told = [made.model()[0]["told_apart"] for made in (plain, invariant)]
    assert told[0]["vectors"] == told[1]["vectors"] > 0.95
    assert told[0]["codings"] > 0.95
    assert told[1]["codings"] < 0.65
    x = np.concatenate([part.matrix() for part in parts])
    within = sum(((part.matrix() - part.matrix().mean(axis=0)) ** 2).sum() for part in parts)
    assert invariant.read(columns=["error"]).column("error").to_numpy().sum() < within + 0.5 * (((x - x.mean(axis=0)) ** 2).sum() - within)


def test_the_encoder_climbs_what_the_adversary_descends():
    torch.manual_seed(0)
    x, second = torch.randn(20, 6), (torch.arange(20) >= 12).float()
    model = Invariant([6, 3], np.zeros(6), 1.0, hidden_size=4)

    def gradients(weight):
        z = model.encode(x) if weight is None else Reversed.apply(model.encode(x), weight)
        model.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model.odds(z), second).backward()
        return model.encoder[0].weight.grad.clone(), model.encoder_adversary[0].weight.grad.clone()

    (plain, adversary), (turned, same) = gradients(None), gradients(0.5)
    assert turned.numpy() == pytest.approx(-0.5 * plain.numpy(), abs=1e-7)
    assert torch.equal(adversary, same)
    assert plain.abs().sum() > 0


def test_the_probe_is_right_by_chance_where_there_is_nothing_to_tell_and_always_where_all_is_told():
    rng = np.random.default_rng(0)
    x, second = rng.normal(size=(2000, 5)), np.arange(2000) >= 1600
    assert told_apart(x, second, np.random.default_rng(1)) == pytest.approx(0.5, abs=0.08)  # and not 0.8, the larger corpus' share
    assert told_apart(x + 20 * second[:, None], second, np.random.default_rng(1)) == 1


def test_the_codings_are_of_both_corpora_in_order_and_decode_to_vectors_less_their_errors(tmp_path):
    parts = corpora(tmp_path, n=(30, 50))
    made = compress(parts, SMALL, Run(tmp_path / "c", seed=1))
    assert made.items() == parts[0].items() + parts[1].items()
    off = ((decode(made) - np.concatenate([part.matrix() for part in parts])) ** 2).sum(axis=1)
    assert made.read(columns=["error"]).column("error").to_numpy() == pytest.approx(off, rel=1e-3, abs=1e-4)
    assert cost(made)[1] == 4 * (3 * 8 + 8 + 8 * 8 + 8 + 8 + 1)  # decoder, mean and scale; the adversary is not kept to decode with
    assert not list(tmp_path.glob(".scratch-*"))


def test_killed_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    parts = corpora(tmp_path, n=(60, 40))
    check_goes_on(lambda run: compress(parts, SMALL, run), tmp_path, monkeypatch)


def test_what_is_in_both_corpora_is_told_apart_by_prefixes(tmp_path):
    one, other = corpora(tmp_path, n=(30, 40))
    same = vectors_of(tmp_path / "s", [*one.items()[:2], *other.items()[2:]], other.matrix())
    with pytest.raises(Fault, match="2 items are in vectors/a and in vectors/s, first 'a0'"):
        compress([one, same], SMALL, Run(tmp_path / "c"))
    made = compress([one, same], SMALL.model_copy(update={"prefixes": ["x/", "y/"]}), Run(tmp_path / "c", seed=1))
    assert made.items() == [f"x/{item}" for item in one.items()] + [f"y/{item}" for item in same.items()]


def test_anything_but_two_corpora_of_one_size_is_refused(tmp_path):
    one = corpora(tmp_path, n=(30, 40))[0]
    with pytest.raises(Fault, match="vectors/a: 1 rows of vectors, where two corpora are told apart"):
        compress([one], SMALL, Run(tmp_path / "c"))
    few = vectors_of(tmp_path / "f", ["p", "q"], np.eye(2, dtype=np.float32))
    with pytest.raises(Fault) as caught:
        compress([one, few], SMALL, Run(tmp_path / "c"))
    size, rows = caught.value.faults
    assert "vectors/a has 8 numbers a vector, vectors/f 2" in size
    assert "vectors/f: 2 items are too few" in rows
    broken = vectors_of(tmp_path / "g", [f"g{i}" for i in range(30)], np.full((30, 8), np.nan, np.float32))
    with pytest.raises(
        Fault, match=r"vectors/a and vectors/g: 30 of 60 vectors hold numbers that are not finite: 'g0' has nan in column 0"
    ):
        compress([one, broken], SMALL, Run(tmp_path / "c"))


@pytest.mark.parametrize("prefixes", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_prefixes_are_two_that_differ(prefixes):
    with pytest.raises(ValueError, match="prefixes"):
        Params(prefixes=prefixes)
