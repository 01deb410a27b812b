"""Several processes train one model: the result of one, to a tolerance; the same bytes each time; and no orphan."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines import layout
from pipelines.artifacts.predictions import Predictions
from tests.support import ENV, make_project, run

ROW = "{method: lstm, tokens: words, hidden_size: 8, vector_size: 8, batch_size: 10, dropout: 0.0, lr: 0.01"
ROWS = f"""
ingest:
  tiny: {{method: csv, source: tests/tiny/notices.csv, id: id, split: split}}
tokenize:
  words: {{method: words, corpus: tiny, min_count: 2, devices: 2}}
classify:
  one: {ROW}, epochs: 3}}
  two: {ROW}, epochs: 3, devices: 2}}
  long: {ROW}, epochs: 60, patience: 60, devices: 2}}
  killed: {ROW}, epochs: 60, patience: 60, devices: 2}}
  away: {ROW}, device: cuda, devices: 2}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = make_project(tmp_path_factory.mktemp("ranks") / "project", ROWS)
    run(root, "dvc", "repro", "classify-two", "classify-one")
    return root


def at_work(root: Path) -> dict[int, list[str]]:
    """Process id -> command of what runs in `root`."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd") == str(root) and (entry / "stat").read_text().split()[2] != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")
            except OSError:
                continue
    return found


def eventually_idle(root: Path) -> bool:
    end = time.monotonic() + 10
    while at_work(root) and time.monotonic() < end:
        time.sleep(0.1)
    return not at_work(root)


def begun(root: Path, row: str) -> subprocess.Popen:
    """A stage that has finished some epochs."""
    command = ["python", "-m", "pipelines", "classify", row]
    stage = subprocess.Popen(command, cwd=root, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in stage.stdout:
        if ": epoch " in line and not line.endswith(": epoch 1"):
            return stage
    pytest.fail(f"no epoch was ever finished, {stage.wait()}")


def rank_of(process: int) -> str:
    environment = Path(f"/proc/{process}/environ").read_text().split("\0")
    return next(entry for entry in environment if entry.startswith("LOCAL_RANK="))


def record(root: Path, row: str) -> dict:
    (path,) = (root / layout.RECORDS / "predictions").glob(f"{row}-*.json")
    return json.loads(path.read_text())


@pytest.mark.quick_slow
def test_two_processes_train_the_model_that_one_does(project):
    one, two = (Predictions(project / layout.artifact("predictions", row)) for row in ("one", "two"))
    assert one.model()[0] == two.model()[0]
    for name, weights in one.model()[1].items():
        np.testing.assert_allclose(two.model()[1][name], weights, atol=1e-5, err_msg=name)
    for a, b in zip(one.curve(), two.curve(), strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    assert one.read(columns=["predicted"]).equals(two.read(columns=["predicted"]))
    assert record(project, "two")["devices"] == 2
    assert "devices" not in record(project, "one")


def test_a_method_that_does_not_train_in_torch_is_run_by_one_process(project):
    # its row says devices: 2, too
    (path,) = (project / layout.RECORDS / "tokens").glob("words-*.json")
    assert "devices" not in json.loads(path.read_text())


def test_a_rank_killed_in_mid_run_ends_the_stage_and_the_next_run_goes_on_to_the_same_bytes(project):
    run(project, "python", "-m", "pipelines", "classify", "long")
    stage = begun(project, "killed")
    ranks = [pid for pid, command in at_work(project).items() if "pipelines.ranks" in command]
    (second,) = [pid for pid in ranks if rank_of(pid) == "LOCAL_RANK=1"]
    assert len(ranks) == 2
    os.kill(second, signal.SIGKILL)
    output = stage.communicate(timeout=30)[0]
    assert stage.returncode == 2
    assert "fault: classify/killed: process 2 of 2 was ended by signal 9" in output
    assert "Traceback" not in output
    assert eventually_idle(project), at_work(project)
    folder = project / layout.DATA["predictions"]
    assert not [path for path in folder.iterdir() if "killed" in path.name]

    again = run(project, "python", "-m", "pipelines", "classify", "killed")
    assert again.stdout.count("goes on after epoch") == 1
    assert layout.hash_path(folder / "killed") == layout.hash_path(folder / "long")
    assert not list((project / ".wordloom" / "checkpoints").iterdir())


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_ranks_end_with_the_stage_that_started_them(project, stop):
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("lr: 0.01, epochs: 60", "lr: 0.01, epochs: 5000"))
    run(project, "python", "-m", "pipelines", "dag")
    stage = begun(project, "killed")
    stage.send_signal(stop)
    stage.communicate(timeout=30)
    assert stage.returncode != 0
    assert eventually_idle(project), at_work(project)


def test_a_fault_in_the_ranks_is_said_once(project):
    done = run(project, "python", "-m", "pipelines", "classify", "away", ok=False)
    assert done.returncode == 2
    assert done.stderr.count("fault:") == 1
    assert "classify/away: device" in done.stderr
