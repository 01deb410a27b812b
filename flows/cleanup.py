"""`wordloom clean`: removes what killed runs left, old checkpoints, and what nothing refers to in DVC's cache.

What a dvc.lock of the main checkout or of a worktree names stays, and so does what the commits of the last
days, all branches, all tags and all saved DVC experiments name. What a live process holds the lock of is not touched.
"""

import contextlib
import shutil
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from flows import experiments
from flows.git import git
from flows.verify import size, worktrees
from pipelines import layout
from pipelines.errors import Fault
from tasks import dvc, workspace
from tasks.cache import OBJECTS, RUNS, Cache, folder, outs
from tasks.mend import aside, free

DAY_S = 86_400.0


@dataclass
class Sweep:
    """What was removed, or would be."""

    dry: bool
    lines: list[str] = field(default_factory=list)
    n_bytes: int = 0

    def remove(self, path: Path, why: str) -> None:
        n = weight(path)
        if not self.dry:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self.count(n, f"{path} ({why}, {size(n)})")

    def count(self, n: int, line: str) -> None:
        self.n_bytes += n
        self.lines.append(("would remove " if self.dry else "removed ") + line)

    def kept(self, line: str) -> None:
        self.lines.append(f"kept {line}")


def clean(main: Path, keep_days: int, dry: bool) -> Sweep:
    """Cleans the main checkout, its worktrees and the cache that they share.

    Args:
        keep_days: checkpoints, scratch files and worktrees of `sent` that were used in these days stay, and so do objects that
            a commit of these days names.

    Raises:
        Fault: the cache was not cleaned, since a list of files in it is not whole, or a merge was not finished.
    """
    sweep = Sweep(dry)
    unused = sent(main, keep_days, sweep)
    places = [place for place in worktrees(main) if place not in unused]
    for place in places:
        leftovers(place, keep_days, sweep)
        checkpoints(place, keep_days, sweep)
    if not dry and (main / ".git").exists():
        git(main, "worktree", "prune")  # git's notes of worktrees whose folders are gone
    with contextlib.ExitStack() as held:
        try:
            for place in places if not dry else []:  # to hold a workspace is to mend it
                held.enter_context(workspace.alone(place, wait=False))
        except dvc.Conflict:
            raise
        except Fault as fault:  # its outputs may be in the cache and not yet in its dvc.lock
            sweep.kept(f"the cache as it is: {fault}")
            return sweep
        objects(main, places, keep_days, sweep)
    return sweep


def sent(main: Path, keep_days: int, sweep: Sweep) -> list[Path]:
    """The worktrees for stages that were sent to this clone, to which none has been sent for so many days."""
    gone = []
    for tree in experiments.sent(main):
        if age_s(tree / experiments.COPIED) <= keep_days * DAY_S:
            continue
        n = weight(tree)
        try:
            if not sweep.dry:
                experiments.drop(main, tree)
        except Fault as fault:
            sweep.kept(str(fault))
        else:
            gone.append(tree)
            sweep.count(n, f"{tree} (a worktree for stages that are sent here, {size(n)})")
    return gone


def leftovers(place: Path, keep_days: int, sweep: Sweep) -> None:
    """What a killed stage had written aside; its lock tells whether it lives."""
    for part, row, is_free in aside(place):
        if is_free:
            sweep.remove(part, "left by a run that was killed")
        else:
            sweep.kept(f"{part}: {row} is running")
    # nothing tells of these whether their writer lives, so age does
    others = [*(place / layout.RAW).glob("*.part"), *(place / "runs").rglob("*.part"), *(place / ".wordloom").glob("verify-*")]
    for path in sorted(others):
        if age_s(path) > max(1, keep_days) * DAY_S:
            sweep.remove(path, "left by a process that was killed")


def checkpoints(place: Path, keep_days: int, sweep: Sweep) -> None:
    """Those that nobody went on from for so many days: the inputs they belong to have changed since, or nobody wants them."""
    for path in sorted((place / layout.CHECKPOINTS).glob("*")):
        if age_s(path) <= keep_days * DAY_S:
            continue
        with free(place, path.name.rpartition("-")[0]) as is_free:
            if is_free:
                sweep.remove(path, "a checkpoint")
            else:
                sweep.kept(f"{path}: its row is running")


def objects(main: Path, places: list[Path], keep_days: int, sweep: Sweep) -> None:
    """Objects of the cache that no dvc.lock names, by `dvc gc`, and then entries of the run-cache whose outputs are gone."""
    place = folder(main)
    if not (place / OBJECTS).is_dir():
        return
    named = [out for tree in places for out in outs(tree)]
    lists = [out for out in named if out.oid.endswith(".dir")]
    cache = Cache(place)
    # without the list of a folder, gc would take the folder's files for garbage
    bad = {out.oid: out for out in lists if not cache.is_whole(out.oid)}
    if bad:
        raise Fault(
            [
                *(
                    f"the cache was not cleaned: the list of files of {out.path} ({out.stage}) is altered or missing"
                    for out in bad.values()
                ),
                "Run: wordloom verify --repair",
            ]
        )
    since = date.today() - timedelta(days=keep_days)
    of_commits = ["--all-branches", "--all-tags", "--all-experiments", "--date", since.isoformat()]
    command = ["gc", "--workspace", *([] if dvc.without_git(main) else of_commits), "--force"]
    if places[1:]:
        command += ["--projects", *(str(tree) for tree in places[1:])]
    before = files(place / OBJECTS)
    said = dvc.ask(main, *command, *(["--dry"] if sweep.dry else []))
    if sweep.dry:
        gone = [path for line in said.splitlines() if (path := Path(line.partition("Removing ")[2])) in before]
    else:
        gone = list(before.keys() - files(place / OBJECTS).keys())
    if gone:
        n = sum(before[path] for path in gone)
        sweep.count(n, f"{len(gone)} objects of the cache that nothing refers to ({size(n)})")
    stale = [path for path in (place / RUNS).glob("*/*/*") if age_s(path) > keep_days * DAY_S and is_stale(cache, path, set(gone))]
    n = sum(path.stat().st_size for path in stale)
    if stale:
        sweep.count(n, f"{len(stale)} entries of the run-cache whose outputs are gone ({size(n)})")
    for path in stale if not sweep.dry else []:
        path.unlink(missing_ok=True)


def is_stale(cache: Cache, path: Path, gone: set[Path]) -> bool:
    """Whether an entry of the run-cache names an output that is not in the cache."""
    try:
        found = [cache.path(out["md5"]) for out in dvc.load(path)["outs"]]
    except (Fault, KeyError, TypeError):
        return True  # cut off, or a temporary file: it is old
    return any(path in gone or not path.exists() for path in found)


def age_s(path: Path) -> float:
    """Seconds since something was last written there."""
    try:
        return time.time() - max(p.stat().st_mtime for p in [path, *(path.rglob("*") if path.is_dir() else [])])
    except FileNotFoundError:  # somebody is working there
        return 0.0


def files(place: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in place.rglob("*") if path.is_file()}


def weight(path: Path) -> int:
    return sum(files(path).values()) if path.is_dir() else path.stat().st_size
