"""Documents as numbers beside their vocabulary."""

import itertools

import numpy as np
import pytest

from pipelines.artifacts.tokens import Tokens
from pipelines.method import Run
from tests.artifacts.asked import assert_asks_only_what_there_is, closing, failing

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


def test_the_gate_asks_only_what_there_is(tmp_path):
    assert_asks_only_what_there_is(tokens_of(tmp_path))


GOOD = [("a", "train", [1, 1, 2]), ("b", "train", [0, 1]), ("c", "valid", [1, 2])]


def counted(tmp_path, count, documents=GOOD, token=("<unk>", "the", "sea")):
    ids = [np.array(ids, np.int32) for _, _, ids in documents]
    with Run(tmp_path / "words").open(Tokens) as out:
        out.append("vocab", token_id=range(len(token)), token=list(token), count=count)
        columns = {name: list(values) for name, values in zip(("doc_id", "split"), list(zip(*documents, strict=True))[:2], strict=True)}
        out.append(**columns, label=["x"] * len(ids), token_ids=(np.concatenate(ids), np.cumsum([0, *map(len, ids)])))
    return out.artifact


@pytest.mark.parametrize("count", [[1, 3, 1], [1, 4, 2]])
def test_counts_that_add_up_to_the_tokens_of_some_splits_pass(tmp_path, count):
    assert failing(counted(tmp_path, count)) == {}


def test_a_count_that_is_not_the_sightings_closes_the_gate_which_names_the_token(tmp_path):
    tokens = counted(tmp_path, [1, 3, 5])
    result = failing(tokens)["miscounted"]
    assert (result["severity"], result["observed"]) == ("fail", 1)
    assert [(line["token"], line["count"], line["seen"], line["splits"]) for line in result["examples"]] == [("sea", 5, 1, "train")]
    assert closing(tokens, miscounted=1) == []


def test_a_vocabulary_that_came_without_counts_is_not_asked_for_them(tmp_path):
    assert failing(counted(tmp_path, [0, 0, 0])) == {}


def test_a_token_that_is_in_the_vocabulary_twice_closes_the_gate(tmp_path):
    result = failing(counted(tmp_path, [1, 3, 1], token=("<unk>", "the", "the")))["vocabulary"]
    assert [line["token_id"] for line in result["examples"]] == [1, 2]


def test_the_gate_names_a_document_without_tokens_and_one_with_an_id_outside_the_vocabulary(tmp_path):
    tokens = counted(tmp_path, [0, 1, 0], [("good", "train", [1]), ("empty", "train", []), ("outside", "valid", [3])])
    named = {column: [example["doc_id"] for example in result["examples"]] for column, result in failing(tokens).items()}
    assert named == {"n_tokens": ["empty"], "n_outside": ["outside"]}
    assert closing(tokens, empty=0.5) == ["n_outside"]


def test_the_gate_closes_when_most_tokens_of_a_split_are_unknown_and_says_of_which(tmp_path):
    tokens = counted(tmp_path, [1, 3, 1], [*GOOD[:2], ("c", "test", [0, 0, 1])])
    assert closing(tokens) == ["unknown"]
    assert {"split": "test", "share": 0.6667, "tokens": 3} in failing(tokens)["unknown"]["examples"]
    assert "unknown" not in failing(tokens, unknown=0.7)


def test_splits_that_use_other_tokens_are_a_warning(tmp_path):
    rng = np.random.default_rng(0)
    half = [rng.integers(1, 20, 30_000), rng.integers(11, 30, 30_000)]
    count = np.bincount(np.concatenate(half), minlength=30)
    documents = [("a", "train", half[0]), ("b", "test", half[1])]
    result = failing(counted(tmp_path, count, documents, [f"t{i}" for i in range(30)]))["words"]
    assert (result["severity"], result["examples"][0]["split"]) == ("warn", "test")
