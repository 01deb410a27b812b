"""Documents as numbers beside their vocabulary."""

import itertools

import numpy as np
import pytest

from pipelines.artifacts.tokens import Tokens
from pipelines.expect import validate
from pipelines.method import Run

DOCUMENTS = [("a", "train", [1, 2, 0]), ("b", "valid", [2]), ("c", "train", []), ("d", "unlabelled", [0, 0]), ("e", "train", [1])]


def tokens_of(tmp_path, documents=DOCUMENTS):
    ids = [np.array(ids, np.int32) for _, _, ids in documents]
    with Run(tmp_path / "words").open(Tokens) as out:
        out.append("vocab", token_id=[0, 1, 2], token=["<unk>", "the", "sea"], count=[3, 2, 1])
        out.append(
            doc_id=[doc_id for doc_id, _, _ in documents],
            split=[split for _, split, _ in documents],
            label=["x"] * len(documents),
            token_ids=(np.concatenate([[], *ids]), np.cumsum([0, *map(len, ids)])),
        )
    return out.artifact


def as_lists(values, offsets):
    return [values[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def test_words_are_in_the_order_of_their_ids(tmp_path):
    assert tokens_of(tmp_path).words() == ["<unk>", "the", "sea"]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_documents_of_some_splits_come_in_order_whatever_the_size_of_a_batch(tmp_path, rows):
    found = [document for batch in tokens_of(tmp_path).documents(["train", "unlabelled"], rows) for document in as_lists(*batch)]
    assert found == [[1, 2, 0], [], [0, 0], [1]]


def test_all_ids_at_once_are_the_batches_end_to_end(tmp_path):
    values, offsets = tokens_of(tmp_path).ids(["train"])
    assert values.dtype == np.int32
    assert offsets.dtype == np.int64
    assert as_lists(values, offsets) == [[1, 2, 0], [], [1]]


def test_ids_of_a_split_that_has_no_documents_are_none(tmp_path):
    values, offsets = tokens_of(tmp_path).ids(["test"])
    assert (values.tolist(), offsets.tolist()) == ([], [0])


def test_the_profile_counts_tokens_the_unknown_and_those_outside_the_vocabulary(tmp_path):
    profile = tokens_of(tmp_path, [("a", "train", [0, 1, 0, 2]), ("b", "train", []), ("c", "train", [3, -1, 1])]).profile()
    assert profile["n_tokens"].tolist() == [4, 0, 3]
    assert profile["unknown_share"].tolist() == [0.5, 0.0, 0.0]
    assert profile["n_outside"].tolist() == [0, 0, 2]


def test_the_gate_names_a_document_without_tokens_and_one_with_an_id_outside_the_vocabulary(tmp_path):
    results, _ = validate(tokens_of(tmp_path, [("good", "train", [1]), ("empty", "train", []), ("outside", "valid", [3])]))
    named = {result["column"]: [example["doc_id"] for example in result["examples"]] for result in results if not result["success"]}
    assert named == {"n_tokens": ["empty"], "n_outside": ["outside"]}


def test_the_gate_closes_when_most_tokens_are_unknown(tmp_path):
    results, _ = validate(tokens_of(tmp_path, [("a", "train", [0, 0, 1])]))
    assert [result["column"] for result in results if not result["success"]] == ["unknown_share"]
