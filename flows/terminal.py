"""What the pages of the `wordloom` command share: the project, what the Tab key offers, tables."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import Fault
from pipelines.layout import DAG, PARAMS

ROOT = Path(".")  # the project is where the command is given


def in_project() -> None:
    """Raises Fault where there is no project, before anything is written there."""
    if not (ROOT / PARAMS).exists() and not (ROOT / DAG).exists():
        raise Fault(f"no project here, in {ROOT.resolve()}: go to the folder that holds {PARAMS}")


def rows_of(**prefix: str) -> Callable[[str], list[str]]:
    """What the Tab key offers: the rows of some verbs, each with its prefix."""

    def offered(incomplete: str) -> list[str]:
        from pipelines.use.rows import rows

        found = [f"{before}{row}" for verb, before in prefix.items() for row in rows(ROOT, verb)]
        return [row for row in found if row.startswith(incomplete)]

    return offered


EMBEDDED, CODED, CLASSIFIED = rows_of(embed=""), rows_of(compress="compress/"), rows_of(classify="")
Targets = Annotated[
    list[str] | None, typer.Argument(help="Stage names or verb/row, with what they need; all when none is given.", metavar="ROW...")
]


def show(table: object) -> None:
    """A table, at a terminal's width; in full where the output is no terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200).print(table)
