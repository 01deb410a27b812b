"""Sentences: in how many documents two words stand together, wherever in them. Of documents that are sentences
(`unit: sentences` of ingest), how often two words share a sentence; of whole texts, a text.

reads   tokens   documents as token ids; the unknown token is in none
writes  counts   (row, col, count), one row per pair that was seen, sorted by row, then col: X^T X, where X is which
                 document has which token, or how often. A token's count with itself is, with `binary`, the number of
                 documents that have it; the vocabulary
source  Schütze 1992 and Terra, Clarke 2003 count by sentence and by document; X^T X as in Manning, Raghavan, Schütze 2008, ch. 18
shapes  P pairs of a document and a token that it has, V types. In memory: 16 bytes of each of P, of a block of rows 12 a
        pair and thread, 8 a type and thread, never the matrix. Each document of n types takes n x n additions
"""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID, Tokens
from pipelines.errors import Fault
from pipelines.kernels import cooccur as kernel
from pipelines.method import Knobs, Run

ROWS = 4096  # documents read at a time
SHARES = 64  # of the work, at least so many: more than there are threads, so that none waits long for the last


class Params(Knobs):
    binary: bool = True  # each pair once a document; else the product of how often the document has the two
    splits: list[Literal["train", "valid", "test", "unlabelled"]] = Field(["train", "unlabelled"], min_length=1)


def cooccur(tokens: Tokens, params: Params, run: Run) -> Counts:
    x = _documents(tokens, params)
    work, by_document, by_word = kernel.bags(x)
    vocab, n_pairs = tokens.vocab(), 0
    with run.open(Counts) as out, run.progress(int(work[-1]), "additions") as bar:
        out.append("vocab", **{name: vocab.column(name) for name in vocab.column_names})
        rows, shared = kernel.blocks(work, 1, SHARES), (work, by_document, by_word)
        in_threads = partial(kernel.in_threads, run.threads)
        for block in (run.map if run.cluster else in_threads)(kernel.together_rows, rows, *shared):
            row, col, count = block.pairs(unit=1)
            out.append(row=row, col=col, count=count)
            n_pairs += len(row)
            bar.advance(int(work[block.start + len(block.n_pairs)] - work[block.start]))
        out.csv("measure", [{"measure": "count", "symmetric": "yes"}])
    run.say(f"{n_pairs:,} pairs of {int((np.diff(by_word[0]) > 0).sum()):,} types, from {x.shape[0]:,} documents")
    return out.artifact


def _documents(tokens: Tokens, params: Params) -> csr_array:
    """(documents, V) int32, how often each has each token, or 1. Raises Fault where there is nothing to count."""
    n_vocab = tokens.n_rows("vocab")
    word, often, length = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
    for x in _bags(tokens, params.splits, n_vocab):
        word.append(x.indices.astype(np.int32))
        often.append(np.ones_like(x.data) if params.binary else x.data)
        length.append(np.diff(x.indptr))
    begins = np.cumsum(np.concatenate(length))
    if not begins[-1]:
        n, splits = len(begins) - 1, ", ".join(params.splits)
        what = f"its {n} documents of {splits} hold no known token" if n else f"no document is in {splits}"
        raise Fault(f"{tokens.name}: {what}, so there is nothing to count. Lower min_count of the tokenize row, or name other splits")
    return csr_array((np.concatenate(often), np.concatenate(word), begins), shape=(len(begins) - 1, n_vocab))


def _bags(tokens: Tokens, splits: list[str], n_vocab: int) -> Iterator[csr_array]:
    for values, offsets in tokens.documents(splits, ROWS):
        known = values != UNKNOWN_ID
        row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[known]
        yield csr_array((np.ones(len(row), np.int32), (row, values[known])), shape=(len(offsets) - 1, n_vocab))  # equal cells are summed
