"""CBOW: what it shares with skip-gram is tested there; here that a window's mean tells its word."""

import pytest

from pipelines.embed.cbow import Params, embed
from pipelines.method import Run
from tests.texts import WORD2VEC, tokens_of, topic_cosines, two_topics


@pytest.mark.parametrize("more", WORD2VEC)
def test_words_of_one_topic_lie_closer_than_words_of_two(tmp_path, more):
    tokens = tokens_of(tmp_path / "tokens", two_topics(200, seed=0))
    made = embed(tokens, Params(vector_size=8, epochs=20, sample=0, **({"engine": "own"} | more)), Run(tmp_path / "v", seed=1))
    within, across = topic_cosines(made)
    assert within.mean() > across.max() - 0.1
    assert within.mean() > across.mean() + 0.5
    settings, weights = made.model()
    assert settings["model"] == "cbow"
    assert {name: len(matrix) for name, matrix in weights.items()} == (
        {"nodes": 9} if more.get("loss") == "hierarchical" else {"context": 10}
    )


@pytest.mark.parametrize("engine", ["own", "gensim"])
def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path, engine):
    tokens = tokens_of(tmp_path / "tokens", two_topics(100, seed=0))
    written = []
    for seed in (1, 1, 2):
        vectors = embed(tokens, Params(vector_size=8, engine=engine), Run(tmp_path / str(len(written)) / "v", seed=seed))
        written.append({path.name: path.read_bytes() for path in vectors.folder.iterdir()})
    assert written[0] == written[1]
    assert written[0]["vectors.parquet"] != written[2]["vectors.parquet"]
