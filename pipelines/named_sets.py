"""Lists in params: what may stand there, each once, and sets of words or pairs that are carried along by name or lie in files."""

from collections.abc import Callable, Collection, Hashable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import AfterValidator

from pipelines.errors import Fault, nearest
from pipelines.method import Run

T = TypeVar("T")


def once(what: str, by: Callable[..., Hashable] = lambda value: value) -> AfterValidator:
    """Refuses a list that names something twice, as `by` sees it."""

    def check(values: list) -> list:
        if len({by(value) for value in values}) < len(values):
            raise ValueError(f"must not name {what} twice")
        return values

    return AfterValidator(check)


def carried_or_file(carried: Collection[str], example: str) -> AfterValidator:
    """Refuses a name that is neither one of those carried along, nor that of a file."""

    def check(names: list[str]) -> list[str]:
        strange = [name for name in names if name not in carried and not Path(name).suffix]
        if strange:
            hint = nearest(strange[0], carried)
            raise ValueError(f"must name any of {', '.join(carried)}, or files such as {example}; {strange[0]!r} is neither.{hint}")
        return names

    return AfterValidator(check)


def title_of(name: str) -> str:
    """By which a set is told: its name, or its file's without the ending."""
    return Path(name).stem if Path(name).suffix else name


def read_each(names: Sequence[str], read: Callable[[str], T], run: Run) -> list[T]:
    """What `read` makes of each. Raises Fault with the faults of all of them."""
    found, faults = [], []
    for name in names:
        try:
            found.append(read(name))
        except Fault as fault:
            faults += [f"{run.name}: {line}" for line in fault.faults]
    if faults:
        raise Fault(faults)
    return found
