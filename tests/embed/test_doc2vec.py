"""doc2vec: documents of one topic lie together, in every form; those that were not learned are inferred from still words."""

import numpy as np
import pytest

from pipelines.embed.doc2vec import Params, embed
from pipelines.errors import Fault
from pipelines.method import Run
from tests.texts import labelled, tokens_of, two_topics

FORMS = ["dbow", "dbow_words", "dm_mean", "dm_concat"]
ENGINES = ["own", "gensim"]
WORDS = ["<unk>", *(f"w{i}" for i in range(1, 11))]


def leaning(n_documents):
    """Documents of sixty words that lean to words 1 to 5, or to 6 to 10: a neighbour alone says little of it."""
    rng = np.random.default_rng(0)
    return [(1 + rng.integers(0, 5, 60) + 5 * ((rng.random(60) < 0.15) ^ (i % 2 == 1))).tolist() for i in range(n_documents)]


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_documents_of_one_topic_lie_closer_than_documents_of_two(tmp_path, form, engine):
    tokens = tokens_of(tmp_path / "tokens", leaning(40))
    params = Params(form=form, vector_size=8, epochs=40, sample=0, window=1, engine=engine)
    made = embed(tokens, params, Run(tmp_path / "v", seed=1))
    assert made.items() == [f"d{i}" for i in range(40)]
    assert made.read(columns=["count"])["count"].to_pylist() == [60] * 40
    cosine, alike = cosines(made.matrix()), np.equal.outer(np.arange(40) % 2, np.arange(40) % 2)
    assert cosine[alike].mean() > cosine[~alike].mean() + (0.3 if form == "dm_concat" else 0.5)
    slots = 3 if form == "dm_concat" else 1
    assert {name: matrix.shape for name, matrix in made.model()[1].items()} == {"words": (10, 8), "context": (10, 8 * slots)}


@pytest.mark.parametrize(("form", "engine"), [("dbow", "own"), ("dm_mean", "own"), *((form, "gensim") for form in FORMS)])
def test_a_document_that_was_not_learned_is_inferred_near_its_topic_and_moves_no_word(tmp_path, form, engine):
    documents = [("train" if i < 30 else "test", "ab"[i % 2], document) for i, document in enumerate(leaning(40))]
    params = Params(form=form, vector_size=8, epochs=40, sample=0, window=1, infer_epochs=20, infer=["test"], engine=engine)
    made = embed(labelled(tmp_path / "both", documents, WORDS), params, Run(tmp_path / "v", seed=1))
    alone = embed(labelled(tmp_path / "train", documents[:30], WORDS), params, Run(tmp_path / "w", seed=1))
    assert made.read(columns=["label"])["label"].to_pylist() == ["a", "b"] * 15 + [None] * 10
    vectors = made.matrix()
    assert vectors[:30].tobytes() == alone.matrix().tobytes()  # the test documents took no part
    cosine = cosines(vectors)[30:, :30]
    alike = np.equal.outer(np.arange(30, 40) % 2, np.arange(30) % 2)
    assert cosine[alike].mean() > cosine[~alike].mean() + 0.5


@pytest.mark.parametrize("engine", ENGINES)
def test_a_class_may_be_the_tag(tmp_path, engine):
    documents = [("train", "ab"[i % 2], document) for i, document in enumerate(two_topics(100, seed=0))]
    params = Params(tag="label", splits=["train"], vector_size=8, engine=engine)
    made = embed(labelled(tmp_path / "t", documents, WORDS), params, Run(tmp_path / "v"))
    table = made.read()
    assert (made.items(), table["label"].to_pylist(), table["count"].to_pylist()) == (["a", "b"], ["a", "b"], [600, 600])
    assert cosines(made.matrix())[0, 1] < 0.9
    with pytest.raises(Fault, match="2 documents of train have no label, and tag is label"):
        embed(
            labelled(tmp_path / "u", [("train", None, [1, 2]), ("train", "a", [3]), ("train", None, [4])], WORDS),
            Params(tag="label", splits=["train"]), Run(tmp_path / "w"),
        )  # fmt: skip


def test_the_words_vectors_may_be_the_rows(tmp_path):
    made = embed(
        tokens_of(tmp_path / "tokens", two_topics(100, seed=0)), Params(of="words", form="dbow_words", vector_size=4), Run(tmp_path / "v")
    )
    assert made.items() == WORDS[1:]


def test_gensim_has_no_tree_for_dm_concat(tmp_path):
    params = Params(form="dm_concat", loss="hierarchical", engine="gensim")
    with pytest.raises(Fault, match="gensim's tree for dm_concat holds a word that is not in the text. Say loss: negative, or engine: own"):
        embed(tokens_of(tmp_path / "tokens", [[1, 2]]), params, Run(tmp_path / "v"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_the_same_seed_writes_the_same_bytes(tmp_path, form, engine):
    tokens = tokens_of(tmp_path / "tokens", two_topics(50, seed=0), splits=["train"] * 40 + ["test"] * 10)
    written = [
        {
            path.name: path.read_bytes()
            for path in embed(tokens, Params(form=form, vector_size=4, engine=engine), Run(tmp_path / str(i) / "v")).folder.iterdir()
        }
        for i in range(2)
    ]
    assert written[0] == written[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_document_or_class_without_a_known_word_gets_no_vector_and_moves_no_other(tmp_path, engine, capsys):
    full = [("train" if i < 40 else "test", "ab"[i % 2], document) for i, document in enumerate(two_topics(50, seed=0))]
    params = Params(vector_size=4, epochs=2, infer=["test"], engine=engine)
    tokens = labelled(tmp_path / "t", [*full[:40], ("train", "c", [0, 0]), *full[40:], ("test", None, [])], WORDS)
    made = embed(tokens, params, Run(tmp_path / "v", show=True))
    assert made.items() == [f"d{i}" for i in range(51) if i != 40]
    assert made.read(columns=["count"])["count"].to_pylist() == [12] * 50
    assert "2 tags of 52 have no known word and get no vector" in capsys.readouterr().out
    classes = embed(tokens, params.model_copy(update={"tag": "label", "splits": ["train"]}), Run(tmp_path / "w"))
    assert classes.items() == ["a", "b"]


def test_documents_whose_words_are_all_passed_over_hold_nothing_to_learn(tmp_path):
    tokens = tokens_of(tmp_path / "t", [[1], [2], [3]])
    with pytest.raises(Fault, match="there was no pair to learn from: .*or say sample: 0"):
        embed(tokens, Params(vector_size=4, sample=1e-30), Run(tmp_path / "v"))
    assert embed(tokens, Params(vector_size=4, sample=0), Run(tmp_path / "w")).items() == ["d0", "d1", "d2"]


@pytest.mark.parametrize("engine", ENGINES)
def test_documents_that_were_learned_are_inferred_too_where_it_is_said_and_lie_near_new_ones_of_the_same_words(tmp_path, engine):
    texts = two_topics(60, seed=0)
    tokens = labelled(tmp_path / "t", [("train", "ab"[i % 2], text) for i, text in enumerate(texts)] + [("test", None, texts[0])], WORDS)
    params = Params(vector_size=8, epochs=20, infer_epochs=40, sample=0, lr=0.05, engine=engine)
    learned, both = (
        embed(tokens, params.model_copy(update={"infer": infer}), Run(tmp_path / "-".join(infer), seed=1))
        for infer in (["test"], ["train", "test"])
    )
    assert learned.items() == both.items()
    assert np.array_equal(learned.model()[1]["words"], both.model()[1]["words"])
    assert both.read(columns=["label"])["label"].to_pylist() == learned.read(columns=["label"])["label"].to_pylist()

    def likeness(vectors):  # of a document and its copy
        return cosines(vectors.matrix()[[0, -1]])[0, 1]

    assert likeness(both) > 0.9
    assert not np.array_equal(both.matrix()[0], learned.matrix()[0])
