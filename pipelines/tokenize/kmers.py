"""K-mers: overlapping or adjoining stretches of a DNA sequence, of one length or of lengths drawn by seed.

reads   corpus    the sequences, all splits; lower case, as repeats are marked, is read as upper case
writes  tokens    token_ids per sequence, in the corpus' order; vocab by count, then alphabetically
source  Ng 2017, dna2vec (lengths drawn evenly from k_min to k_max, a window that slides by one base)
shapes  V k-mers kept, and <unk> before them with id 0
"""

import zlib
from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from pipelines import vocabulary
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN, Tokens
from pipelines.method import Run

COMPLEMENTS = {"ACGT": str.maketrans("ACGT", "TGCA"), "ACGU": str.maketrans("ACGU", "UGCA")}
DRAWS = 4096  # lengths at a time


class Params(vocabulary.Kept):
    k_min: int = Field(3, ge=1)  # dna2vec's lengths; the same for both gives k-mers of one length
    k_max: int = Field(8, ge=1)
    stride: int = Field(1, ge=0)  # bases from one k-mer's start to the next one's; 0: each starts where the last one ends
    canonical: bool = False  # a k-mer and its reverse complement are one token, the one that comes first in the alphabet
    alphabet: str = Field("ACGT", min_length=1)
    unknown_bases: Literal["drop", "unknown"] = "drop"  # a k-mer over another letter, such as N, is left out, or becomes <unk>
    min_count: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.k_min > self.k_max:
            raise ValueError(f"k_min is {self.k_min} and k_max {self.k_max}; k_min must not be above k_max")
        if self.alphabet != self.alphabet.upper():
            raise ValueError(f"alphabet is {self.alphabet!r}; write it in capitals, as sequences are read")
        if self.canonical and self.alphabet not in COMPLEMENTS:
            raise ValueError(f"canonical needs the alphabet {' or '.join(COMPLEMENTS)}; {self.alphabet!r} has no complements")
        return self


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    advice = f"k_max, which is {params.k_max}, alphabet"
    run.say("no tokenizer.json: the library has no tokens that overlap, or of lengths drawn by seed")
    return vocabulary.tokenize(corpus, params, run, cut, params, run.seed, piece="k-mer", advice=advice)


def cut(texts: pa.Array, params: Params, seed: int):
    sequences = (text.upper() for text in texts.to_pylist())
    pieces, codes, n_pieces = vocabulary.number(
        (sequence[start:end] for start, end in spans(len(sequence), params, _rng(seed, sequence))) for sequence in sequences
    )
    pieces, code_of, _ = vocabulary.number([[spell(piece, params) for piece in pieces]])
    codes = code_of[codes]
    if params.unknown_bases == "drop" and UNKNOWN in pieces:
        known = codes != pieces.index(UNKNOWN)
        n_pieces = np.bincount(np.repeat(np.arange(len(n_pieces)), n_pieces)[known], minlength=len(n_pieces))
        codes = codes[known]
    return pieces, codes, n_pieces


def _rng(seed: int, sequence: str) -> np.random.Generator:
    # of the sequence itself: it falls into the same k-mers wherever it stands in the corpus
    return np.random.default_rng([seed, zlib.crc32(sequence.encode())])


def spans(n: int, params: Params, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Start and end of each k-mer, from left to right, as long as one of k_max fits in."""
    start = 0
    while start + params.k_max <= n:
        for k in rng.integers(params.k_min, params.k_max + 1, min(DRAWS, n)).tolist():
            if start + params.k_max > n:
                return
            yield start, start + k
            start += params.stride or k


def spell(piece: str, params: Params) -> str:
    if piece.strip(params.alphabet):
        return UNKNOWN
    return min(piece, piece.translate(COMPLEMENTS[params.alphabet])[::-1]) if params.canonical else piece
