"""What a killed DVC or a power cut leaves behind, and what would stop every DVC after it.

DVC writes its lock files in place, so that a kill can leave half of one, does not wait until its objects are
on the disk, and cannot read its run-cache where a folder is empty. All of it was seen by killing DVC at each of its writes (tests/faults).
"""

import contextlib
import fcntl
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from pipelines import layout
from pipelines.errors import Fault
from tasks import cache, dvc

BROKEN = ".wordloom/dvc.lock.broken"
JUST_MADE_S = 0.5  # a DVC of another workspace of this cache may be about to write into it
EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the MD5 of nothing


def mend(root: Path) -> None:
    """Lets the next DVC run. Finished work is not lost: what dvc.lock forgets, the run-cache knows."""
    if (root / ".dvc").is_dir():
        dvc.no_conflict(root / layout.PARAMS)
        for name in dvc.mend_remotes(root):
            _say(f"{dvc.CONFIG} had an option of remote {name!r}, which has no url here, and which stopped every DVC; it is gone")
        _rwlock(root)
        _lock(root)
        place = cache.folder(root)
        _objects(place)
        _run_cache(place)
        # the row's next run would sweep it up, but DVC may take its output from the cache instead
        for part, _, is_free in aside(root):
            if is_free:
                shutil.rmtree(part, ignore_errors=True)


def _rwlock(root: Path) -> None:
    """DVC drops holders that are dead, not those whose pid belongs to another program by now, nor half a file."""
    path = root / ".dvc/tmp/rwlock"
    if not path.exists():
        return
    with path.with_name("rwlock.lock").open("a+") as guard:  # as DVC takes it for an edit
        fcntl.flock(guard, fcntl.LOCK_EX)
        try:
            held: dict[str, Any] = json.loads(path.read_text())
            kept = {
                "write": {out: it for out, it in held.get("write", {}).items() if _may_hold(**it)},
                "read": {out: [it for it in its if _may_hold(**it)] for out, its in held.get("read", {}).items()},
            }
        except (ValueError, LookupError, TypeError, AttributeError):
            _say("DVC's .dvc/tmp/rwlock was half written, and is gone")
            path.unlink()
            return
        kept["read"] = {out: its for out, its in kept["read"].items() if its}
        if kept != {"write": {}, "read": {}, **held}:
            _say("DVC's .dvc/tmp/rwlock named processes that ended long ago, and no longer does")
            path.write_text(json.dumps(kept))


def _may_hold(pid: int, cmd: str) -> bool:
    """Whether the process still is the one that wrote this: its command line ends with the same word.

    Not by times: each DVC that is refused writes the file again.
    """
    try:
        return cmd.split()[-1] in " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _lock(root: Path) -> None:
    path = root / dvc.LOCK
    with dvc.paused(root):
        if not path.exists():
            return
        try:
            if "schema" in dvc.load(path):  # DVC's own test of a file that it can read
                return
        except dvc.Conflict:
            raise  # a person's work, not DVC's
        except Fault:
            pass
        (root / BROKEN).parent.mkdir(parents=True, exist_ok=True)
        path.replace(root / BROKEN)
    _say(f"{dvc.LOCK} could not be read, and lies in {BROKEN} now; what it knew comes back from DVC's run-cache")


def _objects(place: Path) -> None:
    """A power cut leaves files empty that had not reached the disk; DVC would trust them, since they are read-only."""
    n = 0
    for path in (place / cache.OBJECTS).glob("??/*"):
        with contextlib.suppress(FileNotFoundError):
            seen = path.stat()
            if not seen.st_size and not seen.st_mode & 0o222 and path.parent.name + path.name != EMPTY:
                path.unlink()
                n += 1
    if n:
        _say(f"{n} objects of DVC's cache were empty, and are gone; what they held comes from data/, or is made again")


def _run_cache(place: Path) -> None:
    """An empty folder is where a DVC was killed between making it and writing into it."""
    if empty := _empty_folders(place):
        time.sleep(JUST_MADE_S)
        for folder in empty & _empty_folders(place):
            with contextlib.suppress(OSError):  # it is there no more, or no longer empty
                folder.rmdir()


def _empty_folders(place: Path) -> set[Path]:
    return {folder for folder in (place / cache.RUNS).glob("*/*/") if not any(folder.iterdir())}


def aside(root: Path) -> Iterator[tuple[Path, str, bool]]:
    """What stages have written aside: (folder, verb/row, whether it was left behind, since nobody runs that row)."""
    from pipelines.dag import stage_name  # with numpy and pyarrow
    from pipelines.registry import MAKER

    for noun, folder in layout.DATA.items():
        for part in sorted((root / folder).glob(".*.part")):
            row = part.name.removeprefix(".").removesuffix(".part")
            with free(root, stage_name(MAKER[noun], row)) as is_free:
                if part.exists():
                    yield part, f"{MAKER[noun]}/{row}", is_free


@contextlib.contextmanager
def free(root: Path, stage: str) -> Iterator[bool]:
    """Whether nobody runs this row; meanwhile nobody can."""
    lock = root / layout.LOCKS / stage
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _say(text: str) -> None:
    print(f"mended: {text}", file=sys.stderr, flush=True)
