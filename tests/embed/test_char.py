"""Words and their characters, learned together: what a word is made of, one step by hand, and what comes of it."""

import itertools
import math

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.embed import char
from pipelines.embed.char import Params, Tables, compose, composed, embed, keep_share, noise_table, spelling, step
from pipelines.errors import Fault
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.matrices import files
from tests.texts import labelled, tokens_of, two_topics


def tables(seed=0, words=4, characters=3, size=5):
    rng = np.random.default_rng(seed)
    return Tables(*(rng.normal(size=(n, size)).astype(np.float32) for n in (words, characters, words)))


SPELLED, N_SPELLED = np.int32([[0, 0], [0, 0], [1, 2], [2, 0]]), np.array([0, 2, 2, 1])  # of tables(): -, aa, bc, c


# what a word is made of


def test_a_word_is_spelled_by_its_characters_in_unicode_order():
    characters, spelled, n_spelled = spelling(["<unk>", "ba", "\u00e9", "aab"], positions=False)
    assert characters == ["a", "b", "\u00e9"]
    assert [row[:n].tolist() for row, n in zip(spelled, n_spelled, strict=True)] == [[], [1, 0], [2], [0, 0, 1]]


def test_with_positions_a_character_is_another_at_the_beginning_inside_and_at_the_end():
    characters, spelled, n_spelled = spelling(["<unk>", "aaaa", "a", "ab"], positions=True)
    assert [[characters[i] for i in row[:n]] for row, n in zip(spelled, n_spelled, strict=True)] == [
        [], ["a/begin", "a/inside", "a/inside", "a/end"], ["a/begin"], ["a/begin", "b/end"],
    ]  # fmt: skip


def test_of_a_word_that_is_very_long_the_first_characters_count():
    characters, spelled, n_spelled = spelling(["<unk>", "a" * 64 + "b" * 900], positions=False)
    assert (characters, spelled.shape, n_spelled.tolist()) == (["a"], (2, 64), [0, 64])


def test_a_word_is_half_its_own_vector_and_half_the_mean_of_its_characters():
    given = tables()
    expected = [
        (given.word[1] + given.character[0]) / 2,
        (given.word[2] + (given.character[1] + given.character[2]) / 2) / 2,
        (given.word[3] + given.character[2]) / 2,
    ]
    assert composed(np.array([1, 2, 3]), given, SPELLED, N_SPELLED) == pytest.approx(np.stack(expected), abs=1e-6)


# one step


def loss_of(flat, around, target, noise, shapes):
    """Negative sampling of the mean of the words around, in plain NumPy and double precision."""
    word, character, context = (
        part.reshape(shape) for part, shape in zip(np.split(flat, np.cumsum([np.prod(s) for s in shapes])[:-1]), shapes, strict=True)
    )
    mean = np.mean([(word[w] + character[SPELLED[w, : N_SPELLED[w]]].mean(axis=0)) / 2 for w in around], axis=0)
    return math.log(1 + math.exp(-context[target] @ mean)) + sum(math.log(1 + math.exp(context[n] @ mean)) for n in noise if n != target)


@pytest.mark.parametrize(("around", "target", "noise"), [([1, 2], 3, [1]), ([2, 2, 3], 1, [2, 3, 1]), ([1], 2, [])])
def test_a_step_goes_down_the_gradient_of_the_loss_and_each_word_around_as_if_it_were_alone(around, target, noise):
    given = tables()
    shapes = [part.shape for part in given]
    start = np.concatenate([part.ravel() for part in given]).astype(np.float64)
    gradient = np.zeros_like(start)
    for i in range(len(start)):
        up, down = start.copy(), start.copy()
        up[i] += 1e-5
        down[i] -= 1e-5
        gradient[i] = (loss_of(up, around, target, noise, shapes) - loss_of(down, around, target, noise, shapes)) / 2e-5
    room = np.empty(given.word.shape[1], np.float32), np.empty(given.word.shape[1], np.float32)
    lr = 1e-3
    found = step(
        np.array(around), len(around), target, np.array(noise, np.int64), len(noise), np.float32(lr), given, (SPELLED, N_SPELLED), *room
    )
    assert found == pytest.approx(loss_of(start, around, target, noise, shapes), rel=1e-5)
    moved = np.concatenate([part.ravel() for part in given]) - start
    whole = np.concatenate([np.full(part.size, times) for part, times in zip(given, (2 * len(around), 2 * len(around), 1), strict=True)])
    assert moved / -lr == pytest.approx(gradient * whole, abs=2e-3)


def test_a_frequent_word_is_kept_as_often_as_word2vec_keeps_it():
    kept = keep_share(np.array([0, 900, 99, 1]), 1e-2)
    assert kept == pytest.approx([1, math.sqrt(0.01 / 0.9) + 0.01 / 0.9, math.sqrt(0.01 / 0.099) + 0.01 / 0.099, 1])
    assert keep_share(np.array([0, 900]), 0).tolist() == [1, 1]


def test_noise_is_drawn_by_count_to_the_exponent_and_never_a_word_that_is_not_there():
    table = noise_table(np.array([0, 16, 1, 0, 81]), 0.5)
    assert np.bincount(table) / len(table) == pytest.approx([0, 4 / 14, 1 / 14, 0, 9 / 14], abs=1e-6)
    assert np.bincount(noise_table(np.array([0, 16, 0, 1]), 0)).tolist() == [0, len(table) // 2, 0, len(table) // 2]


def test_windows_end_at_a_document_and_unknown_tokens_are_taken_out_first(tmp_path, monkeypatch):
    seen = []

    def watched(values, offsets, *args):
        assert offsets.tolist() == [0, 3, 4, 6]
        found = train(values, offsets, *args)
        seen.append(found[1])
        return found

    train = char.train
    monkeypatch.setattr(char, "train", watched)
    embed(tokens_of(tmp_path / "t", [[1, 0, 2], [3], [0, 4]]), Params(vector_size=2, epochs=1, sample=0), Run(tmp_path / "v"))
    assert seen == [2, 2]  # 1 and 2 meet over the unknown token; 3 and 4 have nobody. Once to learn, once for the curve


# what comes of it


def test_words_of_one_topic_lie_closer_than_words_of_two(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(400, seed=0))
    run = Run(tmp_path / "v", seed=1)
    vectors = embed(tokens, Params(vector_size=8, sample=0), run).matrix()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine, alike = unit @ unit.T, np.equal.outer(np.arange(10) < 5, np.arange(10) < 5)
    assert cosine[alike].min() > cosine[~alike].max()
    assert run.curve[-1]["loss"] < run.curve[0]["loss"]


def test_the_curve_is_of_tables_that_stand_still_and_falls_where_the_loss_on_the_way_rises(tmp_path, monkeypatch):
    """Each document has five words of its own, which the tables follow as long as the rate is high."""
    rng, on_the_way = np.random.default_rng(0), []
    documents = [rng.choice(rng.integers(1, 61, 5), 40).tolist() for _ in range(100)]

    def watched(*args):
        loss, n = train(*args)
        on_the_way.extend([loss / n] * (args[-3] > 0))  # its rate
        return loss, n

    train = char.train
    monkeypatch.setattr(char, "train", watched)
    run = Run(tmp_path / "v", seed=1)
    made = embed(tokens_of(tmp_path / "t", documents, n_vocab=61), Params(vector_size=8, epochs=10, sample=0, lr=0.2), run)
    assert on_the_way[-1] > on_the_way[-2]
    assert all(a["loss"] > b["loss"] for a, b in itertools.pairwise(run.curve[-6:]))
    weights = made.model()[1]
    _, spelled, n_spelled = spelling(["<unk>", *(f"w{i}" for i in range(1, 61))], positions=False)
    counts = np.bincount(np.concatenate(documents))
    ids, offsets = np.concatenate(documents).astype(np.int32), np.arange(0, 4001, 40)
    loss, n = train(
        ids, offsets, spelled, n_spelled, np.ones(61), noise_table(counts, 0.75), weights["word"], weights["character"], weights["context"],
        5, 5, 0.0, 0.0, np.uint64(1),
    )  # fmt: skip
    assert run.curve[-1]["loss"] == pytest.approx(loss / n, rel=1e-6)


def test_words_that_are_hardly_seen_lie_with_those_that_are_written_like_them(tmp_path):
    """`aax` and `bby` come once each, among nobody who tells; their characters say where they belong."""
    words = ["<unk>", "aaa", "aac", "aca", "caa", "bbb", "bbd", "bdb", "dbb", "ac", "db"]
    rng = np.random.default_rng(0)
    documents = [("train", None, (rng.integers(1, 5, 12) + 4 * (i % 2)).tolist()) for i in range(300)] + [("train", None, [9, 10])]
    vectors = embed(labelled(tmp_path / "t", documents, words), Params(vector_size=8, sample=0), Run(tmp_path / "v", seed=1)).matrix()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (unit[8] @ unit[:4].T).min() > (unit[8] @ unit[4:8].T).max()
    assert (unit[9] @ unit[4:8].T).min() > (unit[9] @ unit[:4].T).max()


def test_the_rows_are_words_or_characters_and_the_model_holds_both(tmp_path):
    tokens = labelled(tmp_path / "t", [("train", None, [1, 2, 1, 0]), ("valid", None, [3])], ["<unk>", "ab", "b", "cd"])
    made = {
        of: embed(tokens, Params(vector_size=4, of=of, epochs=1, sample=0), Run(tmp_path / of, seed=1))
        for of in ("words", "own", "characters")
    }
    rows = {of: list(zip(v.items(), v.read()["count"].to_pylist(), strict=True)) for of, v in made.items()}
    assert rows == {"words": [("ab", 2), ("b", 1)], "own": [("ab", 2), ("b", 1)], "characters": [("a", 2), ("b", 3)]}
    settings, weights = made["words"].model()
    assert settings["characters"] == ["a", "b", "c", "d"]
    assert {name: array.shape for name, array in weights.items()} == {"word": (4, 4), "character": (4, 4), "context": (4, 4)}
    assert (made["own"].matrix() == weights["word"][1:3]).all()
    assert (made["characters"].matrix() == weights["character"][:2]).all()
    assert (made["words"].matrix()[1] == (weights["word"][2] + weights["character"][1]) / 2).all()


def test_any_number_of_threads_writes_the_same_bytes_and_another_seed_others(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(100, seed=0))
    written = [
        files(embed(tokens, Params(vector_size=8, positions=True), Run(tmp_path / f"{seed}{threads}" / "v", seed=seed, threads=threads)))
        for seed, threads in ((1, 1), (1, 4), (2, 1))
    ]
    assert written[0] == written[1]
    assert written[0]["vectors.parquet"] != written[2]["vectors.parquet"]


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    tokens, params = tokens_of(tmp_path / "tokens", two_topics(600, seed=0)), Params(vector_size=6, epochs=4)
    n = 11  # 3 batches of documents an epoch, and one for the curve: in the third
    _, steps = check_goes_on(lambda run: embed(tokens, params, run), tmp_path, monkeypatch, n, char, "train")
    assert len(steps) == n + 8  # epochs 3 and 4


# what cannot be learned from


def test_a_training_that_gains_little_ends_when_asked(tmp_path):
    run = Run(tmp_path / "v", seed=1)
    embed(tokens_of(tmp_path / "tokens", two_topics(100, seed=0)), Params(vector_size=8, epochs=200, sample=0, least_gain=0.05), run)
    assert 2 <= len(run.curve) < 200
    assert run.curve[-1]["loss"] > 0.95 * run.curve[-2]["loss"]


def test_a_loss_that_is_no_number_any_more_stops_and_says_what_to_lower(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(20, seed=0))
    with pytest.raises(Fault, match=r"embed/c: the loss is no number any more, in epoch 1, after 0 tokens, with lr 1e\+30; .*Lower lr"):
        embed(tokens, Params(vector_size=4, lr=1e30), Run(tmp_path / "v", name="embed/c"))


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([[0, 0], [], [1, 1]], "hold one known word only, and a word is learned from others"),
        ([[0], []], "hold no known word, and"),
        ([[1], [2], [0, 3]], "no document has two known words beside each other"),
    ],
)
def test_text_without_two_words_beside_each_other_is_a_fault(tmp_path, documents, message):
    with pytest.raises(Fault, match=message):
        embed(tokens_of(tmp_path / "t", documents, n_vocab=5), Params(), Run(tmp_path / "v"))


def test_a_window_longer_than_a_document_and_more_numbers_than_words_are_no_fault(tmp_path):
    vectors = embed(tokens_of(tmp_path / "t", [[1, 2]]), Params(window=500, vector_size=50, sample=0), Run(tmp_path / "v"))
    assert (vectors.n_rows(), vectors.size) == (2, 50)


def test_a_rate_that_would_rise_is_refused():
    with pytest.raises(ValidationError, match="must not be above lr"):
        Params(lr=0.01, min_lr=0.1)


def test_compose_adds_to_what_is_there():
    given, out = tables(), np.ones(5, np.float32)
    compose(out, np.float32(2), 3, given.word, given.character, SPELLED, N_SPELLED)
    assert out == pytest.approx(1 + given.word[3] + given.character[2], abs=1e-6)
