"""A Postgres of the tests' own: started on a free port of this machine, in a folder of its own, ended with the test."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tasks import children
from tests import ports

USER, PASSWORD = "wordloom", "a-secret-of-the-test"


def binaries() -> Path | None:
    """Where initdb and postgres lie, on PATH or where Debian and Ubuntu put them; with pg_trgm, which Prefect needs."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists() and _has_trgm(place)), None)


def _has_trgm(place: Path) -> bool:
    done = subprocess.run([place / "pg_config", "--sharedir"], capture_output=True, text=True)
    shares = [Path(done.stdout.strip())] if done.returncode == 0 else []
    shares.append(Path("/usr/share/postgresql") / place.parent.name)
    return any((share / "extension" / "pg_trgm.control").exists() for share in shares)


class Postgres:
    """One database server, to be started, killed, and started again over the same data."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bin = binaries()
        if self.bin is None:
            pytest.skip("no Postgres with pg_trgm here: install your system's postgresql package")
        # Postgres refuses to run as root
        self.user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        self.port = ports.lasting()
        self.data = folder / "data"
        (folder / "password").write_text(PASSWORD)
        if self.user:
            shutil.chown(folder, self.user.pw_uid, self.user.pw_gid)
        self._call("initdb", "--auth=scram-sha-256", f"--username={USER}", f"--pwfile={folder / 'password'}", "--no-sync", "-D", self.data)
        self.process: subprocess.Popen | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """With the password: for the environment, not for a command line."""
        return f"postgresql+asyncpg://{USER}:{PASSWORD}@{self.host}/postgres"

    @property
    def bare_url(self) -> str:
        return f"postgresql+asyncpg://{USER}@{self.host}/postgres"

    def start(self) -> None:
        """Returns when it answers; after a kill, that is when its recovery is over."""
        assert self.bin is not None
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder, "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *map(str, options)]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(self._guarded(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        end = time.monotonic() + 60
        while subprocess.run([self.bin / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)], capture_output=True).returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, "Postgres did not start within a minute"
            time.sleep(0.1)

    def kill(self) -> None:
        """kill -9 of the server and of all its children."""
        assert self.process is not None
        below = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):  # some end by themselves when they see it
                child.kill()
        self.process.wait()
        psutil.wait_procs(below, timeout=20)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # Postgres' fast shutdown
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def query(self, sql: str) -> str:
        """What psql prints for it, bare."""
        return self._call("psql", "-h", "127.0.0.1", "-p", self.port, "-U", USER, "-d", "postgres", "-Atc", sql)

    def _call(self, name: str, *args: object) -> str:
        assert self.bin is not None
        command = [str(self.bin / name), *map(str, args)]
        env = {**os.environ, "PGPASSWORD": PASSWORD, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, **self._as())
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def _guarded(self, command: list[str]) -> list[str]:
        """The command, which dies with this process; as the other user, who may not reach our interpreter, by setpriv."""
        if self.user is None:
            return children.guarded(command)
        to = ["--reuid", str(self.user.pw_uid), "--regid", str(self.user.pw_gid), "--clear-groups", "--pdeathsig", "KILL"]
        return ["setpriv", *to, *command]

    def _as(self) -> dict:
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """A started Postgres, ended afterwards; not in pytest's folders, which are closed to its other user."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        made = Postgres(Path(folder))
        made.start()
        try:
            yield made
        finally:
            made.end()


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with running() as made:
        yield made
