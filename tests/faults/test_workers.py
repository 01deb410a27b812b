"""Faults of a run on workers: of the worker, of its flow's process, of the Prefect server, of its database."""

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from tests import postgres
from tests.faults.inject import AT, STAGE
from tests.faults.support import HOOK, MARK, eventually, happened, holds, hook, process, processes, repro, wordloom_run, working
from tests.orchestra import Orchestra
from tests.scratch import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


# the run's constants for a worker that never comes, 600 s and 60 s, made small
IMPATIENT = "from tasks import worker; worker.UNMANNED_S, worker.REMIND_S = 30.0, 5.0; from flows.__main__ import main; main()"
RUN = ["-m", "flows"]


@pytest.fixture(scope="module")
def orchestra(tmp_path_factory):
    with conducted(Orchestra(tmp_path_factory.mktemp("prefect"))) as made:
        yield made


@contextlib.contextmanager
def conducted(made: Orchestra) -> Iterator[Orchestra]:
    try:
        made.serve()
        made.deploy()
        yield made
    finally:
        made.close()


@pytest.fixture
def held(orchestra, root):
    with holding(orchestra, root) as both:
        yield both


@contextlib.contextmanager
def holding(orchestra: Orchestra, root: Path, how: list[str] = RUN) -> Iterator[tuple[Popen, Popen]]:
    """A worker that shares the folder and a run on it, at a moment at which a stage works; the stage hangs once, for a minute."""
    calm_env = dict(orchestra.env)
    orchestra.env |= {MARK: str(root), **hook(root, STAGE, "hang", AT), "PYTHONPATH": f"{HOOK}{os.pathsep}{REPOSITORY}"}
    worker = orchestra.worker(root)
    run = orchestra.start([sys.executable, "-P", *how, "run", "--workers"], root, "run.log")
    try:
        working(root, "embed-g", log=orchestra.home / "run.log")
        assert eventually(lambda: happened_stays(root), 20)
        yield worker, run
    finally:
        orchestra.end_workers()
        if run.poll() is None:
            run.kill()
        run.wait()
        orchestra.env = calm_env


def happened_stays(root) -> bool:
    return (root.parent / "fault.log").exists()


def ends_well(orchestra, root, run, calm) -> None:
    status = run.wait(400)
    said = (orchestra.home / "run.log").read_text()
    orchestra.end_workers()
    assert status == 0, said
    assert happened(root)
    holds(root, calm, repro)


def test_a_worker_that_is_killed_takes_its_stages_with_it_and_another_one_makes_them(orchestra, root, calm, held):
    worker, run = held
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert eventually(lambda: not any("stage.py" in line or "dvc" in line for line in processes(root)), 20), processes(root)
    orchestra.worker(root)
    ends_well(orchestra, root, run, calm)
    assert "its worker was lost" in (orchestra.home / "run.log").read_text()


def test_a_flow_process_of_a_worker_that_is_killed_takes_its_stage_with_it_and_is_sent_again(orchestra, root, calm, held):
    _, run = held
    stage = process(root, "stage.py embed g")
    flow = next(it for it in stage.parents() if "prefect" in " ".join(it.cmdline()) and "dvc" not in " ".join(it.cmdline()))
    flow.kill()
    (root / ".dvc/tmp/rwlock").write_text("")  # as the DVC leaves it that dies with it while it writes there
    assert eventually(lambda: not stage.is_running(), 20)
    ends_well(orchestra, root, run, calm)


def test_a_server_that_is_killed_and_started_again_loses_nothing(orchestra, root, calm, held):
    _, run = held
    orchestra.server.kill()
    orchestra.server.wait()
    time.sleep(5)
    orchestra.serve()
    ends_well(orchestra, root, run, calm)


def test_a_server_that_does_not_answer_for_a_while_loses_nothing(orchestra, root, calm, held):
    _, run = held
    orchestra.server.send_signal(signal.SIGSTOP)
    time.sleep(20)
    orchestra.server.send_signal(signal.SIGCONT)
    ends_well(orchestra, root, run, calm)


def test_a_run_that_the_server_takes_for_dead_says_that_it_lives_and_goes_on(orchestra, root, calm, held):
    _, run = held
    taken_for_dead = orchestra.running("train")
    orchestra.set_state(taken_for_dead, "CRASHED")
    ends_well(orchestra, root, run, calm)
    assert next(it["state_type"] for it in orchestra.runs("train") if it["id"] == taken_for_dead) == "COMPLETED"


def test_a_run_on_workers_that_is_killed_leaves_its_stage_to_the_worker_and_the_next_run_completes(orchestra, root, calm, held):
    _, run = held
    run.kill()
    run.wait()
    orchestra.end_workers()
    assert eventually(lambda: not processes(root), 20), processes(root)
    happened(root)
    holds(root, calm, wordloom_run(PREFECT_API_URL=orchestra.env["PREFECT_API_URL"]))


def test_a_stage_that_no_other_worker_takes_fails_and_says_which_queue_needs_one(orchestra, root, calm):
    short = {"PREFECT_WORKER_HEARTBEAT_SECONDS": "5"}  # the server takes a worker for gone after three of them
    calm_env, orchestra.env = orchestra.env, {**orchestra.env, **short}
    try:
        with holding(orchestra, root, ["-c", IMPATIENT]) as (_, run):
            orchestra.end_workers()
            orchestra.worker(root, "gpu")  # another queue's
            # what the automation of `wordloom deploy` does after 90 s of silence
            for going in orchestra.runs("stage"):
                if going["state_type"] in ("RUNNING", "PENDING"):
                    orchestra.set_state(going["id"], "CRASHED")
            assert run.wait(240) == 2
            said = (orchestra.home / "run.log").read_text()
            assert "its worker was lost" in said
            assert re.search(r"embed/g failed: no worker of the queue cpu took it in \d+ s. Start one: wordloom worker cpu", said)
            orchestra.end_workers()
            happened(root)
            holds(root, calm, wordloom_run(PREFECT_API_URL=orchestra.env["PREFECT_API_URL"]))
    finally:
        orchestra.env = calm_env


@pytest.mark.parametrize("away_s", [5, 75])
def test_a_postgres_that_is_killed_in_mid_run_and_started_again_loses_nothing(tmp_path, root, calm, away_s):
    with (
        postgres.running() as database,
        conducted(Orchestra(tmp_path / "prefect", PREFECT_SERVER_DATABASE_CONNECTION_URL=database.url)) as orchestra,
        holding(orchestra, root) as (_, run),
    ):
        database.kill()
        time.sleep(away_s)  # the stage ends after a minute: before the database is back, or afterwards
        assert run.poll() is None, (orchestra.home / "run.log").read_text()
        database.start()
        ends_well(orchestra, root, run, calm)
        assert orchestra.server.poll() is None
