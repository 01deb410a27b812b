"""Accepting a run: what its artifacts are like becomes the reference that later ones are compared with."""

from pathlib import Path

from pipelines import dag, reference, run
from pipelines.errors import Fault, nearest
from pipelines.params import read
from pipelines.registry import NOUNS


def accept(root: Path, names: list[str]) -> list[str]:
    """Writes the reference of each NOUN/ROW, of all rows when none is named, and dvc.yaml, whose gates then read them.

    Returns:
        the paths of the references.

    Raises:
        Fault: one is no row's artifact, or its gate is not open; then nothing is written.
    """
    there = {f"{row.noun}/{row.name}": row for row in read(root)}
    faults = [f"{name!r} is not the artifact of a row, NOUN/ROW.{nearest(name, there)}" for name in names if name not in there]
    rows = [there[name] for name in names or there if name in there]
    for row in rows:
        try:
            run.check_token(root, row.noun, row.name)
        except Fault as fault:
            faults += fault.faults
    if faults:
        raise Fault([*dict.fromkeys(faults), "Nothing was accepted"])
    written = [reference.accept(root, NOUNS[row.noun], row.name) for row in rows]
    dag.write(root)
    return written
