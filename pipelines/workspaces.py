"""The main checkout and the experiments beside it, .wordloom/NAME: what each scored, and how often its test set was read."""

from pathlib import Path
from typing import Any

from pipelines import layout

FOLDER = ".wordloom"
MAIN = "main"  # the main checkout, as it is called beside experiments


def names(main: Path) -> list[str]:
    """The experiments that have a worktree."""
    return sorted(path.name for path in (main / FOLDER).glob("*") if (path / ".git").is_file())


def name_of(root: Path) -> str:
    """What a folder is to people: the experiment whose worktree it is, or the main checkout."""
    root = root.resolve()
    return root.name if root.parent.name == FOLDER else MAIN


def main_of(root: Path) -> Path:
    """The main checkout, of itself as of an experiment's worktree."""
    return root if name_of(root) == MAIN else root.resolve().parent.parent


def all_of(root: Path) -> dict[str, Path]:
    """name -> folder, the main checkout first."""
    main = main_of(root)
    return {MAIN: main, **{name: main / FOLDER / name for name in names(main)}}


def scores(workspaces: dict[str, Path]) -> list[dict[str, Any]]:
    """One entry per figure: of, metric, on, and in `values` what each workspace got."""
    import pyarrow.parquet as pq

    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name, root in workspaces.items():
        for path in sorted((root / layout.DATA["scores"]).glob("*/scores.parquet")):
            for row in pq.read_table(path).to_pylist():
                entry = found.setdefault((row["of"], row["metric"], row["on"]), {})
                entry[name] = {key: row[key] for key in ("value", "low", "high", "n")}
    return [{"of": of, "metric": metric, "on": on, "values": values} for (of, metric, on), values in sorted(found.items())]
