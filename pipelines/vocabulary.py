"""What the token forms share: pieces of text become codes on disk, and then token_ids of the vocabulary that is kept.

A method brings `cut(texts, *shared) -> (pieces, codes, n_pieces)`, which says how documents fall into pieces.
The text is read once. A piece first gets the number of its first sighting, its code; the codes lie on disk
until all is counted. In memory there is a batch, and each distinct piece once.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN, UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.kernels.patterns import compiled
from pipelines.method import Knobs, Run

ROWS = 1024  # documents per piece of work
ALONE = 32  # pieces of work that one process cuts sooner than others could be started

Cut = Callable[..., tuple[list[str], np.ndarray, np.ndarray]]


class Counted(Knobs):
    # what only valid and test have stays out of the vocabulary, as what is new in a new document will
    vocab_splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)


class Kept(Counted):
    """Which tokens are kept; all others become <unk>."""

    min_count: int = Field(5, ge=1)  # a token seen less often becomes <unk>; word2vec's value
    max_vocab: int = Field(0, ge=0)  # keep so many of the most frequent tokens, <unk> aside; 0 keeps all


class Worded(Kept):
    """What a word is, for the forms that are made of words."""

    lower: bool = True
    # letters, their marks and digits of any script, with an apostrophe inside: don't is one word, well-known is two
    pattern: str = r"[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}\p{N}]+)*"

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            found = compiled(pattern)
        except re.error as err:
            raise ValueError(f"must be a regular expression: {err}") from err
        if found.groups:
            raise ValueError("must have no group that captures, since a match is a word: write (?:...) for (...)")
        if found.search(""):
            raise ValueError("must not match where there is nothing, since words would be empty: write + where it has *")
        return pattern


class Lengths(Knobs):
    """How long an n-gram is; each form says of what, and its defaults."""

    n_min: int
    n_max: int

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.n_min > self.n_max:
            raise ValueError(f"n_min is {self.n_min} and n_max {self.n_max}; n_min must not be above n_max")
        return self


def words_of(text: str, pattern: str, lower: bool) -> list[str]:
    return compiled(pattern).findall(text.lower() if lower else text)


def tokenize(corpus: Corpus, params: Kept, run: Run, cut: Cut, *shared: Any, piece: str, advice: str) -> Tokens:
    """The whole of a token form that `cut` describes.

    Args:
        shared: passed on to `cut`, which runs in processes of its own.
        piece, advice: what a token is called, and what to change, should there be none.
    """
    with run.scratch() as folder:
        pieces, counts, lengths = write_codes(corpus, params, run, folder / "codes", cut, *shared)
        vocab, vocab_counts, token_id = build(pieces, counts, params, corpus.name, piece, advice)
        with run.open(Tokens) as out:
            out.append("vocab", token_id=np.arange(len(vocab)), token=vocab, count=vocab_counts)
            for batch, n_pieces, codes in read_codes(corpus, lengths, folder / "codes"):
                offsets = np.concatenate([[0], np.cumsum(n_pieces)])
                columns = {name: batch.column(name) for name in ("doc_id", "split", "label")}
                out.append(**columns, token_ids=(token_id[codes], offsets))
    return out.artifact


def write_codes(
    corpus: Corpus, params: Kept, run: Run, path: Path, cut: Cut, *shared: Any
) -> tuple[list[str], np.ndarray, list[np.ndarray]]:
    """Cuts all documents into pieces and writes the pieces' codes end to end.

    Returns:
        pieces: code -> piece.
        counts: (pieces,) int64, sightings in `vocab_splits`.
        lengths: pieces per document, an array for each batch.
    """
    code_of = _numbers()
    counts = np.zeros(0, np.int64)
    lengths: list[np.ndarray] = []
    splits = (batch.column(0) for batch in corpus.batches(["split"], ROWS))
    texts = (batch.column(0) for batch in corpus.batches(["text"], ROWS))
    alone = not run.cluster and corpus.n_rows() <= ALONE * ROWS
    cuts = (cut(part, *shared) for part in texts) if alone else run.map(cut, texts, *shared)
    with path.open("wb") as file, run.progress(corpus.n_rows(), "documents") as bar:
        for split, (pieces, local, n_pieces) in zip(splits, cuts, strict=True):
            codes = np.fromiter((code_of[piece] for piece in pieces), np.int32, len(pieces))
            if len(code_of) > len(counts):
                counts = np.concatenate([counts, np.zeros(len(code_of), np.int64)])  # more than now needed: few copies in all
            counted = np.repeat(counts_for(split, params), n_pieces)
            counts[codes] += np.bincount(local[counted], minlength=len(pieces))
            codes[local].tofile(file)
            lengths.append(n_pieces)
            bar.advance(len(n_pieces))
    return list(code_of), counts[: len(code_of)], lengths


def number(documents: Iterable[Iterable[str]]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Numbers the pieces of some documents.

    Returns:
        pieces: each once, in the order of first sighting.
        codes: int32, all documents' pieces end to end, as rows of `pieces`.
        n_pieces: (documents,) int64.
    """
    code_of = _numbers()
    codes = [np.fromiter(map(code_of.__getitem__, pieces), np.int32) for pieces in documents]
    return list(code_of), np.concatenate(codes), np.array([len(document) for document in codes], np.int64)


def _numbers() -> defaultdict[str, int]:
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # what is new gets the next number
    return numbers


def counts_for(split: pa.Array, params: Counted) -> np.ndarray:
    """Which documents make the vocabulary."""
    return np.isin(split.to_numpy(zero_copy_only=False), params.vocab_splits)


def build(
    pieces: list[str], counts: np.ndarray, params: Kept, name: str, piece: str, advice: str
) -> tuple[list[str], list[int], np.ndarray]:
    """The tokens that are kept, most frequent first, alphabetically among equals.

    Returns:
        vocab, its counts, and (pieces,) int32: code -> token_id.

    Raises:
        Fault: none is kept, or one is empty.
    """
    if "" in pieces:
        raise Fault(f"{name}: a {piece} of no characters was found. Change {advice}")
    # what is spelled like the unknown token is one
    kept = [code for code in np.flatnonzero(counts >= params.min_count).tolist() if pieces[code] != UNKNOWN]
    kept.sort(key=lambda code: (-counts[code], pieces[code]))
    if params.max_vocab:
        kept = kept[: params.max_vocab]
    if not kept:
        raise Fault(_nothing_kept(pieces, counts, params, name, piece, advice))
    token_id = np.full(len(pieces), UNKNOWN_ID, np.int32)
    token_id[kept] = np.arange(1, len(kept) + 1)
    n_unknown = int(counts.sum() - counts[kept].sum())
    return [UNKNOWN, *(pieces[code] for code in kept)], [n_unknown, *counts[kept].tolist()], token_id


def _nothing_kept(pieces: list[str], counts: np.ndarray, params: Kept, name: str, piece: str, advice: str) -> str:
    where = f"the splits {', '.join(params.vocab_splits)} of {name}"
    known = np.array([spelled != UNKNOWN for spelled in pieces], bool)
    counts = np.where(known, counts, 0)
    if not counts.any():
        return f"{where} have no {piece}; a vocabulary needs one. Change {advice} or vocab_splits"
    top = int(counts.argmax())
    return (
        f"min_count {params.min_count} leaves no vocabulary: of {np.count_nonzero(counts):,} different {piece}s in {where} "
        f"the most frequent, {pieces[top]!r}, was seen {counts[top]} times. Lower min_count to {counts[top]} or less"
    )


def read_codes(corpus: Corpus, lengths: list[np.ndarray], path: Path) -> Iterator[tuple[pa.RecordBatch, np.ndarray, np.ndarray]]:
    """The documents again, with the codes of their pieces."""
    with path.open("rb") as file:
        for batch, n_pieces in zip(corpus.batches(["doc_id", "split", "label"], ROWS), lengths, strict=True):
            yield batch, n_pieces, np.fromfile(file, np.int32, n_pieces.sum())


def write_tokenizer(tokens: Tokens, normalizers: list[dict[str, Any]], splits: list[dict[str, Any]], decoder: str | None) -> None:
    """tokenizer.json: text -> the same token_ids, for the `tokenizers` library and all that read its files.

    Args:
        normalizers: what it does to the text first, such as LOWERCASE, one after the other.
        splits: then where it parts it, of `split`, one after the other.
        decoder: how it joins tokens: Fuse puts nothing between them, None a space.
    """
    page = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],  # a text that reads <unk> is text
        "normalizer": {"type": "Sequence", "normalizers": normalizers} if normalizers else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": splits},
        "post_processor": None,
        "decoder": {"type": decoder} if decoder else None,
        "model": {"type": "WordLevel", "vocab": {token: i for i, token in enumerate(tokens.words())}, "unk_token": UNKNOWN},
    }
    (tokens.folder / "tokenizer.json").write_text(json.dumps(page, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


LOWERCASE = {"type": "Lowercase"}


def split(pattern: str, behavior: Literal["Removed", "Isolated"], invert: bool = False) -> dict[str, Any]:
    """A step of tokenizer.json: what `pattern`, an Oniguruma expression, finds, or what lies between, is taken out or is a piece."""
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}
