"""A Prefect server for the length of one run, for those who have none: it dies with the command that started it.

Prefect's own ephemeral server outlives a killed command, and has no UI.
"""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from pipelines.errors import Fault
from tasks import children

LOG = ".wordloom/prefect-server.log"
PATIENCE_S = 180.0  # on a fresh home the database is made first


@contextlib.contextmanager
def embedded(root: Path) -> Iterator[str]:
    """Starts a server on this machine and yields its address, without /api; Prefect's home keeps the runs."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    log = root / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(children.guarded(command), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait(process, address, log)
        yield address
    finally:
        children.end(process)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Fault(f"Prefect's server ended with status {process.returncode} as it started; {log} says why")
        with contextlib.suppress(URLError, OSError), urlopen(f"{address}/api/health", timeout=2):
            return
        time.sleep(0.1)
    raise Fault(f"Prefect's server did not answer within {PATIENCE_S:.0f} s; {log} may say why")
