"""The flow against a real Prefect server and real DVC, on a scratch project."""

import shutil
import time

import pytest

from tasks import dvc

pytestmark = pytest.mark.slow


@pytest.fixture
def train(prefect_server, project):
    """Runs the flow on the project; gives its state."""
    from flows.train import train as flow

    return lambda **more: flow(str(project.root), return_state=True, **more)


def task_runs(state):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter

    with get_client(sync_client=True) as client:
        only = FlowRunFilter(id={"any_": [state.state_details.flow_run_id]})
        return {run.name: run for run in client.read_task_runs(flow_run_filter=only)}


def artifacts():
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return {artifact.key: artifact for artifact in client.read_latest_artifacts()}


@pytest.mark.quick_slow
def test_both_drivers_leave_the_same_lock_and_the_flow_runs_each_stage_once(train, project):
    assert project.dvc("repro").returncode == 0
    dvc.order_lock(project.root)
    wanted = (project.root / "dvc.lock").read_bytes()
    (project.root / "dvc.lock").unlink()
    for folder in ("data", ".dvc/cache"):
        shutil.rmtree(project.root / folder)
    project.ran()
    state = train()
    assert state.is_completed(), state.message
    assert sorted(project.ran()) == sorted(dvc.read_lock(project.root))
    assert (project.root / "dvc.lock").read_bytes() == wanted
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."
    assert set(task_runs(state)) == {
        "ingest/a", "check/corpus-a", "embed/g", "check/vectors-g", "embed/h", "check/vectors-h", "report/all",
    }  # fmt: skip
    assert {"gate-vectors-g", "gate-vectors-h", "gate-corpus-a", "report"} <= set(artifacts())
    # and what is up to date is not submitted
    again = train()
    assert again.is_completed()
    assert task_runs(again) == {}
    # nor what comes after a stage whose output stayed the same
    project.set("embed", "g", noise=1)
    changed = train()
    assert set(task_runs(changed)) == {"embed/g"}
    assert "1 stages ran, 6 were up to date" in changed.message


@pytest.mark.quick_slow
def test_a_closed_gate_stops_what_comes_after_it_and_shows_its_table(train, project):
    project.write("params.yaml", {**project.params(), "closed": "vectors-g"})
    state = train()
    assert state.is_failed()
    assert "check/vectors-g failed: vectors/g: token: expect_column_values_to_be_unique; 1 rows fail, first the" in state.message
    assert "not run, since it comes after: report/all" in state.message
    assert "check-vectors-h" in project.ran()
    table = artifacts()["gate-vectors-g"].data
    assert '"passed": "NO"' in table
    assert "token" in table
    assert task_runs(state)["check/vectors-g"].state.is_failed()
    # and a later run goes on from there
    project.write("params.yaml", {key: value for key, value in project.params().items() if key != "closed"})
    assert train().is_completed()
    assert project.ran() == ["check-vectors-g", "report-all"]


def test_targets_run_with_what_they_need_and_nothing_else(train, project):
    assert train(targets=["embed/h"]).is_completed()
    assert project.ran() == ["ingest-a", "check-corpus-a", "embed-h"]
    unknown = train(targets=["embed/x"])
    assert unknown.is_failed()
    assert "dvc.yaml has no stage 'embed/x'" in unknown.message


def test_a_stage_is_retried_as_often_as_its_meta_says_and_stopped_after_its_timeout(train, project, monkeypatch):
    tree = dvc.load(project.root / "dvc.yaml")
    tree["stages"]["ingest-a"]["meta"].update(retries=1, retry_delay_s=0, timeout_s=4)
    project.write("dvc.yaml", tree)
    project.set("ingest", "a", sleep=60)
    state = train(targets=["ingest/a"])
    assert "ingest/a failed: ran longer than its timeout of 4 s" in state.message
    assert task_runs(state)["ingest/a"].run_count == 2


def test_a_stage_waits_for_another_dvc_that_holds_what_it_needs(train, project, monkeypatch, capfd):
    import json
    import os
    import threading

    monkeypatch.setattr("tasks.dvc.BUSY_RETRY_S", 0.2)
    lock = project.root / ".dvc/tmp/rwlock"
    wanted = dvc.status

    def status_then_hold(*args):
        found = wanted(*args)
        holder = {"pid": os.getpid(), "cmd": "dvc repro"}
        lock.write_text(json.dumps({"write": {str(project.root / "data/1_corpus/a"): holder}, "read": {}}))
        threading.Timer(5, lock.unlink).start()
        return found

    monkeypatch.setattr(dvc, "status", status_then_hold)
    state = train(targets=["ingest/a"])
    assert state.is_completed(), state.message
    assert project.ran() == ["ingest-a"]
    assert capfd.readouterr().out.count("is busy, it is being blocked by") == 1


def test_one_stage_is_a_flow_of_its_own(prefect_server, project):
    from flows.stage import stage

    assert stage("ingest/a", str(project.root), return_state=True).is_completed()
    assert project.ran() == ["ingest-a"]
    project.set("embed", "g", fail="no words")
    assert project.dvc("repro", "check-corpus-a").returncode == 0
    assert stage("embed-g", str(project.root), return_state=True).message == "no words"


def test_a_run_that_somebody_cancels_in_the_ui_stops_its_stage(train, project, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.states import Cancelling

    monkeypatch.setattr("flows.train.TICK_S", 0.5)
    project.set("ingest", "a", sleep=60)
    with ThreadPoolExecutor(1) as pool, get_client(sync_client=True) as client:
        ended = pool.submit(train)
        end = time.monotonic() + 60
        while not (project.root / "ran.txt").exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        # the newest: a test that killed its run may have left it running in the server's eyes
        (run,) = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state={"type": {"any_": ["RUNNING"]}}), sort=FlowRunSort.START_TIME_DESC, limit=1
        )
        client.set_flow_run_state(run.id, Cancelling())
        state = ended.result(30)
        assert client.read_flow_run(run.id).state.is_cancelled()
    assert state.is_cancelled()
    assert "ingest/a failed: the run was stopped" in state.message
    assert project.ran() == []


@pytest.fixture
def lab(project):
    """A project whose worktrees can write their dvc.yaml, committed."""
    project.can_write_its_dag()
    project.git("add", "-A")
    project.git("commit", "-qm", "it can write its dvc.yaml")
    return project


def test_a_nightly_run_works_on_the_commit_in_a_worktree_and_leaves_edits_alone(train, lab):
    lab.set("embed", "g", text="half an idea")
    (lab.root / "stage.py").write_text("not even Python")
    before = {path: path.read_bytes() for path in lab.root.iterdir() if path.is_file()}
    state = train(experiment="nightly", revision="HEAD")
    assert state.is_completed(), state.message
    tree = lab.root / ".wordloom/nightly"
    assert len(dvc.read_lock(tree)) == 7
    assert {path: path.read_bytes() for path in lab.root.iterdir() if path.is_file()} == before
    assert not (lab.root / "data/1_corpus").exists()
    # the commit moves on, and so does the worktree; what is up to date does not run
    lab.git("checkout", "-q", "--", "stage.py")
    lab.git("commit", "-qam", "the idea")
    (tree / "ran.txt").unlink()
    assert train(experiment="nightly", revision="HEAD").is_completed()
    ran = [line.split()[1] for line in (tree / "ran.txt").read_text().splitlines() if line.startswith("end")]
    assert ran == ["embed-g", "check-vectors-g", "report-all"]


def test_a_revision_that_is_none_and_one_without_an_experiment_are_refused(train, lab):
    assert "knows no commit 'v9'" in train(experiment="nightly", revision="v9").message
    assert "cannot be a git revision" in train(experiment="nightly", revision="--upload-pack=x").message
    assert "give an experiment, too" in train(revision="HEAD").message
    assert "cannot name an experiment" in train(experiment="../x", revision="HEAD").message


def test_workers_without_a_deployment_are_refused_before_anything_runs(train, lab):
    state = train(workers=True)
    assert state.is_failed()
    assert "no deployment stage/cpu for the stages of queue cpu. Run: wordloom deploy" in state.message
    assert lab.ran() == []
