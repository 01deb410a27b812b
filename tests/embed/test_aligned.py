"""One space turned into another: a rotated copy is found back, held-out words tell how well, and what is refused."""

import numpy as np
import pytest

from pipelines.embed.aligned import Params, embed, sources
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import files, vectors_of

N, D = 400, 8
WORDS = [f"w{i}" for i in range(N)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def turned(rng):
    return np.linalg.qr(rng.normal(size=(D, D)))[0]


def test_a_rotated_copy_is_found_back_exactly(tmp_path, rng):
    x, turn = rng.normal(size=(N, D)).astype(np.float32), turned(rng)
    source, target = vectors_of(tmp_path / "s", WORDS, (x @ turn.T).astype(np.float32)), vectors_of(tmp_path / "t", WORDS, x)
    found = embed(source, target, Params(held_out=50), Run(tmp_path / "v", seed=1))
    np.testing.assert_allclose(found.matrix(), x, atol=1e-5)
    facts, weights = found.model()
    np.testing.assert_allclose(weights["rotation"], turn, atol=1e-6)
    assert (facts["n_pairs"], facts["n_held_out"], facts["precision_at_1"], facts["precision_at_1_cosine"]) == (N - 50, 50, 1.0, 1.0)


def test_lengths_stay_and_so_do_items_counts_and_labels(tmp_path, rng):
    x, y = rng.normal(size=(2, N, D)).astype(np.float32)
    source = vectors_of(tmp_path / "s", WORDS, x * rng.uniform(1, 9, (N, 1)).astype(np.float32), ["x"] * N)
    found = embed(source, vectors_of(tmp_path / "t", WORDS, y), Params(), Run(tmp_path / "v"))
    np.testing.assert_allclose(np.linalg.norm(found.matrix(), axis=1), np.linalg.norm(source.matrix(), axis=1), rtol=1e-5)
    columns = ["item", "count", "label"]
    assert found.read(columns=columns).to_pylist() == source.read(columns=columns).to_pylist()


def test_words_that_only_one_space_has_take_no_part_and_are_turned_too(tmp_path, rng):
    x, turn = rng.normal(size=(N, D)).astype(np.float32), turned(rng)
    source = vectors_of(tmp_path / "s", WORDS[:300], (x[:300] @ turn.T).astype(np.float32))
    target = vectors_of(tmp_path / "t", WORDS[100:], x[100:])
    found = embed(source, target, Params(held_out=0), Run(tmp_path / "v"))
    np.testing.assert_allclose(found.matrix(), x[:300], atol=1e-5)
    assert found.model()[0]["n_pairs"] == 200
    assert "precision_at_1" not in found.model()[0]


def test_spaces_that_have_nothing_to_do_with_each_other_find_next_to_no_word(tmp_path, rng):
    x, y = rng.normal(size=(2, N, D)).astype(np.float32)
    found = embed(vectors_of(tmp_path / "s", WORDS, x), vectors_of(tmp_path / "t", WORDS, y), Params(held_out=80), Run(tmp_path / "v"))
    assert found.model()[0]["precision_at_1"] < 0.1


def test_held_out_words_are_not_learned_from(tmp_path, rng):
    """With the held-out words of the target scrambled the rotation stays as it was, and none of these is found."""
    x, turn = rng.normal(size=(N, D)).astype(np.float32), turned(rng)
    source, target = vectors_of(tmp_path / "s", WORDS, (x @ turn.T).astype(np.float32)), vectors_of(tmp_path / "t", WORDS, x)
    asked = np.random.default_rng(1).permutation(N)[:40]  # as the method draws them by seed 1
    scrambled = x.copy()
    scrambled[asked] = np.roll(x[asked], 1, axis=0)
    wrong = embed(source, vectors_of(tmp_path / "u", WORDS, scrambled), Params(held_out=40), Run(tmp_path / "w", seed=1))
    right = embed(source, target, Params(held_out=40), Run(tmp_path / "v", seed=1))
    assert (wrong.model()[1]["rotation"] == right.model()[1]["rotation"]).all()
    assert wrong.model()[0]["precision_at_1"] == 0.0


def test_a_dictionary_says_which_words_belong_together(tmp_path, rng):
    x, turn = rng.normal(size=(N, D)).astype(np.float32), turned(rng)
    source = vectors_of(tmp_path / "s", WORDS, (x @ turn.T).astype(np.float32))
    target = vectors_of(tmp_path / "t", [f"m{i}" for i in range(N)], x)
    path = tmp_path / "pairs.txt"
    # every word has two counterparts, one of them unknown to the target
    path.write_text("".join(f"w{i} m{i}\nw{i}\tnone{i}\n" for i in range(N)) + "\n")
    params = Params(dictionary=str(path), held_out=30)
    found = embed(source, target, params, Run(tmp_path / "v", seed=1))
    np.testing.assert_allclose(found.matrix(), x, atol=1e-5)
    assert (found.model()[0]["n_pairs"], found.model()[0]["precision_at_1"]) == (N - 30, 1.0)
    assert sources(params) == [str(path)]
    with pytest.raises(Fault, match="vectors/s and vectors/t: they have no word in common. Name a dictionary"):
        embed(source, target, Params(), Run(tmp_path / "w"))


def test_the_same_seed_writes_the_same_bytes(tmp_path, rng):
    x, y = rng.normal(size=(2, N, D)).astype(np.float32)
    source, target = vectors_of(tmp_path / "s", WORDS, x), vectors_of(tmp_path / "t", WORDS, y)
    a, b = (embed(source, target, Params(), Run(tmp_path / name / "v", seed=1)) for name in "ab")
    assert files(a) == files(b)


def test_spaces_of_other_sizes_and_too_few_pairs_are_faults(tmp_path, rng):
    x = rng.normal(size=(N, D)).astype(np.float32)
    source = vectors_of(tmp_path / "s", WORDS, x)
    with pytest.raises(Fault, match=r"vectors/s has 8 numbers a vector, vectors/t 7\. Train both with the same vector_size"):
        embed(source, vectors_of(tmp_path / "t", WORDS, x[:, :7]), Params(), Run(tmp_path / "v"))
    with pytest.raises(Fault, match="have 7 pairs of words to learn from, fewer than the 8 numbers of a vector"):
        embed(source, vectors_of(tmp_path / "u", WORDS[:7], x[:7]), Params(held_out=0), Run(tmp_path / "w"))


def test_numbers_that_are_not_finite_are_a_fault(tmp_path, rng):
    x = rng.normal(size=(N, D)).astype(np.float32)
    y = x.copy()
    y[5, 5] = np.inf
    with pytest.raises(Fault, match="vectors/t: it holds numbers that are not finite"):
        embed(vectors_of(tmp_path / "s", WORDS, x), vectors_of(tmp_path / "t", WORDS, y), Params(), Run(tmp_path / "v"))


def test_a_dictionary_that_is_missing_or_not_of_two_words_a_line_is_a_fault(tmp_path, rng):
    x = rng.normal(size=(N, D)).astype(np.float32)
    source, path = vectors_of(tmp_path / "s", WORDS, x), tmp_path / "pairs.txt"
    for text, message in (
        (None, "is missing. Put it there"),
        ("w1 w1\nw2\nw3 w3 w3\n", r"line 2 is 'w2'; it has to be two words\n.*line 3 is 'w3 w3 w3'"),
        ("x y\n", "no pair of .* is known to both"),
    ):
        if text:
            path.write_text(text)
        with pytest.raises(Fault, match=message):
            embed(source, source, Params(dictionary=str(path)), Run(tmp_path / "v"))
