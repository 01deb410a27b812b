"""dvc.lock in one order, whoever wrote it."""

import fcntl
import json
import os
import shutil
import threading
import time

import pytest

from pipelines.errors import Fault
from tasks import dvc

AWKWARD = {
    "tiny": 1e-05, "round": 100.0, "big": 1e21, "third": 1 / 3, "yes": "yes", "no": False, "empty": "", "none": None,
    "colon": "a: b", "quote": "it's", "long": "word " * 40, "lines": "one\ntwo\n", "number": "012", "list": [1, [2.5, {"x": []}]],
    "map": {}, "umlaut": "Größe", "tab": "a\tb", "date": "2024-01-01", "hash": "# no", "space": " x ",
}  # fmt: skip


def test_a_lock_that_dvc_wrote_stage_by_stage_is_left_as_it_is(project):
    project.set("embed", "g", **AWKWARD)
    assert project.dvc("repro").returncode == 0
    before = (project.root / "dvc.lock").read_bytes()
    assert dvc.order_lock(project.root) is False
    assert (project.root / "dvc.lock").read_bytes() == before
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."


def test_stages_that_ended_in_another_order_leave_the_same_bytes(project):
    project.set("embed", "h", **AWKWARD)
    assert project.dvc("repro").returncode == 0
    wanted = (project.root / "dvc.lock").read_bytes()
    (project.root / "dvc.lock").unlink()
    shutil.rmtree(project.root / "data")
    for stage in ("ingest-a", "check-corpus-a", "embed-h", "check-vectors-h", "embed-g", "check-vectors-g", "report-all"):
        assert project.dvc("repro", "--single-item", stage).returncode == 0
    assert (project.root / "dvc.lock").read_bytes() != wanted
    assert dvc.order_lock(project.root) is True
    assert (project.root / "dvc.lock").read_bytes() == wanted


def test_stages_that_are_gone_from_dvc_yaml_are_dropped(project):
    assert project.dvc("repro").returncode == 0
    tree = dvc.load(project.root / "dvc.yaml")
    del tree["stages"]["report-all"]
    project.write("dvc.yaml", tree)
    assert dvc.order_lock(project.root) is True
    assert list(dvc.read_lock(project.root)) == list(tree["stages"])


def test_a_project_without_a_lock_has_nothing_to_order(project):
    assert dvc.order_lock(project.root) is False
    assert not (project.root / "dvc.lock").exists()


def test_ordering_waits_for_a_dvc_that_writes(project):
    assert project.dvc("repro", "ingest-a").returncode == 0
    done = threading.Event()
    with (project.root / ".dvc" / "tmp" / "lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = threading.Thread(target=lambda: (dvc.order_lock(project.root), done.set()))
        waiting.start()
        time.sleep(0.3)
        assert not done.is_set()
    assert done.wait(10)
    waiting.join()


def hold(project):
    """As another DVC that is writing an output of embed-g."""
    path = project.root / ".dvc/tmp/rwlock"
    path.parent.mkdir(exist_ok=True)
    holder = {"pid": os.getpid(), "cmd": "dvc repro embed-g"}
    path.write_text(json.dumps({"write": {str(project.root / "data/4_vectors/g"): holder}, "read": {}}))
    return path


def test_what_another_dvc_holds_is_waited_for_and_told_once(project, capsys, monkeypatch):
    monkeypatch.setattr(dvc, "BUSY_RETRY_S", 0.1)
    lock, run, n = hold(project), dvc.subprocess.run, 0

    def leave_at_the_third(*args, **more):
        nonlocal n
        n += 1
        if n == 3:
            lock.unlink()
        return run(*args, **more)

    monkeypatch.setattr(dvc.subprocess, "run", leave_at_the_third)
    assert "embed-g" in dvc.status(project.root)
    assert n == 3
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("dvc status waits: ")
    assert f"is busy, it is being blocked by: (PID {os.getpid()}): dvc repro embed-g" in line


def test_what_another_dvc_holds_for_ever_is_a_fault_that_names_it(project, monkeypatch):
    monkeypatch.setattr(dvc, "BUSY_LIMIT_S", -1)
    hold(project)
    with pytest.raises(Fault, match=rf"dvc status: .* blocked by: \(PID {os.getpid()}\): dvc repro embed-g") as caught:
        dvc.status(project.root)
    assert len(caught.value.faults) == 1


def test_an_error_is_one_line_with_what_continues_it():
    said = "noise\nERROR: a is busy:\n  (PID 1): x\n\nERROR: b\nWARNING: c\n  d\n"
    assert dvc.errors(said) == ["a is busy: (PID 1): x", "b"]


def test_the_interpreter_of_this_process_is_the_python_of_the_stages(project):
    import sys
    from pathlib import Path

    assert dvc.environment()["PATH"].split(":")[0] == str(Path(sys.executable).parent)


def test_what_dvc_says_of_every_run_is_left_out():
    said = [
        "Running stage 'embed-g':",
        "> python -m pipelines embed g",
        "embed/g: 3 rows",
        "",
        "Updating lock file 'dvc.lock'",
        "ERROR: no",
    ]
    assert [line for line in said if not dvc.is_chatter(line)] == ["embed/g: 3 rows", "ERROR: no"]


@pytest.fixture
def notes(project, tmp_path, monkeypatch):
    """The files in which DVC keeps what it has hashed."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    assert project.dvc("repro", "embed-g").returncode == 0
    project.ran()
    return {path.parent.name: path for path in (tmp_path / "site").rglob("cache.db")}


@pytest.mark.parametrize("which", ["local", "links"])
@pytest.mark.parametrize("damage", ["garbage", "cut"])
def test_notes_of_dvcs_that_are_damaged_are_begun_anew(project, notes, capsys, which, damage):
    notes[which].write_bytes(b"garbage " * 4096 if damage == "garbage" else notes[which].read_bytes()[:16_384])
    alone = project.dvc("status", "embed-g")
    assert alone.returncode != 0  # DVC alone never gets over it
    assert any(words in alone.stderr for words in dvc.TORN)
    assert dvc.status(project.root, "embed-g") == {}
    assert capsys.readouterr().err.startswith("mended: DVC's notes")
    assert project.dvc("repro", "embed-g").returncode == 0
    assert project.ran() == []


def test_a_stage_and_a_push_get_over_damaged_notes(project, notes, tmp_path, monkeypatch, capsys):
    from tasks import stage, store

    notes["local"].write_bytes(b"garbage " * 4096)
    lines = []
    command = dvc.command("repro", "--single-item", "embed-h")
    assert stage._here(command, project.root, dvc.environment(), 60, lines.append, lines, set()) is None
    assert project.ran() == ["embed-h"]
    assert capsys.readouterr().err.count("mended: ") == 1
    monkeypatch.setattr(store, "RETRY_DELAY_S", 0.1)
    assert project.dvc("remote", "add", "-d", "store", str(tmp_path / "remote")).returncode == 0
    for path in (tmp_path / "site").rglob("cache.db"):
        path.write_bytes(b"garbage " * 4096)
    assert store.push(project.root, ["embed-h"])[0] == 2
    assert capsys.readouterr().err.count("mended: ") == 1
