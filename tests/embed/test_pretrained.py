"""Vectors that others trained: read as gensim reads them and as fastText prints them; what is wrong with a file is named."""

import bz2
import gzip
import hashlib
import pickle
import struct
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.models.fasttext import ft_ngram_hashes, load_facebook_vectors
from gensim.test.utils import datapath

from pipelines import layout
from pipelines.embed import pretrained
from pipelines.embed.pretrained import FastText, Faults, Params, embed, sources
from pipelines.errors import Fault
from pipelines.kernels.letter_ngrams import unknown
from pipelines.method import Run
from tests.texts import labelled

GLOVE = "the 0.5 -1e-3\n. . . 1 2\nice 3 4\n"
WORD2VEC = "3 2\n" + GLOVE


def read(folder, source, tokens=None, **knobs):
    folder.mkdir(exist_ok=True)
    return embed(Params(source=str(source), **knobs), Run(Path(mkdtemp(dir=folder)) / "out", name="embed/given"), tokens)


def of_text(folder, content, name="vectors.txt", **knobs):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(folder, path, **knobs)


def binary(words, vectors, n=None, end=b"\n"):
    records = (word + b" " + np.asarray(vector, "<f4").tobytes() + end for word, vector in zip(words, vectors, strict=True))
    return b"%d %d\n" % (n or len(words), len(vectors[0])) + b"".join(records)


def fasttext(
    words=(b"ice", b"</s>"), labels=(), size=2, buckets=7, min_n=2, max_n=3, quantised=False, version=12, kind=2, seed=0, n_outputs=3
):  # fmt: skip
    """(a .bin, the matrix in it)"""
    rows = np.random.default_rng(seed).normal(size=(len(words) + buckets, size)).astype("<f4")
    made = struct.pack("<14id", 793712314, version, size, 5, 5, 1, 5, 1, 2, kind, buckets, min_n, max_n, 100, 1e-4)
    made += struct.pack("<3iqq", len(words) + len(labels), len(words), len(labels), 100, -1)
    for kind_of, entries in enumerate((words, labels)):
        made += b"".join(entry + b"\0" + struct.pack("<qb", 10 + i, kind_of) for i, entry in enumerate(entries))
    return made + struct.pack("<?qq", quantised, *rows.shape) + rows.tobytes() + struct.pack("<?qq", False, n_outputs, size) + bytes(
        4 * n_outputs * size
    ), rows


# text and binary


@pytest.mark.parametrize(
    "content", [GLOVE, WORD2VEC, WORD2VEC.replace("\n", " \r\n"), "\ufeff" + WORD2VEC, GLOVE.replace(" 0.5", "\t0.5") + "\n\n"]
)
def test_the_last_fields_of_a_line_are_its_numbers_and_the_word_is_what_stands_before_them(tmp_path, content):
    vectors = of_text(tmp_path, content)
    assert vectors.items() == ["the", ". . .", "ice"]
    assert vectors.matrix().tolist() == np.float32([[0.5, -0.001], [1, 2], [3, 4]]).tolist()
    assert vectors.read()["count"].to_pylist() == [0, 0, 0]


@pytest.mark.parametrize("end", [b"\n", b""])
def test_the_binary_form_is_read_with_line_ends_after_its_records_and_without(tmp_path, end):
    vectors = of_text(tmp_path, binary([b"a", "\u00e9t\u00e9".encode()], [[1, 2], [3, 4.5]], end=end), "x.bin")
    assert (vectors.items(), vectors.matrix().tolist()) == (["a", "\u00e9t\u00e9"], [[1, 2], [3, 4.5]])


@pytest.mark.parametrize(
    ("name", "more"),
    [("word2vec_pre_kv_c", {}), ("lee_fasttext.vec", {}), ("crime-and-punishment.vec", {}), ("high_precision.kv.txt", {}),
     ("test_glove.txt", {"no_header": True}), ("euclidean_vectors.bin", {"binary": True}), ("poincare_vectors.bin", {"binary": True}),
     ("high_precision.kv.bin", {"binary": True})],
)  # fmt: skip
def test_published_files_are_read_as_gensim_reads_them(tmp_path, name, more):
    expected = KeyedVectors.load_word2vec_format(datapath(name), **more)
    vectors = read(tmp_path, datapath(name))
    assert vectors.items() == expected.index_to_key
    assert (vectors.matrix() == expected.vectors).all()


def test_a_form_that_is_named_is_not_guessed(tmp_path):
    assert of_text(tmp_path, "3 4\n7 5\n", format="glove").items() == ["3", "7"]
    with pytest.raises(Fault, match=r"line 1 is 'the 0\.5 -1e-3'; it must say how many words there are"):
        of_text(tmp_path, GLOVE, format="word2vec")
    with pytest.raises(Fault, match=r"begins with b'the 0\.5 -1e-3\\n'; the binary form"):
        of_text(tmp_path, GLOVE, format="word2vec-binary")


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_a_compressed_file_gives_the_bytes_of_the_plain_one(tmp_path, ending, pack):
    for name, content in (("t.txt", WORD2VEC.encode()), ("w.bin", binary([b"a"], [[1, 2]])), ("f.bin", fasttext()[0])):
        plain = layout.hash_path(of_text(tmp_path, content, name).folder)
        assert layout.hash_path(of_text(tmp_path, pack(content), f"{name}.{ending}").folder) == plain


def test_a_source_is_a_data_set_or_an_address_whose_bytes_are_known(tmp_path, monkeypatch):
    (tmp_path / "v.txt").write_text(GLOVE)
    monkeypatch.setenv("WORDLOOM_DATA", str(tmp_path))
    assert read(tmp_path, "data:v.txt").n_rows() == 3
    assert sources(Params(source="data:v.txt")) == []
    assert sources(Params(source="v.txt")) == ["v.txt"]
    sha256 = hashlib.sha256(GLOVE.encode()).hexdigest()
    raw = tmp_path / "raw" / f"{sha256[:12]}-v.txt"
    raw.parent.mkdir()
    raw.write_text(GLOVE)
    address = Params(source="https://example.org/v.txt", sha256=sha256)
    assert embed(address, Run(tmp_path / "out", raw=tmp_path / "raw")).n_rows() == 3
    raw.write_text(GLOVE + "x")
    with pytest.raises(Fault, match="has SHA-256"):
        embed(address, Run(tmp_path / "out", raw=tmp_path / "raw"))
    with pytest.raises(Fault, match="the row must say what is expected"):
        read(tmp_path, "https://example.org/v.txt")


def test_limit_takes_the_head_of_a_file_and_does_not_ask_what_comes_after(tmp_path):
    assert of_text(tmp_path, GLOVE + "broken 1\n", limit=2).items() == ["the", ". . ."]
    assert of_text(tmp_path, binary([b"a", b"b"], [[1], [2]], n=9), limit=2).items() == ["a", "b"]
    assert of_text(tmp_path, fasttext()[0], limit=1).items() == ["ice"]


WORDS = [b"the", b"of", b"and", b"to", b"a", b"in", b"that", b"house"]
MATRIX = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("said", [2, 3, 5, 6, 8])
def test_a_binary_file_whose_words_have_other_than_the_numbers_it_says_is_a_fault_also_of_its_head(tmp_path, said, end):
    content = binary(WORDS * 40, np.tile(MATRIX, (40, 1)), end=end)
    assert of_text(tmp_path, content, limit=8).matrix().tolist() == MATRIX.tolist()
    with pytest.raises(
        Fault, match=r"has each of those before the \d numbers that the first line says|has each word as many numbers|is not utf"
    ):
        of_text(tmp_path, b"320 %d\n" % said + content.partition(b"\n")[2], limit=8, format="word2vec-binary")


def test_letters_that_are_read_as_a_number_and_a_word_with_a_line_end_are_named_by_their_record(tmp_path):
    """Of four numbers a word, which the first line says are five, or three."""
    records = binary([b"abcdefgh"] * 3, MATRIX[:3], end=b"").partition(b"\n")[2]
    with pytest.raises(
        Fault, match=r"record 1 \('abcdefgh'\): number 5 is 1\.\d+e\+22; it must be finite and below 1\.8e\+19; has each word"
    ):
        of_text(tmp_path, b"3 5\n" + records, limit=1, format="word2vec-binary")
    ones = binary([b"a", b"b"], np.full((2, 4), 0x41414141, "<u4").view("<f4"))  # each number reads AAAA
    with pytest.raises(Fault, match=r"record 2 \('AAAA\\nb'\) has bytes that are no word's; has each of those before the 3 numbers"):
        of_text(tmp_path, b"2 3\n" + ones.partition(b"\n")[2], limit=2, format="word2vec-binary")


@pytest.mark.parametrize("content", [GLOVE, WORD2VEC, binary([b"a", b"b"], [[1, 2]] * 2), fasttext()[0]])
def test_a_file_of_other_than_the_numbers_that_are_asked_is_a_fault_also_of_its_head(tmp_path, content):
    assert of_text(tmp_path, content, vector_size=2, limit=1).size == 2
    with pytest.raises(Fault, match=r"vectors\.txt: has 2 numbers a word, and vector_size is 300\. Leave it out, or name another file"):
        of_text(tmp_path, content, vector_size=300, limit=1)


@pytest.mark.parametrize("content", [GLOVE, WORD2VEC])
def test_a_last_line_without_a_line_end_may_have_lost_digits_and_is_a_fault(tmp_path, content):
    last = content.count("\n")
    with pytest.raises(Fault, match=rf"line {last} \('ice'\), the last, has no line end, so that its last number may be cut short\. Fetch"):
        of_text(tmp_path, content.removesuffix("\n"))
    assert of_text(tmp_path, content.removesuffix("\n"), drop=True).items() == ["the", ". . ."]
    assert of_text(tmp_path, content.removesuffix("\n"), limit=2).items() == ["the", ". . ."]
    assert of_text(tmp_path, content + " ").n_rows() == 3  # what has no end is blank
    assert of_text(tmp_path, content.encode("utf-16"), encoding="utf-16").n_rows() == 3
    with pytest.raises(Fault, match="has no line end"):
        of_text(tmp_path, content.removesuffix("\n").encode("utf-16"), encoding="utf-16", limit=3)


def test_of_words_that_are_the_same_in_lower_case_the_first_is_taken(tmp_path):
    vectors = of_text(tmp_path, "The 1\nthe 2\nICE 3\n", lower=True)
    assert (vectors.items(), vectors.matrix().tolist()) == (["the", "ice"], [[1], [3]])


def test_words_in_another_encoding_are_read_when_it_is_named(tmp_path):
    for content in ("\u00e9t\u00e9 1\n".encode("latin-1"), binary(["\u00e9t\u00e9".encode("latin-1")], [[1]])):
        assert of_text(tmp_path, content, encoding="latin-1").items() == ["\u00e9t\u00e9"]
    assert of_text(tmp_path, "2 1\n\u00e9t\u00e9 1\nx 2\n".encode("utf-16"), encoding="utf-16").items() == ["\u00e9t\u00e9", "x"]
    assert read(tmp_path, datapath("cp852_fasttext.bin"), encoding="cp852").items()[:2] == ["ji", "kter\u00fd"]
    with pytest.raises(Fault, match="encoding 'utf-9' is not known"):
        of_text(tmp_path, GLOVE, encoding="utf-9")


def test_a_file_of_many_pieces_comes_in_order_and_whole(tmp_path):
    n, size = 5_000, 50
    matrix = np.random.default_rng(0).normal(size=(n, size)).astype(np.float32)
    lines = "".join(f"w{i} {' '.join(map(repr, row.tolist()))}\n" for i, row in enumerate(matrix))
    for content in (lines, f"{n} {size}\n{lines}", binary([b"w%d" % i for i in range(n)], matrix)):
        vectors = of_text(tmp_path, content)
        assert vectors.items() == [f"w{i}" for i in range(n)]
        assert (vectors.matrix() == matrix).all()


# the words of a vocabulary


def test_with_tokens_the_words_of_the_vocabulary_come_in_its_order_with_its_counts(tmp_path, capsys):
    tokens = labelled(tmp_path / "tokens", [("train", None, [1, 2, 2])], ["<unk>", "ice", "snow", "the"])
    path = tmp_path / "v.txt"
    path.write_text("<unk> 9 9\n" + GLOVE)
    vectors = embed(Params(source=str(path)), Run(tmp_path / "out", "embed/given", show=True), tokens)
    assert vectors.read(columns=["item", "count", "vector"]).to_pylist() == [
        {"item": "ice", "count": 1, "vector": [3, 4]},
        {"item": "the", "count": 1, "vector": [0.5, pytest.approx(-0.001)]},
    ]
    assert "embed/given: 2 of 3 words of tokens/tokens have a vector, 66.7% of the running text" in capsys.readouterr().out


def test_a_vocabulary_without_a_word_in_the_file_is_a_fault(tmp_path):
    tokens = labelled(tmp_path / "tokens", [("train", None, [1])], ["<unk>", "THE"])
    with pytest.raises(
        Fault, match=r"embed/given: none of the 1 words of tokens/tokens has a vector there; the file begins with 'the', '\. \. \.', 'ice'"
    ):
        of_text(tmp_path, GLOVE, tokens=tokens)


def test_with_tokens_a_bin_gives_the_words_that_it_lacks_the_mean_of_their_subwords(tmp_path):
    tokens = labelled(tmp_path / "tokens", [("train", None, [1, 2])], ["<unk>", "ices", "ice"])
    vectors = of_text(tmp_path, fasttext()[0], tokens=tokens)
    assert vectors.items() == ["ices", "ice"]
    assert vectors.matrix()[0] == pytest.approx(unknown(*vectors.model(), ["ices"])[0])
    assert of_text(tmp_path, fasttext()[0], tokens=tokens, subwords=False).items() == ["ice"]


# fastText


def test_a_word_of_a_bin_is_the_mean_of_its_row_and_its_subwords_and_the_end_of_a_sentence_its_row_alone(tmp_path):
    content, rows = fasttext()
    vectors = of_text(tmp_path, content, "x.bin")
    of_ice = [0, *(2 + i for i in ft_ngram_hashes("ice", 2, 3, 7))]  # <i <ic ic ice ce ce> e>
    assert len(of_ice) == 8
    assert vectors.items() == ["ice", "</s>"]
    assert vectors.matrix() == pytest.approx(np.stack([rows[of_ice].mean(axis=0), rows[1]]))
    assert vectors.read()["count"].to_pylist() == [10, 11]


@pytest.mark.parametrize("name", ["crime-and-punishment", "toy-model", "lee_fasttext", "pang_lee_polarity_fasttext"])
def test_a_bin_gives_what_fasttext_itself_printed_as_vec(tmp_path, name):
    """The third is of the form before 2017, the last a classifier's, with labels and words that are not UTF-8."""
    made, printed = (read(tmp_path / ending, datapath(f"{name}.{ending}"), drop=name.startswith("pang")) for ending in ("bin", "vec"))
    assert made.items() == printed.items()
    assert made.matrix() == pytest.approx(printed.matrix(), rel=2e-4, abs=1e-4)


@pytest.mark.parametrize("name", ["crime-and-punishment.bin", "lee_fasttext_new.bin", "toy-model.bin"])
def test_a_bin_and_its_unknown_words_are_read_as_gensim_reads_them(tmp_path, name):
    expected = load_facebook_vectors(datapath(name))
    vectors = read(tmp_path, datapath(name))
    rows = [i for i, word in enumerate(vectors.items()) if word != "</s>"]  # to gensim it has subwords; to fastText not
    assert vectors.items() == expected.index_to_key
    assert vectors.matrix()[rows] == pytest.approx(expected.vectors[rows], abs=1e-5)
    words = ["unheard-of", "\u043d\u0435\u0441\u043b\u044b\u0445\u0430\u043d\u043d\u044b\u0439"]
    assert unknown(*vectors.model(), words) == pytest.approx(np.stack([expected[word] for word in words]), abs=1e-5)


def test_subword_vectors_that_are_too_large_or_are_none_are_not_kept(tmp_path):
    for content, knobs in ((fasttext()[0], {"max_model": 0}), (fasttext(min_n=0, max_n=0)[0], {})):
        assert not (of_text(tmp_path, content, **knobs).folder / "model.json").exists()


def test_a_classifier_of_version_11_has_no_subwords(tmp_path):
    content, rows = fasttext(labels=[b"__label__a"], version=11, kind=3)
    vectors = of_text(tmp_path, content)
    assert vectors.items() == ["ice", "</s>"]
    assert (vectors.matrix() == rows[:2]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (fasttext(quantised=True)[0], r"is quantised \(\.ftz\): its vectors are codes\. Take the \.bin"),
        (fasttext(version=13)[0], r"is of fastText's version 13; versions up to 12 are read"),
        (fasttext()[0][:40], r"is cut short: it ends within the settings"),
        (fasttext()[0][:70], r"is cut short: it ends within the dictionary's head"),
        (fasttext()[0][:94], r"record 1 of 2 of the dictionary has no end"),
        (fasttext()[0][:102], r"is cut short: it ends within record 1 of 2 of the dictionary"),
        (fasttext()[0][:155], r"is cut short: it ends in the row of bucket 1, 2 of 9 rows are whole"),
        (fasttext()[0][:-24], r"is cut short: it ends 24 bytes before the end of its second matrix"),
        (fasttext()[0][:-25], r"is cut short: it ends within the head of the second matrix"),
        (fasttext()[0] + b"abc", r"goes on for 3 bytes after its second matrix, where a \.bin of fastText ends"),
        (fasttext(words=[b"\xff", b"a"])[0], r"record 1 \('\ufffd'\) is not utf-8"),
        (fasttext(words=[b"a", b"a", b""])[0], r"record 2 \('a'\): this word has a vector already\n.*record 3 has no word"),
    ],
)  # fmt: skip
def test_a_bin_that_is_none_or_not_whole_is_named_by_its_record(tmp_path, content, message):
    with pytest.raises(Fault, match=message):
        of_text(tmp_path, content, "x.bin")


def test_no_cut_of_a_bin_is_read_as_if_it_were_whole(tmp_path):
    content, _ = fasttext(labels=[b"__label__a"])
    path = tmp_path / "x.bin"
    for end in range(1, len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(Fault):
            list(FastText(path, Faults(path, False)).pieces(Params()))


# what is no file of vectors


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        ("a 1 2\nb 1\nc 1 2 3\nd 1 x\ne 1 nan\nf inf 1\na 3 4\n 1 2\ng 1e39 2\nh 1  2\n", [
            r"line 2 \('b'\) has 1 numbers; it must have 2, as line 1 has as many", r"line 3 \('c'\) has more than 2 numbers",
            r"line 4 \('d'\): 'x' is no number", r"line 5 \('e'\): number 2 is nan; it must be finite", r"line 6 \('f'\): number 1 is inf",
            r"line 7 \('a'\): this word has a vector already", r"line 8 has no word", r"line 9 \('g'\): number 1 is inf",
            r"line 10 \('h 1'\): '' is no number", r"Mend the file, or leave such words out by drop: true"]),
        ("3 2\na 1 2\nb 3 4\n", [r"the first line says 3 words, and 2 lines follow; it is cut short"]),
        ("1 2\na 1 2\nb 3 4\n", [r"the first line says 1 words, and 2 lines follow; there are more"]),
        ("3 2\na 1 2\nb 3\n", [r"line 3 \('b'\) has 1 numbers; it must have 2, as the first line says so", r"2 lines follow"]),
        ("2 3\na 1 2\nb 3 4\n", [r"line 2 \('a'\) has 2 numbers", r"line 3 \('b'\) has 2 numbers"]),
        ("".join(f"a{i} x\n" for i in range(20)), [r"line 1 is 'a0 x', of 0 numbers a word"]),
        ("1 0\na\n", [r"of 0 numbers a word; it must be 1 to 100,000"]),
        ("a 1\n" + "a 1\n" * 14, [r"line 11 \('a'\)", r"and 4 more such faults"]),
        ("", [r"is empty"]),
        ("2 1\n", [r"says 2 words, and 0 lines follow"]),
        ("0 3\n", [r"has no word with a vector"]),
        (b"a 1\n\xe9t\xe9 2\nb 3\n", [r"line 2 \('\ufffdt\ufffd 2'\) is not utf-8: invalid continuation byte at byte 1"]),
        (pickle.dumps(np.ones(3), protocol=4), [r"is a Python pickle"]),
        (pickle.dumps({"a": 1}, protocol=2), [r"is a Python pickle"]),
        (b"PK\x03\x04" + b"\0" * 100, [r"is a zip archive"]),
        (b"\x1f\x8b" + b"\0" * 100, [r"is compressed by gzip, and its name does not end in \.gz"]),
        (binary([b"a", b"b", b"c"], [[1, 2]] * 3)[:-3], [r"ends within record 3; the first line says 3 words of 2 numbers\. It is cut short"]),
        (binary([b"a", b"b"], [[1, 2]] * 2, n=3), [r"ends after record 2; the first line says 3 words"]),
        (binary([b"a", b"b"], [[1, 2]] * 2, n=1), [r"goes on after record 1, the last that its first line says"]),
        (binary([b"a", b"b", b"a", b""], [[1, np.nan], [-np.inf, 1], [1, 2], [1, 2]]), [
            r"record 1 \('a'\): number 2 is nan", r"record 2 \('b'\): number 1 is -inf", r"record 4 has no word"]),
        (binary([b"\xff\xfe"], [[1e-3, 2.3]]), [r"record 1 \('\ufffd\ufffd'\) is not utf-8"]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_with_a_file_is_told_at_once_and_by_its_line_or_record(tmp_path, content, messages):
    with pytest.raises(Fault) as caught:
        of_text(tmp_path, content)
    assert len(caught.value.faults) <= pretrained.SHOWN + 2
    for message in messages:
        caught.match(message)


def test_a_binary_file_of_another_dimension_than_it_says_is_no_endless_search(tmp_path):
    rng = np.random.default_rng(0)
    content = binary([b"w"] * 3000, rng.normal(size=(3000, 30)))
    with pytest.raises(Fault):
        of_text(tmp_path, b"3000 20\n" + content.partition(b"\n")[2], format="word2vec-binary")
    with pytest.raises(Fault, match=r"no word ends in the 4,096 bytes from record 1 of 5 on; a word has other than the 3 numbers"):
        of_text(tmp_path, b"5 3\n" + b"x" * 200_000, format="word2vec-binary")


def test_a_gz_that_is_none_and_one_that_is_cut_are_named(tmp_path):
    for content in (GLOVE.encode(), gzip.compress(GLOVE.encode() * 1000)[:-20]):
        with pytest.raises(Fault, match=r"v\.txt\.gz is not a whole gz file"):
            of_text(tmp_path, content, "v.txt.gz")


def test_a_pattern_of_several_files_is_refused(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(GLOVE)
    with pytest.raises(Fault, match="is 2 files, first .*a.txt and .*b.txt; vectors lie in one"):
        read(tmp_path, f"{tmp_path}/*.txt")


def test_drop_leaves_faulty_words_out_and_says_how_many(tmp_path, capsys):
    path = tmp_path / "v.txt"
    path.write_bytes(b"5 1\na 1\n\xe9 2\na 3\nb x\nc 4\n")
    vectors = embed(Params(source=str(path), drop=True), Run(tmp_path / "out", "embed/given", show=True))
    assert (vectors.items(), vectors.matrix().tolist()) == (["a", "c"], [[1], [4]])
    assert "embed/given: 3 words are left out, the first of them: " in capsys.readouterr().out
    path.write_bytes(b"9 1\na 1\n")
    with pytest.raises(Fault, match="cut short"):
        read(tmp_path, path, drop=True)


def test_a_file_that_is_refused_is_neither_unpickled_nor_kept(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    with pytest.raises(Fault, match="may run anything when it is read"):
        of_text(tmp_path, pickle.dumps(Trap()))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not Path(datapath("")).is_dir(), reason="gensim without its test data")
def test_the_same_file_gives_the_same_bytes_whatever_the_seed(tmp_path):
    path = datapath("toy-model.bin")
    first, second = (embed(Params(source=path), Run(tmp_path / str(seed), seed=seed, threads=seed)) for seed in (1, 2))
    assert layout.hash_path(first.folder) == layout.hash_path(second.folder)


def test_a_file_with_bytes_changed_anywhere_is_read_or_refused_by_a_fault_and_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    originals = [fasttext(labels=[b"__label__a"])[0], binary([b"ice", b"snow"], [[1, 2], [3, 4]]), WORD2VEC.encode(), GLOVE.encode()]
    n_refused = 0
    for i in range(120):
        content = bytearray(originals[i % 4])
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            content[at] = rng.integers(0, 256)
        (tmp_path / "v").write_bytes(content)
        try:
            embed(Params(source=str(tmp_path / "v")), Run(tmp_path / "out"))
        except Fault:
            n_refused += 1
    assert 20 < n_refused < 120
