"""Counts in a file that other programs read.

FILE.npz       scipy.sparse.load_npz gives the matrix; FILE.vocab.txt has `word count` a line, column 0 first, and FILE.rows.txt,
               where rows are documents, their names
FILE.parquet   row, col, count, and the words that row and col are the numbers of, row_item and col_item; where rows are documents, their names
FILE.bin       what Stanford's GloVe tools read and write (cooccurrence.bin); FILE.vocab.txt is their vocab.txt and has no unknown
               token, so words are numbered from 1. The method cooccur/triples reads both back
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.cooccur.triples import RECORD
from pipelines.errors import Fault
from pipelines.use.export_vectors import refuse_blanks, write_lines


def npz(counts: Counts, file: Path) -> None:
    """The whole matrix is in memory meanwhile: 20 bytes a pair."""
    from scipy.sparse import save_npz

    save_npz(file, counts.sparse(), compressed=False)
    _write_vocabulary(counts, file, first=0)
    if counts.n_rows("documents"):
        write_lines(file.with_suffix(".rows.txt"), counts.documents().column("doc_id").to_pylist())


def parquet(counts: Counts, file: Path) -> None:
    """A block of pairs is in memory at a time, and the words."""
    items = [counts.row_items().column("item").combine_chunks(), counts.word_items().column("item").combine_chunks()]
    spelled = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema({"row": pa.int32(), "col": pa.int32(), "count": pa.float32(), "row_item": spelled, "col_item": spelled})
    with pq.ParquetWriter(file, schema, compression="zstd") as out:
        for row, col, count in counts.blocks():
            names = [pa.DictionaryArray.from_arrays(pa.array(ids), of) for ids, of in zip((row, col), items, strict=True)]
            out.write_batch(pa.record_batch([row, col, count, *names], schema=schema))


def triples(counts: Counts, file: Path) -> None:
    counts.words_only()
    _write_vocabulary(counts, file, first=UNKNOWN_ID + 1)
    with file.open("wb") as out:
        for row, col, count in counts.blocks():
            if min(row.min(), col.min()) <= UNKNOWN_ID:
                raise Fault(f"{counts.name} has pairs of the unknown token, which GloVe's files cannot have. Count without it")
            records = np.empty(len(row), RECORD)
            records["row"], records["col"], records["count"] = row, col, count
            records.tofile(out)


def _write_vocabulary(counts: Counts, file: Path, first: int) -> None:
    vocab = counts.vocab().slice(first)
    words = vocab.column("token").to_pylist()
    refuse_blanks(words, f"{counts.name}: {{}} tokens", "vocab.txt", "Join their parts by another character in the tokenize row")
    write_lines(file.with_suffix(".vocab.txt"), [f"{word} {n}" for word, n in zip(words, vocab.column("count").to_pylist(), strict=True)])
