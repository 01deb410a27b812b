"""DVC's cache and its remotes, hashed: DVC restores and pushes altered objects in silence.

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
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import Fault
from pipelines.layout import DAG
from tasks import children, dvc

OBJECTS = "files/md5"
RUNS = "runs"  # DVC's run-cache: which inputs gave which outputs
OID = re.compile(r"[0-9a-f]{32}(\.dir)?")
CHUNK = 1 << 20
TRIES = 3
MANY = 5  # lines of one remote that are told
RETRY_DELAY_S = 5.0  # doubled each time
PATIENCE_S = 300.0  # for a transfer of nothing
SLOWEST = 200_000  # bytes per second; a slower remote is given up

STILL_S = 2.0  # an upload of somebody else's grows meanwhile, a half does not

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


class Cache:
    """A cache whose objects are hashed once each, however many outputs share them."""

    def __init__(self, place: Path, tick: Tick = lambda n: None):
        self.place, self.tick = place, tick
        self._seen: dict[str, Bad | None] = {}

    def path(self, oid: str) -> Path:
        return self.place / OBJECTS / oid[:2] / oid[2:]

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


_one = threading.RLock()  # DVC does one at a time anyway
_through: set[tuple[Out, str | None]] = set()  # what this process has pushed or pulled, by remote


def faults(root: Path, stages: list[str]) -> list[str]:
    """What is altered or missing in the cache of these stages' outputs, a line for each object."""
    try:
        return [str(bad) for bad in Cache(folder(root)).check(outs(root, stages))]
    except Fault as fault:
        return fault.faults


def push(root: Path, stages: list[str], remote: str | None = None) -> tuple[int, int]:
    """Uploads what these stages made, and the run-cache; (objects, bytes) that the remote then has.

    What this process has pushed or pulled before, it does not push again.

    Raises:
        Fault: something is altered or missing here, or the remote does not answer, is too slow, or keeps halves.
    """
    with _one:
        wanted = [out for out in outs(root, stages) if (out, remote) not in _through]
        stages = list(dict.fromkeys(out.stage for out in wanted))
        if not wanted:
            return 0, 0
        cache = Cache(folder(root))
        if bad := cache.check(wanted):
            raise Fault(["nothing was pushed, since the cache is not whole", *map(str, bad)])
        there = Remote(root, remote)
        sizes = {oid: cache.path(oid).stat().st_size for out in wanted for oid in _oids(cache, out)}
        problem: list[str] = []
        for wait in _waits():
            time.sleep(wait)
            try:
                # DVC takes an object that is at the remote for whole, and all files of a folder whose list is there
                there.remove_halves(cache, wanted, sizes)
                problem = there.run(["push", "--run-cache", *stages], sum(sizes.values()))
                if not problem and (left := there.wrong(sizes, or_missing=True)):
                    problem = [f"objects {', '.join(left[:5])} did not arrive whole"]
            except (Fault, InterruptedError):
                raise
            except Exception as err:  # whatever the store's client raises; it is tried again, and then told
                problem = [f"{type(err).__name__}: {err}"]
            if not problem:
                _through.update((out, remote) for out in wanted)
                return len(sizes), sum(sizes.values())
    again = f"What arrived stays there. When it answers again, run: wordloom push{there.option} {' '.join(stages)}"
    raise Fault([*(f"{there}: {line}" for line in problem), again])


def pull(root: Path, stages: list[str], remote: str | None = None) -> tuple[int, int]:
    """Downloads what dvc.lock says of these stages, hashes it, and only then puts it into data/; (objects, bytes).

    Raises:
        Fault: the remote does not answer or is too slow; or what arrived is altered, or missing there:
            it is then in neither the cache nor data/.
    """
    with _one:
        wanted = outs(root, stages)
        if not wanted:
            return 0, 0
        cache = Cache(folder(root))
        cache.discard(bad for bad in cache.check(wanted) if bad.what == "altered")
        there = Remote(root, remote)
        bad: list[Bad] = []
        altered: dict[str, Bad] = {}
        for wait in _waits():
            time.sleep(wait)
            problem = there.run(["fetch", "--run-cache", *stages], sum(out.size for out in wanted))
            sweep_runs(cache.place)
            cache.forget_bad()
            bad = cache.check(wanted)
            altered |= {one.oid: one for one in bad if one.what == "altered"}
            cache.discard(altered.values())
            if not bad or altered or not problem:
                break  # all is there, or the remote answers and has nothing better
        if bad:
            # DVC may have removed what was altered before we saw it (`verify`); then it did not arrive
            raise Fault(
                [
                    *(f"{there}: {line}" for line in problem),
                    *(
                        f"{there}: {Path(out.path, part)} of {out.stage}: object {one.oid} "
                        + ("is altered there, and was not taken" if one.oid in altered else "did not arrive whole, or is not there")
                        for one in bad
                        for out, part in one.parts[:1]
                    ),
                    f"Repair the remote where the cache is whole: wordloom verify --remote {there.name} --repair. "
                    f"Or make it again here: wordloom run {' '.join(stages)}",
                ]
            )
        dvc.ask(root, "checkout", *stages)
        _through.update((out, remote) for out in wanted)
        sizes = {oid: cache.path(oid).stat().st_size for out in wanted for oid in _oids(cache, out)}
        return len(sizes), sum(sizes.values())


def _oids(cache: Cache, out: Out) -> list[str]:
    """All objects of an output that is whole, the list of a folder last."""
    return [*(oid for _, oid in cache.tree(out.oid)), out.oid] if out.oid.endswith(".dir") else [out.oid]


def _waits() -> Iterator[float]:
    yield 0.0
    for n in range(TRIES - 1):
        yield RETRY_DELAY_S * 2**n


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


class Remote:
    """A remote of DVC's: its commands with bounded time, and a look at sizes where uploads are not one step."""

    def __init__(self, root: Path, name: str | None = None):
        """Raises Fault when there is no such remote. Sets `verify`: DVC then hashes what it transfers."""
        self.root = root
        lines = dvc.ask(root, "config", "--list").splitlines()
        config = dict(line.split("=", 1) for line in lines if "=" in line)
        known = [key.split(".")[1] for key in config if re.fullmatch(r"remote\.[^.]+\.url", key)]
        self.name = name or config.get("core.remote", "")
        if self.name not in known:
            what = f"there is no DVC remote {self.name!r}" if self.name else "no DVC remote is the default one"
            raise Fault(f"{what}; there are {', '.join(known) or 'none'}. Run: dvc remote add --default NAME URL")
        start = f"remote.{self.name}."
        self.config = {key.removeprefix(start): value for key, value in config.items() if key.startswith(start)}
        self.option = f" --remote {self.name}" if self.name != config.get("core.remote") else ""
        self.url = self.config["url"]
        if self.config.get("verify", "").lower() != "true":
            # for `dvc repro --pull`, which no check of ours comes between; not in the file that git keeps
            dvc.ask(root, "remote", "modify", "--local", self.name, "verify", "true")

    def __str__(self) -> str:
        return f"remote {self.name} ({re.sub('//[^/@]*@', '//', self.url)})"

    def run(self, command: list[str], size: int, root: Path | None = None) -> list[str]:
        """Runs `dvc push` or `fetch`, at most as long as the slowest remote needs; what went wrong, nothing when all is well."""
        verb, *args = command
        lines: list[str] = []
        limit_s = PATIENCE_S + size / SLOWEST
        try:
            status = children.ALL.run(
                dvc.command(verb, "--remote", self.name, *args), root or self.root, dvc.environment(), lines.append, limit_s
            )
        except TimeoutError:
            return [f"dvc {verb} of {size:,} bytes took longer than {limit_s:.0f} s and was stopped; the remote is slow or hangs"]
        said = dvc.errors("\n".join(lines))  # of the run-cache DVC only says what failed, and ends well
        if not status and not said:
            return []
        said = said or lines[-1:] or [f"exit status {status}"]
        return [f"dvc {verb}: {line}" for line in list(dict.fromkeys(said))[:MANY]]

    def wrong(self, sizes: dict[str, int], or_missing: bool = False) -> list[str]:
        """The objects that the remote holds with another size than they have; none for stores whose uploads are one step."""
        opened = self._open()
        if opened is None:
            return []
        system, base = opened
        found = []
        for oid, size in sizes.items():
            try:
                if system.size(f"{base}/{OBJECTS}/{oid[:2]}/{oid[2:]}") != size:
                    found.append(oid)
            except FileNotFoundError:
                if or_missing:
                    found.append(oid)
        return found

    def remove_halves(self, cache: Cache, wanted: Iterable[Out], sizes: dict[str, int]) -> None:
        halves = self.wrong(sizes)
        if halves:
            time.sleep(STILL_S)
            self.remove(cache, wanted, set(halves) & set(self.wrong(sizes)))

    def remove(self, cache: Cache, wanted: Iterable[Out], oids: Iterable[str]) -> None:
        """Removes objects, after the lists of the folders that hold them: with a list DVC believes that its files are there too.

        Raises:
            Fault: this store is not one that we can remove from.
        """
        oids = set(oids)
        lists = {out.oid for out in wanted if out.oid.endswith(".dir") and oids & set(_oids(cache, out))}
        opened = self._open()
        if opened is None:
            names = ", ".join(f"{OBJECTS}/{oid[:2]}/{oid[2:]}" for oid in sorted(lists | oids))
            raise Fault(f"{self}: these objects are not whole there: {names}. Delete them there, and run: wordloom push{self.option}")
        system, base = opened
        for oid in [*sorted(lists), *sorted(oids - lists)]:
            with contextlib.suppress(FileNotFoundError):
                system.rm(f"{base}/{OBJECTS}/{oid[:2]}/{oid[2:]}")

    def _open(self) -> tuple[Any, str] | None:
        """(an fsspec file system, the remote's folder in it) for folders and WebDAV, where an upload that broke off leaves its half."""
        import fsspec

        scheme, _, rest = self.url.rpartition("://")
        if scheme in ("", "file"):
            return fsspec.filesystem("file"), rest.rstrip("/")
        if scheme not in ("webdav", "webdavs") or {"ask_password", "bearer_token_command", "custom_auth_header", "cert_path"} & set(
            self.config
        ):
            return None
        from webdav4.fsspec import WebdavFileSystem

        user = self.config.get("user") or (rest.split("@")[0].split(":")[0] if "@" in rest.split("/")[0] else "")
        token = self.config.get("token")
        verify = self.config.get("ssl_verify", "true")
        system = WebdavFileSystem(
            f"{scheme.replace('webdav', 'http')}://{rest.split('@')[-1].rstrip('/')}",
            auth=(user, self.config.get("password", "")) if user and not token else None,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            verify={"true": True, "false": False}.get(verify.lower(), verify),
            timeout=int(self.config.get("timeout", 30)),
            skip_instance_cache=True,
        )
        return system, ""

    def fetch_apart(self, wanted: list[Out]) -> tuple[list[Bad], list[str]]:
        """Downloads these outputs into an empty cache, and hashes them: (what is altered or missing there, what went wrong).

        The cache is a folder in .wordloom, gone at the end.
        """
        place = self.root.resolve() / ".wordloom"
        place.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="verify-", dir=place, ignore_cleanup_errors=True) as apart:
            scratch = Path(apart)
            (scratch / ".dvc").mkdir()
            for path in (DAG, dvc.LOCK, ".dvc/config", ".dvc/config.local"):
                if (self.root / path).exists():
                    shutil.copy(self.root / path, scratch / path)
            for key, value in {
                "core.no_scm": "true", "cache.dir": str(scratch / "cache"), f"remote.{self.name}.url": self.url,
                # what is altered shall arrive, or nobody could tell it from what is missing
                f"remote.{self.name}.verify": "false",
            }.items():  # fmt: skip
                dvc.ask(scratch, "config", "--local", key, value)
            problem = self.run(["fetch", *dict.fromkeys(out.stage for out in wanted)], sum(out.size for out in wanted), scratch)
            return Cache(scratch / "cache").check(wanted), problem
