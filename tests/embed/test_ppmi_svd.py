"""PPMI and SVD: as NumPy's of the dense matrix, which words get a vector, and what is refused."""

import numba
import numpy as np
import pytest

from pipelines.cooccur import association, windowed
from pipelines.embed.ppmi_svd import Params, embed
from pipelines.errors import Fault
from pipelines.kernels import svd as kernel
from pipelines.kernels.association import associate_plain
from pipelines.method import Run
from tests.matrices import counts_of, files
from tests.texts import tokens_of, two_topics


def some(n=50, seed=0):
    """Symmetric counts of n words; word 0, the unknown one, and word 9 are in no pair."""
    dense = np.random.default_rng(seed).poisson(0.8, (n, n)).astype(float)
    dense = dense + dense.T
    dense[0], dense[:, 0], dense[9], dense[:, 9] = 0, 0, 0, 0
    return dense


def embedded(tmp_path, dense, name="v", seed=1, **knobs):
    return embed(counts_of(tmp_path / f"of-{name}", dense), Params(**knobs), Run(tmp_path / name, seed=seed))


@pytest.fixture
def counts(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(200, seed=0), n_vocab=12)
    return windowed.cooccur(tokens, windowed.Params(window=5), Run(tmp_path / "w5"))


def test_products_of_vectors_are_those_of_numpys_svd_of_the_plain_ppmi(tmp_path):
    dense = some()
    vectors = embedded(tmp_path, dense, vector_size=5, exponent=1.0, side="left")
    u, s, _ = np.linalg.svd(associate_plain(dense, "ppmi", 0.75).astype(np.float64))
    kept = [i for i in range(1, 50) if i != 9]
    expected = (u[:, :5] * s[:5])[kept]
    assert vectors.items() == [f"w{i}" for i in kept]
    np.testing.assert_allclose(vectors.matrix() @ vectors.matrix().T, expected @ expected.T, atol=1e-3)
    assert vectors.model()[1]["singular_values"] == pytest.approx(s[:5])


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_sides_are_words_contexts_their_sum_or_both(tmp_path, exponent):
    found = {
        side: embedded(tmp_path, some(), side, vector_size=4, exponent=exponent, side=side)
        for side in ("left", "right", "sum", "concatenate")
    }
    left, right = found["left"].matrix(), found["right"].matrix()
    assert (found["sum"].matrix() == left + right).all()
    assert (found["concatenate"].matrix() == np.hstack([left, right])).all()
    length = found["left"].model()[1]["singular_values"] ** exponent
    assert np.linalg.norm(left, axis=0) == pytest.approx(length, rel=1e-4)
    assert np.linalg.norm(right, axis=0) == pytest.approx(length, rel=1e-4)


def test_words_of_one_topic_lie_closer_than_words_of_two(tmp_path, counts):
    vectors = embed(counts, Params(vector_size=2, smoothing=1.0), Run(tmp_path / "v", seed=1))
    assert vectors.items() == [f"w{i}" for i in range(1, 11)]
    x = vectors.matrix()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine, alike = unit @ unit.T, np.equal.outer(np.arange(10) < 5, np.arange(10) < 5)
    assert cosine[alike].min() > cosine[~alike].max()


def test_a_row_of_association_gives_the_same_vectors_by_measure_none(tmp_path, counts):
    knobs = {"measure": "shifted_ppmi", "smoothing": 0.5, "shift": 1.1}
    made = association.cooccur(counts, association.Params(**knobs), Run(tmp_path / "a"))
    at_once = embed(counts, Params(vector_size=2, **knobs), Run(tmp_path / "v", seed=1))
    in_two = embed(made, Params(vector_size=2, measure="none"), Run(tmp_path / "w", seed=1))
    assert (at_once.folder / "vectors.parquet").read_bytes() == (in_two.folder / "vectors.parquet").read_bytes()


def test_any_number_of_threads_writes_the_same_bytes_and_another_seed_others(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "DENSE", 0)  # else chance has no part
    written = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        written.append(files(embedded(tmp_path, some(), f"t{len(written)}", vector_size=8)))
    assert written[0] == written[1]
    assert written[0] != files(embedded(tmp_path, some(), "s", seed=2, vector_size=8))


def test_more_numbers_than_words_or_than_the_matrix_has_directions_are_a_fault(tmp_path):
    with pytest.raises(Fault, match=r"counts/of-v: 48 words have a ppmi other than 0, so there are no 49 directions\. Lower vector_size"):
        embedded(tmp_path, some(), vector_size=49)
    blocks = np.kron(np.eye(3), np.ones((4, 4)))  # three topics: rank 3
    with pytest.raises(Fault, match=r"its ppmi matrix has rank 3, so no 4 directions\. Lower vector_size"):
        embedded(tmp_path, np.pad(blocks, ((1, 0), (1, 0))), "w", vector_size=4)


def test_no_pair_at_all_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="0 words have a ppmi other than 0"):
        embedded(tmp_path, np.zeros((4, 4)), vector_size=1)


@pytest.mark.parametrize("measure", ["ppmi", "none"])
def test_counts_that_are_no_numbers_or_below_0_are_a_fault(tmp_path, measure):
    dense = some()
    dense[3, 4], dense[5, 6] = np.nan, -2
    with pytest.raises(Fault, match=r"counts/of-v: 2 counts are no number above 0, first nan of row 3, col 4"):
        embedded(tmp_path, dense, measure=measure)


def test_rows_of_documents_and_numbers_that_are_no_counts_are_a_fault(tmp_path, counts):
    bags = counts_of(tmp_path / "bags", np.ones((2, 3)), documents=[("d0", "train", None), ("d1", "train", None)])
    with pytest.raises(Fault, match="counts/bags: its rows are documents"):
        embed(bags, Params(vector_size=1), Run(tmp_path / "v"))
    made = association.cooccur(counts, association.Params(), Run(tmp_path / "a"))
    with pytest.raises(Fault, match="counts/a: its numbers are ppmi, and this method needs counts"):
        embed(made, Params(vector_size=1), Run(tmp_path / "w"))


def test_counts_of_one_word_are_a_fault(tmp_path):
    with pytest.raises(Fault, match="its pairs hold one known word only"):
        embedded(tmp_path, np.array([[0, 0], [0, 3.0]]), vector_size=1, measure="log")
