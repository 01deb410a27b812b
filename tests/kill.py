"""A training that is killed in the middle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.artifacts.parquet import Artifact
from pipelines.method import Run
from tests.matrices import files


def killed_at(n: int, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """From now on a Ctrl-C comes instead of the n-th call of `owner.name`.

    Returns:
        The arguments of all calls, a list that grows with them.
    """
    original, calls = getattr(owner, name), []

    def counted(*args, **more):
        calls.append(args)
        if len(calls) == n:
            raise KeyboardInterrupt
        return original(*args, **more)

    monkeypatch.setattr(owner, name, counted)
    return calls


def check_goes_on(
    train: Callable[[Run], Artifact], folder: Path, monkeypatch: pytest.MonkeyPatch, n: int = 2, owner: Any = Run, name: str = "log"
) -> tuple[Run, list[tuple]]:
    """A training that is killed by `killed_at` and begun again leaves the bytes and the curve of one that is not.

    Returns:
        The run that went on, and the arguments of all calls of the two.
    """
    undisturbed = Run(folder / "whole" / "row", seed=1)
    whole = files(train(undisturbed))
    calls = killed_at(n, owner, name, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(Run(folder / "killed" / "row", seed=1, checkpoints=folder / "kept"))
    again = Run(folder / "again" / "row", seed=1, checkpoints=folder / "kept")
    assert files(train(again)) == whole
    assert again.curve == undisturbed.curve
    return again, calls
