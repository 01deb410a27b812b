"""Documents cut into words, each word a number: a pass over UTF-8 bytes with a hash table.

Which characters a word is made of, and what is their lower case, is asked of Python once for all code
points, so `cut` says to the byte what `cut_plain` says, which is text.lower() and re.findall. It serves
patterns of the form SET+ or SET+(?:JOINER SET+)*; `cut_plain` serves all. The kernels let go of Python's
lock, so threads can run them side by side.

Texts and words are strings end to end: (bytes, offsets), uint8 and int64, string i is bytes[offsets[i]:offsets[i + 1]].
"""

import re
from collections import defaultdict
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np

from pipelines.kernels.patterns import compiled

Array = np.ndarray
OUT, IN, JOIN, ODD = 0, 1, 2, 3  # what a character is to a word; ODD is lowered by Python, within its text
# one character, which matches by itself alone: [...], \w and its like, or a character that means itself
SET = r"\[\^?(?:[^\]\\\[]|\\.)+\]|\\[wWdDsS]"
FORM = re.compile(rf"(?P<set>{SET})\+(?:\(\?:(?P<joiner>{SET}|[^\\\[\](){{}}.*+?|^$])(?P=set)\+\)\*)?", re.DOTALL)
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: multiplicative hashing (Knuth, TAOCP 6.4)
LONG = np.uint64(1 << 63)  # marks the signature of a word of more than 7 bytes


class Alphabet(NamedTuple):
    """What each of the 0x110000 code points is."""

    kind: Array  # uint8: OUT, IN, JOIN or ODD, of the character in lower case where that is asked for
    lower: Array  # int32, the code point that stands in the word


class Words:
    """Strings numbered in the order in which they were first added; a hash table with open addressing."""

    def __init__(self, n_slots: int = 2**16):
        self.n = 0
        self.bytes = np.empty(2**18, np.uint8)  # the words end to end, then room
        self.offsets = np.zeros(n_slots // 2 + 1, np.int64)
        self.number = np.zeros(n_slots, np.int32)  # of the word in a slot, from 1; 0 is a free slot
        self.signature = np.empty(n_slots, np.uint64)

    def add(self, data: Array, offsets: Array) -> Array:
        """(strings,) int32, the number of each; those that are new are added."""
        data, offsets = (np.require(array, requirements="W") for array in (data, offsets))  # a read-only array is another type to numba
        room = int(self.offsets[self.n]) + len(data)
        if room > len(self.bytes):
            self.bytes = _longer(self.bytes, max(room, 2 * len(self.bytes)))
        numbers, done = np.empty(len(offsets) - 1, np.int32), 0
        while True:
            done, self.n = _add(data, offsets, done, self.n, self.bytes, self.offsets, self.number, self.signature, numbers)
            if done == len(numbers):
                return numbers
            # half of the slots are taken, so there is no room for another word
            self.offsets = _longer(self.offsets, 2 * self.n + 1)
            number, signature = np.zeros(2 * len(self.number), np.int32), np.empty(2 * len(self.number), np.uint64)
            _move(self.number, self.signature, number, signature)
            self.number, self.signature = number, signature

    def strings(self) -> tuple[Array, Array]:
        """All words in their order, end to end."""
        return self.bytes[: self.offsets[self.n]].copy(), self.offsets[: self.n + 1].copy()


def _longer(array: Array, length: int) -> Array:
    new = np.empty(length, array.dtype)
    new[: len(array)] = array
    return new


@lru_cache(maxsize=4)
def alphabet(pattern: str, lower: bool) -> Alphabet | None:
    """What the characters are to `pattern`; None when it is not of the form that `cut` serves."""
    form = FORM.fullmatch(pattern)
    if not form:
        return None
    characters = "".join(map(chr, range(0x110000)))
    lowered, odd = np.arange(0x110000, dtype=np.int32), []
    for character in filter(lambda c: c.lower() != c, characters if lower else ""):
        # İ becomes two characters, and what Σ becomes depends on what stands around it
        if len(character.lower()) > 1 or f"a{character}".lower() != f"a{character.lower()}":
            odd.append(ord(character))
        else:
            lowered[ord(character)] = ord(character.lower())
    kind = np.full(0x110000, OUT, np.uint8)
    for name, value in (("joiner", JOIN), ("set", IN)):  # of a character that is both, what it is in the set counts
        for run in compiled(f"{form[name]}+").finditer(characters) if form[name] else ():
            kind[run.start() : run.end()] = value
    kind = kind[lowered]
    kind[odd] = ODD
    return Alphabet(kind, lowered)


def cut(data: Array, offsets: Array, pattern: str, lower: bool) -> tuple[Array, Array, Array, Array]:
    """The words of some documents.

    Args:
        data, offsets: the documents, valid UTF-8.
        pattern: of the form that `alphabet` knows.
        lower: whether words are sought in the text in lower case.

    Returns:
        bytes, offsets: each word once, in the order of first sighting.
        codes: int32, all documents' words end to end, as numbers of those words.
        n_words: (documents,) int64.
    """
    letters = alphabet(pattern, lower)
    assert letters is not None
    odd = _odd(data, offsets, letters.kind)
    if odd.any():
        texts = [data[start:stop].tobytes() for start, stop in pairwise(offsets)]
        texts = [text.decode().lower().encode() if is_odd else text for text, is_odd in zip(texts, odd, strict=True)]
        data, offsets = np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])
    # a character of one byte is one in lower case, too, others have 4 at most; between two words stands a byte at least
    n_bytes = offsets[-1] - offsets[0]
    spelled, ends = np.empty(2 * n_bytes, np.uint8), np.empty((n_bytes + len(offsets)) // 2 + 1, np.int64)
    n_words = _spell(data, offsets, letters.kind, letters.lower, spelled, ends)
    ends = ends[: n_words.sum() + 1]
    words = Words()
    codes = words.add(spelled[: ends[-1]], ends)
    return *words.strings(), codes, n_words


def cut_plain(data: Array, offsets: Array, pattern: str, lower: bool) -> tuple[Array, Array, Array, Array]:
    """What `cut` returns, for any pattern: the definition."""
    find = compiled(pattern).findall
    code_of: defaultdict[str, int] = defaultdict()
    code_of.default_factory = code_of.__len__  # a word that is new gets the next code
    codes, n_words = [np.empty(0, np.int32)], []
    for start, stop in pairwise(offsets):
        text = data[start:stop].tobytes().decode()
        words = find(text.lower() if lower else text)
        codes.append(np.fromiter(map(code_of.__getitem__, words), np.int32, len(words)))
        n_words.append(len(words))
    spelled = [word.encode() for word in code_of]
    ends = np.cumsum([0, *map(len, spelled)], dtype=np.int64)
    return np.frombuffer(bytearray(b"".join(spelled)), np.uint8), ends, np.concatenate(codes), np.array(n_words, np.int64)


@numba.njit(cache=True, nogil=True)
def _odd(data, offsets, kind):
    """(documents,) bool, which of them have an ODD character."""
    odd = np.zeros(len(offsets) - 1, np.bool_)
    for document in range(len(odd)):
        i, stop = offsets[document], offsets[document + 1]
        while i < stop:
            if data[i] < 0x80:
                i += 1
                continue
            point, i = _decode(data, i)
            if kind[point] == ODD:
                odd[document] = True
                break
    return odd


@numba.njit(cache=True, nogil=True)
def _spell(data, offsets, kind, lower, spelled, ends):
    """Writes the documents' words end to end, and where they end; (documents,) int64, how many each has."""
    n_words = np.empty(len(offsets) - 1, np.int64)
    n, fill = 0, 0
    ends[0] = 0
    for document in range(len(n_words)):
        before, i, stop = n, offsets[document], offsets[document + 1]
        joiner = -1  # what stands behind the word in the making, and belongs to it if the set goes on
        while i < stop:
            if data[i] < 0x80:
                point = np.int64(data[i])
                i += 1
            else:
                point, i = _decode(data, i)
            if kind[point] == IN:
                if joiner >= 0:
                    fill = _encode(spelled, fill, joiner)
                    joiner = -1
                fill = _encode(spelled, fill, lower[point])
            elif fill > ends[n]:
                if kind[point] == JOIN and joiner < 0:
                    joiner = lower[point]
                else:
                    n, joiner = n + 1, -1
                    ends[n] = fill
        if fill > ends[n]:
            n += 1
            ends[n] = fill
        n_words[document] = n - before
    return n_words


@numba.njit(cache=True, nogil=True)
def _decode(data, i):
    """The code point whose first byte, one of several, is data[i], and where the next character begins."""
    first = np.int64(data[i])
    point = first & 0x1F
    n = 2
    if first >= 0xF0:
        point, n = first & 0x07, 4
    elif first >= 0xE0:
        point, n = first & 0x0F, 3
    for d in range(1, n):
        point = point << 6 | np.int64(data[i + d]) & 0x3F
    return point, i + n


@numba.njit(cache=True, nogil=True)
def _encode(data, fill, point):
    """Writes a character at `fill`; where the next goes."""
    if point < 0x80:
        data[fill] = point
        return fill + 1
    if point < 0x800:
        data[fill] = 0xC0 | point >> 6
    elif point < 0x10000:
        data[fill] = 0xE0 | point >> 12
        data[fill + 1] = 0x80 | point >> 6 & 0x3F
        fill += 1
    else:
        data[fill] = 0xF0 | point >> 18
        data[fill + 1] = 0x80 | point >> 12 & 0x3F
        data[fill + 2] = 0x80 | point >> 6 & 0x3F
        fill += 2
    data[fill + 1] = 0x80 | point & 0x3F
    return fill + 2


@numba.njit(cache=True, nogil=True)
def _add(data, offsets, done, n, words, word_offsets, number, signature, numbers):
    """Numbers the strings from `done` on, until all are or half of the slots are taken; (strings done, words)."""
    for i in range(done, len(numbers)):
        if n + 1 == len(word_offsets):
            return i, n
        start, stop = offsets[i], offsets[i + 1]
        sign = _sign(data, start, stop)
        at = _slot(sign, len(number))
        while number[at]:
            if signature[at] == sign:
                word = number[at] - 1
                if sign < LONG or np.array_equal(data[start:stop], words[word_offsets[word] : word_offsets[word + 1]]):
                    break
            at = (at + 1) & (len(number) - 1)
        if not number[at]:
            fill = word_offsets[n]
            for d in range(stop - start):
                words[fill + d] = data[start + d]
            n += 1
            word_offsets[n] = fill + stop - start
            number[at], signature[at] = n, sign
        numbers[i] = number[at] - 1
    return len(numbers), n


@numba.njit(cache=True, nogil=True)
def _sign(data, start, stop):
    """A word's signature: all that it is, up to 7 bytes and their number; a hash, marked LONG, of a longer one."""
    sign = np.uint64(0)
    for at in range(start, min(stop, start + 7)):
        sign = sign << np.uint64(8) | np.uint64(data[at])
    if stop - start <= 7:
        return np.uint64(stop - start) << np.uint64(56) | sign
    for at in range(start + 7, stop):
        sign = sign * SPREAD ^ np.uint64(data[at])
    return LONG | sign


@numba.njit(cache=True, nogil=True)
def _slot(sign, n_slots):
    """Where the search for a signature begins."""
    mixed = (sign ^ sign >> np.uint64(32)) * SPREAD
    return np.int64(mixed >> np.uint64(32)) & (n_slots - 1)


@numba.njit(cache=True, nogil=True)
def _move(number, signature, new_number, new_signature):
    """Puts all words into a larger table."""
    for old in range(len(number)):
        if number[old]:
            at = _slot(signature[old], len(new_number))
            while new_number[at]:
                at = (at + 1) & (len(new_number) - 1)
            new_number[at], new_signature[at] = number[old], signature[old]
