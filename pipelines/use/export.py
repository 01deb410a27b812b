"""Export: an artifact in a file that other programs read.

counts ROW FILE.npz    scipy.sparse.load_npz gives the matrix; FILE.vocab.txt has `word count` a line, column 0 first, and
                       FILE.rows.txt, where rows are documents, their names
counts ROW FILE.bin    what Stanford's GloVe tools read and write (cooccurrence.bin); FILE.vocab.txt is their vocab.txt
                       and has no unknown token, so words are numbered from 1. The method cooccur/triples reads both back
vectors ROW FILE.vec   word2vec's text, as fastText and gensim read it; FILE.txt is GloVe's, without the first line. The method
                       embed/pretrained reads both back
vectors ROW FILE.parquet   item, composed, vector; of sentences: sentence, place, both from 1, word, known, vector

Of vectors, `words` is a file of the words that are wanted, one a line. One that has no vector gets one of its letter n-grams
where the model holds some; those that have none at all stand in FILE.missing.txt. `sentences` is a file of sentences, one a
line, for rows of bilm: a vector of each word where it stands.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import layout
from pipelines import sources as where_from
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import UNKNOWN_ID
from pipelines.artifacts.vectors import Vectors
from pipelines.cooccur.triples import RECORD
from pipelines.errors import Fault
from pipelines.lookup import lookup
from pipelines.use.in_context import sentences as read_in_context


def export(root: Path, noun: str, row: str, file: Path, words: Path | None = None, sentences: Path | None = None) -> list[Path]:
    """Writes `file`, by its ending, and what belongs to it; gives the files. Raises Fault, and then nothing is written."""
    if noun not in FORMS:
        raise Fault(f"{noun} cannot be exported; {', '.join(FORMS)} can")
    if (words and sentences) or ((words or sentences) and noun != "vectors"):
        raise Fault("words or sentences are asked of vectors, and not both at once. Leave one out")
    kind, forms = FORMS[noun]
    what, more = noun, dict[str, Any]()
    if words:
        more = {"words": list(dict.fromkeys(text for _, text in _lines(words)))}
    if sentences:
        what, forms, more = "vectors of sentences", {".parquet": in_context}, {"root": root, "lines": _lines(sentences)}
    if file.suffix not in forms:
        raise Fault(f"{file} ends in {file.suffix or 'nothing'!r}; {what} are written to {' or '.join('*' + ending for ending in forms)}")
    if not file.parent.is_dir():
        raise Fault(f"{file}: there is no folder {file.parent}. Make it, or name another file")
    artifact = kind(root / layout.artifact(noun, row))
    with tempfile.TemporaryDirectory(prefix=".export-", dir=file.parent) as aside:
        forms[file.suffix](artifact, Path(aside) / file.name, **more)
        made = sorted(Path(aside).iterdir())
        return [Path(shutil.move(path, file.parent / path.name)) for path in made]


def npz(counts: Counts, file: Path) -> None:
    """The whole matrix is in memory meanwhile: 20 bytes a pair."""
    from scipy.sparse import save_npz

    save_npz(file, counts.sparse(), compressed=False)
    _write_vocabulary(counts, file, first=0)
    if counts.n_rows("documents"):
        _write_lines(file.with_suffix(".rows.txt"), counts.documents().column("doc_id").to_pylist())


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
    _refuse_blanks(words, f"{counts.name}: {{}} tokens", "vocab.txt", "Join their parts by another character in the tokenize row")
    _write_lines(file.with_suffix(".vocab.txt"), [f"{word} {n}" for word, n in zip(words, vocab.column("count").to_pylist(), strict=True)])


def _refuse_blanks(words: Sequence[str], what: str, where: str, advice: str) -> None:
    cut = [word for word in words if word.split() != [word]]
    if cut:
        raise Fault(f"{what.format(f'{len(cut):,}')} have white space in them, first {cut[0]!r}; a line of {where} is cut there. {advice}")


def _write_lines(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def vec(vectors: Vectors, file: Path, words: Sequence[str] | None = None, header: bool = True) -> None:
    items, pieces = _wanted(vectors, file, words)
    _refuse_blanks(items, f"{vectors.name}: {{}} words", file.name, "Write a file *.parquet")
    with file.open("w", encoding="utf-8", newline="\n") as out:
        if header:
            out.write(f"{len(items)} {vectors.size}\n")
        rows = (row for _, piece in pieces for row in piece)
        for item, row in zip(items, rows, strict=True):
            out.write(f"{item} {' '.join(f'{number:.9g}' for number in row.tolist())}\n")  # nine digits tell all float32 apart


def txt(vectors: Vectors, file: Path, words: Sequence[str] | None = None) -> None:
    vec(vectors, file, words, header=False)


def parquet(vectors: Vectors, file: Path, words: Sequence[str] | None = None) -> None:
    items, pieces = _wanted(vectors, file, words)
    with pq.ParquetWriter(file, _schema(vectors, item=pa.string(), composed=pa.bool_()), compression="zstd") as out:
        start = 0
        for composed, piece in pieces:
            _write(out, items[start : start + len(piece)], composed, vector=piece)
            start += len(piece)


def in_context(vectors: Vectors, file: Path, root: Path, lines: Sequence[tuple[int, str]]) -> None:
    schema = _schema(vectors, sentence=pa.int64(), place=pa.int64(), word=pa.string(), known=pa.bool_())
    read = read_in_context(root, vectors.row, [text for _, text in lines])
    with pq.ParquetWriter(file, schema, compression="zstd") as out:
        for (number, _), it in zip(lines, read, strict=True):
            n = len(it.words)
            _write(out, np.full(n, number), np.arange(1, n + 1), it.words, it.known, vector=it.vector)


def _lines(file: Path) -> list[tuple[int, str]]:
    """(number from 1, text) of the lines that hold one. Raises Fault."""
    found = []
    for number, line in where_from.lines(where_from.located(str(file))):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as err:
            raise Fault(f"{file}, line {number} is not UTF-8: {err.reason}. Write it as UTF-8") from err
        if text:
            found.append((number, text))
    if not found:
        raise Fault(f"{file} is empty. Write what is wanted into it, one a line")
    return found


def _wanted(vectors: Vectors, file: Path, words: Sequence[str] | None) -> tuple[list[str], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """The words that are written, and (n,) which are composed with (n, D) their vectors, piece by piece."""
    if words is None:
        return vectors.items(), ((np.zeros(len(piece), bool), piece) for piece in vectors.pieces())
    found = lookup(vectors, words)
    there = found.there
    if not there.any():
        raise Fault(f"{vectors.name} has no vector of any of the {len(words):,} words, first {words[0]!r}. Are they one a line?")
    missing = [word for word, is_there in zip(words, there, strict=True) if not is_there]
    if missing:
        _write_lines(file.with_suffix(".missing.txt"), missing)
    return [word for word, is_there in zip(words, there, strict=True) if is_there], iter([(found.composed[there], found.vector[there])])


def _schema(vectors: Vectors, **columns: pa.DataType) -> pa.Schema:
    return pa.schema([*columns.items(), ("vector", pa.list_(pa.float32(), vectors.size))])


def _write(out: pq.ParquetWriter, *columns: Any, vector: np.ndarray) -> None:
    flat = pa.array(vector.ravel(), pa.float32())
    arrays = [*map(pa.array, columns), pa.FixedSizeListArray.from_arrays(flat, vector.shape[1])]
    out.write_batch(pa.RecordBatch.from_arrays(arrays, schema=out.schema))


FORMS: dict[str, tuple[type, dict[str, Callable]]] = {
    "counts": (Counts, {".npz": npz, ".bin": triples}),
    "vectors": (Vectors, {".vec": vec, ".txt": txt, ".parquet": parquet}),
}
