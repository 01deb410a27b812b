"""Random faults over repeated runs on the tiny corpus, for a bounded time: at the end dvc.lock is the calm run's.

WORDLOOM_CHAOS_SEED  which faults, and when; printed, so that a run that failed can be had again
WORDLOOM_CHAOS_S     for how many seconds
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.support import (
    MARK,
    WITHIN_S,
    Calm,
    call,
    copy,
    end,
    eventually,
    happened,
    holds,
    hook,
    objects,
    processes,
    said,
    start,
    wordloom_run,
)  # fmt: skip
from tests.faults.support import calm as run_calmly
from tests.support import make_project
from tests.test_drivers import ROWS

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("WORDLOOM_CHAOS_SEED", "1"))
SECONDS = float(os.environ.get("WORDLOOM_CHAOS_S", "240"))
LONGEST_S = 20.0  # into a run until a fault strikes
DRIVERS = (["dvc", "repro"], ["wordloom", "run"])


class Chaos:
    def __init__(self, root: Path, calm: Calm, api: str, rng: random.Random):
        self.root, self.calm, self.rng = root, calm, rng
        self.env = {"PREFECT_API_URL": api}

    def begin(self, **env: str) -> subprocess.Popen:
        return start(self.root, *self.rng.choice(DRIVERS), **self.env, **env)

    def later(self, run: subprocess.Popen) -> None:
        eventually(lambda: run.poll() is not None, self.rng.uniform(0.5, LONGEST_S))

    def kill_a_process(self) -> None:
        """kill -9 or SIGTERM of any of the processes: the driver, dvc, a launcher, a stage, a process of its pool."""
        run = self.begin()
        self.later(run)
        going = [it for it in psutil.process_iter() if _is_of(it, self.root)]
        if going:
            victim = self.rng.choice(going)
            with contextlib.suppress(psutil.NoSuchProcess):
                self.rng.choice([victim.kill, victim.terminate])()
        run.wait(280)

    def end_the_driver(self) -> None:
        run = self.begin()
        self.later(run)
        if run.poll() is None:
            end(run, self.rng.choice(["kill", "term", "hangup", "ctrl-c"]))
        run.wait(60)

    def strike_at_a_write(self) -> None:
        """A process is killed, or finds the disk full, at any of its writes."""
        who = self.rng.choice(["-m dvc|dvc/__main__", "-m pipelines "])
        run = self.begin(**hook(self.root, who, self.rng.choice(["kill", "tear", "full"]), n=self.rng.randint(1, 60)))
        run.wait(280)
        happened(self.root)

    def edit_the_parameters(self) -> None:
        """In mid-run; afterwards they are put back."""
        params = self.root / "params.yaml"
        text = params.read_text()
        run = self.begin()
        self.later(run)
        params.write_text(text.replace("epochs: 3", "epochs: 4"))
        run.wait(280)
        params.write_text(text)

    def delete_outputs(self) -> None:
        for out in self.rng.sample(sorted(self.calm.data), 4):
            path = self.root / out
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def forget_the_lock(self) -> None:
        lock = self.root / "dvc.lock"
        self.rng.choice([lambda: lock.unlink(missing_ok=True), lambda: lock.write_text(""), lambda: lock.write_text("<<<<<<< HEAD\n")])()

    def alter_an_object(self) -> None:
        there = sorted(objects(self.root))
        if not there:
            return
        path = self.rng.choice(there)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        path.chmod(0o444)
        call(self.root, "wordloom", "verify", "--repair", **self.env)
        if path in _altered(self.root):  # dvc.lock does not refer to it now, though the run-cache may
            path.unlink()

    def leave_locks(self) -> None:
        gone = subprocess.Popen(["true"])
        gone.wait()
        (self.root / ".dvc/tmp").mkdir(exist_ok=True)
        out = self.rng.choice(sorted(self.calm.data))
        pid = self.rng.choice([gone.pid, 1])
        text = json.dumps({"write": {str(self.root / out): {"pid": pid, "cmd": "dvc repro"}}, "read": {}})
        (self.root / ".dvc/tmp/rwlock").write_text(self.rng.choice([text, "", text[:20]]))


FAULTS = [
    Chaos.kill_a_process, Chaos.kill_a_process, Chaos.end_the_driver, Chaos.end_the_driver, Chaos.strike_at_a_write, Chaos.strike_at_a_write,
    Chaos.edit_the_parameters, Chaos.delete_outputs, Chaos.forget_the_lock, Chaos.alter_an_object, Chaos.leave_locks,
]  # fmt: skip


def _is_of(process: psutil.Process, root: Path) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(MARK) == str(root)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _altered(root: Path) -> list[Path]:
    from tests.faults.support import altered

    return [root / ".dvc/cache/files/md5" / name[:2] / name[2:] for name in altered(root)]


@pytest.mark.timeout(SECONDS + 1200)
def test_whatever_happens_the_lock_ends_as_the_calm_runs(tmp_path, api):
    print(f"WORDLOOM_CHAOS_SEED={SEED} WORDLOOM_CHAOS_S={SECONDS:g}")
    rng = random.Random(SEED)
    template = make_project(tmp_path / "template" / "project", ROWS)
    calm = run_calmly(copy(template, tmp_path / "calm" / "project"))
    chaos = Chaos(copy(template, tmp_path / "chaos" / "project"), calm, api, rng)
    stop, n = time.monotonic() + SECONDS, 0
    while time.monotonic() < stop or n < len(FAULTS):
        if n % len(FAULTS) == 0:
            order = rng.sample(FAULTS, len(FAULTS))  # each kind comes once before any comes again
        fault = order[n % len(FAULTS)]
        print(f"{n:3} {fault.__name__}", flush=True)
        fault(chaos)
        assert eventually(lambda: not processes(chaos.root), WITHIN_S), f"still running: {processes(chaos.root)}\n{said(chaos.root)}"
        n += 1
    holds(chaos.root, calm, wordloom_run(**chaos.env))
