"""Words in pieces."""

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from pipelines import layout
from pipelines.errors import Fault
from pipelines.tokenize import wordpiece
from pipelines.tokenize.wordpiece import Params, alphabet
from tests.tokenize.forms import corpus_of, read, tokens_of, vocab_of

TEXTS = ["low low low low low lower lower", "newest newest newest newest newest newest widest widest widest"]


def test_the_vocabulary_begins_with_the_alphabet_at_a_words_start_and_inside_it(tmp_path):
    tokens = tokens_of(wordpiece, tmp_path, TEXTS, vocab_size=23)
    letters = sorted("lowernstid")
    assert tokens.words() == ["<unk>", *letters, *(f"##{letter}" for letter in letters), "##es", "##est"]  # both 9 times
    assert read(tokens)[1][-4:] == ["w", "##i", "##d", "##est"]


def test_a_word_falls_into_the_longest_pieces_from_its_start(tmp_path):
    made = Tokenizer(models.WordPiece({"[UNK]": 0, "un": 1, "##aff": 2, "##able": 3, "##a": 4, "##b": 5}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.save(str(tmp_path / "mine.json"))
    tokens = tokens_of(wordpiece, tmp_path, ["Unaffable, unable"], tokenizer=str(tmp_path / "mine.json"))
    assert read(tokens) == [["un", "##aff", "##able", "<unk>", "un", "##able"]]
    assert vocab_of(tokens)[0] == ("<unk>", 1)


def test_the_same_vocabulary_comes_out_each_time_and_for_any_number_of_threads(tmp_path):
    texts = [f"{word}{ending}" for word in ("walk", "talk", "jump", "läuf", "東京") for ending in ("", "s", "ed", "ing", "er")] * 3
    hashes = {
        layout.hash_path(tokens_of(wordpiece, tmp_path, texts, name=f"n{n}", threads=n, vocab_size=80).folder) for n in (1, 2, 3, 4, 5)
    }
    assert len(hashes) == 1


def test_the_library_reads_from_the_file_the_ids_that_were_written(tmp_path):
    tokens = tokens_of(wordpiece, tmp_path, TEXTS, vocab_size=40)
    library = Tokenizer.from_file(str(tokens.folder / "tokenizer.json"))
    assert tokens.read().column("token_ids").to_pylist() == [library.encode(text).ids for text in TEXTS]
    assert library.decode(library.encode(TEXTS[1]).ids) == TEXTS[1]


def test_case_and_accents_go_unless_they_are_to_stay(tmp_path):
    assert read(tokens_of(wordpiece, tmp_path, ["Élan"], vocab_size=20, min_count=99)) == [["e", "##l", "##a", "##n"]]
    assert read(tokens_of(wordpiece, tmp_path, ["Élan"], name="kept", vocab_size=20, min_count=99, lower=False))[0][0] == "É"


def test_a_word_with_a_character_beyond_the_alphabet_is_unknown_and_counted_there(tmp_path):
    tokens = tokens_of(wordpiece, tmp_path, ["aab b q aq"], vocab_size=10, alphabet_size=2, min_count=99)
    assert read(tokens) == [["a", "##a", "##b", "b", "<unk>", "<unk>"]]
    assert vocab_of(tokens)[0] == ("<unk>", 2)


def test_the_alphabet_is_of_the_splits_that_make_the_vocabulary_and_ties_go_by_code_point(tmp_path):
    corpus = corpus_of(tmp_path, ["Ab cc", "zz"], ["train", "test"])
    normalizer = normalizers.BertNormalizer()
    assert alphabet(corpus, Params(), normalizer) == ["a", "b", "c"]
    assert alphabet(corpus, Params(alphabet_size=2), normalizer) == ["a", "c"]


def test_a_vocabulary_smaller_than_the_alphabet_says_how_large_it_must_be(tmp_path):
    with pytest.raises(Fault, match="vocab_size is 20; corpus/corpus needs 21 for <unk> and its 10 characters"):
        tokens_of(wordpiece, tmp_path, TEXTS, vocab_size=20)


def test_text_that_reads_like_a_special_token_is_text(tmp_path):
    assert read(tokens_of(wordpiece, tmp_path, ["<unk> [CLS]"], vocab_size=99, min_count=99))[0][:2] == ["<", "u"]


def test_documents_without_text_leave_no_vocabulary(tmp_path):
    with pytest.raises(Fault, match="have no text; a vocabulary needs one"):
        tokens_of(wordpiece, tmp_path, ["a"], ["test"])
