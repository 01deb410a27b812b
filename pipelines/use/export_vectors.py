"""Vectors, or codings, in a file that other programs read.

FILE.vec            word2vec's text, as fastText and gensim read it
FILE.txt            GloVe's text, which is the same without the first line
FILE.bin            word2vec's binary form. The method embed/pretrained reads all three back
FILE.kv             gensim: KeyedVectors.load(FILE); large ones lie in FILE.kv.vectors.npy beside it. It is a pickle, as all that gensim
                    saves, so open it only where you trust who sent it; nothing here ever does
FILE.parquet        item, composed, vector; of sentences: sentence, place, both from 1, word, known, vector
FILE.safetensors    one tensor, vectors or codings, and FILE.words.json, the list of what its rows stand for
FILE.projector      a folder for TensorBoard's projector: tensors.tsv, metadata.tsv, projector_config.pbtxt. Or load the two tables at
                    projector.tensorflow.org
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts.matrix import Matrix
from pipelines.errors import Fault, nearest
from pipelines.lookup import composer, lookup

PIECES = Iterator[tuple[np.ndarray, np.ndarray]]  # (n,) bool, which were composed; (n, D) float32


def vec(matrix: Matrix, file: Path, words: Sequence[str] | None = None, header: bool = True) -> None:
    items, pieces = _wanted(matrix, file, words)
    _refuse_blank_items(matrix, items, file)
    with file.open("w", encoding="utf-8", newline="\n") as out:
        if header:
            out.write(f"{len(items)} {matrix.size}\n")
        rows = (row for _, piece in pieces for row in piece)
        for item, row in zip(items, rows, strict=True):
            out.write(f"{item} {_spelled(row, ' ')}\n")


def txt(matrix: Matrix, file: Path, words: Sequence[str] | None = None) -> None:
    vec(matrix, file, words, header=False)


def binary(matrix: Matrix, file: Path, words: Sequence[str] | None = None) -> None:
    items, pieces = _wanted(matrix, file, words)
    _refuse_blank_items(matrix, items, file)
    with file.open("wb") as out:
        out.write(f"{len(items)} {matrix.size}\n".encode())
        rows = (row for _, piece in pieces for row in piece.astype("<f4", copy=False))
        for item, row in zip(items, rows, strict=True):
            out.write(b"%b %b\n" % (item.encode(), row.tobytes()))


def gensim(matrix: Matrix, file: Path, words: Sequence[str] | None = None) -> None:
    """All numbers are in memory meanwhile, twice."""
    from gensim.models import KeyedVectors

    items, pieces = _wanted(matrix, file, words)
    out = KeyedVectors(matrix.size, dtype=np.float32)
    out.add_vectors(items, np.concatenate([piece for _, piece in pieces]))
    out.save(str(file))


def parquet(matrix: Matrix, file: Path, words: Sequence[str] | None = None) -> None:
    items, pieces = _wanted(matrix, file, words)
    schema = _schema(matrix.values, matrix.size, item=pa.string(), composed=pa.bool_())
    with pq.ParquetWriter(file, schema, compression="zstd") as out:
        start = 0
        for composed, piece in pieces:
            _write(out, items[start : start + len(piece)], composed, vector=piece)
            start += len(piece)


def in_context(vectors: Matrix, file: Path, root: Path, lines: Sequence[tuple[int, str]]) -> None:
    from pipelines.use.in_context import sentences

    schema = _schema("vector", vectors.size, sentence=pa.int64(), place=pa.int64(), word=pa.string(), known=pa.bool_())
    read = sentences(root, vectors.row, [text for _, text in lines])
    with pq.ParquetWriter(file, schema, compression="zstd") as out:
        for (number, _), it in zip(lines, read, strict=True):
            n = len(it.words)
            _write(out, np.full(n, number), np.arange(1, n + 1), it.words, it.known, vector=it.vector)


def safetensors(matrix: Matrix, file: Path, words: Sequence[str] | None = None) -> None:
    """All numbers are in memory meanwhile."""
    from safetensors.numpy import save_file

    items, pieces = _wanted(matrix, file, words)
    save_file({matrix.noun: np.concatenate([piece for _, piece in pieces])}, file, metadata={"row": matrix.name})
    write_json(file.with_suffix(".words.json"), items)


def projector(matrix: Matrix, file: Path, words: Sequence[str] | None = None) -> None:
    """A folder. Counts and labels are metadata where the row has some, and all its items are wanted."""
    items, pieces = _wanted(matrix, file, words)
    torn = [item for item in items if "\t" in item or len(item.splitlines()) != 1]
    if torn:
        raise Fault(f"{matrix.name}: {len(torn):,} words have a tab or a line break in them, first {torn[0]!r}. Write a file *.parquet")
    columns: dict[str, Sequence[Any]] = {"word": items}
    for name in ("count", "label"):
        if words is None and name in matrix.tables[matrix.noun].fields and any(told := matrix.read(columns=[name])[name].to_pylist()):
            columns[name] = told
    file.mkdir()
    with (file / "tensors.tsv").open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{_spelled(row, chr(9))}\n" for _, piece in pieces for row in piece)
    lines = zip(*columns.values(), strict=True)
    head = ["\t".join(columns)] * (len(columns) > 1)  # a single column has none
    write_lines(file / "metadata.tsv", head + ["\t".join("" if it is None else " ".join(str(it).split()) for it in line) for line in lines])
    (file / "projector_config.pbtxt").write_text(
        f'embeddings {{\n  tensor_name: {json.dumps(matrix.row)}\n  tensor_path: "tensors.tsv"\n  metadata_path: "metadata.tsv"\n}}\n'
    )


def _wanted(matrix: Matrix, file: Path, words: Sequence[str] | None) -> tuple[list[str], PIECES]:
    """The words that are written, and (n,) which are composed with (n, D) their vectors, piece by piece."""
    if words is None:
        items = matrix.items()
        return items, ((np.zeros(len(piece), bool), piece) for piece in _finite(matrix, items))
    found = lookup(matrix, words)
    matrix.finite(found.vector, words)
    there = found.there
    if not there.any():
        grams = "" if composer(matrix, matrix.items()) else " and no letter n-grams for one"
        raise Fault(
            f"{matrix.name} has no vector of any of the {len(words):,} words, first {words[0]!r},{grams}. Are they one a line, spelled as there?"
            f"{nearest(words[0], matrix.items())}"
        )
    missing = [word for word, is_there in zip(words, there, strict=True) if not is_there]
    if missing:
        write_lines(file.with_suffix(".missing.txt"), missing)
    return [word for word, is_there in zip(words, there, strict=True) if is_there], iter([(found.composed[there], found.vector[there])])


def _finite(matrix: Matrix, items: Sequence[str]) -> Iterator[np.ndarray]:
    start = 0
    for piece in matrix.pieces():
        yield matrix.finite(piece, items[start : start + len(piece)])
        start += len(piece)


def _spelled(row: np.ndarray, between: str) -> str:
    return between.join(f"{number:.9g}" for number in row.tolist())  # nine digits tell all float32 apart


def _schema(values: str, size: int, **columns: pa.DataType) -> pa.Schema:
    return pa.schema([*columns.items(), (values, pa.list_(pa.float32(), size))])


def _write(out: pq.ParquetWriter, *columns: Any, vector: np.ndarray) -> None:
    flat = pa.array(vector.ravel(), pa.float32())
    arrays = [*map(pa.array, columns), pa.FixedSizeListArray.from_arrays(flat, vector.shape[1])]
    out.write_batch(pa.RecordBatch.from_arrays(arrays, schema=out.schema))


def _refuse_blank_items(matrix: Matrix, items: Sequence[str], file: Path) -> None:
    refuse_blanks(items, f"{matrix.name}: {{}} words", file.name, "Write a file *.parquet")


def refuse_blanks(words: Sequence[str], what: str, where: str, advice: str) -> None:
    cut = [word for word in words if word.split() != [word]]
    if cut:
        raise Fault(f"{what.format(f'{len(cut):,}')} have white space in them, first {cut[0]!r}; a line of {where} is cut there. {advice}")


def write_lines(file: Path, lines: Sequence[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def write_json(file: Path, value: Any, **how: Any) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False, **how) + "\n", encoding="utf-8")
