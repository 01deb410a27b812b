"""Byte pairs, merged."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipelines import layout, subwords
from pipelines.artifacts.tokens import Tokens
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.tokenize import bpe, wordpiece
from pipelines.tokenize.bpe import ALPHABET, Params, decode
from tests.tokenize.forms import corpus_of, read, tokens_of, vocab_of

SENNRICH = ["low " * 5 + "lower " * 2 + "newest " * 6 + "widest " * 3]  # the paper's example


def test_the_merges_are_those_of_a_pass_by_hand(tmp_path):
    # es and then est stand together 9 times, in newest and widest
    tokens = tokens_of(bpe, tmp_path, SENNRICH, vocab_size=259)
    assert tokens.words() == ["<unk>", *ALPHABET, "es", "est"]
    assert read(tokens)[0][:3] == ["l", "o", "w"]
    assert read(tokens)[0][-5:] == ["w", "i", "d", "est", "Ġ"]


def test_a_pair_below_min_count_is_not_merged(tmp_path):
    assert tokens_of(bpe, tmp_path, SENNRICH, vocab_size=500, min_count=10).n_rows("vocab") == 257


def test_only_the_splits_of_the_vocabulary_are_counted_and_learned_from(tmp_path):
    tokens = tokens_of(bpe, tmp_path, ["aaaa bbbb", "xyxyxy xyxyxy"], ["train", "test"], vocab_size=300, min_count=1)
    assert not [word for word in tokens.words()[257:] if "x" in word]
    assert sum(count for _, count in vocab_of(tokens)) == len(read(tokens)[0])
    assert read(tokens)[1].count("x") == 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    return tokens_of(bpe, folder, ["the quick brown fox jumps over the lazy dog, the dogs, the foxes; ünïcödé 東京"] * 3, vocab_size=300)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.text(st.sampled_from("the dogfx<unk>\n '")))
def test_decoding_gives_any_text_back_and_nothing_is_unknown(trained, text):
    library = Tokenizer.from_file(str(trained.folder / "tokenizer.json"))
    ids = library.encode(text).ids
    assert decode(ids, trained.words()) == text == library.decode(ids)
    assert 0 not in ids


def test_the_library_reads_from_the_file_the_ids_that_were_written(trained):
    library = Tokenizer.from_file(str(trained.folder / "tokenizer.json"))
    text = "the quick brown fox jumps over the lazy dog, the dogs, the foxes; ünïcödé 東京"
    assert trained.read().column("token_ids").to_pylist() == [library.encode(text).ids] * 3
    assert [library.id_to_token(i) for i in range(library.get_vocab_size())] == trained.words()


def test_lower_is_what_was_asked_for(tmp_path):
    tokens = tokens_of(bpe, tmp_path, ["ABBA Abba"], vocab_size=300, lower=True)
    assert decode(tokens.read().column("token_ids")[0].as_py(), tokens.words()) == "abba abba"


def test_the_bytes_do_not_depend_on_how_much_is_encoded_at_once(tmp_path, monkeypatch):
    texts = [f"document {i} has words {'again ' * (i % 5)}" for i in range(50)]
    once = tokens_of(bpe, tmp_path, texts, name="once", vocab_size=300)
    monkeypatch.setattr(subwords, "BYTES", 100)
    assert layout.hash_path(tokens_of(bpe, tmp_path, texts, name="often", threads=2, vocab_size=300).folder) == layout.hash_path(
        once.folder
    )


@pytest.mark.parametrize("method", [bpe, wordpiece])
def test_a_document_that_goes_to_the_library_in_pieces_gives_the_bytes_of_a_whole_one(tmp_path, monkeypatch, method):
    texts = ["It's  two \n\n lines,\tthe dog's ünïcödé e\u0301 東京 tower 3.14 " * 20, "short", "", "  \n and\u00a0the rest, " * 30]
    assert list(subwords.pieces(texts[0])) == [texts[0]]
    whole = tokens_of(method, tmp_path, texts, name="whole", vocab_size=320)
    monkeypatch.setattr(subwords, "PIECE", 7)
    monkeypatch.setattr(subwords, "BYTES", 50)
    assert len(list(subwords.pieces(texts[0]))) > 50
    assert layout.hash_path(tokens_of(method, tmp_path, texts, name="pieces", vocab_size=320).folder) == layout.hash_path(whole.folder)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("ab'sΣ1 .,\n\t\u0301\u00a0-_"), max_size=60))
def test_no_text_has_other_tokens_where_it_is_cut(trained, text):
    library = Tokenizer.from_file(str(trained.folder / "tokenizer.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subwords, "PIECE", 1)
        pieces = list(subwords.pieces(text))
    assert [i for piece in pieces for i in library.encode(piece).ids] == library.encode(text).ids


def test_a_tokenizer_from_elsewhere_may_look_at_more_than_a_word_and_gets_each_document_whole(tmp_path, monkeypatch):
    tokenizer = Tokenizer(models.BPE({"a": 0, " ": 1, "b": 2, "a b": 3, " b": 4}, [(" ", "b"), ("a", " b")]))
    tokenizer.save(str(tmp_path / "mine.json"))
    monkeypatch.setattr(subwords, "PIECE", 1)
    assert read(tokens_of(bpe, tmp_path, ["a b"], tokenizer=str(tmp_path / "mine.json"))) == [["a b"]]


def test_empty_documents_have_no_tokens_and_a_corpus_of_them_no_vocabulary(tmp_path):
    assert tokens_of(bpe, tmp_path, ["a", ""], vocab_size=257).profile()["n_tokens"].tolist() == [1, 0]
    with pytest.raises(Fault, match="the splits test of corpus/corpus have no text; a vocabulary needs one. Change vocab_splits"):
        tokens_of(bpe, tmp_path, ["a"], name="none", vocab_size=257, vocab_splits=["test"])


def test_a_vocabulary_smaller_than_the_bytes_is_refused_before_anything_runs():
    with pytest.raises(ValidationError, match="vocab_size is 256; it must be above 256"):
        Params(vocab_size=256)


def saved(folder, **special) -> Tokenizer:
    """Somebody's tokenizer: the unknown token is not the first, [CLS] is put in front, long texts are cut."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(models.BPE(**special))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    names = ["[PAD]", *special.values(), "[CLS]"]
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=names, initial_alphabet=ALPHABET, show_progress=False)
    tokenizer.train_from_iterator(["low lower lowest newest widest"] * 5, trainer)
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", tokenizer.token_to_id("[CLS]"))])
    tokenizer.enable_truncation(3)
    tokenizer.save(str(folder / "mine.json"))
    return tokenizer


@pytest.mark.parametrize("special", [{}, {"unk_token": "[UNK]"}, {"unk_token": "<unk>"}])
def test_a_tokenizer_that_was_made_elsewhere_gives_its_own_tokens_after_unknown(tmp_path, special):
    theirs = saved(tmp_path, **special)
    theirs.no_truncation()
    text = "the lowest newest tower"
    tokens = tokens_of(bpe, tmp_path, [text], tokenizer=str(tmp_path / "mine.json"))
    words = tokens.words()
    assert read(tokens) == [theirs.encode(text, add_special_tokens=False).tokens]
    assert words[:2] == ["<unk>", "[PAD]"]
    assert words[1:] == [theirs.id_to_token(i) for i in range(theirs.get_vocab_size()) if theirs.id_to_token(i) != special.get("unk_token")]
    ours = Tokenizer.from_file(str(tokens.folder / "tokenizer.json"))
    assert ours.encode(text).ids == tokens.read().column("token_ids")[0].as_py()
    assert ours.decode(ours.encode(text).ids) == text


def test_what_was_written_can_be_loaded_again_and_gives_the_same_bytes(tmp_path, trained):
    again = bpe.tokenize(
        corpus_of(tmp_path, ["the quick fox"]), Params(tokenizer=str(trained.folder / "tokenizer.json")), Run(tmp_path / "again")
    )
    assert isinstance(again, Tokens)
    assert (again.folder / "tokenizer.json").read_bytes() == (trained.folder / "tokenizer.json").read_bytes()


def test_chance_is_taken_out_of_a_tokenizer_that_was_made_elsewhere(tmp_path):
    saved(tmp_path)
    page = json.loads((tmp_path / "mine.json").read_text())
    page["model"]["dropout"] = 0.9
    (tmp_path / "mine.json").write_text(json.dumps(page))
    one, two = (tokens_of(bpe, tmp_path, ["lowest " * 50], tokenizer=str(tmp_path / "mine.json"), name=name) for name in "ab")
    assert layout.hash_path(one.folder) == layout.hash_path(two.folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing. Put the file there"),
        (b"{", "is no tokenizer.json that the tokenizers library can read"),
        (b'{"a": 1}', "is no tokenizer.json that the tokenizers library can read"),
        (b"\xff\xfe", "is no tokenizer.json that the tokenizers library can read"),
        (Tokenizer(models.WordLevel({"a": 0}, "a")).to_str().encode(), "holds a WordLevel model; this method takes BPE"),
        (Tokenizer(models.BPE({"?": 0, "<unk>": 1}, [], unk_token="?")).to_str().encode(), "'<unk>', as it is called here, is another one"),
    ],
)
def test_a_file_that_is_no_such_tokenizer_is_a_fault(tmp_path, content, message):
    if content is not None:
        (tmp_path / "mine.json").write_bytes(content)
    with pytest.raises(Fault, match=message):
        tokens_of(bpe, tmp_path, ["a"], tokenizer=str(tmp_path / "mine.json"))


def test_a_row_that_loads_a_tokenizer_depends_on_its_file():
    assert bpe.sources(Params(tokenizer="mine.json")) == ["mine.json"]
    assert bpe.sources(Params()) == []
