"""N-grams of characters: every run of n_min to n_max characters is a token, inside words or across them.

reads   corpus    the documents, all splits
writes  tokens    token_ids per document, by where an n-gram starts and then by its length; vocab by count
source  Cavnar, Trenkle 1994; the bags are those of scikit-learn's analyzers char_wb and char
shapes  V n-grams kept, and <unk> before them with id 0

Each distinct n-gram is in memory until all is counted.
"""

import re
from collections.abc import Iterator

import pyarrow as pa
from pydantic import Field

from pipelines import vocabulary
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import Tokens
from pipelines.method import Run


class Params(vocabulary.Kept, vocabulary.Lengths):
    lower: bool = True
    within_words: bool = True  # of each word with a space on either side (char_wb); else of the whole text (char)
    n_min: int = Field(3, ge=1)  # characters
    n_max: int = Field(5, ge=1)


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    advice = f"n_min, which is {params.n_min},"
    return vocabulary.tokenize(corpus, params, run, cut, params, piece="n-gram", advice=advice)


def cut(texts: pa.Array, params: Params):
    grams = word_grams if params.within_words else text_grams
    return vocabulary.number(grams(text.lower() if params.lower else text, params.n_min, params.n_max) for text in texts.to_pylist())


def word_grams(text: str, n_min: int, n_max: int) -> Iterator[str]:
    for word in text.split():
        padded = f" {word} "
        if len(padded) < n_min:
            yield padded  # once and whole, however short
        yield from _grams(padded, n_min, n_max)


def text_grams(text: str, n_min: int, n_max: int) -> Iterator[str]:
    return _grams(re.sub(r"\s\s+", " ", text), n_min, n_max)


def _grams(text: str, n_min: int, n_max: int) -> Iterator[str]:
    for start in range(len(text)):
        for end in range(start + n_min, min(start + n_max, len(text)) + 1):
            yield text[start:end]
