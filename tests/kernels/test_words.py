"""Words from bytes: the fast kernel says what Python's lower() and re say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels import words
from pipelines.kernels.patterns import compiled

DEFAULT = r"[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}\p{N}]+)*"
SERVED = [
    DEFAULT,
    r"[^\W_]+(?:['’][^\W_]+)*",
    "[a-z0-9]+",
    r"\w+",
    r"\S+",
    "[A-Za-z]+(?:-[A-Za-z]+)*",
    r"[^\s']+(?:[\s'][^\s']+)*",
    r"[\wé]+(?:\d[\wé]+)*",
    "[^a]+",
]
NOT_SERVED = ["a+", r"\b\w\w+\b", "[a-z]{2,}", "(?i)[a-z]+", "[a-z]+|[0-9]+", "[a-z]+(?:'[a-y]+)*", "[a-z]+(?:..[a-z]+)*", "[]a]+"]
# what has bitten: İ and Σ in lower case, ẞ and Å and K that change their length, ª, a combining mark, digits of
# other scripts, letters of 2, 3 and 4 bytes, joiners at both ends and in twos, NUL, an emoji of several characters
BITES = [*"İΣσςẞßÅKȺªⅨΩ·é\u0301\u0307٣३Ж東𝔘𐐀'’_-ab Z9\0\n\u2028", "👩\u200d🔬", "''", "ΑΣ", "Σ.Α", "abcdefg", "abcdefgh"]

some_text = st.lists(st.one_of(st.sampled_from(BITES), st.characters(exclude_categories=["Cs"])), max_size=40).map("".join)
documents = st.lists(some_text, max_size=5)


def strings(texts):
    spelled = [text.encode() for text in texts]
    return np.frombuffer(b"".join(spelled), np.uint8), np.cumsum([0, *map(len, spelled)], dtype=np.int64)


def texts_of(data, offsets):
    return [data[start:stop].tobytes().decode() for start, stop in pairwise(offsets)]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.parametrize("pattern", SERVED)
@pytest.mark.parametrize("lower", [True, False])
@settings(max_examples=40, deadline=None)
@given(texts=documents)
def test_the_kernel_cuts_to_the_byte_as_python_does(pattern, lower, texts):
    assert_same(words.cut(*strings(texts), pattern, lower), words.cut_plain(*strings(texts), pattern, lower))


@settings(max_examples=100, deadline=None)
@given(documents, st.sampled_from([*SERVED, r"\b\w\w+\b"]), st.booleans())
def test_the_plain_cut_is_lower_and_findall(texts, pattern, lower):
    data, offsets, codes, n_words = words.cut_plain(*strings(texts), pattern, lower)
    expected = [compiled(pattern).findall(text.lower() if lower else text) for text in texts]
    spelled = texts_of(data, offsets)
    assert [spelled[code] for code in codes] == [word for document in expected for word in document]
    assert n_words.tolist() == list(map(len, expected))
    assert spelled == list(dict.fromkeys(spelled[code] for code in codes))


@pytest.mark.slow
@pytest.mark.quick_slow
@pytest.mark.parametrize(("pattern", "lower"), [(DEFAULT, True), (DEFAULT, False), (r"\S+", True)])
def test_every_character_there_is_is_cut_and_lowered_as_python_does(pattern, lower):
    characters = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    texts = ["".join(f" x{c}'{c} {c}’" for c in characters[i : i + 100]) for i in range(0, len(characters), 100)]
    assert_same(words.cut(*strings(texts), pattern, lower), words.cut_plain(*strings(texts), pattern, lower))


def test_lower_case_stays_as_it_is_when_lowered_again():
    # texts that Python has lowered go through the table of lower case once more
    assert all(chr(point).lower().lower() == chr(point).lower() for point in range(0x110000))


@pytest.mark.parametrize("pattern", SERVED)
def test_a_set_with_or_without_a_joiner_is_served(pattern):
    assert words.alphabet(pattern, True) is not None


@pytest.mark.parametrize("pattern", NOT_SERVED)
def test_other_patterns_are_left_to_python(pattern):
    assert words.alphabet(pattern, True) is None


def test_documents_in_the_midst_of_other_bytes_are_cut_alone():
    data, offsets = strings(["no", "One tWo", "", "two Σ", "no"])
    assert_same(words.cut(data, offsets[1:5], DEFAULT, True), words.cut_plain(*strings(["One tWo", "", "two Σ"]), DEFAULT, True))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.one_of(some_text, st.integers(0, 300).map(lambda i: f"w{i:09}")), max_size=60), max_size=5))
def test_strings_get_the_number_of_their_first_sighting_however_many_times_the_table_grows(pieces):
    table, number_of = words.Words(n_slots=2), {}
    for piece in pieces:
        expected = [number_of.setdefault(text, len(number_of)) for text in piece]
        assert table.add(*strings(piece)).tolist() == expected
    assert table.n == len(number_of)
    assert texts_of(*table.strings()) == list(number_of)


def test_long_words_of_one_signature_are_told_apart():
    # the signature of a word of more than 7 bytes is a hash; run backwards it gives other words of the same
    def signature(word):
        return int(words._sign(np.frombuffer(word, np.uint8), 0, len(word)))

    word, inverse, others = b"signature", pow(int(words.SPREAD), -1, 2**64), []
    for end in (bytes([i, j]) + more for more in (b"", b"s") for i in range(256) for j in range(256)):
        start = signature(word)
        for byte in reversed(end):
            start = (start ^ byte) * inverse % 2**64
        if start < 2**56:
            others.append(start.to_bytes(7) + end)
    texts = sorted({word, *others})
    assert len(texts) > 100
    assert {signature(other) for other in texts} == {signature(word)}
    assert {len(other) for other in texts} == {9, 10}
    data, offsets = np.frombuffer(b"".join(texts * 2), np.uint8), np.cumsum([0, *map(len, texts * 2)])
    assert words.Words().add(data, offsets).tolist() == [*range(len(texts))] * 2


def test_short_words_are_their_signature():
    texts = ["", "\0", "\0\0", "a", "\0a", "a\0", "ab", "ba", "abcdef", "abcdefg", "é", "東京", "a" * 7, "a" * 8, "\0" * 7, "\0" * 8]
    table = words.Words()
    assert table.add(*strings(texts * 2)).tolist() == [*range(len(texts))] * 2
