"""Skip-gram: what it learns, that it comes back the same, also after a kill; and what gensim is given to read."""

import numpy as np
import pytest
from gensim.models.word2vec import Word2Vec
from pydantic import ValidationError

from pipelines import word2vec
from pipelines.embed.skipgram import Params, embed
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.word2vec_gensim import LONGEST, Documents
from tests.kill import check_goes_on
from tests.texts import WORD2VEC, tokens_of, topic_cosines, two_topics


def read(tmp_path, documents, wanted=("train",), **more):
    tokens, run = tokens_of(tmp_path / "tokens", documents, **more), Run(tmp_path / "v")
    words = word2vec.words_of(tokens, list(wanted), run)
    with run.progress(None, "tokens") as bar:
        return list(Documents(lambda: word2vec.pieces(tokens, list(wanted)), words, bar)), bar.done


def test_gensim_is_given_documents_without_their_unknown_tokens(tmp_path):
    assert read(tmp_path, [[1, 0, 2, 2], [0], [], [4]], n_vocab=5) == ([[0, 1, 1], [2]], 4)


def test_only_the_named_splits_are_read(tmp_path):
    assert read(tmp_path, [[1], [2], [3]], ["valid", "test"], splits=["test", "train", "valid"])[0] == [[0], [1]]


def test_a_long_document_is_cut_where_gensim_would_drop_the_rest(tmp_path):
    document = (np.arange(2 * LONGEST + 5) % 7).tolist()
    known = [token - 1 for token in document if token]
    documents, _ = read(tmp_path, [document, document[:3]])
    assert documents == [known[:LONGEST], known[LONGEST:], [0, 1]]


@pytest.mark.slow
@pytest.mark.quick_slow
@pytest.mark.parametrize("lengths", [[3 * LONGEST + 1, 20, LONGEST], [LONGEST] * 3, [9_999, 2, 1, 9_999, 9_999], [2] * 50])
def test_gensim_trains_on_every_token_in_every_epoch(tmp_path, monkeypatch, lengths):
    rng = np.random.default_rng(0)
    tokens = tokens_of(tmp_path / "tokens", [rng.integers(1, 9, length).tolist() for length in lengths])
    trained, train = [], Word2Vec.train
    monkeypatch.setattr(Word2Vec, "train", lambda *args, **more: trained.append(train(*args, **more)))
    embed(tokens, Params(vector_size=2, epochs=2, negative=1, sample=0, engine="gensim"), Run(tmp_path / "v"))
    assert trained == [(2 * sum(lengths), 2 * sum(lengths))]


@pytest.mark.parametrize("sample", [0.01, 1.0])
def test_gensim_draws_and_passes_over_words_by_their_counts(tmp_path, monkeypatch, sample):
    """Words 2 and 4 are not there, so that rows and token ids are not the same."""
    counts = np.array([100, 50, 20, 10])
    models, train = [], Word2Vec.train
    monkeypatch.setattr(Word2Vec, "train", lambda model, *args, **more: (models.append(model), train(model, *args, **more)))
    tokens = tokens_of(tmp_path / "tokens", [np.repeat([1, 3, 5, 6], counts).tolist()])
    embed(tokens, Params(vector_size=2, noise_exponent=1, sample=sample, engine="gensim"), Run(tmp_path / "v"))
    (model,) = models
    np.testing.assert_allclose(np.diff(model.cum_table.astype(float), prepend=0) / model.cum_table[-1], counts / 180, atol=1e-6)
    kept = np.minimum((np.sqrt(counts / (0.01 * 180)) + 1) * 0.01 * 180 / counts, 1) if sample < 1 else np.ones(4)
    np.testing.assert_allclose(model.wv.expandos["sample_int"] / 2**32, kept, atol=1e-6)


@pytest.mark.parametrize("more", WORD2VEC)
def test_words_of_one_topic_lie_closer_than_words_of_two(tmp_path, more):
    tokens = tokens_of(tmp_path / "tokens", two_topics(200, seed=0))
    made = embed(tokens, Params(vector_size=8, epochs=20, sample=0, **more), Run(tmp_path / "v", seed=1))
    within, across = topic_cosines(made)
    assert within.min() > across.max()
    assert set(made.model()[1]) == ({"nodes"} if more.get("loss") == "hierarchical" else {"context"})


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    """Killed in the middle of an epoch, after the checkpoint of a piece."""
    monkeypatch.setattr(word2vec, "PIECE", 3000)
    monkeypatch.setattr(word2vec, "SAVE_EVERY", 0.0)
    tokens = tokens_of(tmp_path / "tokens", two_topics(1024 * 3, seed=0))
    params = Params(vector_size=8, epochs=3, sample=0)
    again, steps = check_goes_on(lambda run: embed(tokens, params, run), tmp_path, monkeypatch, 6, word2vec.Descent, "step")
    assert len(steps) == 6 + 4  # of nine pieces, five were not done again
    assert [point["epoch"] for point in again.curve] == [1, 2, 3]


def test_the_loss_falls_and_a_training_that_gains_little_ends_when_asked(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(400, seed=0))
    run = Run(tmp_path / "v", seed=1)
    embed(tokens, Params(vector_size=8, epochs=5, sample=0), run)
    losses = [point["loss"] for point in run.curve]
    assert len(losses) == 5
    assert losses[-1] < 0.9 * losses[0]
    ends = Run(tmp_path / "ends" / "v", seed=1)
    embed(tokens, Params(vector_size=8, epochs=200, sample=0, least_gain=0.01), ends)
    assert 2 <= len(ends.curve) < 200


def test_the_full_softmax_is_for_small_vocabularies(tmp_path, monkeypatch):
    monkeypatch.setattr(word2vec, "LARGEST_SOFTMAX", 9)
    tokens = tokens_of(tmp_path / "tokens", two_topics(4, seed=0))
    with pytest.raises(Fault, match="loss softmax scores every pair against all 10 words"):
        embed(tokens, Params(vector_size=8, loss="softmax"), Run(tmp_path / "v"))


def test_gensim_has_not_every_loss(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(4, seed=0))
    with pytest.raises(Fault, match="gensim has the losses negative and hierarchical, and no least_gain. Say engine: own"):
        embed(tokens, Params(vector_size=8, loss="nce", engine="gensim"), Run(tmp_path / "v"))


def test_vectors_that_are_no_numbers_any_more_end_the_training_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(word2vec.kernel, "train", lambda text, chunks, weights, *_: (weights.words.fill(np.nan), (0.0, 1))[1])
    tokens = tokens_of(tmp_path / "tokens", two_topics(4, seed=0))
    with pytest.raises(Fault, match="no number any more, in epoch 1, after 0 tokens, with lr 0.025; no epoch ended well. Lower lr"):
        embed(tokens, Params(vector_size=8), Run(tmp_path / "v"))


def test_a_rate_that_diverges_ends_the_training_and_leaves_the_checkpoint_of_the_last_good_epoch(tmp_path):
    tokens, kept = tokens_of(tmp_path / "tokens", two_topics(100, seed=0)), tmp_path / "checkpoints"
    params, runs = Params(vector_size=8, epochs=6, sample=0, batch_size=100_000, lr=0.5), []
    for i in range(2):  # once more, from the checkpoint
        runs.append(Run(tmp_path / str(i) / "v", name="embed/s", seed=1, checkpoints=kept))
        with pytest.raises(
            Fault, match=r"embed/s: the loss is .*, in epoch \d, after 0 tokens, with lr .*Lower lr \(0.025 is usual\)"
        ) as fault:
            embed(tokens, params, runs[-1])
    arrays, state = runs[0].checkpoint.load()
    losses = [point["loss"] for point in runs[1].curve]
    good = max(i for i, loss in enumerate(losses, 1) if loss < 1.5 * state["untrained"])
    assert state["epoch"] == good < len(losses) + 1
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert f"the last good epoch is {good}, loss {losses[good - 1]:.4g} (checkpoint in {kept})" in str(fault.value)
    lower = Run(tmp_path / "lower" / "v", seed=1)
    embed(tokens, params.model_copy(update={"lr": 0.025, "batch_size": 0}), lower)
    assert lower.curve[-1]["loss"] < 0.6 * state["untrained"]


@pytest.mark.parametrize("loss", ["negative", "nce", "hierarchical", "softmax"])
@pytest.mark.parametrize("n", [20, 200])
def test_a_rate_four_times_the_usual_one_is_not_taken_for_a_divergence(tmp_path, loss, n):
    run = Run(tmp_path / "v", seed=1)
    embed(tokens_of(tmp_path / "tokens", two_topics(n, seed=0)), Params(vector_size=8, epochs=6, sample=0, lr=0.1, loss=loss), run)
    assert len(run.curve) == 6


@pytest.mark.parametrize("more", [{}, {"sample": 0}, {"loss": "hierarchical"}])
def test_documents_of_one_word_each_hold_nothing_to_learn(tmp_path, more):
    with pytest.raises(Fault, match="embed/s: there was no pair to learn from: .*Lower min_count of the tokenize row, or say sample: 0"):
        embed(tokens_of(tmp_path / "t", [[1], [2], [3]]), Params(**more), Run(tmp_path / "v", name="embed/s"))


def test_what_needs_no_noise_words_is_named_where_they_are_turned_off():
    with pytest.raises(ValidationError, match="should be 1 or more; loss: hierarchical or softmax needs no noise words"):
        Params(negative=0)


@pytest.mark.parametrize("engine", ["own", "gensim"])
def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path, engine):
    tokens = tokens_of(tmp_path / "tokens", two_topics(100, seed=0))
    written = []
    for seed, threads in ((1, 1), (1, 4), (2, 1)):
        vectors = embed(tokens, Params(vector_size=8, engine=engine), Run(tmp_path / str(len(written)) / "v", seed=seed, threads=threads))
        written.append({path.name: path.read_bytes() for path in vectors.folder.iterdir()})
    assert written[0] == written[1]
    assert written[0]["vectors.parquet"] != written[2]["vectors.parquet"]


def test_words_keep_the_vocabularys_order_and_those_never_seen_are_left_out(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", [[2, 4, 4, 0, 4], [5, 2], [3, 3, 3]], n_vocab=7, splits=["train", "unlabelled", "test"])
    vectors = embed(tokens, Params(vector_size=3, sample=0), Run(tmp_path / "v"))
    assert vectors.items() == ["w2", "w4", "w5"]
    assert vectors.read(columns=["count"])["count"].to_pylist() == [2, 3, 1]
    settings, weights = vectors.model()
    assert settings["model"] == "skipgram"
    assert weights["context"].shape == (3, 3)


@pytest.mark.parametrize(("document", "what"), [([0, 0], "no known word"), ([1, 1, 1], "one known word only")])
def test_a_text_of_fewer_than_two_words_is_a_fault(tmp_path, document, what):
    with pytest.raises(Fault, match=f"tokens/tokens: the documents of train, unlabelled hold {what}, and a word is learned from others"):
        embed(tokens_of(tmp_path / "tokens", [document], n_vocab=2), Params(), Run(tmp_path / "v"))


def test_a_rate_that_would_rise_is_refused():
    with pytest.raises(ValidationError, match=r"min_lr \(0.1\) must not be above lr \(0.01\)"):
        Params(lr=0.01, min_lr=0.1)


@pytest.mark.parametrize("engine", ["own", "gensim"])
def test_without_a_pair_of_known_words_there_is_nothing_to_learn(tmp_path, engine):
    tokens = tokens_of(tmp_path / "tokens", [[1], [2], [3]] * 20)
    with pytest.raises(Fault, match="there was no pair to learn from: no document has two known words"):
        embed(tokens, Params(vector_size=2, engine=engine), Run(tmp_path / "v"))


def test_gensims_curve_falls_and_a_rate_that_is_far_too_high_is_a_fault(tmp_path):
    run = Run(tmp_path / "v", seed=1)
    embed(tokens_of(tmp_path / "t", two_topics(50, seed=0)), Params(vector_size=8, epochs=6, sample=0, lr=0.005, engine="gensim"), run)
    losses = [point["loss"] for point in run.curve]
    assert len(losses) == 6
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.9 * losses[0]
    params = Params(vector_size=8, epochs=3, sample=0, lr=1.0, negative=20, engine="gensim")
    with pytest.raises(Fault, match=r"the loss is .* before the first step, in epoch 3.*Lower lr"):
        embed(tokens_of(tmp_path / "u", two_topics(20, seed=0)), params, Run(tmp_path / "w", seed=1))


def test_more_numbers_than_words_are_trained_and_said(tmp_path, capsys):
    tokens = tokens_of(tmp_path / "t", two_topics(4, seed=0))
    for size in (10, 11):
        embed(tokens, Params(vector_size=size, epochs=1), Run(tmp_path / str(size), name="embed/s", show=True))
    said = "embed/s: vector_size is 11, and 10 words need no more than 10 numbers to be told apart. Lower it"
    assert capsys.readouterr().out.count(said) == 1
