"""DVC's cache, hashed: DVC restores altered objects in silence.

An object is a file under files/md5, named by the MD5 of its content; one that ends in .dir is a JSON
list of the files of a folder. Only that layout and DVC's command line are used here.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import Fault
from pipelines.layout import DAG
from tasks import dvc

OBJECTS = "files/md5"
RUNS = "runs"  # DVC's run-cache: which inputs gave which outputs
OID = re.compile(r"[0-9a-f]{32}(\.dir)?")
CHUNK = 1 << 20

Tick = Callable[[int], None]  # told of bytes that were hashed


@dataclass(frozen=True)
class Out:
    """An output that a dvc.lock names."""

    root: Path
    stage: str
    path: str
    oid: str
    size: int


@dataclass
class Bad:
    """An object that is not what its name says."""

    oid: str
    what: str  # altered or missing
    path: Path
    size: int  # bytes that are there
    actual: str  # MD5 of what is there
    parts: list[tuple[Out, str]] = field(default_factory=list)  # outputs that it belongs to, and as which file in them

    def __str__(self) -> str:
        where = ", ".join(f"{Path(out.path, part)} of {out.stage}" for out, part in self.parts[:3])
        more = f" and {len(self.parts) - 3} more" if len(self.parts) > 3 else ""
        there = f"altered ({self.size:,} bytes, MD5 {self.actual}): {self.path}" if self.what == "altered" else f"missing: {self.path}"
        return f"{where}{more}: cache object {there}. Run: wordloom verify --repair"


def outs(root: Path, stages: Iterable[str] | None = None) -> list[Out]:
    """The outputs of these stages that DVC keeps in its cache; of all in dvc.lock when none are named.

    Raises:
        Fault: dvc.lock has no such stage.
    """
    locked, bodies = dvc.read_lock(root), dvc.load(root / DAG).get("stages") or {}
    wanted = list(locked if stages is None else stages)
    absent = [f"{dvc.LOCK} has no stage {name}: it has not run here. Run: wordloom run {name}" for name in wanted if name not in locked]
    if absent:
        raise Fault(absent)
    found = []
    for name in wanted:
        body = bodies.get(name) or {}
        entries = [entry for key in ("outs", "metrics", "plots") for entry in body.get(key) or [] if isinstance(entry, dict)]
        uncached = {path for entry in entries for path, settings in entry.items() if (settings or {}).get("cache") is False}
        for out in locked[name].get("outs") or []:
            if out["path"] in uncached:
                continue
            if not OID.fullmatch(str(out.get("md5"))):
                raise Fault(f"{dvc.LOCK}: {name}: output {out['path']} has md5 {out.get('md5')!r}, which is none. Run: wordloom run {name}")
            found.append(Out(root, name, out["path"], out["md5"], int(out.get("size") or 0)))
    return found


@functools.cache
def folder(root: Path) -> Path:
    """DVC's cache; experiments share the main checkout's."""
    return Path(dvc.ask(root, "cache", "dir").strip())


def at(oid: str) -> str:
    """Where an object lies, in a cache as in a remote."""
    return f"{OBJECTS}/{oid[:2]}/{oid[2:]}"


class Cache:
    """A cache whose objects are hashed once each, however many outputs share them."""

    def __init__(self, place: Path, tick: Tick = lambda n: None):
        self.place, self.tick = place, tick
        self._seen: dict[str, Bad | None] = {}

    def path(self, oid: str) -> Path:
        return self.place / at(oid)

    def check(self, wanted: Iterable[Out]) -> list[Bad]:
        """The objects of these outputs that are altered or missing; the files of a folder whose list is bad stay unknown."""
        found: dict[str, Bad] = {}
        for out in wanted:
            parts = [("", out.oid)]
            if out.oid.endswith(".dir") and self._look(out.oid) is None:
                parts += self.tree(out.oid)
            for part, oid in parts:
                if bad := self._look(oid):
                    found.setdefault(oid, Bad(oid, bad.what, bad.path, bad.size, bad.actual)).parts.append((out, part))
        return list(found.values())

    def tree(self, oid: str) -> list[tuple[str, str]]:
        """(relative path, object) of each file of a folder. Raises Fault when it points elsewhere."""
        found = [(str(entry["relpath"]), str(entry["md5"])) for entry in json.loads(self.path(oid).read_bytes())]
        if any(not OID.fullmatch(name) or Path(part).is_absolute() or ".." in Path(part).parts for part, name in found):
            raise Fault(f"{self.path(oid)} names files outside of its folder, or no objects. Delete it, and run: wordloom verify")
        return found

    def parts(self, out: Out) -> list[str]:
        """All objects of an output that is whole, the list of a folder last."""
        return [*(oid for _, oid in self.tree(out.oid)), out.oid] if out.oid.endswith(".dir") else [out.oid]

    def is_whole(self, oid: str) -> bool:
        return self._look(oid) is None

    def counted(self) -> tuple[int, int]:
        """How many objects were whole, and their bytes."""
        whole = [self.path(oid) for oid, bad in self._seen.items() if bad is None]
        return len(whole), sum(path.stat().st_size for path in whole)

    def forget(self, oids: Iterable[str]) -> None:
        """They are hashed again when somebody asks."""
        for oid in oids:
            self._seen.pop(oid, None)

    def forget_bad(self) -> None:
        """What was altered or missing is looked at again."""
        self._seen = {oid: None for oid, bad in self._seen.items() if bad is None}

    def discard(self, bad: Iterable[Bad]) -> None:
        """Removes altered objects: DVC takes whatever is there for whole."""
        for one in bad:
            one.path.unlink(missing_ok=True)
            self.forget([one.oid])

    def add(self, oid: str, source: Path | bytes) -> bool:
        """Puts an object in its place in one step; False, and nothing is there, when the content has another hash."""
        path = self.path(oid)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{secrets.token_urlsafe(16)}.tmp")  # as DVC calls them: its gc sweeps those
        try:
            if isinstance(source, bytes):
                aside.write_bytes(source)
            else:
                shutil.copyfile(source, aside)
            if md5(aside) != oid.removesuffix(".dir"):
                return False
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.chmod(0o444)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        self.forget([oid])
        return True

    def _look(self, oid: str) -> Bad | None:
        if oid not in self._seen:
            path = self.path(oid)
            try:
                actual = md5(path, self.tick)
            except FileNotFoundError:
                self._seen[oid] = Bad(oid, "missing", path, 0, "")
            else:
                whole = actual == oid.removesuffix(".dir")
                self._seen[oid] = None if whole else Bad(oid, "altered", path, path.stat().st_size, actual)
        return self._seen[oid]


def md5(path: Path, tick: Tick = lambda n: None) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            tick(len(chunk))
    return digest.hexdigest()


def hash_output(place: Path, tick: Tick = lambda n: None) -> tuple[str, dict[str, str], bytes]:
    """What DVC would record of a file or folder: (object, relative path -> MD5, the content of the .dir object)."""
    if place.is_file():
        digest = md5(place, tick)
        return digest, {"": digest}, b""
    paths = (path for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc")
    files = {path.relative_to(place).as_posix(): md5(path, tick) for path in paths}
    listing = json.dumps([{"md5": files[part], "relpath": part} for part in sorted(files)], sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir", files, listing


def faults(root: Path, stages: list[str]) -> list[str]:
    """What is altered or missing in the cache of these stages' outputs, a line for each object."""
    try:
        return [str(bad) for bad in Cache(folder(root)).check(outs(root, stages))]
    except Fault as fault:
        return fault.faults


def sweep_runs(place: Path) -> int:
    """Removes entries of the run-cache that are not whole, how many: a name is the SHA-256 of its entry without sizes."""
    n = 0
    for path in (place / RUNS).glob("*/*/*"):
        if not path.is_file() or path.suffix == ".tmp":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            entry = dvc.load(path)
            sized = all("size" in item and ("nfiles" in item or not item["md5"].endswith(".dir")) for item in entry["outs"])
            whole = text.endswith("\n") and sized and _run_name(entry) == path.name
        except (Fault, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # DVC cannot read an empty folder
                path.parent.rmdir()
            n += 1
    return n


def _run_name(entry: dict[str, Any]) -> str:
    def bare(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: bare(value) for key, value in tree.items() if key not in ("size", "nfiles")}
        return [bare(item) for item in tree] if isinstance(tree, list) else tree

    return hashlib.sha256(json.dumps(bare(entry), sort_keys=True).encode()).hexdigest()
