"""Generate: new codings, drawn from the law that a model's codings follow or taken between two items, and what they are decoded to."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts.codings import Codings
from pipelines.coding import are_bits, are_names, decoder
from pipelines.errors import Fault
from pipelines.params import read_row
from pipelines.prior import draws
from pipelines.use.rows import check_place, made
from pipelines.use.space import Space


class Generated(NamedTuple):
    names: list[str]  # `draw 1`, ...; of what is between two items, how far it is from the first to the second
    coding: np.ndarray  # (n, K) float32
    vector: np.ndarray  # (n, D) float32


def drawn(root: Path, row: str, n: int, seed: int) -> Generated:
    """Raises Fault for a row of compress whose codings follow no law."""
    codings = made(Codings, root, "compress", row)
    coding = draws(codings, n, seed)
    return Generated([f"draw {i}" for i in range(1, n + 1)], coding, decoder(codings)(coding))


def between(root: Path, row: str, first: str, second: str, n: int) -> Generated:
    """n codings, from that of one item in even steps to that of another, both included. Raises Fault."""
    codings = made(Codings, root, "compress", row)
    items = codings.items()
    faults = [f"{codings.name} has no item {item!r}. Name two of its items" for item in (first, second) if item not in items]
    settings = codings.settings()
    if are_names(settings) or are_bits(settings):
        what = "bits" if are_bits(settings) else "codes"
        faults.append(f"{codings.name}: its codings are {what}, and nothing lies between two of them. Name a row whose codings are numbers")
    if faults:
        raise Fault(faults)
    ends = np.concatenate([codings.rows(np.array([items.index(item)])) for item in (first, second)])
    share = np.linspace(0, 1, n, dtype=np.float32)[:, None]
    coding = (1 - share) * ends[0] + share * ends[1]
    return Generated([f"{it:.0%}" for it in share.ravel().tolist()], coding, decoder(codings)(coding))


def near(root: Path, row: str, vector: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
    """The items that the row coded whose vectors point most nearly where each of these does, with cosines; classes in brackets."""
    named = read_row(root, "compress", row).inputs.get("vectors")
    if not named:
        raise Fault(
            f"compress.{row} reads no vectors that what is generated could be compared with. Write it to a file: --out FILE.parquet"
        )
    space = Space(root, named[0])
    found = space.near(vector, np.full(len(vector), -1), k)
    table = space.vectors.read(columns=["item", "label"])
    label = dict(zip(table.column("item").to_pylist(), table.column("label").to_pylist(), strict=True))
    return [[(item if label[item] is None else f"{item} ({label[item]})", cosine) for item, cosine in line] for line in found]


def write(made: Generated, file: Path) -> None:
    """A Parquet file of name, coding, vector. Raises Fault."""
    if file.suffix != ".parquet":
        raise Fault(f"{file} ends in {file.suffix or 'nothing'!r}; what is generated is written to *.parquet")
    check_place(file)
    table = pa.table({"name": made.names, "coding": _lists(made.coding), "vector": _lists(made.vector)})
    with tempfile.TemporaryDirectory(prefix=".generate-", dir=file.parent) as aside:
        pq.write_table(table, Path(aside) / file.name, compression="zstd")
        (Path(aside) / file.name).replace(file)


def _lists(rows: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows, np.float32).ravel()), rows.shape[1])
