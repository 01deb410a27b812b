"""Prefect's server: for the length of one run, for those who have none (`embed`), and in the foreground (`serve`).

Either dies with the command that started it. Prefect's own ephemeral server outlives a killed command, and has no UI.
"""

import asyncio
import atexit
import contextlib
import ipaddress
import os
import signal
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

EMBEDDED_LOG = ".wordloom/prefect-server.log"
LOG = ".wordloom/server.log"
IDLE = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS")  # services with nothing to do in one run
PATIENCE_S = 180.0  # on a fresh home the database is made first
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
DRIVERS = ("postgresql+asyncpg", "sqlite+aiosqlite")


def embed(root: Path) -> str:
    """Starts a server on this machine, to the end of this process, makes Prefect use it, and gives its API's address.

    Prefect's home keeps the runs.
    """
    port = _free_port()
    address = f"http://127.0.0.1:{port}/api"
    process = _start(root / EMBEDDED_LOG, "127.0.0.1", port, {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in IDLE})
    # at exit, not before: Prefect sends its last logs and events from threads of its own
    atexit.register(children.end, process)
    _wait(process, address, root / EMBEDDED_LOG)
    _use(address)
    return address


def serve(root: Path, host: str, port: int, database: str | None) -> None:
    """Runs a server until Ctrl-C or SIGTERM, with this project deployed on it.

    Args:
        root: the project's folder.
        host: an address of this machine to listen on.
        database: for SQLAlchemy, without a password; None for what Prefect's settings say, or SQLite in Prefect's home.

    Raises:
        Fault: the address, the port or the database cannot be used, or the server ended.
    """
    _may_listen(host)
    _port_is_free(host, port)
    if database is not None:
        os.environ[DATABASE] = _checked(database)
    with _stopped_by_a_signal(), contextlib.ExitStack() as living:
        print("Prefect: preparing the database", flush=True)
        asyncio.run(_prepare())
        there = _for_a_url("127.0.0.1" if _is_any(host) else host)
        address = f"http://{there}:{port}"
        # where the server is, for its UI and for the links that it sends; the browser knows it best when that is everywhere
        where = {"PREFECT_UI_URL": address, **({"PREFECT_SERVER_UI_API_URL": "/api"} if _is_any(host) else {})}
        process = _start(root / LOG, host, port, {name: value for name, value in where.items() if name not in os.environ})
        living.callback(children.end, process)
        _wait(process, f"{address}/api", root / LOG)
        _use(f"{address}/api")
        from flows import pages
        from flows.deploy import deploy

        for line in deploy(root):
            print(line, flush=True)
        # what else lives as long as the server is started here, and entered into `living`
        print(living.enter_context(pages.beside(root)), flush=True)
        print(f"Prefect: {address}, its log in {LOG}. In another terminal:", flush=True)
        print(f"  export PREFECT_API_URL={address}/api\n  wordloom worker", flush=True)
        status = process.wait()
        raise Fault(f"Prefect's server ended with status {status}; {root / LOG} may say why. Start it again: what runs goes on")


def _start(log: Path, host: str, port: int, more: dict[str, str]) -> subprocess.Popen:
    log.parent.mkdir(parents=True, exist_ok=True)
    # not by options: the UI looks for its server where these say
    env = {**os.environ, "PREFECT_SERVER_API_HOST": host, "PREFECT_SERVER_API_PORT": str(port), **more}
    env["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "WARNING"  # its log is for its own troubles; ours is set for the runs
    env.pop("PREFECT_API_URL", None)  # of another server: the UI would look there
    with log.open("w") as out:
        return subprocess.Popen(
            children.guarded([sys.executable, "-P", "-m", "flows.api"]), env=env, stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for us: a run first tells the server how it ended
        )  # fmt: skip


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Fault(f"Prefect's server ended with status {process.returncode} as it started; {log} says why")
        with contextlib.suppress(URLError, OSError), urlopen(f"{address}/health", timeout=2):
            return
        time.sleep(0.1)
    raise Fault(f"Prefect's server did not answer within {PATIENCE_S:.0f} s; {log} may say why")


def _use(address: str) -> None:
    """Makes this process, and those that it starts, clients of the server."""
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    os.environ["PREFECT_API_URL"] = address
    if (secret := get_current_settings().server.api.auth_string) is not None:
        os.environ["PREFECT_API_AUTH_STRING"] = secret.get_secret_value()
    refresh_global_settings_context()  # all threads are to see it


@contextlib.contextmanager
def _stopped_by_a_signal() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does: the body is left, and that is the regular end."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print("Prefect: stopped", flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)


async def _prepare() -> None:
    """Makes or migrates the database, and has each silence that is watched begin anew.

    Prefect keeps by when it expects the next heartbeat of a run. Those that came due while no server
    ran would be judged before a heartbeat can reach the new one: what lives would be marked as crashed.
    Those overdue for more than a minute may be swept away unjudged, and what died would never be marked.
    """
    import sqlalchemy as sa
    from prefect.context import refresh_global_settings_context
    from prefect.server.database import provide_database_interface
    from prefect.server.events.schemas.automations import Automation, EventTrigger, Posture
    from prefect.settings import get_current_settings
    from prefect.types._datetime import now

    refresh_global_settings_context()
    shown = "SQLite in Prefect's home"
    try:
        if (url := get_current_settings().server.database.connection_url) is not None:
            shown = sa.make_url(url.get_secret_value()).render_as_string(hide_password=True)
        db = provide_database_interface()
        await db.create_db()
        async with db.session_context(begin_transaction=True) as session:
            for row in (await session.execute(sa.select(db.Automation))).scalars():
                for trigger in Automation.model_validate(row, from_attributes=True).triggers_of_type(EventTrigger):
                    if trigger.posture == Posture.Proactive:
                        due = sa.update(db.AutomationBucket).where(db.AutomationBucket.trigger_id == trigger.id)
                        await session.execute(due.values(end=now("UTC") + trigger.within))
        await (await db.engine()).dispose()
    except Exception as err:  # of SQLAlchemy, of either driver, of the network
        raise Fault(
            f"the database cannot be used ({shown}): {_first_line(err)}. Is it running, and its address, name and password right?"
        ) from err


def _first_line(err: Exception) -> str:
    return (str(getattr(err, "orig", None) or err).strip() or repr(err)).splitlines()[0]


def _checked(database: str) -> str:
    """The address. Raises Fault, which does not repeat it: it may hold a password where none is looked for."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(database)
    except (ArgumentError, ValueError):
        raise Fault("--database is not an address; it had to look like postgresql+asyncpg://USER@HOST:5432/NAME") from None
    if url.password is not None or any("pass" in key.lower() for key in url.query):
        raise Fault(
            "--database holds a password, and every user of this machine can see it in the list of processes: change it. "
            f"Then leave the option out, and put the whole address into the environment variable {DATABASE}"
        )
    if url.drivername not in DRIVERS:
        raise Fault(f"--database begins with {url.drivername!r}; Prefect takes {' and '.join(DRIVERS)}")
    return database


def _may_listen(host: str) -> None:
    """Raises Fault where others could reach a server that asks for no password."""
    from prefect.settings import get_current_settings

    try:
        safe = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        safe = False  # a name: whose address that is may change
    secret = get_current_settings().server.api.auth_string
    if not safe and (secret is None or ":" not in secret.get_secret_value()):
        raise Fault(
            f"at {host} others can reach the server, and it would run what they send. Ask for a name and a password: put NAME:PASSWORD into the "
            "environment variable PREFECT_SERVER_API_AUTH_STRING, here, and into PREFECT_API_AUTH_STRING for those who use it. Or leave --host out"
        )


def _port_is_free(host: str, port: int) -> None:
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(where)
    except OSError as err:
        raise Fault(
            f"cannot listen on {host}, port {port}: {err.strerror or err}. Stop what is there, or take another with --port"
        ) from err


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _for_a_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
