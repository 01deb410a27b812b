"""`wordloom server`: where it listens, what it refuses, how it ends, and who gets in."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from flows import HEARTBEAT_S, server
from pipelines.errors import Fault
from tests import ports, scratch, serving

SECRET = "somebody:a-password-of-the-test"


def refused(project, host: str = "127.0.0.1", port: int = 4200, database: str | None = None) -> str:
    with pytest.raises(Fault) as fault:
        server.serve(project.root, host, port, database)
    assert not (project.root / ".wordloom").exists()
    return str(fault.value)


@pytest.mark.parametrize("url", ["postgresql+asyncpg://me:hush@db/prefect", "postgresql+asyncpg://db/prefect?user=me&password=hush"])
def test_a_password_on_the_command_line_is_refused_and_not_repeated(project, url):
    said = refused(project, port=ports.lasting(), database=url)
    assert said.startswith("--database holds a password")
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" in said
    assert "hush" not in said


def test_a_database_that_prefect_cannot_use_is_refused(project):
    port = ports.lasting()
    said = refused(project, port=port, database="mysql://db/prefect")
    assert "begins with 'mysql'; Prefect takes postgresql+asyncpg and sqlite+aiosqlite" in said
    assert "--database is not an address" in refused(project, port=port, database="my database")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_are_let_in_only_with_a_password(project, host):
    said = refused(project, host)
    assert said.startswith(f"at {host} others can reach the server")
    assert "PREFECT_SERVER_API_AUTH_STRING" in said


def test_a_port_that_is_taken_is_named(project):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in refused(project, port=port)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_database_that_is_not_there_is_named_without_its_password(project):
    url = f"postgresql+asyncpg://me:hush@127.0.0.1:{ports.lasting()}/prefect"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env = {**inherited, "PREFECT_HOME": str(project.root.parent / "home"), server.DATABASE: url}
    command = scratch.wordloom("server", "--port", str(ports.lasting()))
    done = subprocess.run(command, cwd=project.root, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("fault: the database cannot be used (postgresql+asyncpg://me:***@127.0.0.1")
    assert "hush" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_server_that_is_ended_leaves_no_process_and_starts_again(tmp_path):
    project = serving.project(tmp_path / "project")
    one = serving.Server(project.root, tmp_path / "home").start()
    assert one.end(signal.SIGKILL) == -signal.SIGKILL
    assert one.start().end(signal.SIGTERM) == 0
    assert one.said.read_text().endswith("Prefect: stopped\n")
    assert one.start().end(signal.SIGINT) == 0
    (child,) = one.start().below()
    child.kill()
    assert one.process is not None
    assert one.process.wait(30) == 2
    assert "fault: Prefect's server ended with status -9" in one.said.read_text()


def ask(url: str, secret: str | None) -> int:
    """The HTTP status of a question for all flows."""
    headers = {"Content-Type": "application/json"}
    if secret:
        headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    try:
        return urlopen(Request(f"{url}/api/flows/filter", data=b"{}", headers=headers), timeout=30).status
    except HTTPError as err:
        return err.code


def is_seen(secret: str) -> bool:
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return any(secret in line for line in lines)


@pytest.mark.slow
def test_with_a_password_only_those_who_have_it_get_in_and_nothing_shows_it(tmp_path):
    project = serving.project(tmp_path / "project")
    with serving.running(project.root, tmp_path / "home", "--host", "0.0.0.0", PREFECT_SERVER_API_AUTH_STRING=SECRET) as one:
        assert (ask(one.url, None), ask(one.url, "somebody:else"), ask(one.url, SECRET)) == (401, 401, 200)
        settings = json.loads(urlopen(f"{one.url}/ui-settings", timeout=30).read())
        assert (settings["auth"], settings["api_url"]) == ("BASIC", "/api")
        kept_out = one.wordloom("deploy")
        assert (kept_out.returncode, kept_out.stdout) == (2, "")
        assert kept_out.stderr == "fault: the Prefect server wants a name and a password: set PREFECT_API_AUTH_STRING to NAME:PASSWORD\n"
        let_in = one.wordloom("deploy", PREFECT_API_AUTH_STRING=SECRET)
        assert let_in.returncode == 0, let_in.stderr
        assert not is_seen(SECRET.partition(":")[2])
    texts = [
        let_in.stdout + let_in.stderr + one.said.read_text(),
        *(path.read_text() for path in (project.root / ".wordloom").glob("*.log")),
    ]
    assert len(texts) == 2
    encoded = base64.b64encode(SECRET.encode()).decode()
    assert not [text for text in texts if SECRET.partition(":")[2] in text or encoded in text]


LIVES = """
import time
from prefect import flow

@flow(name="train")
def lives():
    print("started", flush=True)
    time.sleep(600)

lives()
"""


@pytest.mark.slow
def test_while_the_server_was_away_a_run_that_lives_stays_running_and_one_that_died_is_marked(tmp_path):
    """The server is away for longer than the silence after which a run has crashed."""
    from flows import automations

    project = serving.project(tmp_path / "project")
    one = serving.Server(project.root, tmp_path / "home").start()
    env = {**one.client_env, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S)}
    runs = [subprocess.Popen([sys.executable, "-c", LIVES], env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for run in runs:
            assert run.stdout is not None
            assert run.stdout.readline() == "started\n"

        def states() -> list[str]:
            with serving.client(one) as client:
                return sorted(run.state_name for run in client.read_flow_runs() if run.deployment_id is None)  # not the schedule's

        serving.until(lambda: states() == ["Running", "Running"])
        time.sleep(10)  # their first heartbeats are on their way
        one.end(signal.SIGKILL)
        runs[0].kill()
        time.sleep(automations.SILENCE.total_seconds() + 70)
        one.start()
        serving.until(lambda: "Crashed" in states())
        time.sleep(10)
        assert states() == ["Crashed", "Running"]
    finally:
        for run in runs:
            run.kill()
            run.wait()
        if one.process is not None and one.process.poll() is None:
            one.end()
