"""A Prefect server for the length of one run, for those who have none: it dies with the command that started it.

Prefect's own ephemeral server outlives a killed command, and has no UI.
"""

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from pipelines.errors import Fault
from tasks import children

LOG = ".wordloom/prefect-server.log"
IDLE = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS")  # services with nothing to do in one run
PATIENCE_S = 180.0  # on a fresh home the database is made first


def embed(root: Path) -> str:
    """Starts a server on this machine, to the end of this process, makes Prefect use it, and gives its API's address.

    Prefect's home keeps the runs.
    """
    from prefect.context import refresh_global_settings_context

    port = _free_port()
    address = f"http://127.0.0.1:{port}/api"
    log = root / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "prefect", "server", "start"]
    # not by options: the UI looks for its server where these say
    env = {**os.environ, "PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(port)}
    env |= {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in IDLE}
    with log.open("w") as out:
        process = subprocess.Popen(
            children.guarded(command), env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for the run, which then tells the server how it ended
        )  # fmt: skip
    # at exit, not before: Prefect sends its last logs and events from threads of its own
    atexit.register(children.end, process)
    _wait(process, address, log)
    os.environ["PREFECT_API_URL"] = address
    refresh_global_settings_context()  # all threads are to see it
    return address


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Fault(f"Prefect's server ended with status {process.returncode} as it started; {log} says why")
        with contextlib.suppress(URLError, OSError), urlopen(f"{address}/health", timeout=2):
            return
        time.sleep(0.1)
    raise Fault(f"Prefect's server did not answer within {PATIENCE_S:.0f} s; {log} may say why")
