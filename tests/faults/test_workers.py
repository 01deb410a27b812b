"""Faults of a run on workers: of the worker, of its flow's process, of the Prefect server."""

import os
import signal
import sys
import time

import pytest

from tests.faults.inject import AT, STAGE
from tests.faults.support import HOOK, MARK, eventually, happened, holds, hook, process, processes, repro, wordloom_run, working
from tests.orchestra import Orchestra
from tests.scratch import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def orchestra(tmp_path_factory):
    made = Orchestra(tmp_path_factory.mktemp("prefect"))
    try:
        made.serve()
        deployed = made.wordloom(REPOSITORY, "deploy")
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        yield made
    finally:
        made.close()


@pytest.fixture
def held(orchestra, root):
    """A run on a worker that shares the folder, at a moment at which a stage works; the stage hangs once, for a minute."""
    calm_env = dict(orchestra.env)
    orchestra.env |= {MARK: str(root), **hook(root, STAGE, "hang", AT), "PYTHONPATH": f"{HOOK}{os.pathsep}{REPOSITORY}"}
    worker = orchestra.worker(root)
    run = orchestra.start([sys.executable, "-P", "-m", "flows", "run", "--workers"], root, "run.log")
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
    assert eventually(lambda: not stage.is_running(), 20)
    ends_well(orchestra, root, run, calm)


def test_a_server_that_is_killed_and_started_again_loses_nothing(orchestra, root, calm, held):
    _, run = held
    orchestra.server.kill()
    orchestra.server.wait()
    time.sleep(5)
    env, orchestra.env = orchestra.env, {key: value for key, value in orchestra.env.items() if not key.startswith("FAULT_") and key != MARK}
    orchestra.serve()
    orchestra.env = env
    ends_well(orchestra, root, run, calm)


def test_a_server_that_does_not_answer_for_a_while_loses_nothing(orchestra, root, calm, held):
    _, run = held
    orchestra.server.send_signal(signal.SIGSTOP)
    time.sleep(20)
    orchestra.server.send_signal(signal.SIGCONT)
    ends_well(orchestra, root, run, calm)


def test_a_run_on_workers_that_is_killed_leaves_its_stage_to_the_worker_and_the_next_run_completes(orchestra, root, calm, held):
    _, run = held
    run.kill()
    run.wait()
    orchestra.end_workers()
    assert eventually(lambda: not processes(root), 20), processes(root)
    happened(root)
    holds(root, calm, wordloom_run(PREFECT_API_URL=orchestra.env["PREFECT_API_URL"]))
