"""The LSTM classifier."""

import numpy as np
import pyarrow.compute as pc
import pytest

from pipelines import classifier
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.classify import tfidf_logreg
from pipelines.classify.lstm import Params, classify, probabilities_of
from pipelines.compress import recurrent
from pipelines.errors import Fault
from pipelines.labels import read
from pipelines.method import Run
from pipelines.reading import padded
from tests.kill import check_goes_on
from tests.texts import labelled

WORDS = ["<unk>", "not", "good", "bad", "film", "the"]


def tokens(folder, documents, words=WORDS):
    return labelled(folder, documents, words)


def orders(n=400, seed=0):
    """Which of two words came first decides; every document has the same words, so their counts say nothing."""
    rng, documents = np.random.default_rng(seed), []
    for i in range(n):
        length = int(rng.integers(4, 10))
        ids = np.full(length, 5)
        first, second = np.sort(rng.choice(length, 2, replace=False))
        ids[[first, second]] = (2, 3) if i % 2 else (3, 2)
        documents.append(
            (("train", "valid", "test")[min(i * 4 // n, 3) // 2 if i * 4 // n < 3 else 2], "good first" if i % 2 else "bad first", ids)
        )
    return documents


def word_vectors(folder, noun, items, size=4, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(len(items), size)).astype(np.float32)
    with Run(folder).open(noun) as out:
        if noun is Vectors:
            out.append(item=items, count=[1] * len(items), vector=matrix)
        else:
            out.append(item=items, coding=matrix, error=[0] * len(items))
    return out.artifact


SMALL = Params(hidden_size=16, vector_size=8, dropout=0, batch_size=16, epochs=12, lr=0.02, patience=12)


@pytest.mark.parametrize("pooling", ["last", "max"])
def test_learns_an_order_that_a_bag_of_words_cannot(tmp_path, pooling):
    toy = tokens(tmp_path / "t", orders())
    read_in_order = classify(toy, SMALL.model_copy(update={"pooling": pooling}), Run(tmp_path / "p", seed=1))
    counted = tfidf_logreg.classify(toy, tfidf_logreg.Params(ngrams=1), Run(tmp_path / "q", seed=1))
    right = [np.mean(made.frame("valid")[0].eval("label == predicted")) for made in (read_in_order, counted)]
    assert right[0] > 0.95
    assert right[1] < 0.7


@pytest.mark.parametrize(("keep", "expected"), [("head", [1, 2]), ("tail", [3, 4]), ("both", [1, 4])])
def test_a_document_too_long_is_cut_at_its_end_at_its_beginning_or_in_the_middle(tmp_path, keep, expected):
    toy = tokens(tmp_path / "t", [("train", "a", [5]), ("train", "b", [1, 2, 3, 4]), ("train", "b", [])])
    ids, lengths = padded(read(toy, "train", ["a", "b"]), np.array([1, 0, 2]), max_tokens=2, keep=keep)
    assert ids.T.tolist() == [expected, [5, 0], [0, 0]]
    assert lengths.tolist() == [2, 1, 1]  # a document without words is one unknown word


@pytest.mark.parametrize("noun", [Vectors, Codings])
def test_frozen_vectors_stay_as_given_and_words_without_one_are_zeros(tmp_path, noun):
    given = word_vectors(tmp_path / "v", noun, ["good", "bad", "elsewhere"])
    toy = tokens(tmp_path / "t", orders(60))
    params = SMALL.model_copy(update={"fine_tune": False, "epochs": 2})
    made = classify(toy, params, Run(tmp_path / "p", seed=1), **{noun.noun: given})
    table = made.model()[1]["embedding.weight"]
    matrix = given.matrix()[:2]
    assert table[[2, 3]] / table[2, 0] == pytest.approx(matrix / matrix[0, 0], rel=1e-5)  # up to one factor
    assert not table[[0, 1, 4, 5]].any()


def test_fine_tuning_moves_the_vectors_of_the_words_that_were_read(tmp_path):
    given = word_vectors(tmp_path / "v", Vectors, ["good", "bad", "film"])
    toy = tokens(tmp_path / "t", orders(60))
    frozen, tuned = (
        classify(toy, SMALL.model_copy(update={"fine_tune": tune, "epochs": 1}), Run(tmp_path / str(tune), seed=1), vectors=given).model()[
            1
        ]["embedding.weight"]
        for tune in (False, True)
    )
    assert not np.allclose(frozen[[2, 3]], tuned[[2, 3]])
    assert np.array_equal(frozen[4], tuned[4])  # 'film' is in no document


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    toy = tokens(tmp_path / "t", orders(80))
    params = SMALL.model_copy(update={"epochs": 2, "dropout": 0.3, "bidirectional": True})
    runs = [Run(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    made = [classify(toy, params, run) for run in runs]
    for name in ("predictions.parquet", "classes.parquet", "model.safetensors", "model.json"):
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()
    assert (made[0].folder / "model.safetensors").read_bytes() != (made[2].folder / "model.safetensors").read_bytes()
    assert runs[0].curve == runs[1].curve


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    toy, params = tokens(tmp_path / "t", orders(80)), SMALL.model_copy(update={"epochs": 3, "dropout": 0.3})
    check_goes_on(lambda run: classify(toy, params, run), tmp_path, monkeypatch)


def test_what_was_kept_gives_the_same_probabilities_without_the_training_data(tmp_path):
    toy = tokens(tmp_path / "t", orders(80))
    made = classify(toy, SMALL.model_copy(update={"epochs": 2, "bidirectional": True, "num_layers": 2}), Run(tmp_path / "p", seed=1))
    settings, weights = made.model()
    assert settings["words"] == WORDS
    split = read(toy, "test", settings["classes"])
    again = probabilities_of(split.values, split.offsets, settings, weights, Run(tmp_path))
    assert again == pytest.approx(made.frame("test")[1], abs=1e-6)


def test_predicts_valid_and_test_in_order_and_shows_no_label_of_test(tmp_path):
    documents = [*orders(80), ("unlabelled", None, [4]), ("valid", "of no training document", [4])]
    made = classify(tokens(tmp_path / "t", documents), SMALL.model_copy(update={"epochs": 1}), Run(tmp_path / "p", seed=1))
    table = made.read()
    expected = [(f"d{i}", split) for wanted in ("valid", "test") for i, (split, *_) in enumerate(documents) if split == wanted]
    assert list(zip(table["doc_id"].to_pylist(), table["split"].to_pylist(), strict=True)) == expected
    assert table.filter(pc.field("split") == "test")["label"].null_count == 20
    assert table.filter(pc.field("split") == "valid")["label"].null_count == 0
    assert made.classes() == ["bad first", "good first"]
    assert not made.profile()["test_label_shown"].any()


def test_the_labels_of_test_change_nothing(tmp_path):
    documents = orders(80)
    swapped = [(split, "good first" if split == "test" else label, ids) for split, label, ids in documents]
    made = [
        classify(tokens(tmp_path / name, d), SMALL.model_copy(update={"epochs": 1}), Run(tmp_path / f"p{name}", seed=1))
        for name, d in (("a", documents), ("b", swapped))
    ]
    assert (made[0].folder / "predictions.parquet").read_bytes() == (made[1].folder / "predictions.parquet").read_bytes()


def test_a_label_that_no_training_document_has_counts_as_wrong(tmp_path):
    run = Run(tmp_path / "p", seed=1)
    documents = [d for d in orders(200) if d[0] != "valid"] + [("valid", "new", [2, 3])] * 3 + [("valid", "good first", [2, 3])]
    classify(tokens(tmp_path / "t", documents), SMALL, run)
    assert run.curve[-1]["valid_accuracy"] <= 0.25
    assert np.isfinite(run.curve[-1]["valid_loss"])


def test_without_a_validation_split_all_epochs_are_trained(tmp_path):
    run = Run(tmp_path / "p", seed=1)
    classify(tokens(tmp_path / "t", [d for d in orders(60) if d[0] != "valid"]), SMALL.model_copy(update={"epochs": 3}), run)
    assert [set(point) for point in run.curve] == [{"epoch", "loss"}] * 3


def test_both_vectors_and_codings_are_refused(tmp_path):
    toy, v, c = (
        tokens(tmp_path / "t", orders(20)),
        word_vectors(tmp_path / "v", Vectors, WORDS),
        word_vectors(tmp_path / "c", Codings, WORDS),
    )
    with pytest.raises(Fault, match=r"either vectors \(vectors/v\) or codings \(codings/c\), not both"):
        classify(toy, SMALL, Run(tmp_path / "p"), vectors=v, codings=c)


def begun(toy, params, folder, monkeypatch, **given):
    """The weights of the model as training gets it."""
    found = {}

    def stopped(model, *args, **more):
        found.update({name: weights.clone().numpy() for name, weights in model.state_dict().items()})
        raise KeyboardInterrupt

    monkeypatch.setattr(classifier, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        classify(toy, params, Run(folder, seed=1), **given)
    return found


def test_it_begins_with_the_encoder_of_a_sequence_autoencoder(tmp_path, monkeypatch):
    theirs = [w for w in WORDS if w != "film"] + ["elsewhere"]  # other words, in another order
    read_before = tokens(tmp_path / "s", [("train", None, ids) for *_, ids in orders(20)], theirs)
    knobs = {"hidden_size": 7, "num_layers": 2, "vector_size": 5}
    codings = recurrent.compress(read_before, recurrent.Params(**knobs, coding_size=3, epochs=1), Run(tmp_path / "c", seed=2))
    weights = codings.model()[1]
    start = begun(tokens(tmp_path / "t", orders(20)), Params(**knobs), tmp_path / "p", monkeypatch, codings=codings)
    for word, vector in zip(WORDS, start["embedding.weight"], strict=True):
        assert np.array_equal(vector, weights["embedding.weight"][theirs.index(word)] if word in theirs else np.zeros(5))
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        for layer in range(2):
            assert np.array_equal(start[f"onward.{layer}.{name}"], weights[f"encoder.{layer}.{name}"])


def test_an_encoder_of_another_shape_is_refused(tmp_path):
    toy = tokens(tmp_path / "t", orders(20))
    codings = recurrent.compress(toy, recurrent.Params(hidden_size=7, epochs=1), Run(tmp_path / "c", seed=2))
    with pytest.raises(Fault) as caught:
        classify(toy, Params(hidden_size=8, num_layers=2, bidirectional=True), Run(tmp_path / "p"), codings=codings)
    assert caught.value.faults == [
        "codings/c: its encoder has hidden_size 7, this row 8. Say hidden_size: 7",
        "codings/c: its encoder has num_layers 1, this row 2. Say num_layers: 1",
        "codings/c: its encoder has bidirectional False, this row True. Say bidirectional: false",
    ]


def test_vectors_of_other_words_are_refused(tmp_path):
    toy, v = tokens(tmp_path / "t", orders(20)), word_vectors(tmp_path / "v", Vectors, ["Good", "Bad"])
    with pytest.raises(Fault, match=r"none of the 6 words of tokens/t is in vectors/v, whose first items are 'Good', 'Bad'"):
        classify(toy, SMALL, Run(tmp_path / "p"), vectors=v)
