"""Misspelled: words and how they are mistyped, by a noise model; for who learns to spell.

reads   source       word lists or texts of any kind; the words are what `pattern` finds, in lower case. Or tokens: the words of a vocabulary
writes  corpus       a document = a misspelling; label and group = the word. Words are divided, not misspellings: a word of valid or test is
                     nowhere in train, with any of its misspellings
source  Damerau 1964 (most misspellings are one letter more, one less, another one, or two in the wrong order); neighbours are those of the
        keys of a QWERTY keyboard

No misspelling is itself one of the words, or one of another word's: each has one answer. Labels are texts here, so the gate is told not
to count them: gates: {corpus.ROW: {unseen_labels: 1.0}}. Tokenise it by method characters.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from pipelines import sources as where_from
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.cleaning import NONE
from pipelines.columns import decoded, not_text
from pipelines.documents import Documents, gathered, write
from pipelines.errors import Fault
from pipelines.method import Run

KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # each row lies half a key to the right of the one above
TRIES = 20  # for a misspelling that is no other word and no other's


class Params(Documents):
    source: str | list[str] | None = None  # a file, several, a folder, a pattern, data:NAME, or an address; none: the words of `tokens`
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")  # of what is downloaded
    encoding: str | None = None  # none: what a byte order mark says, else UTF-8
    pattern: str = r"[a-z]+"  # a word, of a text in lower case
    min_count: int = Field(1, ge=1)  # a word seen less often in the source is none
    min_letters: int = Field(4, ge=2)  # of a word; the misspellings of shorter ones are mostly words
    max_words: int = Field(0, ge=0)  # the most frequent ones; 0: all
    per_word: int = Field(5, ge=1)  # misspellings of each word, at most
    two: float = Field(0.2, ge=0, le=1)  # share of them with two slips, where others have one
    divide: Literal["stratified", "random", "group", "time", "blocks"] = "group"  # no word is in two splits

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as err:
            raise ValueError(f"must be a regular expression: {err}") from err
        return pattern


def sources(params: Params) -> list[str]:
    return where_from.paths(params.source or [])


def ingest(params: Params, run: Run, tokens: Tokens | None = None) -> Corpus:
    if (tokens is None) == (params.source is None):
        raise Fault(f"{run.name}: words come from a source, or from tokens. Name one of them")
    counts = Counter(dict(_of_tokens(tokens, params)) if tokens is not None else _of_files(params, run))
    # what labels are that stand for none cannot be told from one
    words = [word for word, n in counts.items() if n >= params.min_count and len(word) >= params.min_letters and word not in NONE]
    words = sorted(words, key=lambda word: (-counts[word], word))[: params.max_words or None]
    if not words:
        raise Fault(
            f"{run.name}: of {len(counts):,} words none has {params.min_letters} characters and {params.min_count} sightings. "
            "Lower min_letters or min_count, or mend the pattern"
        )
    return write(gathered(misspellings(words, params, run)), params, run, total=len(words) * params.per_word)


def _of_tokens(tokens: Tokens, params: Params) -> Iterator[tuple[str, int]]:
    vocab = tokens.vocab()
    for i, (word, n) in enumerate(zip(vocab["token"].to_pylist(), vocab["count"].to_pylist(), strict=True)):
        if i != UNKNOWN_ID and re.fullmatch(params.pattern, word):
            yield word, n


def _of_files(params: Params, run: Run) -> Iterator[str]:
    find = re.compile(params.pattern).finditer
    for path in where_from.files(params.source or [], run, sha256=params.sha256):
        for number, line in decoded(where_from.lines(path, params.encoding), path, params.encoding):
            text = line.decode("utf-8", "surrogateescape")
            if wrong := not_text(text):
                raise Fault(f"{path}: line {number} {wrong}. Say which encoding it has as `encoding`")
            yield from (match.group() for match in find(text.lower()))


def misspellings(words: list[str], params: Params, run: Run) -> Iterator[dict[str, Any]]:
    taken = set(words)
    for word in words:
        n = 0
        for _ in range(params.per_word * TRIES):
            text = slip(word, run.rng)
            if run.rng.random() < params.two:
                text = slip(text, run.rng)
            if text not in taken:
                taken.add(text)
                yield {"id": f"{word}-{n}", "text": text, "label": word, "group": word, "where": word}
                n += 1
                if n == params.per_word:
                    break


def slip(word: str, rng: np.random.Generator) -> str:
    """The word with one letter more, one less, another one, or two in the wrong order, all as probable.

    What is put in is next to a letter that is there: the same again, or a neighbour on the keyboard.
    """
    at, kind = int(rng.integers(len(word))), int(rng.integers(4))
    near = neighbours(word[at])
    if kind == 0 and len(word) > 1:
        return word[:at] + word[at + 1 :]
    if kind == 1 and len(word) > 1:
        at = min(at, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 2 and near:
        return word[:at] + near[rng.integers(len(near))] + word[at + 1 :]
    more = (word[at] + near)[rng.integers(len(near) + 1)]
    return word[:at] + word[at] + more + word[at + 1 :]


@cache
def neighbours(letter: str) -> str:
    """The keys around a letter's; none around one that is on no key."""
    place = {key: (row, column) for row, keys in enumerate(KEYS) for column, key in enumerate(keys)}
    if letter not in place:
        return ""
    row, column = place[letter]
    around = {(row, column - 1), (row, column + 1), (row - 1, column), (row - 1, column + 1), (row + 1, column - 1), (row + 1, column)}
    return "".join(key for key, where in place.items() if where in around)
