"""DVC's remotes: what is pushed is hashed before, what is pulled before it gets into data/, and the time is bounded.

DVC pushes an altered object in silence, and takes half an upload for whole.
"""

import contextlib
import hashlib
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.errors import Fault
from pipelines.layout import DAG
from tasks import children, dvc
from tasks.cache import Bad, Cache, Out, at, folder, outs, sweep_runs

TRIES = 3
MANY = 5  # lines of one remote that are told
RETRY_DELAY_S = 5.0  # doubled each time
PATIENCE_S = 300.0  # for a transfer of nothing
SLOWEST = 200_000  # bytes per second; a slower remote is given up
STILL_S = 2.0  # an upload of somebody else's grows meanwhile, a half does not

_one = threading.RLock()  # DVC does one at a time anyway
_through: set[tuple[Out, str | None]] = set()  # what this process has pushed or pulled, by remote


def push(root: Path, stages: list[str], remote: str | None = None) -> tuple[int, int]:
    """Uploads what these stages made, and the run-cache; (objects, bytes) that the remote then has.

    What this process has pushed or pulled before, it does not push again.

    Raises:
        Fault: something is altered or missing here, or the remote does not answer, is too slow, or keeps halves.
    """
    with _one:
        made = outs(root, stages)
        wanted = [out for out in made if (out, remote) not in _through]
        if made and not wanted:
            return 0, 0
        there = Remote(root, remote)  # also where there is nothing yet: one that is not there is told
        if not wanted:
            return 0, 0
        stages = list(dict.fromkeys(out.stage for out in wanted))
        cache = Cache(folder(root))
        if bad := cache.check(wanted):
            raise Fault(["nothing was pushed, since the cache is not whole", *map(str, bad)])
        sizes = {oid: cache.path(oid).stat().st_size for out in wanted for oid in cache.parts(out)}
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
    again = (
        f"What arrived stays there. When it answers again, run: wordloom push{there.option} {' '.join(stages)}; "
        f"if it answers and this stays, what lies there is altered: wordloom verify --remote {there.name} --repair"
    )
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
        sizes = {oid: cache.path(oid).stat().st_size for out in wanted for oid in cache.parts(out)}
        return len(sizes), sum(sizes.values())


def _waits() -> Iterator[float]:
    yield 0.0
    for n in range(TRIES - 1):
        yield RETRY_DELAY_S * 2**n


class Remote:
    """A remote of DVC's: its commands with bounded time, and a look at sizes where uploads are not one step."""

    def __init__(self, root: Path, name: str | None = None):
        """Raises Fault when there is no such remote. Sets `verify`: DVC then hashes what it transfers."""
        self.root = root
        dvc.mend_remotes(root)
        lines = dvc.ask(root, "config", "--list").splitlines()
        config = dict(line.split("=", 1) for line in lines if "=" in line)
        known = [found[1] for key in config if (found := re.fullmatch(r"remote\.(.+)\.url", key))]  # a name may hold dots
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
            dvc.configure(root, {f'remote "{self.name}"': {"verify": "true"}})
            dvc.mend_remotes(root)

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
        dvc.forget(root or self.root, "\n".join(lines))  # for the next try
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
                if system.size(f"{base}/{at(oid)}") != size:
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
        lists = {out.oid for out in wanted if out.oid.endswith(".dir") and oids & set(cache.parts(out))}
        opened = self._open()
        if opened is None:
            names = ", ".join(at(oid) for oid in sorted(lists | oids))
            raise Fault(f"{self}: these objects are not whole there: {names}. Delete them there, and run: wordloom push{self.option}")
        system, base = opened
        for oid in [*sorted(lists), *sorted(oids - lists)]:
            with contextlib.suppress(FileNotFoundError):
                system.rm(f"{base}/{at(oid)}")

    def lend(self, tree: Path) -> None:
        """Makes the remote known to a worktree whose commit is without it."""
        if f"remote.{self.name}.url=" not in dvc.ask(tree, "config", "--list"):
            (tree / dvc.CONFIG).touch(mode=0o600)  # for the password, where the file is new
            dvc.configure(tree, {f'remote "{self.name}"': self.config})

    def is_altered(self, oid: str) -> bool:
        """Whether the list of a folder's files lies there with another hash, which DVC takes for missing."""
        opened = self._open() if oid.endswith(".dir") else None
        if opened is None:
            return False
        system, base = opened
        try:
            return hashlib.md5(system.cat_file(f"{base}/{at(oid)}"), usedforsecurity=False).hexdigest() != oid.removesuffix(".dir")
        except Exception:  # it is not there, or the store does not answer, which the download has said
            return False

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
            for path in (DAG, dvc.LOCK, ".dvc/config", dvc.CONFIG):
                if (self.root / path).exists():
                    shutil.copy(self.root / path, scratch / path)
            # not verified: what is altered shall arrive, or nobody could tell it from what is missing
            there = {"url": self.url, "verify": "false"}
            dvc.configure(scratch, {"core": {"no_scm": "true"}, "cache": {"dir": str(scratch / "cache")}, f'remote "{self.name}"': there})
            problem = self.run(["fetch", *dict.fromkeys(out.stage for out in wanted)], sum(out.size for out in wanted), scratch)
            bad = Cache(scratch / "cache").check(wanted)
            return [replace(one, what="altered") if self.is_altered(one.oid) else one for one in bad], problem
