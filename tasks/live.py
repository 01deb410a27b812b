"""How far a stage is, as a progress artifact in the Prefect UI, while it runs.

The stage's process tells it (pipelines/live.py). Nothing here can fail a stage, or hold it up.
"""

import contextlib
import contextvars
import json
import logging
import math
import secrets
import socket
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from pipelines.live import HERE, VARIABLE

EVERY_S = 2.0  # between two updates of an artifact
GRACE_S = 2.0  # for the last update, when the server is slow; then it is given up
SIZE = 65_536  # bytes of the largest datagram


class Watch:
    """One stage's progress artifact; made when the stage has first said how far it is."""

    def __init__(self, label: str, inbox: socket.socket, log: logging.Logger | logging.LoggerAdapter):
        self.label, self.inbox, self.log = label, inbox, log
        self.word = secrets.token_hex(8).encode()
        self.environment = {VARIABLE: f"{inbox.getsockname()[1]}:{self.word.decode()}"}  # for the stage's process
        self.ended = threading.Event()
        self.done = False  # whether the stage ended well
        self.artifact: UUID | None = None
        self.last: dict[str, Any] = {}

    def follow(self) -> None:
        """Shows what comes until the stage has ended."""
        try:
            while not self.ended.is_set():
                if self._newest():
                    self._show(percent(self.last), sentence(self.last))
                self.ended.wait(EVERY_S)
            self._newest(wait=False)
            if self.artifact is not None:
                self._show(100.0 if self.done else percent(self.last), sentence(self.last, "done" if self.done else "stopped"))
        except Exception as err:  # whatever it is: the stage does its work unseen
            self.log.debug("no progress of %s is shown: %r", self.label, err)

    def _newest(self, wait: bool = True) -> bool:
        """Takes the last of what has come, waiting for the first; whether there was anything."""
        self.inbox.setblocking(wait)
        found = False
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self.inbox.recv(SIZE)
                self.inbox.setblocking(False)
                if data.startswith(self.word):
                    with contextlib.suppress(ValueError):
                        self.last, found = json.loads(data.removeprefix(self.word)), True
        return found

    def _show(self, share: float, text: str) -> None:
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        from tasks.show import key

        text = f"{self.label}: {text}"
        if self.artifact is None:
            self.artifact = create_progress_artifact(share, key=key("progress", self.label), description=text)
        else:
            update_progress_artifact(self.artifact, share, description=text)


@contextlib.contextmanager
def watched(label: str, log: logging.Logger | logging.LoggerAdapter) -> Iterator[Watch]:
    """Shows how far a stage is, from inside its task; set `done` when it has ended well."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
        inbox.bind((HERE, 0))
        watch = Watch(label, inbox, log)
        # the task's context: Prefect looks there for the run that an artifact belongs to
        thread = threading.Thread(target=contextvars.copy_context().run, args=(watch.follow,), daemon=True)
        thread.start()
        try:
            yield watch
        finally:
            watch.ended.set()
            with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
                bell.sendto(b"", inbox.getsockname())  # it may be waiting
            thread.join(GRACE_S)


def percent(facts: dict[str, Any]) -> float:
    """From 0 to 100; 0 when nobody knows the end."""
    done, total = facts.get("done"), facts.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or not total > 0:
        return 0.0
    share = 100.0 * done / total
    return round(min(max(share, 0.0), 100.0), 1) if math.isfinite(share) else 0.0


def sentence(facts: dict[str, Any], ended: str = "") -> str:
    """What a person wants to know, the most urgent first: time left, figures, how much of what and how fast."""
    left = facts.get("seconds_left")
    parts = [ended] if ended else [duration(left) + " left"] if isinstance(left, int | float) and math.isfinite(left) else []
    parts += [f"{name} {value:.4g}" for name, value in (facts.get("figures") or {}).items()]
    total = f" of {facts['total']:,.0f}" if facts.get("total") else ""
    parts.append(f"{facts.get('done', 0):,.0f}{total} {facts.get('unit', '')} at {facts.get('rate', 0):,.0f}/s")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    s = round(max(seconds, 0))
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min {s % 60:02d} s" if s < 3600 else f"{s // 3600} h {s % 3600 // 60:02d} min"
