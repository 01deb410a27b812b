"""A card of the report: a title, and a picture, a table, or both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pipelines.charts import figure

MOST_ROWS = 500  # of a table; the page has to stay small


@dataclass
class Block:
    title: str
    about: str = ""  # of what, on what, how many
    picture: Markup | str = ""
    legend: Sequence[str] = ()  # names of the picture's lines, in order
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()  # text, numbers, or Markup
    note: str = ""
    folded: bool = False
    wide: bool = False  # of the page's whole width
    narrow: bool = False  # several fit beside each other
    searched: bool = False  # a map, in which a word can be looked for

    def __post_init__(self) -> None:
        if len(self.rows) > MOST_ROWS:
            self.note = " ".join(filter(None, [self.note, f"The first {MOST_ROWS} of {len(self.rows):,} lines."]))
            self.rows = self.rows[:MOST_ROWS]

    def columns(self) -> list[tuple[str, bool]]:
        """(head, whether all its cells are numbers or nothing)."""
        return [(head, all(number(row[i]) is not None or row[i] in ("", None) for row in self.rows)) for i, head in enumerate(self.heads)]


def table(title: str, rows: Sequence[dict[str, Any]], about: str = "", note: str = "", folded: bool = False, wide: bool = False) -> Block:
    """A block of what a CSV holds, columns as in its first row."""
    heads = list(rows[0]) if rows else []
    cells = [[row.get(head, "") for head in heads] for row in rows]
    return Block(title, about, heads=[head.replace("_", " ") for head in heads], rows=cells, note=note, folded=folded, wide=wide)


def number(cell: Any) -> float | None:
    """A cell's number; None where it is text."""
    if isinstance(cell, Markup) or cell is None or cell == "":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def shown(cell: Any) -> Any:
    """A cell as a person reads it: of a number as many digits as are needed, of a count all of them."""
    value = number(cell)
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return "" if cell is None else cell
    if isinstance(cell, int) or (isinstance(cell, str) and cell.lstrip("-").isdigit()):
        return f"{int(value):,}"
    return figure(value)


def grouped(rows: Iterable[dict[str, str]], key: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def several(n: int, one: str, more: str = "") -> str:
    """`1 word`, `2 words`."""
    return f"{n:,} {one if n == 1 else more or one + 's'}"
