"""Skip-gram: what gensim is given to read, what comes back, and that it comes back the same."""

import numpy as np
import pytest
from gensim.models.word2vec import Word2Vec
from pydantic import ValidationError

from pipelines.embed.skipgram import LONGEST, Documents, Params, count, embed
from pipelines.errors import Fault
from pipelines.method import Run
from tests.texts import tokens_of, two_topics


def read(tmp_path, documents, wanted=("train",), **more):
    tokens = tokens_of(tmp_path / "tokens", documents, **more)
    with Run(tmp_path / "v").progress(None, "tokens") as bar:
        return list(Documents(tokens, list(wanted), bar)), count(tokens, list(wanted)).tolist(), bar.done


def test_gensim_is_given_documents_without_their_unknown_tokens(tmp_path):
    assert read(tmp_path, [[1, 0, 2, 2], [0], [], [3]], n_vocab=5) == ([[1, 2, 2], [3]], [0, 1, 2, 1, 0], 4)


def test_only_the_named_splits_are_read(tmp_path):
    assert read(tmp_path, [[1], [2], [3]], ["valid", "test"], splits=["test", "train", "valid"])[0] == [[1], [3]]


def test_a_long_document_is_cut_where_gensim_would_drop_the_rest(tmp_path):
    document = (np.arange(2 * LONGEST + 5) % 7).tolist()
    known = [token for token in document if token]
    documents, _, _ = read(tmp_path, [document, document[:3]])
    assert documents == [known[:LONGEST], known[LONGEST:], [1, 2]]


@pytest.mark.parametrize("lengths", [[3 * LONGEST + 1, 20, LONGEST], [LONGEST] * 3, [9_999, 2, 1, 9_999, 9_999], [1] * 50])
def test_gensim_trains_on_every_token_in_every_epoch(tmp_path, monkeypatch, lengths):
    rng = np.random.default_rng(0)
    tokens = tokens_of(tmp_path / "tokens", [rng.integers(1, 9, length).tolist() for length in lengths])
    trained, train = [], Word2Vec.train
    monkeypatch.setattr(Word2Vec, "train", lambda *args, **more: trained.append(train(*args, **more)))
    embed(tokens, Params(vector_size=2, epochs=2, negative=1, sample=0), Run(tmp_path / "v"))
    assert trained == [(2 * sum(lengths), 2 * sum(lengths))]


def test_words_of_one_topic_lie_closer_than_words_of_two(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(400, seed=0))
    vectors = embed(tokens, Params(vector_size=8, epochs=20, sample=0), Run(tmp_path / "v", seed=1)).matrix()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine, alike = unit @ unit.T, np.equal.outer(np.arange(10) < 5, np.arange(10) < 5)
    assert cosine[alike].min() > cosine[~alike].max()


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", two_topics(100, seed=0))
    written = []
    for seed, threads in ((1, 1), (1, 4), (2, 1)):
        vectors = embed(tokens, Params(vector_size=8), Run(tmp_path / str(len(written)) / "v", seed=seed, threads=threads))
        written.append({path.name: path.read_bytes() for path in vectors.folder.iterdir()})
    assert written[0] == written[1]
    assert written[0]["vectors.parquet"] != written[2]["vectors.parquet"]


def test_words_keep_the_vocabularys_order_and_those_never_seen_are_left_out(tmp_path):
    tokens = tokens_of(tmp_path / "tokens", [[2, 4, 4, 0, 4], [5, 2], [3, 3, 3]], n_vocab=7, splits=["train", "unlabelled", "test"])
    vectors = embed(tokens, Params(vector_size=3), Run(tmp_path / "v"))
    assert vectors.items() == ["w2", "w4", "w5"]
    assert vectors.read(columns=["count"])["count"].to_pylist() == [2, 3, 1]
    settings, weights = vectors.model()
    assert settings["model"] == "skipgram"
    assert weights["context"].shape == (3, 3)


def test_a_vocabulary_of_one_word_has_one_vector(tmp_path):
    vectors = embed(tokens_of(tmp_path / "tokens", [[1, 1, 1]]), Params(vector_size=3, epochs=1), Run(tmp_path / "v"))
    assert vectors.matrix().shape == (1, 3)


def test_a_text_of_unknown_tokens_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="tokens/tokens: no document of train, unlabelled holds a known token"):
        embed(tokens_of(tmp_path / "tokens", [[0, 0]], n_vocab=2), Params(), Run(tmp_path / "v"))


def test_a_rate_that_would_rise_is_refused():
    with pytest.raises(ValidationError, match=r"min_lr \(0.1\) must not be above lr \(0.01\)"):
        Params(lr=0.01, min_lr=0.1)
