"""One run at a time in a workspace: DVC locks its files, not the work between them."""

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import Fault
from tasks.mend import mend

LOCK = ".wordloom/run.lock"
_held: set[Path] = set()


@contextlib.contextmanager
def alone(root: Path, wait: bool = True, lock: str = LOCK) -> Iterator[None]:
    """Holds the workspace, fit to run in; a run in a run of the same process goes through.

    Args:
        root: the project's folder.
        wait: for the run that holds it, after saying which; else raise Fault.
        lock: another lock of the project's than that of its runs.
    """
    path = root.resolve() / lock
    if path in _held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path)
            if not wait:
                raise Fault(f"{root.resolve()} is in use by {holder}. Wait for it, or stop it") from None
            print(f"waiting for {holder}, which runs in {root.resolve()}", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        json.dump({"pid": os.getpid(), "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])}, file)
        file.flush()
        _held.add(path)
        try:
            if lock == LOCK:
                mend(root)  # what a run that was killed has left
            yield
        finally:
            _held.discard(path)
            file.truncate(0)


@contextlib.contextmanager
def shared(root: Path) -> Iterator[None]:
    """Nobody moves the workspace to other files meanwhile; others may work in it too."""
    path = root.resolve() / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text())
        return f"process {held['pid']} ({held['command']})"
    except (ValueError, KeyError):  # it is just writing its name, or just leaving
        return "another run"
