"""GloVe: the weighting, the loss that falls, what is written, and a training that was interrupted."""

import numba
import numpy as np
import pytest

from pipelines.artifacts.counts import Counts
from pipelines.cooccur import windowed
from pipelines.embed import glove
from pipelines.embed.glove import Params, embed
from pipelines.errors import Fault
from pipelines.kernels import glove as kernel
from pipelines.kernels.glove import weighting
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.matrices import counts_of, files
from tests.texts import tokens_of, two_topics


@pytest.fixture(scope="module")
def counts(tmp_path_factory) -> Counts:
    """Of two topics, words 1 to 5 and words 6 to 10; word 11 is never seen."""
    folder = tmp_path_factory.mktemp("counts")
    tokens = tokens_of(folder / "tokens", two_topics(200, seed=0), n_vocab=12)
    return windowed.cooccur(tokens, windowed.Params(window=5), Run(folder / "w5"))


def test_a_quarter_of_x_max_weighs_half_at_alpha_one_half():
    assert weighting(np.float32([25]), x_max=100, alpha=0.5) == pytest.approx([0.5])


def test_a_count_from_x_max_on_weighs_one():
    assert weighting(np.float32([100, 1e6]), x_max=100, alpha=0.75).tolist() == [1, 1]


def test_words_of_one_topic_lie_closer_than_words_of_two(tmp_path, counts):
    vectors = embed(counts, Params(vector_size=8, x_max=10, epochs=30), Run(tmp_path / "v", seed=1)).matrix()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine, alike = unit @ unit.T, np.equal.outer(np.arange(10) < 5, np.arange(10) < 5)
    assert cosine[alike].min() > cosine[~alike].max()


def test_with_enough_numbers_the_vectors_say_the_logarithm_of_every_count(tmp_path, counts):
    run = Run(tmp_path / "v", seed=1)
    _, weights = embed(counts, Params(vector_size=12, x_max=1, lr=0.2, epochs=150), run).model()
    row, col, count = next(counts.blocks())
    said = (
        (weights["word"][row - 1] * weights["context"][col - 1]).sum(axis=1)
        + weights["word_bias"][row - 1]
        + weights["context_bias"][col - 1]
    )
    assert said == pytest.approx(np.log(count), abs=0.1)
    assert run.curve[-1]["loss"] < 1e-4 < run.curve[0]["loss"]


def test_the_loss_of_the_first_epoch_is_the_published_mean_per_pair(tmp_path, counts):
    # with a rate of nearly nothing no vector moves: all products are about 0, so that the loss is that of log(count)
    run = Run(tmp_path / "v", seed=1)
    embed(counts, Params(vector_size=50, x_max=100, lr=1e-9, epochs=1), run)
    count = np.concatenate([count for _, _, count in counts.blocks()])
    assert run.curve[0]["loss"] == pytest.approx((0.5 * weighting(count, 100, 0.75) * np.log(count) ** 2).mean(), rel=0.01)


def test_only_words_that_were_met_get_a_vector_and_never_the_unknown_token(tmp_path, counts):
    vectors = embed(counts, Params(vector_size=4, epochs=1), Run(tmp_path / "v"))
    assert vectors.items() == [f"w{i}" for i in range(1, 11)]
    assert vectors.read(columns=["count"])["count"].to_pylist() == counts.vocab()["count"].to_pylist()[1:11]
    settings, weights = vectors.model()
    assert settings["model"] == "glove"
    assert {name: array.shape for name, array in weights.items()} == {
        "word": (10, 4), "context": (10, 4), "word_bias": (10,), "context_bias": (10,),
    }  # fmt: skip


def test_add_context_sums_the_two_vectors_of_a_word(tmp_path, counts):
    both = embed(counts, Params(vector_size=4, epochs=1), Run(tmp_path / "a", seed=1))
    alone = embed(counts, Params(vector_size=4, epochs=1, add_context=False), Run(tmp_path / "b", seed=1))
    weights = both.model()[1]
    assert (both.matrix() == weights["word"] + weights["context"]).all()
    assert (alone.matrix() == weights["word"]).all()


def test_any_number_of_threads_writes_the_same_bytes(tmp_path, counts):
    written = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        written.append(files(embed(counts, Params(vector_size=20, epochs=3), Run(tmp_path / f"t{len(written)}" / "v", seed=5))))
    assert written[0] == written[1]
    assert written[0] != files(embed(counts, Params(vector_size=20, epochs=3), Run(tmp_path / "s" / "v", seed=6)))


def test_pairs_that_memory_should_not_hold_lie_on_disk_meanwhile_and_leave_the_same_bytes(tmp_path, counts, monkeypatch):
    params = Params(vector_size=6, epochs=2)
    here = files(embed(counts, params, Run(tmp_path / "here" / "v", seed=2)))
    monkeypatch.setattr(glove, "HELD", 10)
    asked = []
    deal = kernel.deal
    monkeypatch.setattr(kernel, "deal", lambda *args: asked.append(args[3]) or deal(*args))
    assert files(embed(counts, params, Run(tmp_path / "there" / "v", seed=2))) == here
    assert asked[0].parent == tmp_path / "there"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["v"]


def test_a_training_that_gains_little_ends_when_asked_also_when_it_is_killed_just_then(tmp_path, counts):
    params, kept = Params(vector_size=6, epochs=200, least_gain=0.05), tmp_path / "checkpoints"
    run = Run(tmp_path / "a" / "v", seed=2, checkpoints=kept)
    whole = files(embed(counts, params, run))
    assert 2 <= len(run.curve) < 200
    again = Run(tmp_path / "b" / "v", seed=2, checkpoints=kept)  # from the last checkpoint
    assert files(embed(counts, params, again)) == whole
    assert again.curve == run.curve


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path, counts, monkeypatch):
    params = Params(vector_size=6, epochs=5)
    n = 7 * kernel.BLOCKS // 2  # in the middle of epoch 4
    _, steps = check_goes_on(lambda run: embed(counts, params, run), tmp_path, monkeypatch, n, kernel, "train")
    assert len(steps) == n + 2 * kernel.BLOCKS  # epochs 4 and 5


def test_more_blocks_than_pairs_can_fill_are_bounded_and_said(tmp_path, counts, capsys):
    written = []
    for blocks in (4096, 16):
        run = Run(tmp_path / str(blocks) / "v", name="embed/g", seed=1, show=True)
        written.append(embed(counts, Params(vector_size=4, epochs=2, blocks=blocks), run).matrix())
    assert (written[0] == written[1]).all()
    said = capsys.readouterr().out
    assert said.count("embed/g: blocks is 16, and not 4,096: there are 50 pairs") == said.count("blocks is") == 1


def test_more_numbers_than_words_are_trained_and_said(tmp_path, counts, capsys):
    for size in (10, 11):
        embed(counts, Params(vector_size=size, epochs=1), Run(tmp_path / str(size), name="embed/g", show=True))
    said = "embed/g: vector_size is 11, and 10 words need no more than 10 numbers to be told apart. Lower it"
    assert capsys.readouterr().out.count(said) == 1


def test_a_loss_that_is_no_number_any_more_stops_and_says_what_to_lower(tmp_path, counts):
    with pytest.raises(Fault, match=r"embed/g: the loss is .*, in epoch 1, after \d+ of 16 diagonals, with lr 1e\+30; .*Lower lr"):
        embed(counts, Params(vector_size=4, lr=1e30, epochs=5), Run(tmp_path / "v", name="embed/g"))


def test_a_rate_that_diverges_though_all_numbers_stay_finite_is_stopped_before_a_checkpoint(tmp_path, counts):
    run = Run(tmp_path / "v", name="embed/g", seed=1, checkpoints=tmp_path / "checkpoints")
    message = (
        r"the loss is [\d.e+]+, and was [\d.]+ before the first step, in epoch 1, after \d+ of 16 diagonals, with lr 5; no epoch ended well"
    )
    with pytest.raises(Fault, match=message):
        embed(counts, Params(vector_size=8, lr=5.0, epochs=6), run)
    assert run.checkpoint.load() is None


def test_a_training_that_ends_above_where_it_began_is_refused_and_its_last_good_epoch_kept(tmp_path, counts, monkeypatch):
    """Every epoch after the first is made to end at twice the loss before the first step."""
    train, calls, loss = kernel.train, [], 2 * kernel.untrained(kernel.deal(counts.blocks, 12, 0), 100, 0.75) * counts.n_rows() / 16
    monkeypatch.setattr(kernel, "train", lambda *args: calls.append(1) or (train(*args) if len(calls) <= 16 else loss))
    run = Run(tmp_path / "v", seed=1, checkpoints=tmp_path / "checkpoints")
    with pytest.raises(Fault, match=r"in epoch 3, after 16 of 16 diagonals, .* the last good epoch is 1, loss .* \(checkpoint in "):
        embed(counts, Params(vector_size=4, epochs=3), run)
    assert run.checkpoint.load()[1]["epoch"] == 1


@pytest.mark.parametrize("count", [np.nan, -3, 0, np.inf])
def test_counts_that_are_no_numbers_above_0_are_named_and_not_the_rate(tmp_path, count):
    with Run(tmp_path / "c").open(Counts) as out:
        out.append("vocab", token_id=range(4), token=["<unk>", "a", "b", "c"], count=[0, 1, 1, 1])
        out.append(row=np.int32([1, 1, 2, 3]), col=np.int32([2, 3, 1, 1]), count=np.float32([1, count, 1, count]))
    with pytest.raises(Fault, match=f"counts/c: 2 counts are no number above 0, first {float(count)} of row 1, col 3. Look at the stage"):
        embed(out.artifact, Params(vector_size=2), Run(tmp_path / "v"))


def test_counts_of_one_word_are_a_fault(tmp_path):
    one = windowed.cooccur(tokens_of(tmp_path / "t", [[1, 1, 1]]), windowed.Params(), Run(tmp_path / "w"))
    with pytest.raises(Fault, match="its pairs hold one known word only, and a word is learned from others"):
        embed(one, Params(vector_size=2), Run(tmp_path / "v"))


def test_counts_of_1_alone_have_nothing_to_fall_to_and_are_no_divergence(tmp_path):
    """The loss is that of where the vectors begin."""
    ones = counts_of(tmp_path / "c", 1.0 - np.eye(6))
    for size in (1, 8):
        embed(ones, Params(vector_size=size, epochs=3), Run(tmp_path / str(size)))


def test_counts_without_a_pair_are_a_fault(tmp_path):
    with Run(tmp_path / "none").open(Counts) as out:
        out.append("vocab", token_id=[0, 1], token=["<unk>", "a"], count=[0, 1])
    with pytest.raises(Fault, match="counts/none: it has no pairs"):
        embed(out.artifact, Params(), Run(tmp_path / "v"))
