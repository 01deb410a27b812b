"""A Prefect server, its deployments and workers for tests: real processes, on ports and in folders of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import psutil

from tests import ports
from tests.scratch import REPOSITORY

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
    "PYTHONPATH": str(REPOSITORY),
}


class Orchestra:
    """One server and the workers that were started for it."""

    def __init__(self, home: Path, **settings: str):
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.port = ports.lasting()
        self.env = {
            **os.environ, **SETTINGS, **settings, "PREFECT_HOME": str(home), "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(self.port),
        }  # fmt: skip
        # what a test adds for its runs is not for the server, whose own troubles are to be read
        self.server_env = {**self.env, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING"}
        self.server: subprocess.Popen | None = None
        self.workers: list[subprocess.Popen] = []
        self.begun: list[subprocess.Popen] = []  # runs and workers, of which none outlives the test
        self.n_workers = 0  # that were started, each with a log of its own

    def start(self, command: list[str], folder: Path, log: str, env: dict[str, str] | None = None) -> subprocess.Popen:
        with (self.home / log).open("a") as out:
            process = subprocess.Popen(
                command, cwd=folder, env=env or self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        self.begun.append(process)
        return process

    def serve(self) -> None:
        """Starts the server (again, on the same port and database) and waits until it answers."""
        self.server = self.start([sys.executable, "-P", "-m", "flows.api"], self.home, "server.log", self.server_env)
        end = time.monotonic() + 180
        while time.monotonic() < end:
            assert self.server.poll() is None, (self.home / "server.log").read_text()
            try:
                with urlopen(f"{self.env['PREFECT_API_URL']}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the server did not answer within 180 s")

    def prefect(self, *args: str) -> str:
        command = [sys.executable, "-P", "-m", "prefect", *args]
        done = subprocess.run(command, cwd=REPOSITORY, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, *options: str) -> None:
        done = self.wordloom(REPOSITORY, "deploy", *options)
        assert done.returncode == 0, done.stdout + done.stderr

    def worker(self, folder: Path, *args: str) -> subprocess.Popen:
        """A worker in a folder, of some queues and with some options, once it looks for runs."""
        log = f"worker-{self.n_workers}.log"
        self.n_workers += 1
        worker = self.start([sys.executable, "-P", "-m", "flows", "worker", *args], folder, log)
        self.workers.append(worker)
        wait_for(lambda: "started!" in (self.home / log).read_text(), 120, f"the worker in {folder} to start")
        return worker

    def wordloom(self, folder: Path, *args: str, timeout: float = 300) -> subprocess.CompletedProcess:
        command = [sys.executable, "-P", "-m", "flows", *args]
        return subprocess.run(command, cwd=folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)

    def running(self, flow: str) -> str:
        """The id of the run of a flow that runs, the last one that started."""
        found = json.loads(self.prefect("flow-run", "ls", "--flow-name", flow, "--state-type", "RUNNING", "--output", "json"))
        return max(found, key=lambda run: run["start_time"])["id"]

    def runs(self, flow: str) -> list[dict]:
        """The runs of a flow, in the order in which they were made."""
        found = json.loads(self.prefect("flow-run", "ls", "--flow-name", flow, "--limit", "200", "--output", "json"))
        return sorted(found, key=lambda run: run["created"])

    def set_state(self, run: str, kind: str) -> None:
        body = json.dumps({"state": {"type": kind}, "force": True}).encode()
        request = Request(f"{self.env['PREFECT_API_URL']}/flow_runs/{run}/set_state", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=120):
            pass

    def end_workers(self) -> None:
        for worker in self.workers:
            end(worker)
        self.workers.clear()

    def close(self) -> None:
        self.end_workers()
        for process in reversed(self.begun):
            end(process)


def end(process: subprocess.Popen) -> None:
    """Kills a process with all that it started."""
    if process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        for child in below:
            if child.is_running():
                child.kill()
    process.wait()


def wait_for(seen, seconds: float, what: str) -> None:
    limit = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < limit, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)
