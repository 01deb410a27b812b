"""Words: documents cut into words by a pattern, and the vocabulary of the words seen often enough.

reads   corpus    the documents, all splits
writes  tokens    token_ids per document, in the corpus' order; vocab by count, then alphabetically
source  none; a regular expression, and a cut-off on counts as in word2vec (Mikolov 2013)
shapes  V tokens kept, and <unk> before them with id 0

The text is read once. A word first gets the number of its first sighting, its code; the codes lie on
disk until all is counted, and then become the token_ids of the vocabulary.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.tokens import UNKNOWN, UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.method import Knobs, Run

ROWS = 1024  # documents per piece of work
ALONE = 32  # pieces that one process cuts sooner than others could be started


class Params(Knobs):
    lower: bool = True
    # letters and digits of any script, with an apostrophe inside: don't is one word, well-known is two
    pattern: str = r"[^\W_]+(?:['’][^\W_]+)*"
    min_count: int = Field(5, ge=1)  # a word seen less often becomes <unk>; word2vec's value
    max_vocab: int = Field(0, ge=0)  # keep so many of the most frequent words, <unk> aside; 0 keeps all
    # test and valid words that train does not know stay unknown, as those of a new document will be
    vocab_splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as err:
            raise ValueError(f"must be a regular expression: {err}") from err
        if groups:
            raise ValueError("must have no group that captures, since a match is a word: write (?:...) for (...)")
        return pattern


def tokenize(corpus: Corpus, params: Params, run: Run) -> Tokens:
    with run.scratch() as folder:
        words, counts, lengths = write_codes(corpus, params, run, folder / "codes")
        vocab, vocab_counts, token_id = build_vocabulary(words, counts, params, corpus.name)
        with run.open(Tokens) as out:
            out.append("vocab", token_id=np.arange(len(vocab)), token=vocab, count=vocab_counts)
            for batch, n_words, codes in read_codes(corpus, lengths, folder / "codes"):
                offsets = np.concatenate([[0], np.cumsum(n_words)])
                columns = {name: batch.column(name) for name in ("doc_id", "split", "label")}
                out.append(**columns, token_ids=(token_id[codes], offsets))
    return out.artifact


def write_codes(corpus: Corpus, params: Params, run: Run, path: Path) -> tuple[list[str], np.ndarray, list[np.ndarray]]:
    """Cuts all documents into words and writes the words' codes end to end.

    Returns:
        words: code -> word.
        counts: (words,) int64, sightings in `vocab_splits`.
        lengths: words per document, an array for each batch.
    """
    code_of: defaultdict[str, int] = defaultdict()
    code_of.default_factory = code_of.__len__  # a word that is new gets the next code
    counts = np.zeros(0, np.int64)
    lengths: list[np.ndarray] = []
    work = partial(cut, pattern=params.pattern, lower=params.lower)
    mapped = run.map if run.cluster or corpus.n_rows() > ALONE * ROWS else map
    splits = (batch.column(0) for batch in corpus.batches(["split"], ROWS))
    pieces = mapped(work, (batch.column(0) for batch in corpus.batches(["text"], ROWS)))
    with path.open("wb") as file, run.progress(corpus.n_rows(), "documents") as bar:
        for split, (words, local, n_words) in zip(splits, pieces, strict=True):
            codes = np.fromiter((code_of[word] for word in words), np.int32, len(words))
            if len(code_of) > len(counts):
                counts = np.concatenate([counts, np.zeros(len(code_of), np.int64)])  # more than now needed: few copies in all
            counted = np.repeat(np.isin(split.to_numpy(zero_copy_only=False), params.vocab_splits), n_words)
            counts[codes] += np.bincount(local[counted], minlength=len(words))
            codes[local].tofile(file)
            lengths.append(n_words)
            bar.advance(len(n_words))
    return list(code_of), counts[: len(code_of)], lengths


def cut(texts: pa.Array, pattern: str, lower: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The words of some documents; runs in a process of its own.

    Returns:
        words: each word once, in the order of first sighting.
        codes: int32, all documents' words end to end, as rows of `words`.
        n_words: (documents,) int64.
    """
    find = re.compile(pattern).findall
    code_of: defaultdict[str, int] = defaultdict()
    code_of.default_factory = code_of.__len__
    codes, n_words = [], []
    for text in texts:
        words = find(text.as_py().lower() if lower else text.as_py())
        codes.append(np.fromiter(map(code_of.__getitem__, words), np.int32, len(words)))
        n_words.append(len(words))
    return list(code_of), np.concatenate(codes), np.array(n_words)


def build_vocabulary(words: list[str], counts: np.ndarray, params: Params, name: str) -> tuple[list[str], list[int], np.ndarray]:
    """The words that are kept, most frequent first, alphabetically among equals.

    Returns:
        vocab, its counts, and (words,) int32: code -> token_id.

    Raises:
        Fault: no word is kept, or the pattern finds words of no characters.
    """
    if "" in words:
        raise Fault(
            f"{name}: pattern {params.pattern!r} also matches where there is nothing, so words can be empty. Write + where it has *"
        )
    # a word spelled like the unknown token is one
    kept = [code for code in np.flatnonzero(counts >= params.min_count).tolist() if words[code] != UNKNOWN]
    kept.sort(key=lambda code: (-counts[code], words[code]))
    if params.max_vocab:
        kept = kept[: params.max_vocab]
    if not kept:
        raise Fault(_nothing_kept(words, counts, params, name))
    token_id = np.full(len(words), UNKNOWN_ID, np.int32)
    token_id[kept] = np.arange(1, len(kept) + 1)
    n_unknown = int(counts.sum() - counts[kept].sum())
    return [UNKNOWN, *(words[code] for code in kept)], [n_unknown, *counts[kept].tolist()], token_id


def _nothing_kept(words: list[str], counts: np.ndarray, params: Params, name: str) -> str:
    where = f"the splits {', '.join(params.vocab_splits)} of {name}"
    if not counts.any():
        return f"{where} have no word that pattern {params.pattern!r} finds; a vocabulary needs one. Change pattern or vocab_splits"
    top = int(counts.argmax())
    return (
        f"min_count {params.min_count} leaves no vocabulary: of {np.count_nonzero(counts):,} words in {where} the most frequent, "
        f"{words[top]!r}, was seen {counts[top]} times. Lower min_count to {counts[top]} or less"
    )


def read_codes(corpus: Corpus, lengths: list[np.ndarray], path: Path) -> Iterator[tuple[pa.RecordBatch, np.ndarray, np.ndarray]]:
    """The documents again, with the codes of their words."""
    with path.open("rb") as file:
        for batch, n_words in zip(corpus.batches(["doc_id", "split", "label"], ROWS), lengths, strict=True):
            yield batch, n_words, np.fromfile(file, np.int32, n_words.sum())
