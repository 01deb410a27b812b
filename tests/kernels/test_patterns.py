"""Unicode's categories in a pattern are what the standard's table says, and nothing else in it changes."""

import re
import unicodedata

import pytest

from pipelines.kernels.patterns import compiled
from pipelines.vocabulary import Worded

CHARACTERS = [chr(point) for point in range(0x110000)]


@pytest.mark.parametrize("name", ["L", "M", "N", "Lu", "Nd", "Mn"])
def test_a_category_is_that_of_the_table(name):
    alone, inside, outside = compiled(rf"\p{{{name}}}"), compiled(rf"[_\p{{{name}}}]"), compiled(rf"[^\p{{{name}}}]")
    for character in CHARACTERS:
        has = unicodedata.category(character).startswith(name)
        assert bool(alone.fullmatch(character)) == has
        assert bool(inside.fullmatch(character)) == (has or character == "_")
        assert bool(outside.fullmatch(character)) != has


@pytest.mark.parametrize("pattern", [r"[^\W_]+(?:['’][^\W_]+)*", r"\\p", r"[\\p]+", r"\S+", r"\\\d{2}", r"[a-z]{3}", r"\[p"])
def test_a_pattern_without_a_category_stays_as_it_is(pattern):
    assert compiled(pattern).pattern == pattern


@pytest.mark.parametrize("pattern", [r"\p{Q}", r"[\p{Ll}\p{Latin}]", r"\p"])
def test_what_is_no_category_is_no_pattern(pattern):
    with pytest.raises(re.error, match=r"bad escape \\p"):
        compiled(pattern)
    with pytest.raises(ValueError, match="must be a regular expression"):
        Worded(pattern=pattern)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("தமிழ்", ["தமிழ்"]),
        ("عَرَبِيّ", ["عَرَبِيّ"]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("don't foo_bar well-known 東京2020", ["don't", "foo", "bar", "well", "known", "東京2020"]),
    ],
)
def test_a_word_keeps_its_marks(text, words):
    assert compiled(Worded().pattern).findall(text) == words
