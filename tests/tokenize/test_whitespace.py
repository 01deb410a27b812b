"""Sequences that are tokens already."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pipelines.tokenize import whitespace
from pipelines.tokenize.whitespace import decode
from tests.tokenize.forms import read, tokens_of

TEXTS = st.lists(st.text(), min_size=1, max_size=4).filter(lambda texts: any(text.replace("<unk>", "").split() for text in texts))


def test_any_white_space_parts_tokens_and_nothing_else_does(tmp_path):
    tokens = tokens_of(whitespace, tmp_path, ["12  ICD:I10\tn-3\n\u30007", "é,É 12"])
    assert read(tokens) == [["12", "ICD:I10", "n-3", "7"], ["é,É", "12"]]


def test_rare_tokens_are_kept_unless_told_otherwise(tmp_path):
    assert tokens_of(whitespace, tmp_path, ["a b"]).words() == ["<unk>", "a", "b"]


def test_a_document_without_a_token_stays_so_that_the_gate_can_name_it(tmp_path):
    profile = tokens_of(whitespace, tmp_path, ["a", " "]).profile()
    assert profile.loc[profile["n_tokens"] < 1, "doc_id"].tolist() == ["d1"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_decoding_gives_the_text_with_single_spaces_and_the_library_reads_the_same_ids(tmp_path, texts):
    tokens = tokens_of(whitespace, tmp_path, texts)
    vocab, library = tokens.words(), Tokenizer.from_file(str(tokens.folder / "tokenizer.json"))
    for text, ids in zip(texts, tokens.read().column("token_ids").to_pylist(), strict=True):
        assert decode(ids, vocab) == " ".join(text.split())
        assert library.encode(text).ids == ids
        assert library.decode(ids, skip_special_tokens=False) == decode(ids, vocab)


def test_the_library_reads_what_is_not_in_the_vocabulary_as_unknown(tmp_path):
    tokens = tokens_of(whitespace, tmp_path, ["a b"])
    assert Tokenizer.from_file(str(tokens.folder / "tokenizer.json")).encode("b z <unk>").ids == [2, 0, 0]
