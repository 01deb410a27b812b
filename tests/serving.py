"""`wordloom server` as a person starts it, in a scratch project that can be deployed."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests import ports, scratch


def project(folder: Path) -> scratch.Project:
    """A scratch project with our flows and prefect.yaml, as `wordloom deploy` needs them."""
    made = scratch.make(folder)
    for name in ("flows", "tasks", "pipelines"):
        (made.root / name).symlink_to(scratch.REPOSITORY / name)
    shutil.copy(scratch.REPOSITORY / "prefect.yaml", made.root)
    return made


class Server:
    """One `wordloom server`, started again at will over the same home."""

    def __init__(self, root: Path, home: Path, *options: str, **env: str):
        self.root, self.options = root, options
        self.project = scratch.Project(root)
        self.port = ports.lasting()
        self.url = f"http://127.0.0.1:{self.port}"
        self.said = root / "said.txt"
        ours = {"PREFECT_HOME": str(home), "WORDLOOM_PAGES_URL": f"http://127.0.0.1:{ports.lasting()}", **env}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.env = {**inherited, **ours}  # of the server
        self.client_env = {**self.env, "PREFECT_API_URL": f"{self.url}/api"}
        self.process: subprocess.Popen | None = None

    def start(self) -> "Server":
        """Returns when it says that it is ready."""
        with self.said.open("w") as said:
            command = scratch.wordloom("server", "--port", str(self.port), *self.options)
            self.process = subprocess.Popen(command, cwd=self.root, env=self.env, stdout=said, stderr=said, start_new_session=True)
        end = time.monotonic() + 300
        while "wordloom worker" not in self.said.read_text():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < end, self.said.read_text()
            time.sleep(0.1)
        return self

    def below(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal to the command alone; checks that nothing of it is left, and gives its exit status."""
        assert self.process is not None
        below = self.below()
        assert below
        self.process.send_signal(how)
        status = self.process.wait(30)
        _, left = psutil.wait_procs(below, timeout=10)
        assert [it for it in left if it.status() != psutil.STATUS_ZOMBIE] == []
        return status

    def wordloom(self, *args: str, **env: str) -> subprocess.CompletedProcess:
        """A command beside it, as its client."""
        return subprocess.run(
            scratch.wordloom(*args), cwd=self.root, env={**self.client_env, **env}, capture_output=True, text=True, timeout=300
        )


@contextlib.contextmanager
def running(root: Path, home: Path, *options: str, **env: str) -> Iterator[Server]:
    server = Server(root, home, *options, **env).start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.end()


@contextlib.contextmanager
def client(server: Server) -> Iterator:
    """Prefect's client in this process, for that server."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    secret = server.client_env.get("PREFECT_API_AUTH_STRING")
    with (
        temporary_settings({PREFECT_API_URL: f"{server.url}/api", **({PREFECT_API_AUTH_STRING: secret} if secret else {})}),
        get_client(sync_client=True) as made,
    ):
        yield made


def until(true, so_far: object = "", seconds: float = 180) -> None:
    """Waits for a fact; generous, against hangs only, in which it shows what there was so far."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it did not happen; so far {so_far}"
        time.sleep(0.5)
