"""Processes that end when we do: on a signal, after a timeout, and when this process is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from pipelines import deathsig

GRACE_S = 5.0  # from asking a process to end to killing it


def guarded(command: list[str]) -> list[str]:
    """The command, behind a launcher that has the kernel kill it when this process dies."""
    # -P: the launcher's folder holds modules with names of the standard library
    return [sys.executable, "-P", deathsig.__file__, str(os.getpid()), *command]


class Children:
    """The processes that a flow has started and that still run."""

    def __init__(self) -> None:
        self._live: set[subprocess.Popen] = set()
        self.stopped = False
        self._lock = threading.Lock()

    def open(self) -> None:
        """Allows processes to be started (again)."""
        self.stopped = False

    def run(self, command: list[str], cwd: Path, env: Mapping[str, str], say: Callable[[str], None], timeout_s: float) -> int:
        """Runs a command to its end and hands each line of its output to `say`.

        To be called in the thread that waits: the kernel kills the command when that thread ends.

        Returns:
            the exit status; negative for a signal, as in subprocess.

        Raises:
            InterruptedError: `stop` was called, before or meanwhile.
            TimeoutError: it ran longer than `timeout_s`; it and its children are gone.
        """
        with self._lock:
            if self.stopped:
                raise InterruptedError("the run was stopped")
            process = subprocess.Popen(
                guarded(command), cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            )  # fmt: skip
            self._live.add(process)
        # a thread of its own: an orphan that holds the pipe open must not hold us
        reader = threading.Thread(target=_read, args=(process, say), daemon=True)
        reader.start()
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"ran longer than its timeout of {timeout_s:g} s, and was stopped") from None
        finally:
            if process.poll() is None:
                end(process)
            reader.join(GRACE_S)
            with self._lock:
                self._live.discard(process)
        if self.stopped and status:
            raise InterruptedError("the run was stopped")
        return status

    def stop(self) -> None:
        """Ends all of them and starts no more."""
        with self._lock:
            self.stopped = True
            live = list(self._live)
        for process in live:
            end(process)


def _read(process: subprocess.Popen, say: Callable[[str], None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        say(line.rstrip("\n"))


def end(process: subprocess.Popen) -> None:
    """Ends a process with all that it started: those are asked first, so that they and it can tidy up."""
    try:
        parent = psutil.Process(process.pid)
        below = parent.children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in below or [parent]:
        _send(child.terminate)
    end_by = time.monotonic() + GRACE_S
    _, left = psutil.wait_procs(below, timeout=GRACE_S)
    # not by psutil: the exit status goes to whoever waits first, and another thread may be waiting for it
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.1, end_by - time.monotonic()))
    for child in left:
        _send(child.kill)
    process.kill()
    process.wait()


def _send(ask: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        ask()


def leave_within(seconds: float) -> None:
    """Ends this process after so many seconds, whatever it waits for; the kernel ends with it all that it started."""

    def leave() -> None:
        print(f"left {seconds:.0f} s after the signal: Prefect's server has not heard how the run ended", file=sys.stderr, flush=True)
        os._exit(128 + signal.SIGTERM)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


ALL = Children()  # of the flow that runs in this process
