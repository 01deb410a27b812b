"""Documents as they came in: what the gate is shown of them."""

import pytest

from pipelines.artifacts.corpus import PROFILE, SPLITS, Corpus
from pipelines.expect import sentences, validate
from pipelines.method import Run

GOOD = {"doc_id": "a", "text": "Some text.", "label": "x", "split": "train", "group": None}


def corpus_of(tmp_path, *documents):
    with Run(tmp_path / "own").open(Corpus) as out:
        for document in documents:
            out.append(**{name: [value] for name, value in {**GOOD, **document}.items()})
    return out.artifact


def test_the_length_is_in_characters_without_the_space_around(tmp_path):
    profile = corpus_of(tmp_path, {"text": " naïve \n"}, {"text": ""}, {"text": "\t\u00a0\n"}).profile()
    assert profile["n_characters"].tolist() == [5, 0, 0]


def test_characters_that_no_encoding_could_read_are_counted(tmp_path):
    assert corpus_of(tmp_path, {"text": "a\ufffdb\ufffd"}, {"text": "caf\u00e9"}).profile()["n_replaced"].tolist() == [2, 0]


@pytest.mark.parametrize("split", SPLITS)
def test_a_label_may_be_missing_only_where_the_split_is_unlabelled(tmp_path, split):
    missing = corpus_of(tmp_path, {"split": split, "label": None}, {"split": split}).profile()["label_missing"]
    assert missing.tolist() == [split != "unlabelled", False]


def test_a_corpus_of_no_documents_has_a_profile_of_no_rows(tmp_path):
    profile = corpus_of(tmp_path).profile()
    assert list(profile.columns) == PROFILE
    assert len(profile) == 0


def test_the_gate_looks_only_at_columns_that_the_profile_has(tmp_path):
    columns = set(corpus_of(tmp_path, {}).profile().columns)
    asked = {wanted["kwargs"]["column"] for wanted in Corpus.expectations if "column" in wanted["kwargs"]}
    assert asked
    assert asked | set(Corpus.key) <= columns


def test_the_gate_names_each_document_that_is_not_as_it_must_be(tmp_path):
    corpus = corpus_of(
        tmp_path,
        {"doc_id": "good"},
        {"doc_id": "empty", "text": "  "},
        {"doc_id": "garbled", "text": "caf\ufffd"},
        {"doc_id": "bare", "label": None},
        {"doc_id": "lost", "split": "dev"},
        {"doc_id": "double"},
        {"doc_id": "double"},
    )
    results, _ = validate(corpus)
    failed = {result["column"]: result for result in results if not result["success"]}
    named = {column: sorted({example["doc_id"] for example in result["examples"]}) for column, result in failed.items()}
    assert named == {
        "doc_id": ["double"],
        "split": ["lost"],
        "n_characters": ["empty"],
        "n_replaced": ["garbled"],
        "label_missing": ["bare"],
    }
    assert '"doc_id": "empty"' in sentences(failed["n_characters"])[0]


def test_a_good_corpus_passes(tmp_path):
    results, _ = validate(corpus_of(tmp_path, {}, {"doc_id": "b", "split": "unlabelled", "label": None}))
    assert len(results) == len(Corpus.expectations)
    assert all(result["success"] for result in results)
