"""The faults that a scratch project shows in seconds: each is injected for real, and seen to have happened.

A function takes the project, in which nothing has run, and the address of a Prefect server; it returns after the
fault, when what was started has ended or is about to. Its docstring is a line of docs/faults.md: the fault, what
happens, what a person does.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.support import (
    WITHIN_S,
    call,
    end,
    eventually,
    happened,
    hook,
    process,
    processes,
    repro,
    said,
    small_disk,
    start,
    working,
)  # fmt: skip

STAGE = "stage.py embed g"
AT = "mkdir .*/data/4_vectors/g"  # the stage works, and has written nothing yet


def kill_stage(root: Path, api: str) -> None:
    """`kill -9` of a stage's process

    `dvc repro` stops there; what it had written aside is swept away by the next run

    run again
    """
    done = call(root, "dvc", "repro", **hook(root, STAGE, "kill", AT))
    assert happened(root)
    assert "failed to reproduce 'embed-g'" in done.stdout


def kill_dvc(root: Path, api: str) -> None:
    """`kill -9` of `dvc repro`

    the kernel kills the stage with it

    run again
    """
    run = start(root, "dvc", "repro", **hook(root, STAGE, "hang", AT))
    working(root, "embed-g")
    run.kill()
    run.wait()


def kill_stage_of_run(root: Path, api: str) -> None:
    """`kill -9` of a stage's process in `wordloom run`

    the stage fails, and says how it ended; what does not depend on it finishes

    run again
    """
    done = call(root, "wordloom", "run", PREFECT_API_URL=api, **hook(root, STAGE, "kill", AT))
    assert happened(root)
    assert done.returncode == 2, done.stdout
    assert "embed/g failed: " in done.stdout
    assert "check-vectors-h" in (root / "dvc.lock").read_text()  # what does not depend on it has finished


def kill_dvc_of_run(root: Path, api: str) -> None:
    """`kill -9` of a stage's `dvc` in `wordloom run`

    the stage dies with it and fails; what does not depend on it finishes

    run again
    """
    run = start(root, "wordloom", "run", PREFECT_API_URL=api, **hook(root, STAGE, "hang", AT))
    working(root, "embed-g")
    process(root, "--single-item embed-g").kill()
    assert run.wait(60) == 2
    assert "embed/g failed: " in said(root)
    assert "check-vectors-h" in (root / "dvc.lock").read_text()


def _end_run(root: Path, api: str, how: str) -> str:
    run = start(root, "wordloom", "run", PREFECT_API_URL=api, **hook(root, STAGE, "hang", AT))
    working(root, "embed-g")
    end(run, how)
    assert eventually(lambda: not processes(root), WITHIN_S), processes(root)
    assert run.wait() != 0
    return said(root)


def kill_run(root: Path, api: str) -> None:
    """`kill -9` of `wordloom run`

    the kernel kills all that it started; the server shows the run as running until its automation marks it crashed

    run again
    """
    _end_run(root, api, "kill")


def term_run(root: Path, api: str) -> None:
    """`kill` (SIGTERM) of `wordloom run`

    its stages are asked to end, then killed

    run again
    """
    _end_run(root, api, "term")


def term_run_of_a_hung_server(root: Path, api: str) -> None:
    """`kill` (SIGTERM) of `wordloom run` whose own server hangs

    its stages end; it waits 8 s for the server, then leaves without telling it, and takes it along

    run again
    """
    home = {"PREFECT_API_URL": "", "PREFECT_HOME": str(root.parent / "home")}
    run = start(root, "wordloom", "run", **home, **hook(root, STAGE, "hang", AT))
    working(root, "embed-g")
    process(root, "flows.api").suspend()
    end(run, "term")
    assert eventually(lambda: not processes(root), WITHIN_S), processes(root)
    assert run.wait() != 0
    assert "has not heard how the run ended" in said(root)


def close_terminal(root: Path, api: str) -> None:
    """The terminal of `wordloom run` is closed (SIGHUP)

    as `kill -9`

    run again
    """
    _end_run(root, api, "hangup")


def interrupt_run(root: Path, api: str) -> None:
    """Ctrl-C in `wordloom run`

    its stages end, and it says how to go on

    run again
    """
    assert "stopped; nothing half-written is left" in _end_run(root, api, "ctrl-c")


def interrupt_dvc(root: Path, api: str) -> None:
    """Ctrl-C in `dvc repro`

    the stage ends, then DVC

    run again
    """
    run = start(root, "dvc", "repro", **hook(root, STAGE, "hang", AT))
    working(root, "embed-g")
    end(run, "ctrl-c")
    assert run.wait(WITHIN_S) != 0


def cancel(root: Path, api: str) -> None:
    """Cancel in the Prefect UI

    the stages are stopped, the run becomes Cancelled

    run again
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.states import Cancelling

    run = start(root, "wordloom", "run", PREFECT_API_URL=api, **hook(root, STAGE, "hang", AT))
    working(root, "embed-g")
    with get_client(sync_client=True) as client:
        going = client.read_flow_runs(flow_run_filter=FlowRunFilter(state={"type": {"any_": ["RUNNING"]}}))
        (mine,) = [it for it in going if it.parameters.get("root") == str(root)]
        client.set_flow_run_state(mine.id, Cancelling())
        assert eventually(lambda: not processes(root), WITHIN_S), processes(root)
        assert run.wait() == 2
        assert client.read_flow_run(mine.id).state.is_cancelled()


def stopped_stage(root: Path, api: str) -> None:
    """A stage hangs and does not hear SIGTERM: it is stopped at its timeout, and retried

    it is asked to end, killed 5 s later, and run again as often as its `retries` say

    nothing
    """
    _meta(root, timeout_s=15, retries=1, retry_delay_s=1)
    done = call(root, "wordloom", "run", PREFECT_API_URL=api, **hook(root, STAGE, "deaf", AT))
    assert happened(root)
    assert done.returncode == 0, done.stdout


def _meta(root: Path, **meta: object) -> None:
    from tasks import dvc

    tree = dvc.load(root / "dvc.yaml")
    tree["stages"]["embed-g"]["meta"].update(meta)
    (root / "dvc.yaml").write_text(dvc.dump(tree))


def tear_rwlock(root: Path, api: str) -> None:
    """`dvc` is killed, or its disk is full, as it writes `.dvc/tmp/rwlock`

    every later DVC says that the file is corrupted; `wordloom run` removes it first, and says so

    `wordloom run`; or delete `.dvc/tmp/rwlock`
    """
    call(root, "dvc", "repro", **hook(root, "dvc", "tear", "open .*/rwlock$", 30))
    assert happened(root)
    assert "JSON structure is corrupted" in repro(root).stdout  # DVC alone cannot go on


def tear_lock(root: Path, api: str) -> None:
    """`dvc` is killed, or its disk is full, as it writes `dvc.lock`

    every later DVC says that the file is not valid; `wordloom run` moves it to `.wordloom/dvc.lock.broken`, and takes what had finished from DVC's run-cache

    `wordloom run`; or `git checkout dvc.lock`
    """
    call(root, "dvc", "repro", **hook(root, "dvc", "tear", "open .*/dvc.lock$", 3))
    assert happened(root)
    assert "validation failed" in repro(root).stdout


def tear_run_cache(root: Path, api: str) -> None:
    """`dvc` is killed as it writes into its run-cache

    an empty folder is left, with which DVC fails at that stage for ever; `wordloom run` removes it

    `wordloom run`; or remove empty folders below `.dvc/cache/runs`
    """
    call(root, "dvc", "repro", **hook(root, "dvc", "kill", r"open .*/runs/.*\.tmp", 3))
    assert happened(root)
    assert "not 'NoneType'" in repro(root).stdout


def tear_object(root: Path, api: str) -> None:
    """`dvc` is killed as it puts an output into its cache

    the half-written object is not read-only, so DVC hashes it, and puts it anew

    run again
    """
    call(root, "dvc", "repro", **hook(root, "dvc", "kill", r"remove .*/files/md5/../[0-9a-f]{30}$", 2))
    assert happened(root)


def reused_pid(root: Path, api: str) -> None:
    """Power fails in a run, and its pid belongs to another program after the restart

    DVC takes that program for itself and refuses; `wordloom run` drops the entry

    `wordloom run`; or delete `.dvc/tmp/rwlock`
    """
    call(root, "dvc", "repro", "check-corpus-a")
    path = root / ".dvc/tmp/rwlock"
    path.write_text(json.dumps({"write": {str(root / "data/4_vectors/g"): {"pid": 1, "cmd": "dvc repro"}}, "read": {}}))
    assert "is busy" in repro(root).stdout


def dead_pid(root: Path, api: str) -> None:
    """Locks of processes that are gone: DVC's, a run's, a row's

    nothing: a lock ends with its process

    nothing
    """
    gone = subprocess.Popen(["true"])
    gone.wait()
    call(root, "dvc", "repro", "check-corpus-a")
    holder = {"pid": gone.pid, "cmd": "dvc repro"}
    (root / ".dvc/tmp/rwlock").write_text(json.dumps({"write": {str(root / "data/4_vectors/g"): holder}, "read": {}}))
    (root / ".dvc/tmp/lock").write_text(f"{gone.pid}\n")
    (root / ".wordloom/locks").mkdir(parents=True)
    (root / ".wordloom/run.lock").write_text(json.dumps({"pid": gone.pid, "command": "wordloom run"}))
    (root / ".wordloom/locks/embed-g").write_text(str(gone.pid))


def held_lock(root: Path, api: str) -> None:
    """Another live `dvc` holds the project's lock for a while: it is waited for

    the run goes on when it is free

    nothing
    """
    call(root, "dvc", "repro", "check-corpus-a")
    hold = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(6)"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(root / ".dvc/tmp/lock")], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        done = call(root, "wordloom", "run", "embed/g", PREFECT_API_URL=api)
    assert done.returncode == 0, done.stdout
    with (root / ".dvc/tmp/lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # and is free again


def two_runs(root: Path, api: str) -> None:
    """Two `wordloom run` at once: the second waits, and finds nothing to do

    it names the process that it waits for

    nothing; `--no-wait` fails at once
    """
    first = start(root, "wordloom", "run", PREFECT_API_URL=api)
    working(root, "ingest-a")
    second = call(root, "wordloom", "run", PREFECT_API_URL=api)
    assert first.wait() == 0
    assert f"waiting for process {first.pid}" in second.stdout
    assert "all 7 stages are up to date" in second.stdout


def run_beside_dvc(root: Path, api: str) -> None:
    """`dvc repro` by hand beside `wordloom run`

    the run waits for what that holds; that may be refused what the run holds

    nothing
    """
    first = start(root, "wordloom", "run", PREFECT_API_URL=api)
    working(root, "ingest-a")
    for _ in range(5):
        repro(root)  # it may be refused: DVC alone does not wait for what another one works on
    assert first.wait(120) == 0, said(root)


def full_cache(root: Path, api: str) -> None:
    """Disk full in DVC's cache

    the stage fails with DVC's message; no object is left half in its place

    make room, run again
    """
    with small_disk(root / ".dvc/cache", "40k"):
        done = call(root, "wordloom", "run", PREFECT_API_URL=api)
        assert done.returncode == 2, done.stdout
        assert "No space left on device" in done.stdout
        assert eventually(lambda: not processes(root), WITHIN_S)
        subprocess.run(["mount", "-o", "remount,size=10m", str(root / ".dvc/cache")], check=True)
        subprocess.run(["cp", "-a", str(root / ".dvc/cache"), str(root.parent / "kept")], check=True)
    subprocess.run(["cp", "-a", f"{root.parent / 'kept'}/.", str(root / ".dvc/cache")], check=True)


def full_temporary(root: Path, api: str) -> None:
    """Disk full in the temporary folder

    nothing: no stage writes there

    nothing
    """
    place = root.parent / "tmp"
    with small_disk(place, "16k"):
        (place / "ballast").write_bytes(b"x" * 4096)
        with contextlib.suppress(OSError):
            (place / "more").write_bytes(b"x" * 100_000)
        done = call(root, "wordloom", "run", PREFECT_API_URL=api, TMPDIR=str(place))
    assert done.returncode == 0, done.stdout


def full_output(root: Path, api: str) -> None:
    """Disk full in a stage's output

    the stage fails and says so; nothing is kept

    make room, run again
    """
    done = call(root, "wordloom", "run", PREFECT_API_URL=api, **hook(root, STAGE, "full", "open .*/data/4_vectors/g/made"))
    assert happened(root)
    assert done.returncode == 2
    assert "No space left on device" in done.stdout


def closed_gate(root: Path, api: str) -> None:
    """A gate fails: what comes after it is stopped, the rest finishes, the message says what and where

    so do `wordloom run` and the Prefect UI; the report is in `runs/checks/`

    mend the data or the parameters, run again
    """
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params + "closed: vectors-g\n")
    done = call(root, "wordloom", "run", PREFECT_API_URL=api)
    assert done.returncode == 2
    for part in (
        "check/vectors-g failed: vectors/g: token: expect_column_values_to_be_unique",
        "not run, since it comes after: report/all",
    ):
        assert part in done.stdout
    assert "check-vectors-h" in (root / "dvc.lock").read_text()
    (root / "params.yaml").write_text(params)


def empty_outputs(root: Path, api: str) -> None:
    """Power fails, and outputs that had not reached the disk are empty

    DVC sees other sizes and times, and takes them from its cache

    run again; `wordloom verify --repair` when the cache has lost bytes, too
    """
    repro(root)
    for path in (root / "data").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


def deleted(root: Path, api: str) -> None:
    """`data/` and `dvc.lock` are deleted

    all comes from DVC's run-cache, nothing is computed

    run again
    """
    repro(root)
    subprocess.run(["rm", "-rf", "data", "dvc.lock"], cwd=root, check=True)


def clock_ahead(root: Path, api: str) -> None:
    """The clock jumps to and fro: a day ahead in one run, a day behind in the next, files of the future and of 1980

    DVC hashes anew what has another time; hashes decide

    nothing
    """
    call(root, "dvc", "repro", "check-corpus-a", **_clock(86_400))
    call(root, "wordloom", "run", "embed/g", PREFECT_API_URL=api, **_clock(-86_400))
    for i, path in enumerate(sorted(root.rglob("*"))):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, [(time.time() + 1e8,) * 2, (315_532_800,) * 2][i % 2])


def _clock(seconds: float) -> dict[str, str]:
    from tests.faults.support import HOOK

    return {"PYTHONPATH": str(HOOK), "FAULT_CLOCK": str(seconds)}


BY_DVC = [kill_stage, kill_dvc, interrupt_dvc, tear_object, empty_outputs, deleted]  # what `dvc repro` alone repairs
BY_RUN = [
    kill_stage_of_run, kill_dvc_of_run, kill_run, term_run, term_run_of_a_hung_server, close_terminal, interrupt_run, cancel, stopped_stage,
    tear_rwlock, tear_lock, tear_run_cache, reused_pid, dead_pid, held_lock, two_runs, run_beside_dvc, full_cache, full_temporary,
    full_output, closed_gate, clock_ahead,
]  # fmt: skip
