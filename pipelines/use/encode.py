"""Encode and decode: vectors of somebody's own to codings by a row of compress, and codings back to vectors.

reads   codings   of a row: their model. Files: Parquet with columns item (or word, doc_id) and vector or coding, CSV or TSV
          with a column a number, or word2vec's or GloVe's text
writes  FILE.parquet   item, coding or vector; FILE.vec, word2vec's text; FILE.txt, GloVe's

A vector that the row has coded itself gets the coding that it has there, but for codes that lie as near as rounding can tell. A way back
all models have but that of texts; a way there networks, principal components, and quantisers whose parts are chosen one by one.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.codebooks import columns
from pipelines.coding import LARGEST, Settings, Weights, decoder
from pipelines.errors import Fault
from pipelines.kernels import lloyd
from pipelines.kernels.uniform import codes
from pipelines.method import Run
from pipelines.params import read_row
from pipelines.use.rows import check_place, made

TEXT = (".vec", ".txt")
NAMES = ("item", "word", "doc_id")  # columns that may hold what a row stands for
Coder = Callable[[np.ndarray], np.ndarray]  # (n, D) float32 -> (n, K), or back


def encode(root: Path, row: str, file: Path, out: Path) -> int:
    """How many vectors of `file` are written to `out` as codings. Raises Fault, and then nothing is written."""
    codings = _codings(root, row)
    return _through(encoder(codings), file, "vector", out, "coding", LARGEST)


def decode(root: Path, row: str, file: Path, out: Path) -> int:
    """How many codings of `file` are written to `out` as vectors. Raises Fault, and then nothing is written."""
    codings = _codings(root, row)
    back, size = decoder(codings, str(file)), codings.size

    def sized(piece: np.ndarray) -> np.ndarray:
        if piece.shape[1] != size:
            raise Fault(
                f"{file} has {piece.shape[1]} numbers a row, and codings of {codings.name} have {size}. Name the row that made them"
            )
        return back(piece)

    return _through(sized, file, "coding", out, "vector")


def _codings(root: Path, row: str) -> Codings:
    row = row.removeprefix("compress/")
    read_row(root, "compress", row)
    return made(Codings, root, "compress", row)


def encoder(codings: Codings) -> Coder:
    """Raises Fault where the model has no way from a vector to a coding, or cannot be used."""
    settings, weights = codings.model()
    kind = settings.get("model")
    if kind != "recurrent":
        decoder(codings)  # whose faults are the encoder's, too
    kind = f"codebooks, {settings['form']}" if kind == "codebooks" else kind
    if kind not in ENCODERS:
        why = (
            "codes texts, not vectors"
            if kind == "recurrent"
            else "has no way from a vector to its codes, which were searched for together with it"
        )
        raise Fault(f"compress.{codings.row} {why}. Name a row whose model is one of {'; '.join(ENCODERS)}")
    coder = ENCODERS[kind](settings, weights)
    size = settings["sizes"][0] if "sizes" in settings else settings["size"] if "size" in settings else _size(codings, weights)

    def sized(piece: np.ndarray) -> np.ndarray:
        if piece.shape[1] != size:
            raise Fault(
                f"the vectors have {piece.shape[1]} numbers, and those that {codings.name} codes have {size}. Name vectors of that size"
            )
        return coder(piece)

    return sized


def _size(codings: Codings, weights: Weights) -> int:
    """Numbers of a vector: of principal directions theirs, of scalar codes as many as of a coding."""
    return weights["directions"].shape[1] if "directions" in weights else codings.size


def _network(settings: Settings, weights: Weights) -> Coder:
    import torch

    from pipelines import autoencoder, convolution

    model = (convolution if settings["model"] == "convolutional" else autoencoder).rebuild(settings, weights)

    @torch.no_grad()
    def code(piece: np.ndarray) -> np.ndarray:
        return model.code(torch.from_numpy(piece.copy())).numpy()

    return code


def _concatenated(settings: Settings, weights: Weights) -> Coder:
    codebooks, size = weights["codebooks"], settings["size"]
    n_parts, _, width = codebooks.shape
    squares = (codebooks**2).sum(axis=2)  # (M, entries)

    def code(piece: np.ndarray) -> np.ndarray:
        apart = piece - weights["mean"]
        if settings["rotated"]:
            x = apart @ weights["rotation"].T
        else:
            x = np.zeros((len(piece), n_parts * width), np.float32)
            x[:, columns(size, n_parts)] = apart
        part = x.reshape(len(piece), n_parts, width)
        return np.stack([(squares[m] - 2 * part[:, m] @ codebooks[m].T).argmin(axis=1) for m in range(n_parts)], axis=1)

    return code


def _scalar(settings: Settings, weights: Weights) -> Coder:
    return lambda piece: codes(piece, weights["low"], weights["step"], settings["levels"])


def _transform(settings: Settings, weights: Weights) -> Coder:
    tables = np.split(weights["levels"], np.cumsum(1 << weights["bits"].astype(np.int64))[:-1])

    def code(piece: np.ndarray) -> np.ndarray:
        numbers = (piece - weights["mean"]) @ weights["directions"].T
        return np.stack([lloyd.nearest(number, table) for number, table in zip(numbers.T, tables, strict=True)], axis=1)

    return code


ENCODERS: dict[str, Callable[[Settings, Weights], Coder]] = {
    "autoencoder": _network, "convolutional": _network, "codebooks, concatenate": _concatenated, "scalar": _scalar, "transform": _transform,
}  # fmt: skip


def _through(coder: Coder, file: Path, column: str, out: Path, made: str, largest: float = np.inf) -> int:
    if out.suffix not in (".parquet", *TEXT):
        raise Fault(
            f"{out} ends in {out.suffix or 'nothing'!r}; {made}s are written to *.parquet, {' or '.join('*' + end for end in TEXT)}"
        )
    check_place(out)
    with tempfile.TemporaryDirectory(prefix=".encode-", dir=out.parent) as aside:
        given = _read(file, column, Path(aside) / "given")
        items = given.items()
        if again := [item for item, n in Counter(items).items() if n > 1]:
            raise Fault(f"{file}: {len(again):,} names are there more than once, first {again[0]!r}. Give each {column} a name of its own")
        coded = _coded(coder, given, items, file, made, largest)
        (_write_parquet if out.suffix == ".parquet" else _write_text)(Path(aside) / out.name, items, coded, made)
        (Path(aside) / out.name).replace(out)
    return len(items)


def _coded(coder: Coder, given: Vectors, items: list[str], file: Path, made: str, largest: float) -> Iterator[np.ndarray]:
    """Piece by piece. Raises Fault for numbers beyond `largest`, or so far from those of the row that they make none."""
    start = 0
    for piece in given.pieces():
        bad = (np.abs(piece) > largest).any(axis=1)
        why = f"no number may be beyond {largest:.0e}"
        if not bad.any():
            with np.errstate(over="ignore", invalid="ignore"):  # what it makes is looked at
                coded = np.ascontiguousarray(coder(piece), np.float32)
            bad = ~np.isfinite(coded).all(axis=1)
            why = f"make a {made} of numbers that are not finite"
        if bad.any():
            row = int(bad.argmax())
            raise Fault(
                f"{file}: the numbers of {items[start + row]!r} go from {piece[row].min():.4g} to {piece[row].max():.4g}, and {why}. "
                "Mend them, or leave them out: they have to be of the kind that the row learned from"
            )
        start += len(piece)
        yield coded


def _read(file: Path, column: str, folder: Path) -> Vectors:
    """The rows of a file, as `embed: numbers` reads Parquet, CSV and TSV, and `embed: pretrained` text. Raises Fault."""
    from pipelines.embed import numbers

    if not file.is_file():
        raise Fault(f"{file} is no file. Name one of {column}s: *.parquet, *.csv, *.tsv, or word2vec's text")
    if file.suffix != ".parquet" and not numbers.is_separated(file):
        from pipelines.embed import pretrained

        try:
            return pretrained.embed(pretrained.Params(source=str(file)), Run(folder, str(file)))
        except Fault as fault:  # which may speak of a knob of a row of embed, and there is none
            lines = [line for line in fault.faults if "drop: true" not in line]
            left_out = len(lines) < len(fault.faults)
            raise Fault([*lines, *[f"Mend these lines of {file}, or leave them out of it"] * left_out]) from fault
    try:
        schema, _ = numbers.opened(file, numbers.Params(source=str(file)))
    except (pa.ArrowException, OSError) as err:
        raise Fault(f"{file} cannot be read as a table: {err}") from err
    lists = [field.name for field in schema if numbers.is_list(field.type)]
    if not lists and not any(numbers.is_number(field.type) for field in schema):
        there = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise Fault(f"{file} has no column of {column}s; it has {there}. Write one of lists of numbers, {column!r}")
    if len(lists) > 1 and column not in lists:
        raise Fault(f"{file} has the columns of lists {', '.join(lists)}. Call the one that holds the {column}s {column!r}")
    of = column if column in lists else lists[0] if lists else None  # none: of columns of numbers
    name = next((it for it in NAMES if it in schema.names), None)
    return numbers.embed(numbers.Params(source=str(file), column=of, id=name), Run(folder, str(file)))


def _write_parquet(file: Path, items: list[str], coded: Iterator[np.ndarray], made: str) -> None:
    start, out = 0, None
    try:
        for piece in coded:
            lists = pa.FixedSizeListArray.from_arrays(pa.array(piece.ravel()), piece.shape[1])
            table = pa.table({"item": items[start : start + len(piece)], made: lists})
            out = out or pq.ParquetWriter(file, table.schema, compression="zstd")
            out.write_table(table)
            start += len(piece)
    finally:
        if out:
            out.close()


def _write_text(file: Path, items: list[str], coded: Iterator[np.ndarray], made: str) -> None:
    split = [item for item in items if item.split() != [item]]
    if split:
        raise Fault(
            f"{len(split):,} names have white space in them, first {split[0]!r}; a line of {file.name} is cut there. Write *.parquet"
        )
    names = iter(items)
    with file.open("w", encoding="utf-8", newline="\n") as out:
        for number, piece in enumerate(coded):
            if not number and file.suffix == ".vec":
                out.write(f"{len(items)} {piece.shape[1]}\n")
            for row in piece.tolist():
                out.write(f"{next(names)} {' '.join(f'{it:.9g}' for it in row)}\n")  # nine digits tell all float32 apart
