"""Each code point a token."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pipelines.tokenize import characters
from pipelines.tokenize.characters import decode
from tests.tokenize.forms import read, tokens_of, vocab_of


def test_every_code_point_is_a_token_white_space_too(tmp_path):
    tokens = tokens_of(characters, tmp_path, ["a b\n", "e\u0301𝄞a"])
    assert read(tokens) == [["a", " ", "b", "\n"], ["e", "\u0301", "𝄞", "a"]]
    assert vocab_of(tokens)[:3] == [("<unk>", 0), ("a", 2), ("\n", 1)]


def test_lower_knows_no_final_sigma_and_keeps_the_dot_of_i(tmp_path):
    assert read(tokens_of(characters, tmp_path, ["ΣΑΣ", "İ"], lower=True)) == [["σ", "α", "σ"], ["i", "\u0307"]]


def test_a_text_that_reads_like_the_unknown_token_is_text(tmp_path):
    tokens = tokens_of(characters, tmp_path, ["<unk>"])
    assert read(tokens) == [["<", "u", "n", "k", ">"]]
    assert Tokenizer.from_file(str(tokens.folder / "tokenizer.json")).encode("<unk>?").tokens == ["<", "u", "n", "k", ">", "<unk>"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), min_size=1, max_size=4).filter(any))
def test_decoding_gives_the_text_back_and_the_library_reads_the_same_ids(tmp_path, texts):
    tokens = tokens_of(characters, tmp_path, texts)
    vocab, library = tokens.words(), Tokenizer.from_file(str(tokens.folder / "tokenizer.json"))
    for text, ids in zip(texts, tokens.read().column("token_ids").to_pylist(), strict=True):
        assert decode(ids, vocab) == text
        assert library.encode(text).ids == ids
        assert library.decode(ids, skip_special_tokens=False) == text


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(max_codepoint=0x24F) | st.characters(min_codepoint=0x370, max_codepoint=0x52F), min_size=1))
def test_the_library_reads_the_same_ids_in_lower_case(tmp_path, text):
    tokens = tokens_of(characters, tmp_path, [text], lower=True)
    library = Tokenizer.from_file(str(tokens.folder / "tokenizer.json"))
    assert library.encode(text).ids == tokens.read().column("token_ids").to_pylist()[0]
