"""Vectors without mean and first components, of length 1, with their contexts: each worked by hand, and in their order."""

import numpy as np
import pytest

from pipelines.cooccur import windowed
from pipelines.embed import glove, ppmi_svd, skipgram
from pipelines.embed.postprocess import Params, embed
from pipelines.errors import Fault
from pipelines.method import Run
from tests.matrices import files, vectors_of
from tests.texts import tokens_of, two_topics

# the mean is (1, 1); less it, all lie on the line along (1, 0), but for the last two
CROSS = np.array([[4, 1], [-2, 1], [1, 2], [1, 0]], np.float32)
ITEMS = ["a", "b", "c", "d"]


def treated(tmp_path, vector=CROSS, name="v", weights=None, **knobs):
    return embed(
        vectors_of(tmp_path / f"of-{name}", ITEMS[: len(vector)], vector, **(weights or {})), Params(**knobs), Run(tmp_path / name)
    )


def test_the_mean_goes_by_default_and_nothing_else(tmp_path):
    assert treated(tmp_path).matrix().tolist() == [[3, 0], [-3, 0], [0, 1], [0, -1]]


def test_the_first_component_about_the_mean_goes(tmp_path):
    found = treated(tmp_path, remove=1)
    assert found.matrix() == pytest.approx(np.array([[0, 0], [0, 0], [0, 1], [0, -1]]), abs=1e-6)
    assert found.model()[1]["mean"].tolist() == [1, 1]
    assert found.model()[1]["components"] == pytest.approx(np.array([[1, 0]]))


def test_where_the_mean_stays_components_are_those_about_zero(tmp_path):
    vector = np.array([[3, 4], [6, 8]], np.float32)  # one direction, (.6, .8): about the mean it would be the same
    found = treated(tmp_path, np.array([[2, 0], [2, 1], [2, -1]], np.float32), remove_mean=False, remove=1)
    assert found.matrix() == pytest.approx(np.array([[0, 0], [0, 1], [0, -1]]), abs=1e-6)
    assert treated(tmp_path, vector, "w", remove_mean=False, remove=1).model()[1]["components"] == pytest.approx(np.array([[0.6, 0.8]]))


def test_components_are_those_of_numpys_svd(tmp_path):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    centred = x - x.mean(axis=0)
    vt = np.linalg.svd(centred.astype(np.float64))[2][:2]
    np.testing.assert_allclose(treated(tmp_path, x, remove=2).matrix(), centred - centred @ vt.T @ vt, atol=1e-6)


def test_length_becomes_one_after_the_mean_went(tmp_path):
    assert treated(tmp_path, normalise=True).matrix().tolist() == [[1, 0], [-1, 0], [0, 1], [0, -1]]
    assert treated(tmp_path, np.array([[3, 4]], np.float32), "w", remove_mean=False, normalise=True).matrix() == pytest.approx(
        np.array([[0.6, 0.8]])
    )


def test_contexts_are_added_before_all_else(tmp_path):
    context = np.array([[0, 2], [0, 2], [6, 2], [6, 2]], np.float32)
    found = treated(tmp_path, add_context=True, weights={"context": context})
    # (4, 3), (-2, 3), (7, 4), (7, 2): the mean is (4, 3)
    assert found.matrix().tolist() == [[0, 0], [-6, 0], [3, 1], [3, -1]]


def test_where_the_model_holds_the_words_alone_these_are_what_contexts_are_added_to(tmp_path):
    weights = {"word": CROSS, "context": CROSS}
    found = treated(tmp_path, 2 * CROSS, add_context=True, remove_mean=False, weights=weights)  # summed already, as glove does
    assert (found.matrix() == 2 * CROSS).all()


def test_the_vectors_of_skipgram_glove_and_ppmi_svd_have_contexts_to_add(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(60, seed=0), n_vocab=12)
    counts = windowed.cooccur(tokens, windowed.Params(window=5), Run(tmp_path / "w5"))
    made = [
        skipgram.embed(tokens, skipgram.Params(vector_size=4, epochs=1), Run(tmp_path / "s", seed=1)),
        glove.embed(counts, glove.Params(vector_size=4, epochs=1, add_context=False), Run(tmp_path / "g", seed=1)),
        ppmi_svd.embed(counts, ppmi_svd.Params(vector_size=2, smoothing=1.0, side="left"), Run(tmp_path / "p", seed=1)),
    ]
    for vectors in made:
        found = embed(vectors, Params(add_context=True, remove_mean=False), Run(tmp_path / f"{vectors.row}-c"))
        assert found.items() == vectors.items()
        np.testing.assert_allclose(found.matrix() - vectors.matrix(), vectors.model()[1]["context"], atol=1e-6)


def test_items_counts_and_labels_stay_and_the_bytes_are_the_same_each_time(tmp_path):
    vectors = vectors_of(tmp_path / "o", ITEMS, CROSS, ["x", None, "y", "x"])
    a, b = (embed(vectors, Params(remove=1), Run(tmp_path / name / "v")) for name in "ab")
    columns = ["item", "count", "label"]
    assert a.read(columns=columns).to_pylist() == vectors.read(columns=columns).to_pylist()
    assert files(a) == files(b)


def test_all_directions_cannot_go(tmp_path):
    with pytest.raises(Fault, match=r"vectors/of-v: its vectors have 2 numbers, so 2 directions cannot go\. Lower remove"):
        treated(tmp_path, remove=2)


def test_numbers_that_are_not_finite_are_a_fault_that_names_the_item(tmp_path):
    x = CROSS.copy()
    x[2, 0] = np.nan
    with pytest.raises(Fault, match="1 vectors hold a number that is not finite, first 'c'"):
        treated(tmp_path, x)


@pytest.mark.parametrize("weights", [{"bias": np.ones(4)}, {"context": np.ones((4, 3))}, {"context": np.ones((3, 2))}])
def test_a_model_without_a_context_vector_for_each_item_is_a_fault(tmp_path, weights):
    with pytest.raises(Fault, match="its model, made-up, holds no context vector of 2 numbers for each item. Leave add_context out"):
        treated(tmp_path, add_context=True, weights=weights)


def test_vectors_that_hold_their_contexts_beside_them_already_are_a_fault(tmp_path):
    counts = windowed.cooccur(tokens_of(tmp_path / "t", two_topics(60, seed=0)), windowed.Params(window=5), Run(tmp_path / "w5"))
    vectors = ppmi_svd.embed(counts, ppmi_svd.Params(vector_size=2, smoothing=1.0, side="concatenate"), Run(tmp_path / "p", seed=1))
    with pytest.raises(Fault, match=r"its vectors have 4 numbers, and its word and context vectors 2 each: .* Leave add_context out"):
        embed(vectors, Params(add_context=True), Run(tmp_path / "v"))


def test_vectors_without_a_model_have_no_contexts(tmp_path):
    with pytest.raises(Fault, match="vectors/of-v holds no model"):
        treated(tmp_path, add_context=True)
