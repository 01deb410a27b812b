"""What kinds of characters texts are made of, by a table over all code points."""

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa

LETTER, MARK, NUMBER, SPACE, CONTROL, REPLACEMENT = 1, 2, 4, 8, 16, 32


@cache
def kinds() -> np.ndarray:
    """(0x110000,) uint8: code point -> one of the kinds above, or 0."""
    table = np.zeros(0x110000, np.uint8)
    of_category = {"L": LETTER, "M": MARK, "N": NUMBER, "Z": SPACE}
    for point in range(0x40000):  # nothing that has a kind comes later
        table[point] = of_category.get(unicodedata.category(chr(point))[0], 0)
    table[[*range(0x20), *range(0x7F, 0xA0)]] = CONTROL
    table[[0x09, 0x0A, 0x0D]] = SPACE
    table[0xFFFD] = REPLACEMENT
    return table


def code_points(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(values, offsets): the texts' characters end to end, uint32, and int64 offsets of n + 1 entries; a null is empty."""
    plain = [text or "" for text in texts.to_pylist()]
    values = np.frombuffer("".join(plain).encode("utf-32-le"), np.uint32)
    return values, np.cumsum([0, *map(len, plain)])


def per_text(marked: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(n,) how many characters of each text are marked."""
    before = np.concatenate([[0], np.cumsum(marked, dtype=np.int32)])
    return before[offsets[1:]] - before[offsets[:-1]]


def words_only(texts: pa.Array) -> list[str]:
    """Of each text what is a letter, a mark or a number, and one space for what lies between them."""
    values, offsets = code_points(texts)
    kept = kinds()[values] & (LETTER | MARK | NUMBER)
    plain = np.where(kept, values, np.uint32(0x20)).tobytes().decode("utf-32-le")
    return [" ".join(plain[start:end].split()) for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
