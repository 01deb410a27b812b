"""`wordloom` as a person calls it."""

import os
import signal
import subprocess
import time

import psutil
import pytest

from tests.scratch import wordloom


def test_a_fault_is_told_without_a_traceback_and_exits_with_2(tmp_path):
    done = subprocess.run(wordloom("plan"), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("fault: dvc.yaml is missing in ")
    assert "Traceback" not in done.stderr


def test_a_run_with_nothing_to_do_starts_no_prefect(project):
    assert project.dvc("repro").returncode == 0
    done = project.wordloom("run", PREFECT_API_URL="http://127.0.0.1:1/api")
    assert (done.returncode, done.stdout) == (0, "all 7 stages are up to date\n")


def test_a_server_that_does_not_answer_is_named(project):
    done = project.wordloom("run", PREFECT_API_URL="http://127.0.0.1:1/api")
    assert done.returncode == 2
    assert "fault: no Prefect server answers at http://127.0.0.1:1/api" in done.stderr
    assert "Traceback" not in done.stderr


def test_plan_and_lock_print_what_they_found(project):
    assert project.wordloom("plan", "embed/g").stdout.splitlines()[-1] == "3 of 3 stages have to run, 0 more may have to"
    assert project.dvc("repro").returncode == 0
    assert project.wordloom("plan", "--all").stdout.splitlines()[0] == "ingest/a: up to date"
    assert project.wordloom("lock").stdout == "dvc.lock is in order\n"


def test_a_second_run_that_may_not_wait_names_the_first(project):
    from tasks import workspace

    with workspace.alone(project.root):
        done = project.wordloom("run", "--no-wait")
    assert done.returncode == 2
    assert f"in use by process {os.getpid()}" in done.stderr


def start(project, home) -> tuple[subprocess.Popen, list[psutil.Process]]:
    """A run whose stage embed-g takes a minute, and all its processes while that stage works."""
    project.set("embed", "g", sleep=60)
    env = {**os.environ, "PREFECT_HOME": str(home)}
    env.pop("PREFECT_API_URL", None)
    # a session of its own, so that Ctrl-C can be given to all of it, as a terminal does
    run = subprocess.Popen(wordloom("run"), cwd=project.root, env=env, start_new_session=True)
    ran, end = project.root / "ran.txt", time.monotonic() + 180
    while not (ran.exists() and "start embed-g" in ran.read_text()):
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.2)
    return run, psutil.Process(run.pid).children(recursive=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("prefect")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "term", "ctrl-c"])
def test_a_run_that_is_ended_leaves_no_process_and_the_next_one_repairs(project, home, how):
    run, below = start(project, home)
    assert any("stage.py" in " ".join(process.cmdline()) for process in below)
    assert any("server" in process.cmdline() for process in below)
    if how == "ctrl-c":
        os.killpg(run.pid, signal.SIGINT)
    else:
        run.send_signal({"kill": signal.SIGKILL, "term": signal.SIGTERM}[how])
    _, left = psutil.wait_procs(below, timeout=10)
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []
    assert run.wait(20) != 0
    assert not (project.root / "data/4_vectors/g").exists()
    project.set("embed", "g", sleep=0)
    done = project.wordloom("run", PREFECT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."
