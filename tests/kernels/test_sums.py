"""Sums of entries of codebooks."""

import numpy as np
import pytest

from pipelines.kernels import sums
from pipelines.kernels.sums import least_squares, reassign


def summed(codebooks, codes):
    return sum(book[numbers] for book, numbers in zip(codebooks, codes.T, strict=True))


def drawn(n=200, n_parts=3, n_entries=4, size=5):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, size)).astype(np.float32)
    return x, rng.normal(size=(n_parts, n_entries, size)).astype(np.float32), rng.integers(0, n_entries, (n, n_parts))


def test_one_codebook_is_the_mean_of_those_that_name_an_entry(monkeypatch):
    monkeypatch.setattr(sums, "RIDGE", 1e-9)
    x, _, codes = drawn(n_parts=1)
    found = least_squares(x, codes, 4)
    assert found[0] == pytest.approx(np.stack([x[codes[:, 0] == k].mean(axis=0) for k in range(4)]), abs=1e-5)


def test_codebooks_are_those_of_numpys_least_squares(monkeypatch):
    monkeypatch.setattr(sums, "RIDGE", 1e-9)
    x, _, codes = drawn()
    chosen = np.zeros((len(x), 12))
    chosen[np.arange(len(x))[:, None], codes + np.arange(3) * 4] = 1
    wanted = chosen @ np.linalg.lstsq(chosen, x, rcond=None)[0]
    assert summed(least_squares(x, codes, 4), codes) == pytest.approx(wanted, abs=1e-4)


def test_sums_of_entries_are_found_out_by_least_squares_as_they_are():
    _, codebooks, codes = drawn()
    x = summed(codebooks, codes)
    assert summed(least_squares(x, codes, 4), codes) == pytest.approx(x, abs=0.02)


def test_an_entry_that_no_code_names_stays_finite():
    x, _, codes = drawn()
    assert np.isfinite(least_squares(x, np.zeros_like(codes), 4)).all()


def test_codes_are_changed_only_for_better_ones_until_no_single_change_helps(monkeypatch):
    monkeypatch.setattr(sums, "ROWS", 64)
    x, codebooks, codes = drawn()
    before, better = codes.copy(), reassign(x, codebooks, codes, 100)
    assert (codes == before).all()
    lost = ((summed(codebooks, better) - x) ** 2).sum(axis=1)
    assert (lost <= ((summed(codebooks, codes) - x) ** 2).sum(axis=1) + 1e-4).all()
    assert lost.mean() < 0.8 * ((summed(codebooks, codes) - x) ** 2).sum(axis=1).mean()
    for m in range(3):
        for k in range(4):
            other = better.copy()
            other[:, m] = k
            assert (((summed(codebooks, other) - x) ** 2).sum(axis=1) >= lost - 1e-4).all()
