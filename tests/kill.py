"""A training that is killed in the middle."""

from typing import Any

import pytest


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
