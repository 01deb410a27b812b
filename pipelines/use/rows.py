"""Rows by their names alone, from params.yaml as it stands: for the Tab key and for suggestions, which are not to wait for imports."""

from pathlib import Path

from pipelines.layout import PARAMS


def rows(root: Path, verb: str) -> list[str]:
    """None where the file cannot be read; who runs a row is told why."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        tree = YAML(typ="safe", pure=True).load((root / PARAMS).read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError):
        return []
    found = tree.get(verb) if isinstance(tree, dict) else None
    return list(map(str, found)) if isinstance(found, dict) else []
