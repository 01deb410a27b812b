"""Random faults over repeated runs, for a bounded time: at the end dvc.lock is the calm run's.

On one machine it is the tiny corpus, by both drivers; on workers a scratch project whose stages take seconds, with a
server, a worker in the same folder or in a clone, and a WebDAV remote between the two.

WORDLOOM_CHAOS_SEED  which faults, and when; printed, so that a run that failed can be had again
WORDLOOM_CHAOS_S     for how many seconds
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests import scratch
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
from tests.orchestra import Orchestra
from tests.orchestra import end as end_all
from tests.support import make_project
from tests.test_drivers import ROWS
from tests.webdav import Server as Store
from tests.webdav import serve

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
        run.wait(280)  # Python loses a Ctrl-C that comes while a module of C is imported: then the run goes on to its end

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


class OnWorkers:
    """Runs that send their stages to one worker, which shares the folder or has a clone."""

    def __init__(self, project: scratch.Project, clone: Path, orchestra: Orchestra, store: Store, rng: random.Random):
        self.project, self.root, self.clone, self.orchestra, self.store, self.rng = project, project.root, clone, orchestra, store, rng
        self.place: Path | None = None  # where the worker is
        self.n = 0

    def begin(self) -> subprocess.Popen:
        """A run with something to do, at a commit of its own."""
        self.n += 1
        self.project.set(*self.rng.choice([("ingest", "a"), ("embed", "g"), ("embed", "h")]), text=f"round {self.n}")
        self.project.git("commit", "-qam", f"round {self.n}")
        shared = self.rng.random() < 0.5
        self.work(self.root if shared else self.clone)
        return self.run([] if shared else ["--remote", "store"])

    def run(self, options: list[str]) -> subprocess.Popen:
        return self.orchestra.start([sys.executable, "-P", "-m", "flows", "run", "--workers", *options], self.root, "run.log")

    def work(self, place: Path) -> None:
        """There is one worker now, and it is there."""
        if self.place != place or any(worker.poll() is not None for worker in self.orchestra.workers):
            self.orchestra.end_workers()
            self.orchestra.worker(place, "cpu")
            self.place = place

    def later(self, run: subprocess.Popen) -> None:
        eventually(lambda: run.poll() is not None, self.rng.uniform(1, 2 * LONGEST_S))

    def ended(self, run: subprocess.Popen) -> None:
        # an order that a killed worker had taken and not started is sent again after ten minutes (flows/automations.py: LATE)
        status = run.wait(1000)
        print(f"    ended with {status}", flush=True)

    def kill_the_worker(self) -> None:
        run = self.begin()
        self.later(run)
        for worker in self.orchestra.workers:
            worker.kill()
            worker.wait()
        time.sleep(self.rng.uniform(0, 10))
        self.work(self.place)
        self.ended(run)

    def kill_a_process_of_the_worker(self) -> None:
        """A flow's process, a launcher, dvc, or a stage."""
        run = self.begin()
        self.later(run)
        below = [it for worker in self.orchestra.workers for it in psutil.Process(worker.pid).children(recursive=True)]
        if below:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.rng.choice(below).kill()
        self.ended(run)

    def end_the_run(self) -> None:
        """The next run waits for what its stages still do."""
        run = self.begin()
        self.later(run)
        run.send_signal(self.rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        self.ended(run)

    def kill_the_server(self) -> None:
        run = self.begin()
        self.later(run)
        end_all(self.orchestra.server)
        time.sleep(self.rng.uniform(0, 10))
        self.orchestra.serve()
        self.ended(run)

    def stop_the_server(self) -> None:
        run = self.begin()
        self.later(run)
        self.orchestra.server.send_signal(signal.SIGSTOP)
        time.sleep(self.rng.uniform(1, 20))
        self.orchestra.server.send_signal(signal.SIGCONT)
        self.ended(run)

    def take_the_remote_away(self) -> None:
        run = self.begin()
        self.later(run)
        self.store.stop()
        time.sleep(self.rng.uniform(1, 20))
        self.store.start()
        self.ended(run)

    def let_it_end(self) -> None:
        """A worker takes the orders of runs that were killed, too: each ends once the server has marked who sent it."""
        self.work(self.root)

        def open_orders() -> list[str]:
            states = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
            return [run["name"] for run in self.orchestra.runs("stage") if run["state_type"] in states]

        assert eventually(lambda: not open_orders(), 400), open_orders()


WORKERS_FAULTS = [
    OnWorkers.kill_the_worker, OnWorkers.kill_a_process_of_the_worker, OnWorkers.end_the_run, OnWorkers.kill_the_server,
    OnWorkers.stop_the_server, OnWorkers.take_the_remote_away,
]  # fmt: skip


@pytest.mark.timeout(SECONDS + 3000)
def test_whatever_happens_to_workers_and_their_server_the_lock_ends_as_the_calm_runs(tmp_path):
    print(f"WORDLOOM_CHAOS_SEED={SEED} WORDLOOM_CHAOS_S={SECONDS:g}")
    rng = random.Random(SEED)
    orchestra = Orchestra(tmp_path / "prefect")
    try:
        with serve(tmp_path / "store") as store:
            (tmp_path / "store" / "dvc").mkdir()
            project = scratch.make(tmp_path / "chaos")
            project.can_write_its_dag()
            for verb, row in (("ingest", "a"), ("embed", "g"), ("embed", "h")):
                project.set(verb, row, sleep=2)
            project.dvc("remote", "add", "store", f"{store.url}/dvc")
            project.git("add", "-A")
            project.git("commit", "-qm", "as it is in the end")
            calm = run_calmly(copy(project.root, tmp_path / "calm" / "project"))
            params = (project.root / "params.yaml").read_text()
            subprocess.run(["git", "clone", "-q", str(project.root), str(tmp_path / "clone")], check=True)
            orchestra.serve()
            orchestra.deploy()
            orchestra.env[MARK] = str(project.root)
            chaos = OnWorkers(project, tmp_path / "clone", orchestra, store, rng)
            strike(chaos, WORKERS_FAULTS, rng)
            chaos.let_it_end()
            orchestra.end_workers()
            (project.root / "params.yaml").write_text(params)
            project.git("commit", "-qam", "as it was")

            def run_on_workers(root: Path) -> subprocess.CompletedProcess:
                orchestra.worker(root, "cpu")
                done = orchestra.wordloom(root, "run", "--workers", timeout=400)
                orchestra.end_workers()
                done.stdout += done.stderr
                return done

            holds(project.root, calm, run_on_workers)
    finally:
        orchestra.close()


def strike(chaos: "Chaos | OnWorkers", faults: list, rng: random.Random, after: Callable[[], None] = lambda: None) -> None:
    """One fault after the other until the time is over, each kind once before any comes again."""
    stop, n = time.monotonic() + SECONDS, 0
    while time.monotonic() < stop or n < len(faults):
        if n % len(faults) == 0:
            order = rng.sample(faults, len(faults))
        fault = order[n % len(faults)]
        print(f"{n:3} {fault.__name__}", flush=True)
        fault(chaos)
        after()
        n += 1


@pytest.mark.timeout(SECONDS + 1200)
def test_whatever_happens_the_lock_ends_as_the_calm_runs(tmp_path, api):
    print(f"WORDLOOM_CHAOS_SEED={SEED} WORDLOOM_CHAOS_S={SECONDS:g}")
    rng = random.Random(SEED)
    template = make_project(tmp_path / "template" / "project", ROWS)
    calm = run_calmly(copy(template, tmp_path / "calm" / "project"))
    chaos = Chaos(copy(template, tmp_path / "chaos" / "project"), calm, api, rng)

    def ended() -> None:
        assert eventually(lambda: not processes(chaos.root), WITHIN_S), f"still running: {processes(chaos.root)}\n{said(chaos.root)}"

    strike(chaos, FAULTS, rng, ended)
    holds(chaos.root, calm, wordloom_run(**chaos.env))
