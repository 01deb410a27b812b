"""Decoded: vectors as their codings give them back, for every use that vectors have.

reads   codings   of any method whose model has a decoder
        vectors   optional: what was coded, for the counts and classes of the items
writes  vectors   one float32 vector of D numbers per coding
source  the compress row's own decoder
shapes  N items, D = vector_size of what was coded
"""

import pyarrow as pa

from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.coding import decoded
from pipelines.errors import Fault
from pipelines.method import Knobs, Run


class Params(Knobs):
    pass


def embed(codings: Codings, params: Params, run: Run, vectors: Vectors | None = None) -> Vectors:
    items = codings.items()
    if not items:
        raise Fault(f"{codings.name}: it has no codings. Look at the stage that made them")
    named = {"item": pa.array(items), "count": pa.array([0] * len(items)), "label": pa.nulls(len(items), pa.string())}
    if vectors is not None:
        if vectors.items() != items:
            raise Fault(f"{vectors.name}: its items are not those of {codings.name}. Name the vectors that were coded, or none")
        named = vectors.named()
    start = 0
    with run.open(Vectors) as out:
        for piece in decoded(codings):
            out.append(**{name: column[start : start + len(piece)] for name, column in named.items()}, vector=piece)
            start += len(piece)
    return out.artifact
