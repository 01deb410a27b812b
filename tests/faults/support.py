"""Faults, and what must hold after every one of them."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows import graph
from pipelines.layout import hash_path
from tasks import dvc
from tests import scratch

HOOK = Path(__file__).parent / "hook"
MARK = "WORDLOOM_FAULT_TEST"  # in the environment of every process that a test starts; its children inherit it
WITHIN_S = 20.0  # seconds; twice what is promised, since the machines of tests are busy


@dataclass(frozen=True)
class Calm:
    """What a run without faults leaves."""

    lock: str  # dvc.lock, in dvc.yaml's order
    data: dict[str, str]  # output -> hash

    @property
    def stages(self) -> dict[str, Any]:
        return dvc.YAML(typ="safe").load(self.lock)["stages"]


def calm(root: Path) -> Calm:
    """Runs the project without faults."""
    done = repro(root)
    assert done.returncode == 0, done.stdout
    dvc.order_lock(root)
    stages = dvc.read_lock(root)
    return Calm((root / dvc.LOCK).read_text(), {out: hash_path(root / out) for name in stages for out in outs(stages[name])})


def holds(
    root: Path, calm: Calm, driver: Callable[[Path], subprocess.CompletedProcess] | None = None, twice: tuple[str, ...] = ()
) -> float:
    """After a fault: no orphan, no wrong artifact, no lost finished work, and the next run leaves the right bytes.

    Args:
        driver: makes the next run; `dvc repro` when it is not given.
        twice: stages that may run again though they had finished, since the fault destroyed what they made.

    Returns:
        how long the next run took, in seconds.
    """
    assert eventually(lambda: not processes(root), WITHIN_S), f"still running: {processes(root)}"
    wrong = vouched(root, calm)
    assert not wrong, f"dvc takes wrong artifacts for up to date: {wrong}"
    done_before = finished(root, calm)
    (root / "ran.txt").unlink(missing_ok=True)
    start = time.monotonic()
    done = (driver or repro)(root)
    seconds = time.monotonic() - start
    assert done.returncode == 0, f"the next run failed\n{done.stdout}"
    again = ran(root, done.stdout) & done_before - set(twice)
    assert not again, f"finished work was done again: {again}"
    dvc.order_lock(root)
    assert (root / dvc.LOCK).read_text() == calm.lock, "dvc.lock is not the calm run's"
    assert {out: hash_path(root / out) for out in calm.data} == calm.data, "an artifact is not the calm run's"
    assert not altered(root), f"the cache holds altered objects: {altered(root)}"
    assert (left := leftovers(root)) == [], f"left behind: {left}"
    assert dvc.status(root) == {}
    assert not processes(root)
    return seconds


def outs(entry: dict[str, Any]) -> list[str]:
    return [out["path"] for out in entry.get("outs", [])]


def vouched(root: Path, calm: Calm) -> set[str]:
    """The outputs that are not the calm run's, though DVC takes their stage for up to date."""
    wrong = {
        name: {out for out in outs(entry) if hash_path(root / out) not in (calm.data[out], "missing")}
        for name, entry in calm.stages.items()
    }
    if not any(wrong.values()):
        return set()
    asked = call(root, "dvc", "status", "--json")
    if asked.returncode:  # a DVC that cannot say vouches for nothing
        return set()
    changed = json.loads(asked.stdout.splitlines()[-1])
    changed = {*changed, *graph.read(root).after(changed)}
    return {out for name, there in wrong.items() if name not in changed for out in there}


def finished(root: Path, calm: Calm) -> set[str]:
    """The stages whose work is done for good: the run-cache knows them, and the cache holds all they made."""
    known = []
    for path in (root / ".dvc/cache/runs").glob("*/*/*"):
        try:
            known.append(dvc.load(path))
        except dvc.Fault:
            continue
    intact = {path.parent.name + path.name for path in objects(root)} - set(altered(root))
    return {
        name
        for name, entry in calm.stages.items()
        if any(run.get("cmd") == entry["cmd"] and run.get("outs") == entry["outs"] and run.get("deps") == entry["deps"] for run in known)
        and all(out["md5"] in intact and below(root, out["md5"]) <= intact for out in entry["outs"])
    }


def below(root: Path, md5: str) -> set[str]:
    """The objects of a folder."""
    path = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    return {item["md5"] for item in json.loads(path.read_text())} if md5.endswith(".dir") else set()


def objects(root: Path) -> Iterator[Path]:
    for path in (root / ".dvc/cache/files/md5").glob("??/*"):
        if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name):  # the others are half-written ones, under a name of their own
            yield path


def altered(root: Path) -> list[str]:
    """Objects of the cache that are not what their name says."""
    names = [(path.parent.name + path.name, path) for path in objects(root)]
    return [name for name, path in names if hashlib.md5(path.read_bytes()).hexdigest() != name.removesuffix(".dir")]


def leftovers(root: Path) -> list[str]:
    """What was written aside, and not swept away."""
    return [
        str(path.relative_to(root))
        for path in (root / "data").rglob("*")
        if path.name.endswith(".part") or path.name.startswith(".scratch-")
    ]


def ran(root: Path, said: str) -> set[str]:
    """The stages whose command was run."""
    if (root / "ran.txt").exists():
        return {line.split()[1] for line in (root / "ran.txt").read_text().splitlines() if line.startswith("start")}
    return set(re.findall(r"^Running stage '([^']+)'", said, re.MULTILINE))


def processes(root: Path) -> list[str]:
    """The command lines of the processes that a test in this folder started, and that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == str(root):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def process(root: Path, word: str, seconds: float = 60) -> psutil.Process:
    """The one process of a test whose command line has this word in it, once it is there; not the launcher before it."""
    found: list[psutil.Process] = []

    def there() -> bool:
        found.clear()
        for it in psutil.process_iter():
            try:
                if it.environ().get(MARK) == str(root) and word in " ".join(it.cmdline()) and "deathsig.py" not in " ".join(it.cmdline()):
                    found.append(it)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return bool(found)

    assert eventually(there, seconds), f"no process {word!r}"
    return found[-1]


def eventually(condition: Callable[[], Any], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def environment(root: Path, **more: str) -> dict[str, str]:
    # no word of the hook's: a run after a fault is a calm one
    calm = {key: value for key, value in dvc.environment().items() if not key.startswith("FAULT_")}
    return {**calm, "DVC_SITE_CACHE_DIR": str(root.parent / "site-cache"), MARK: str(root), **more}


def hook(root: Path, who: str, do: str, at: str = "", n: int = 1) -> dict[str, str]:
    """The environment in which a fault happens; hook/sitecustomize.py says how it is described."""
    log = {"FAULT_LOG": str(root.parent / "fault.log"), "FAULT_ROOT": str(root)}
    return {"PYTHONPATH": str(HOOK), "FAULT_WHO": who, "FAULT_DO": do, "FAULT_AT": at, "FAULT_N": str(n), **log}


def happened(root: Path) -> list[str]:
    """The points at which the hook struck; clears them."""
    log = root.parent / "fault.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def command(*args: str) -> list[str]:
    """`wordloom ...`, `dvc ...` or `python ...` by this interpreter and this checkout."""
    if args[0] == "wordloom":
        return scratch.wordloom(*args[1:])
    return [sys.executable, "-P", "-m", "dvc", *args[1:]] if args[0] == "dvc" else [sys.executable, *args[1:]]


def start(root: Path, *args: str, **env: str) -> subprocess.Popen:
    """A command in a session of its own, so that a signal can be given to all of it, as a terminal does."""
    with (root.parent / "said.txt").open("w") as said:
        return subprocess.Popen(
            command(*args), cwd=root, env=environment(root, **env), stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


def said(root: Path) -> str:
    """What the command that was started last has said."""
    return (root.parent / "said.txt").read_text()


def call(root: Path, *args: str, **env: str) -> subprocess.CompletedProcess:
    """A command to its end; stdout has its errors too."""
    return subprocess.run(
        command(*args), cwd=root, env=environment(root, **env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip


def repro(root: Path) -> subprocess.CompletedProcess:
    return call(root, "dvc", "repro")


def wordloom_run(**env: str) -> Callable[[Path], subprocess.CompletedProcess]:
    return lambda root: call(root, "wordloom", "run", **env)


def working(root: Path, stage: str, seconds: float = 180, log: Path | None = None) -> None:
    """Waits until this stage of a scratch project works."""
    path = root / "ran.txt"
    log = log or root.parent / "said.txt"
    assert eventually(lambda: path.exists() and f"start {stage} " in path.read_text(), seconds), f"{stage} has not begun\n{log.read_text()}"


def copy(template: Path, folder: Path) -> Path:
    """A project like another, in a folder of its own."""
    shutil.copytree(template, folder, symlinks=True)
    return folder


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A real file system of few bytes at `place`; the test is skipped where none can be mounted."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def end(process: subprocess.Popen, how: str) -> None:
    """Ends a command as `kill -9`, `kill`, a closed terminal or Ctrl-C do."""
    if how == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal({"kill": signal.SIGKILL, "term": signal.SIGTERM, "hangup": signal.SIGHUP}[how])
