"""Recommendation: the last item of a sequence by what came before, beside popularity."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, top_k_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

from pipelines.embed import skipgram
from pipelines.errors import Fault
from pipelines.evaluate.recommendation import Params, evaluate
from pipelines.method import Run
from tests.matrices import files, vectors_of
from tests.texts import tokens_of

ITEMS = ["w1", "w2", "w3", "w4"]
PLANE = np.array([[1, 0], [0.9, 0.3], [0, 1], [-1, 0]])


def figures(scores):
    return {(row["of"], row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def sequences(folder, held_out, trained=((4, 4, 4), (3, 3), (2,)), n_vocab=5):
    return tokens_of(folder, [*trained, *held_out], n_vocab, ["train"] * len(trained) + ["valid"] * len(held_out))


def test_places_by_hand(tmp_path):
    tokens = sequences(tmp_path / "t", [(3, 1, 2), (1, 4), (2,)])
    vectors = vectors_of(tmp_path / "v", ITEMS, PLANE)
    seen = figures(evaluate([vectors], tokens, Params(context=1, ks=[2, 4]), Run(tmp_path / "out", seed=1)))
    # after w1: w1, w2, w3, w4. So w2 is the second, and w4 the last
    row = seen["vectors/v", "hit_rate", "valid, first 2"]
    assert (row["value"], row["n"]) == (0.5, 2)
    assert seen["vectors/v", "ndcg", "valid, first 2"]["value"] == pytest.approx(0.5 / np.log2(3))
    assert seen["vectors/v", "ndcg", "valid, first 4"]["value"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / 2)
    assert row["note"] == (
        "all 4 items ranked; 0 of 2 last items are unknown; 1 sequences that are too short, or end with what they have, are left out"
    )
    # by popularity: w4, w3, w2, w1
    assert seen["tokens/t, popularity", "hit_rate", "valid, first 2"]["value"] == 0.5
    assert seen["tokens/t, popularity", "ndcg", "valid, first 4"]["value"] == pytest.approx((1 / np.log2(4) + 1) / 2)


def test_hit_rate_and_ndcg_are_scikit_learns(tmp_path):
    rng = np.random.default_rng(4)
    held_out = rng.integers(1, 31, (50, 4)).tolist()
    tokens = sequences(tmp_path / "t", held_out, trained=[range(1, 31)], n_vocab=31)
    x = rng.normal(size=(30, 6))
    vectors = vectors_of(tmp_path / "v", [f"w{i}" for i in range(1, 31)], x)
    seen = figures(evaluate([vectors], tokens, Params(context=3, ks=[1, 5, 20]), Run(tmp_path / "out", seed=1)))
    items, target = np.array(held_out) - 1, np.eye(30, dtype=int)[np.array(held_out)[:, -1] - 1]
    direction = x / np.linalg.norm(x, axis=1, keepdims=True)
    scores = cosine_similarity(direction[items[:, :3]].mean(axis=1), x)
    for k in (1, 5, 20):
        assert seen["vectors/v", "ndcg", f"valid, first {k}"]["value"] == pytest.approx(ndcg_score(target, scores, k=k))
        hits = top_k_accuracy_score(items[:, -1], scores, k=k, labels=np.arange(30))
        assert seen["vectors/v", "hit_rate", f"valid, first {k}"]["value"] == pytest.approx(hits)
    assert 0 < seen["vectors/v", "hit_rate", "valid, first 5"]["value"] < 1


def test_the_context_is_the_mean_of_the_last_so_many(tmp_path):
    tokens = sequences(tmp_path / "t", [(4, 1, 3, 2)])
    vectors = vectors_of(tmp_path / "v", ITEMS, PLANE)

    def place(context):
        seen = figures(evaluate([vectors], tokens, Params(context=context, ks=[1, 2, 3]), Run(tmp_path / str(context), seed=1)))
        return 1 + sum(seen["vectors/v", "hit_rate", f"valid, first {k}"]["value"] == 0 for k in (1, 2, 3))

    assert place(1) == 2  # after w3: w3, w2
    assert place(2) == 1  # between w1 and w3: w2
    assert place(3) == 2  # w4 takes w1 away
    seen = figures(evaluate([vectors], tokens, Params(context=1, ks=[1], again=False), Run(tmp_path / "new", seed=1)))
    assert seen["vectors/v", "hit_rate", "valid, first 1"]["value"] == 1  # w3 itself is no answer


def test_an_item_without_a_vector_or_a_name_is_missed_and_counted(tmp_path):
    tokens = sequences(tmp_path / "t", [(1, 2), (1, 4), (1, 0), (4, 1)])
    vectors = vectors_of(tmp_path / "v", ITEMS[:3], PLANE[:3])
    seen = figures(evaluate([vectors], tokens, Params(ks=[4]), Run(tmp_path / "out", seed=1)))
    row = seen["vectors/v", "hit_rate", "valid, first 4"]
    assert (row["value"], row["n"]) == (0.25, 4)
    assert row["note"] == "all 4 items ranked; 1 of 4 last items are unknown; 1 items have no vector"
    assert seen["tokens/t, popularity", "hit_rate", "valid, first 4"]["value"] == 0.75


def test_vectors_learned_from_sequences_of_two_kinds_beat_popularity(tmp_path):
    rng = np.random.default_rng(1)
    made = [(1 + rng.permutation(10)[:6] + 10 * (i % 2)).tolist() for i in range(600)]
    tokens = tokens_of(tmp_path / "t", made, 21, ["train"] * 500 + ["valid"] * 100)
    learned = skipgram.embed(tokens, skipgram.Params(vector_size=8, epochs=5, sample=0), Run(tmp_path / "v", seed=1))
    seen = figures(evaluate([learned], tokens, Params(ks=[10], again=False), Run(tmp_path / "out", seed=1)))
    mine, theirs = (seen[of, "hit_rate", "valid, first 10"] for of in ("vectors/v", "tokens/t, popularity"))
    assert mine["low"] > theirs["high"]
    assert mine["value"] > 0.95  # the five others of its kind are among the first ten


def test_a_new_item_is_found_by_its_text_alone(tmp_path):
    rng = np.random.default_rng(1)
    made = [(1 + rng.permutation(9)[:5] + 10 * (i % 2)).tolist() for i in range(600)]  # w10 and w20 are in no sequence of train
    held_out = [[*sequence[:-1], 10 + 10 * (i % 2)] for i, sequence in enumerate(made[500:])]
    tokens = tokens_of(tmp_path / "t", made[:500] + held_out, 21, ["train"] * 500 + ["valid"] * 100)
    trained = skipgram.embed(tokens, skipgram.Params(vector_size=8, epochs=5, sample=0), Run(tmp_path / "v", seed=1))
    old = [i for i, item in enumerate(trained.items()) if item not in ("w10", "w20")]
    learned = vectors_of(tmp_path / "known", [trained.items()[i] for i in old], trained.matrix()[old])
    kinds = ["salt and pepper", "nails and screws"]
    (tmp_path / "texts.tsv").write_text("".join(f"w{i}\ta box of {kinds[(i - 1) // 10]}, number {i}\n" for i in range(1, 21)))
    params = Params(ks=[10], again=False, texts=str(tmp_path / "texts.tsv"))
    seen = figures(evaluate([learned], tokens, params, Run(tmp_path / "out", seed=1)))
    assert seen["vectors/known", "hit_rate", "valid, first 10"]["value"] == 0
    row = seen["vectors/known, with texts", "hit_rate", "valid, new items, first 10"]
    assert (row["value"], row["n"]) == (1, 100)  # the five others of its kind and itself, before any of the other kind
    assert row["note"].endswith("vectors of 2 items are foretold from their texts")
    assert seen["vectors/known, with texts", "hit_rate", "valid, first 10"]["value"] == 1


def test_texts_that_cannot_help_are_a_fault(tmp_path):
    tokens, vectors = sequences(tmp_path / "t", [(1, 2)]), vectors_of(tmp_path / "v", ITEMS[:3], PLANE[:3])
    path = tmp_path / "texts.csv"
    for lines, told in [
        ("x,red\ny,blue\n", r"has a text of none of the items of tokens/t; its first are 'x', 'y'"),
        ("w1,red\nw1,blue\n", r"texts.csv, line 2 has 'w1' once more"),
        ("w1,red\nw4,blue\n", r"vectors/v: 1 of its 3 items have a text in .*takes two"),
        ("w1\n", r"line 1 is 'w1', 1 cells; it has to be item, text"),
    ]:
        path.write_text(lines)
        with pytest.raises(Fault, match=told):
            evaluate([vectors], tokens, Params(texts=str(path)), Run(tmp_path / "out"))


def test_the_same_bytes_twice(tmp_path):
    tokens = sequences(tmp_path / "t", [(3, 1, 2), (1, 4)])
    vectors = vectors_of(tmp_path / "v", ITEMS, PLANE)
    a, b = (files(evaluate([vectors], tokens, Params(), Run(tmp_path / name / "out", seed=2))) for name in "ab")
    assert a == b


def test_what_cannot_be_asked_is_a_fault(tmp_path):
    vectors = vectors_of(tmp_path / "v", ["x", "y"], PLANE[:2])
    with pytest.raises(Fault, match=r"tokens/t: none of its 1 sequences of split valid has two items\. Give its corpus"):
        evaluate([vectors], sequences(tmp_path / "t", [(1,)]), Params(), Run(tmp_path / "out"))
    with pytest.raises(Fault, match=r"none of its 1 sequences of split valid has two items, the last a new one"):
        evaluate([vectors], sequences(tmp_path / "u", [(1, 1)]), Params(again=False), Run(tmp_path / "out"))
    with pytest.raises(Fault, match=r"vectors/v: none of the 4 items of tokens/w has a vector; its first are 'x', 'y'"):
        evaluate([vectors], sequences(tmp_path / "w", [(1, 2)]), Params(), Run(tmp_path / "out"))
