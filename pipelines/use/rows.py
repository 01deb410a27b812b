"""Rows by their names alone, from params.yaml as it stands: for the Tab key and for suggestions, which are not to wait for imports; and what
a row has made."""

from pathlib import Path
from typing import Any

from pipelines import layout
from pipelines.errors import Fault, nearest


def rows(root: Path, verb: str) -> list[str]:
    """None where the file cannot be read; who runs a row is told why."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        tree = YAML(typ="safe", pure=True).load((root / layout.PARAMS).read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError):
        return []
    found = tree.get(verb) if isinstance(tree, dict) else None
    return list(map(str, found)) if isinstance(found, dict) else []


def check_place(file: Path) -> None:
    """Raises Fault where no file can be written."""
    if not file.parent.is_dir():
        raise Fault(f"{file}: there is no folder {file.parent}. Make it, or name another file")
    if file.is_dir():
        raise Fault(f"{file} is a folder that is there already. Remove it, or name another")


def made(kind: type, root: Path, verb: str, row: str) -> Any:
    """The artifact of a row, of this noun. Raises Fault where it is not there, and says whether params.yaml has such a row."""
    found = kind(root / layout.artifact(kind.noun, row))
    if not found.folder.exists():
        there = rows(root, verb)
        if row in there:
            raise Fault(f"{found.name} is not there. Run: dvc repro {verb}-{row}")
        raise Fault(f"{layout.PARAMS}: {verb} has no row {row!r}; it has {', '.join(there) or 'none'}.{nearest(row, there)}")
    return found
