"""Stages on workers: real ones, in the same folder and in clones of their own."""

import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tasks import dvc
from tests import scratch
from tests.orchestra import Orchestra, wait_for
from tests.support import make_project
from tests.test_drivers import ROWS
from tests.webdav import serve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def orchestra(tmp_path_factory):
    made = Orchestra(tmp_path_factory.mktemp("prefect"))
    try:
        made.serve()
        made.deploy()
        yield made
    finally:
        made.close()


@pytest.fixture
def calm(tmp_path):
    """What a laptop's `dvc repro` leaves in dvc.lock."""
    laptop = scratch.make(tmp_path / "laptop")
    laptop.can_write_its_dag()
    assert laptop.dvc("repro").returncode == 0
    dvc.order_lock(laptop.root)
    return (laptop.root / "dvc.lock").read_bytes()


@pytest.fixture
def project(project, orchestra):
    project.can_write_its_dag()
    project.git("add", "-A")
    project.git("commit", "-qm", "it can write its dvc.yaml")
    yield project
    orchestra.end_workers()


def clone(project, folder):
    subprocess.run(["git", "clone", "-q", str(project.root), str(folder)], check=True)
    return folder


def ran(folder):
    """The stages that ran to their end in a folder and its worktrees."""
    return sorted(
        line.split()[1] for path in folder.rglob("ran.txt") for line in path.read_text().splitlines() if line.startswith("end")
    )  # fmt: skip


def test_the_schedule_fires_and_works_on_the_commit_beside_somebody_s_edits(orchestra, project, calm):
    project.set("embed", "g", text="half an idea")
    edited = (project.root / "params.yaml").read_bytes()
    orchestra.worker(project.root)
    orchestra.prefect("deployment", "schedule", "create", "train/nightly", "--cron", "* * * * *")
    lock = project.root / ".wordloom/nightly/dvc.lock"
    try:
        wait_for(lambda: lock.exists() and len(dvc.load(lock).get("stages") or {}) == 7, 240, "the schedule to fire and its run to end")
    finally:
        orchestra.prefect("--no-prompt", "deployment", "schedule", "clear", "--accept-yes", "train/nightly")
    wait_for(lambda: lock.read_bytes() == calm, 60, "the lock to be written in order")
    assert (project.root / "params.yaml").read_bytes() == edited
    assert not (project.root / "dvc.lock").exists()


def test_of_two_nightly_runs_at_once_the_second_is_cancelled_and_the_first_and_the_next_one_complete(orchestra, project):
    project.set("ingest", "a", sleep=100)
    project.git("commit", "-qam", "a stage that takes a while")
    known = {run["id"] for run in orchestra.runs("train")}

    def states() -> list[str]:
        return [run["state_type"] for run in orchestra.runs("train") if run["id"] not in known]

    orchestra.worker(project.root)
    orchestra.prefect("deployment", "run", "train/nightly")
    started = project.root / ".wordloom/nightly/ran.txt"
    wait_for(started.exists, 120, "the first one's stage to start")
    orchestra.prefect("deployment", "run", "train/nightly")
    wait_for(lambda: states()[1:] == ["CANCELLED"], 100, "the second one to be cancelled")
    assert states() == ["RUNNING", "CANCELLED"]
    wait_for(lambda: states()[0] != "RUNNING", 240, "the first one to end")
    assert states() == ["COMPLETED", "CANCELLED"]
    # each stage ran once; that one was cancelled stands in nobody's way the next night
    assert len(ran(project.root)) == 7
    orchestra.prefect("deployment", "run", "train/nightly")
    wait_for(lambda: states()[2:] == ["COMPLETED"], 120, "the next one to complete")
    assert len(ran(project.root)) == 7


@pytest.mark.parametrize("gpus", [1, 2])
def test_of_the_stages_of_the_queue_gpu_as_many_run_at_a_time_as_there_are_gpus(orchestra, project, gpus):
    orchestra.deploy("--gpus", str(gpus))
    tree = dvc.load(project.root / "dvc.yaml")
    for row in "gh":
        tree["stages"][f"embed-{row}"]["meta"]["queue"] = "gpu"
        project.set("embed", row, sleep=20)
    project.write("dvc.yaml", tree)
    orchestra.worker(project.root, "cpu")
    orchestra.worker(project.root, "gpu", "--limit", "4")
    done = orchestra.wordloom(project.root, "run", "--workers", "--jobs", "4", "embed/g", "embed/h")
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.split()[:2] for line in (project.root / "ran.txt").read_text().splitlines() if "embed-" in line]
    deeds = [deed for deed, _ in said]
    assert deeds == (["start", "end", "start", "end"] if gpus == 1 else ["start", "start", "end", "end"])
    assert {stage for _, stage in said} == {"embed-g", "embed-h"}


def test_workers_that_share_the_folder_leave_the_lock_of_a_laptop(orchestra, project, calm):
    orchestra.worker(project.root, "cpu")
    done = orchestra.wordloom(project.root, "run", "--workers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "embed/g | works" in done.stdout
    assert (project.root / "dvc.lock").read_bytes() == calm
    assert len(ran(project.root)) == 7


def test_two_workers_with_clones_and_a_folder_between_them_leave_the_lock_of_a_laptop(orchestra, project, calm, tmp_path):
    project.dvc("remote", "add", "store", str(tmp_path / "store"))
    two_clones(orchestra, project, calm, tmp_path)


def test_two_workers_with_clones_and_a_webdav_server_between_them_leave_the_lock_of_a_laptop(orchestra, project, calm, tmp_path):
    with serve(tmp_path / "store") as server:
        (tmp_path / "store" / "dvc").mkdir()
        project.dvc("remote", "add", "store", f"{server.url}/dvc")
        two_clones(orchestra, project, calm, tmp_path)
        assert server.uploads


def two_clones(orchestra, project, calm, tmp_path):
    project.git("commit", "-qam", "a remote")
    one, two = clone(project, tmp_path / "one"), clone(project, tmp_path / "two")
    orchestra.worker(one, "cpu")
    orchestra.worker(two, "cpu")
    project.git("commit", "-q", "--allow-empty", "-m", "a commit that the clones do not know yet")
    done = orchestra.wordloom(project.root, "run", "--workers", "--remote", "store")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.root / "dvc.lock").read_bytes() == calm
    # each stage ran once, all but the report on a worker, and a laptop finds nothing to do
    assert ran(project.root) == ["report-all"]
    assert sorted([*ran(one), *ran(two)]) == sorted({*dvc.load(project.root / "dvc.yaml")["stages"]} - {"report-all"})
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."
    assert (project.root / "runs/checks/vectors/g.json").exists()
    # and what one has finished, another clone does not make again
    three = clone(project, tmp_path / "three")
    orchestra.end_workers()
    orchestra.worker(three, "cpu")
    project.set("embed", "g", noise=2)  # another parameter: runs there, once; the rest comes from the remote
    project.git("commit", "-qam", "noise")
    done = orchestra.wordloom(project.root, "run", "--workers", "--remote", "store")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran(three) == ["embed-g"]


@pytest.mark.timeout(1800)
def test_the_real_stages_on_two_workers_with_clones_leave_the_lock_of_a_laptop(orchestra, tmp_path):
    laptop = scratch.Project(make_project(tmp_path / "laptop", ROWS))
    project = scratch.Project(shutil.copytree(laptop.root, tmp_path / "project"))  # with the same code, whatever is edited meanwhile
    assert laptop.dvc("repro").returncode == 0
    dvc.order_lock(laptop.root)
    project.dvc("remote", "add", "store", str(tmp_path / "store"))
    project.git("commit", "-qam", "a remote")
    clones = [clone(project, tmp_path / name) for name in ("one", "two")]
    try:
        for folder in clones:
            orchestra.worker(folder, "cpu", "--limit", "1")
        done = orchestra.wordloom(project.root, "run", "--workers", "--remote", "store", timeout=1500)
    finally:
        orchestra.end_workers()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(dvc.read_lock(project.root)) == 16
    assert (project.root / "dvc.lock").read_bytes() == (laptop.root / "dvc.lock").read_bytes()
    # both have had their share, and nothing was made twice
    made = [{path.relative_to(folder) for path in (folder / "runs/records").rglob("*.json")} for folder in clones]
    assert made[0]
    assert made[1]
    assert not made[0] & made[1]
    assert len(made[0] | made[1]) == 14  # all but params and report, which stay here


def test_a_gate_that_closes_on_a_worker_s_clone_leaves_its_page_here_and_the_others_finish(orchestra, project, tmp_path):
    project.dvc("remote", "add", "store", str(tmp_path / "store"))
    project.write("params.yaml", {**project.params(), "closed": "vectors-g"})
    project.git("commit", "-qam", "a gate that will close")
    orchestra.worker(clone(project, tmp_path / "one"), "cpu")
    done = orchestra.wordloom(project.root, "run", "--workers", "--remote", "store")
    assert done.returncode == 2
    assert "check/vectors-g failed: vectors/g: token: expect_column_values_to_be_unique; 1 rows fail, first the" in done.stderr
    assert "not run, since it comes after: report/all" in done.stderr
    assert '"success": false' in (project.root / "runs/checks/vectors/g.json").read_text()
    assert "check-vectors-h" in dvc.read_lock(project.root)


def run_with_a_stage(orchestra, project):
    """A run on a worker, and the process of the stage that it has started there."""
    orchestra.worker(project.root, "cpu")
    run = orchestra.start([sys.executable, "-P", "-m", "flows", "run", "--workers"], project.root, "run.log")
    marker = project.root / "ran.txt"
    wait_for(marker.exists, 60, "the stage to start")
    stage = int(marker.read_text().split()[2])
    return run, stage


def test_a_run_that_is_cancelled_leaves_nothing_running_on_its_workers(orchestra, project):
    project.set("ingest", "a", sleep=120)
    run, stage = run_with_a_stage(orchestra, project)
    orchestra.prefect("flow-run", "cancel", orchestra.running("train"))
    start = time.monotonic()
    wait_for(lambda: not psutil.pid_exists(stage), 60, "the stage to end")
    wait_for(lambda: run.poll() is not None, 60, "the run to end")
    assert time.monotonic() - start < 10
    assert run.returncode == 2
    assert not dvc.read_lock(project.root)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_end_leaves_nothing_running(orchestra, project, how):
    worker = orchestra.worker(project.root, "cpu")
    below = psutil.Process(worker.pid).children(recursive=True)
    assert below
    for asked in [worker, *below] if how == signal.SIGINT else [worker]:  # a terminal asks all of them
        asked.send_signal(how)
    worker.wait(60)
    _, left = psutil.wait_procs(below, timeout=10)
    assert [it for it in left if it.status() != psutil.STATUS_ZOMBIE] == []


def test_a_stage_that_fails_on_a_worker_is_tried_as_often_as_it_says_and_no_more(orchestra, project):
    tree = dvc.load(project.root / "dvc.yaml")
    tree["stages"]["ingest-a"]["meta"].update(retries=1, retry_delay_s=0)
    project.write("dvc.yaml", tree)
    project.set("ingest", "a", fail="no words")
    orchestra.worker(project.root, "cpu")
    done = orchestra.wordloom(project.root, "run", "--workers", "ingest/a")
    assert "ingest/a failed: no words" in done.stderr
    assert (project.root / "ran.txt").read_text().count("start") == 2


def test_a_stage_ends_when_the_run_that_sent_it_has_ended(orchestra, project):
    project.set("ingest", "a", sleep=300)
    run, stage = run_with_a_stage(orchestra, project)
    sender = orchestra.running("train")
    run.kill()
    run.wait()
    assert psutil.pid_exists(stage)
    # what the automation of `wordloom deploy` does after 90 s of silence
    orchestra.set_state(sender, "CRASHED")
    wait_for(lambda: not psutil.pid_exists(stage), 60, "the stage to end")
