"""Retrieval: queries by class and from a table, vectors beside BM25."""

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import ndcg_score
from sklearn.metrics.pairwise import cosine_similarity

from pipelines.artifacts.corpus import Corpus
from pipelines.embed import mean_of_words
from pipelines.errors import Fault
from pipelines.evaluate.retrieval import Params, evaluate, sources
from pipelines.method import Run
from pipelines.tokenize import whitespace
from tests.matrices import files, vectors_of
from tests.texts import labelled

WORDS = ["<unk>", "boat", "sea", "horse", "barn", "the"]
# d0 to d3 can be found, d4 and d5 ask, d6 is of test
DOCUMENTS = [
    ("train", "sea", [1, 2, 5]), ("train", "farm", [3, 4]), ("train", "sea", [2, 5]), ("train", "farm", [4, 4, 5]),
    ("valid", "sea", [2, 0]), ("valid", "farm", [3]), ("test", "sea", [1]),
]  # fmt: skip
PLANE = np.array([[1, 0], [0, 1], [1, 1], [-1, 0.2], [1, 0.1], [0.1, 1], [1, 0]])


@pytest.fixture
def tokens(tmp_path):
    return labelled(tmp_path / "t", DOCUMENTS, WORDS)


@pytest.fixture
def vectors(tmp_path):
    return vectors_of(tmp_path / "v", [f"d{i}" for i in range(7)], PLANE)


def figures(scores):
    return {(row["of"], row["metric"], row["on"]): row for row in scores.read().to_pylist()}


def test_by_class_by_hand(tmp_path, tokens, vectors):
    seen = figures(evaluate([vectors], tokens, Params(ks=[1, 3]), Run(tmp_path / "out", seed=1)))
    # d4 finds d0, d2, d1, d3; d5 finds d1, d2, d0, d3
    row = seen["vectors/v", "ndcg", "valid, by class, first 3"]
    both = 1 + 1 / np.log2(3)
    assert row["value"] == pytest.approx((1 + 1 / both) / 2)
    assert (row["n"], row["note"]) == (2, "among 4 documents")
    assert row["low"] < row["value"] < row["high"]
    assert seen["vectors/v", "recall", "valid, by class, first 1"]["value"] == 0.5
    assert seen["vectors/v", "reciprocal_rank", "valid, by class"]["value"] == 1
    # of d4 only `sea` is known, in d0 and in the shorter d2; of d5 `horse`, in d1 alone
    row = seen["tokens/t, BM25", "recall", "valid, by class, first 3"]
    assert (row["value"], row["note"]) == (0.75, "among 4 documents; BM25, k1 1.2, b 0.75")


def test_a_table_of_queries_that_are_documents(tmp_path, tokens, vectors):
    (tmp_path / "mine.tsv").write_text("query\tdoc_id\tgrade\nd4\td2\t2\nd4\td3\t1\n\nd0\td0\t3\nd0\td2\t1\n")
    params = Params(queries=str(tmp_path / "mine.tsv"), ks=[2])
    seen = figures(evaluate([vectors], tokens, params, Run(tmp_path / "out", seed=1)))
    similarity = cosine_similarity(PLANE[[4, 0]], PLANE[:4])
    wanted = [ndcg_score([[0, 0, 2, 1]], similarity[:1], k=2), 1]  # d0 itself is no answer to d0, and then d2 is the first
    assert seen["vectors/v", "ndcg", "mine, first 2"]["value"] == pytest.approx(np.mean(wanted))
    assert seen["vectors/v", "reciprocal_rank", "mine"]["value"] == pytest.approx((1 / 2 + 1) / 2)
    assert len(seen) == 6


@pytest.fixture
def cut(tmp_path):
    """The same documents, with a tokenizer.json beside them."""
    with Run(tmp_path / "c").open(Corpus) as out:
        texts = [" ".join(WORDS[i] if i else "fog" for i in ids) for _, _, ids in DOCUMENTS]
        empty = {"group": None, "language": None}
        rows = {name: [value] * 7 for name, value in empty.items() if name in Corpus.tables["corpus"].fields}
        out.append(doc_id=[f"d{i}" for i in range(7)], text=texts, label=[d[1] for d in DOCUMENTS], split=[d[0] for d in DOCUMENTS], **rows)
    return whitespace.tokenize(out.artifact, whitespace.Params(min_count=1), Run(tmp_path / "cut"))


def test_a_query_that_is_a_text_is_asked_of_vectors_of_words_by_hand(tmp_path, cut):
    """boat is spelled as the axis east, sea as north-east, horse as north, barn as north, all of length 1; the has none."""
    half = np.sqrt(0.5)
    word = vectors_of(tmp_path / "w", ["boat", "sea", "horse", "barn"], np.array([[1, 0], [half, half], [0, 1], [0, 1]]))
    (tmp_path / "mine.tsv").write_text("boat the\td2\t1\nhorse\td3\t1\nfog the\td1\t1\n")
    params = Params(queries=str(tmp_path / "mine.tsv"), ks=[1], words=["mean"])
    seen = figures(evaluate([word], cut, params, Run(tmp_path / "out", seed=1)))
    # d0 boat sea: 22.5 degrees, d1 horse barn: 90, d2 sea: 45, d3 barn barn: 90. boat finds d0 d2 ..., so its d2 is second;
    # horse d1 and d3 alike, the first document first; fog and the have no vector and find nothing
    row = seen["vectors/w, mean of words", "reciprocal_rank", "mine"]
    assert (row["value"], row["n"]) == (pytest.approx((1 / 2 + 1 / 2 + 0) / 3), 3)
    assert row["note"] == "among 4 documents; 1 queries and 0 documents have no vector"
    assert seen["vectors/w, mean of words", "recall", "mine, first 1"]["value"] == 0
    assert ("tokens/cut, BM25", "recall", "mine, first 1") in seen


@pytest.mark.parametrize(("by", "weights", "remove"), [("mean", "flat", 0), ("sif", "sif", 1)])
def test_means_of_words_order_documents_as_those_of_mean_of_words_do(tmp_path, by, weights, remove):
    rng = np.random.default_rng(1)
    documents = [("valid" if i % 4 == 0 else "train", "ab"[i % 2], rng.integers(0, 30, 8)) for i in range(80)]
    tokens = labelled(tmp_path / "t", documents, ["<unk>", *(f"w{i}" for i in range(1, 30))])
    word = vectors_of(tmp_path / "w", [f"w{i}" for i in range(1, 25)], rng.normal(size=(24, 5)) + 0.5)
    made = mean_of_words.embed(tokens, mean_of_words.Params(weights=weights, remove=remove, splits=["train"]), Run(tmp_path / "m"), word)
    seen = figures(evaluate([made, word], tokens, Params(ks=[5], words=[by]), Run(tmp_path / "out", seed=1)))
    mine, theirs = ({key[1:]: row for key, row in seen.items() if key[0] == of} for of in (f"vectors/w, {by} of words", "vectors/m"))
    assert mine == {key: {**row, "of": f"vectors/w, {by} of words"} for key, row in theirs.items()}
    assert len(mine) == 3


def test_vectors_of_documents_are_asked_the_queries_that_are_documents(tmp_path, vectors, cut):
    tokens = cut
    (tmp_path / "mine.tsv").write_text("horse barn\td1\t1\nd4\td2\t1\nd5\td1\t1\n")
    seen = figures(evaluate([vectors], tokens, Params(queries=str(tmp_path / "mine.tsv"), ks=[1]), Run(tmp_path / "out", seed=1)))
    assert seen["tokens/cut, BM25", "ndcg", "mine, first 1"]["n"] == 3
    assert seen["tokens/cut, BM25", "ndcg", "mine, first 1"]["value"] == 1
    both = [seen[of, "ndcg", "mine, documents as queries, first 1"] for of in ("tokens/cut, BM25", "vectors/v")]
    assert [(row["value"], row["n"]) for row in both] == [(1, 2), (0.5, 2)]
    (tmp_path / "texts.tsv").write_text("horse barn\td1\t1\n")
    with pytest.raises(
        Fault, match=r"vectors/v has a vector of no query of texts; .* queries that are documents of the corpus, .* or vectors of words"
    ):
        evaluate([vectors], tokens, Params(queries=str(tmp_path / "texts.tsv")), Run(tmp_path / "none"))
    only = evaluate([], tokens, Params(queries=str(tmp_path / "texts.tsv")), Run(tmp_path / "only"))
    assert figures(only)["tokens/cut, BM25", "reciprocal_rank", "texts"]["value"] == 1


def test_what_has_no_vector_is_found_by_nobody_and_counted(tmp_path, tokens):
    fewer = vectors_of(tmp_path / "v", ["d0", "d1", "d5"], PLANE[[0, 1, 5]])
    seen = figures(evaluate([fewer], tokens, Params(ks=[3]), Run(tmp_path / "out", seed=1)))
    row = seen["vectors/v", "recall", "valid, by class, first 3"]
    assert (row["value"], row["note"]) == (0.25, "among 4 documents; 1 queries and 2 documents have no vector")


def test_labels_of_test_are_not_read(tmp_path, vectors):
    turned = [(split, "farm" if split == "test" else label, ids) for split, label, ids in DOCUMENTS]
    params = Params(splits=["train", "test"])
    a, b = (
        evaluate([vectors], labelled(tmp_path / name / "t", some, WORDS), params, Run(tmp_path / name / "out", seed=1))
        for name, some in (("a", DOCUMENTS), ("b", turned))
    )
    assert files(a) == files(b)


def test_a_table_that_is_wrong_is_refused_by_line(tmp_path, tokens, vectors):
    path = tmp_path / "bad.tsv"
    path.write_text("d4\td0\t1\nd4\td9\t1\nd4\td6\t1\nd4\td1\tmuch\nd4\td1\t-1\nd4\td0\t2\nd4\td0\n")
    with pytest.raises(Fault) as fault:
        evaluate([vectors], tokens, Params(queries=str(path)), Run(tmp_path / "out"))
    assert fault.value.faults == ["bad.tsv, line 7 is 'd4\\td0', 2 cells; it has to be query, doc_id, grade"]
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    with pytest.raises(Fault) as fault:
        evaluate([vectors], tokens, Params(queries=str(path)), Run(tmp_path / "out"))
    assert fault.value.faults == [
        "bad.tsv, line 2: 'd9' is no document of tokens/t",
        "bad.tsv, line 3: 'd6' is in a split that `splits` does not name, of tokens/t",
        "bad.tsv, line 4: the grade 'much' is no number from 0 on",
        "bad.tsv, line 5: the grade '-1' is no number from 0 on",
        "bad.tsv, line 6: 'd0' has another grade for the same query in a line before it",
    ]
    path.write_text("d4\td0\t0\n")
    with pytest.raises(Fault, match="1 of 1 queries have no document of a grade above 0, first 'd4'"):
        evaluate([vectors], tokens, Params(queries=str(path)), Run(tmp_path / "out"))
    path.write_text("horse barn\td1\t1\n")
    with pytest.raises(Fault, match=r"tokens/t has no tokenizer.json to cut the query 'horse barn' with"):
        evaluate([vectors], tokens, Params(queries=str(path)), Run(tmp_path / "out"))


def test_nothing_to_ask_or_to_find_is_a_fault(tmp_path, vectors):
    alone = labelled(tmp_path / "t", [("train", "sea", [1])], WORDS)
    with pytest.raises(Fault, match="tokens/t has no document of valid with a class that one of train has"):
        evaluate([vectors], alone, Params(), Run(tmp_path / "out"))
    with pytest.raises(Fault, match="tokens/t has no document of unlabelled, so there is none to find"):
        evaluate([vectors], alone, Params(splits=["unlabelled"]), Run(tmp_path / "out"))
    with pytest.raises(ValidationError, match="must not name a k twice"):
        Params(ks=[1, 1])
    assert sources(Params(queries="mine/q.tsv")) == ["mine/q.tsv"]
