"""`wordloom verify`: hashes what dvc.lock refers to, in DVC's cache and in data/, and repairs it.

DVC trusts an object of its cache by its name and mode, and a file in data/ by its time; so neither
`dvc status` nor `dvc checkout` sees that a byte has changed.
"""

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flows import graph
from flows.git import git
from pipelines.errors import Fault
from pipelines.layout import DAG
from tasks import children, dvc, workspace
from tasks.cache import Bad, Cache, Out, Tick, at, folder, hash_output, outs
from tasks.store import Remote, push

LINE_S = 10.0  # between two lines of progress where the output is no terminal
MANY = 5  # files of one output that are named


@dataclass
class Found:
    """What is wrong in a workspace."""

    bad: list[Bad]
    edited: dict[Out, list[str]]  # outputs in data/ that are not what dvc.lock says -> the files
    actual: dict[Out, set[str]] = field(default_factory=dict)  # MD5 of those files as they are
    n_objects: int = 0
    n_bytes: int = 0

    def lines(self) -> list[str]:
        return [
            *map(str, self.bad),
            *(
                f"{out.path} of {out.stage} in {out.root.resolve()} is not what dvc.lock says: {', '.join(files[:MANY])}"
                f"{f' and {len(files) - MANY} more' if len(files) > MANY else ''}. It was edited, or restored from an altered object. "
                f"To have it as recorded, delete it and run: dvc checkout {out.stage}"
                for out, files in self.edited.items()
            ),
        ]


def verify(root: Path, rows: list[str], remote: str | None, repair: bool) -> str:
    """Hashes the cache, data/ and, when it is named, a remote; says how much of it is right.

    Args:
        root: where the command was given; the main checkout's worktrees count too, when no rows are named.
        remote: also hashed itself; what `repair` fetches from, DVC's default one when it is not named.

    Raises:
        Fault: all that is altered, missing or edited, and with `repair` what could not be repaired.
    """
    places = {place: stages_of(place, rows) for place in ([root] if rows else worktrees(root))}
    wanted = [out for place, stages in places.items() for out in outs(place, stages)]
    cache_dir = folder(root)
    found = look(cache_dir, wanted)
    notes: list[str] = []
    if repair and found.lines():
        children.ALL.open()
        for place, stages in places.items():
            with workspace.alone(place):
                notes += Repair(place, cache_dir, outs(place, stages), remote).run(found)
        wanted = [out for place, stages in places.items() for out in outs(place, stages)]
        found = look(cache_dir, wanted)
    faults = [*notes, *found.lines()]
    if remote:
        there = Remote(root, remote)
        for place, stages in places.items():
            there.lend(place)
            faults += _remote(place, stages, remote, repair and not faults)
    if faults:
        raise Fault(faults)
    return f"{found.n_objects:,} objects of {len(wanted)} outputs, {size(found.n_bytes)}, are what dvc.lock says"


def worktrees(root: Path) -> list[Path]:
    """This folder; the main checkout with all of its worktrees that are there."""
    if not (root / ".git").exists():
        return [root]
    lines = git(root, "worktree", "list", "--porcelain").splitlines()
    found = [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")]
    if root.resolve() != found[0].resolve():
        return [root]
    return [root, *(place for place in found[1:] if (place / DAG).exists())]


def stages_of(root: Path, rows: list[str]) -> list[str]:
    """The stages that have run: of these rows and what they need, or all of dvc.yaml's."""
    locked = dvc.read_lock(root)
    return [name for name in graph.read(root).of(rows).stages if name in locked]


def look(cache_dir: Path, wanted: list[Out]) -> Found:
    """Hashes all objects and what lies in data/ of these outputs."""
    sizes = {out.oid: out.size for out in wanted}
    total = sum(sizes.values()) + sum(out.size for out in wanted if (out.root / out.path).exists())
    with progress(total) as tick:
        cache = Cache(cache_dir, tick)
        found = Found(cache.check(wanted), {})
        for out in wanted:
            if (out.root / out.path).exists():
                oid, files, _ = hash_output(out.root / out.path, tick)
                if oid != out.oid:
                    _compare(cache, out, files, found)
    found.n_objects, found.n_bytes = cache.counted()
    return found


def _compare(cache: Cache, out: Out, files: dict[str, str], found: Found) -> None:
    recorded = {"": out.oid}
    if out.oid.endswith(".dir"):
        whole = not any(bad.oid == out.oid for bad in found.bad)
        recorded = dict(cache.tree(out.oid)) if whole else {}
    differ = sorted(part for part in files.keys() | recorded.keys() if files.get(part) != recorded.get(part))
    found.edited[out] = [str(Path(out.path, part)) for part in differ]
    found.actual[out] = {files[part] for part in differ if part in files}


class Repair:
    """Makes the outputs of one workspace whole again: from data/, from the remote, by running the stage."""

    def __init__(self, root: Path, cache_dir: Path, wanted: list[Out], remote: str | None):
        self.root, self.wanted, self.remote = root, wanted, remote
        self.cache = Cache(cache_dir)

    def run(self, found: Found) -> list[str]:
        """Repairs what it can; what a person has to know of the rest."""
        damage = {bad.actual for bad in found.bad if bad.what == "altered"}
        self.cache.discard(bad for bad in self._bad() if bad.what == "altered")
        self._put_back()
        unfetched = self._fetch() if self._bad() else []
        for out in self.wanted:
            # a copy of the damage in data/ goes; what a person edited does not
            if out in found.edited and found.actual[out] and found.actual[out] <= damage and not self._bad([out]):
                self._restore(out)
        unmade = []
        for name in graph.read(self.root).stages:
            if name in {out.stage for bad in self._bad() for out, _ in bad.parts}:
                unmade += self._remake(name)
        return [*(unfetched if self._bad() else []), *unmade]

    def _bad(self, wanted: list[Out] | None = None) -> list[Bad]:
        return self.cache.check(self.wanted if wanted is None else wanted)

    def _put_back(self) -> None:
        """What is missing in the cache and still lies whole in data/."""
        for out in self.wanted:
            place = self.root / out.path
            if place.exists() and any(bad.oid == out.oid for bad in self._bad([out])) and out.oid.endswith(".dir"):
                oid, _, listing = hash_output(place)
                if oid == out.oid and self.cache.add(oid, listing):
                    _say(f"{out.path}: its list of files put back from data/")
        for bad in self._bad():
            for out, part in bad.parts:
                place = self.root / out.path / part
                if not bad.oid.endswith(".dir") and place.is_file() and self.cache.add(bad.oid, place):
                    _say(f"{Path(out.path, part)}: put back from data/")
                    break

    def _fetch(self) -> list[str]:
        """What is missing, from the remote; what arrives altered goes again."""
        try:
            there = Remote(self.root, self.remote)
        except Fault as fault:
            return fault.faults
        bad = self._bad()
        stages = list(dict.fromkeys(out.stage for one in bad for out, _ in one.parts))
        notes = [f"{there}: {line}" for line in there.run(["fetch", *stages], sum(out.size for out in self.wanted))]
        self.cache.forget(one.oid for one in bad)
        left = self._bad()
        altered = [one for one in left if one.what == "altered"]
        self.cache.discard(altered)
        for one in bad:
            if one.oid not in {other.oid for other in left}:
                _say(f"{Path(one.parts[0][0].path, one.parts[0][1])}: fetched from {there}")
        return [*notes, *(f"{there}: object {one.oid} is altered there too" for one in altered)]

    def _restore(self, out: Out) -> None:
        """An output of data/ from the cache; deleted first, since DVC goes by the time and may take it for right."""
        place = self.root / out.path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()
        dvc.ask(self.root, "checkout", out.stage)
        _say(f"{out.path}: restored in data/")

    def _remake(self, name: str) -> list[str]:
        """Runs a stage again on the inputs that dvc.lock says; faults when that cannot be, or makes something else."""
        it, locked = graph.read(self.root).stages[name], dvc.read_lock(self.root)
        before = {out["path"]: out["md5"] for out in locked[name]["outs"]}
        by_path = {out.path: out for out in self.wanted}
        for dep in locked[name].get("deps") or []:
            maker = by_path.get(dep["path"])
            if maker and not (self.root / dep["path"]).exists() and not self._bad([maker]):
                dvc.ask(self.root, "checkout", maker.stage)
            place = self.root / dep["path"]
            if not place.exists() or hash_output(place)[0] != dep["md5"]:
                return [f"{name} cannot be run again as it was: {dep['path']} is not what dvc.lock says. Run: wordloom run {name}"]
        if any(not isinstance(entry, dict) or set(entry) != {"changed outs"} for entry in dvc.status(self.root, name).get(name, [])):
            return [f"{name} cannot be run again as it was: its command or parameters have changed. Run: wordloom run {name}"]
        from tasks import stage  # with Prefect

        _say(f"{it.label}: runs again")
        lines: list[str] = []
        # --force: not from the run-cache
        command = dvc.command("repro", "--single-item", "--force", name)
        status = children.ALL.run(command, self.root, dvc.environment(), lines.append, it.timeout_s)
        if status:
            return [f"{it.label} failed when it was run again: {stage.reason([x for x in lines if not dvc.is_chatter(x)], status)}"]
        dvc.order_lock(self.root)
        after = {out["path"]: out["md5"] for out in dvc.read_lock(self.root)[name]["outs"]}
        mine = [out for out in self.wanted if out.stage == name]
        self.cache.forget(oid for out in mine for oid in [out.oid, *(bad.oid for bad in self._bad([out]))])
        return [
            f"{it.label}: {path} has MD5 {after.get(path)} now, not {md5} as recorded: another CPU family or library makes other bytes. "
            "dvc.lock has the new one. Run: wordloom run"
            for path, md5 in before.items()
            if after.get(path) != md5
        ]


def _remote(root: Path, stages: list[str], name: str, repair: bool) -> list[str]:
    """What the remote holds of these stages that is altered or missing; repaired by a push of what is whole here."""
    there = Remote(root, name)
    wanted = outs(root, stages)
    bad, problem = there.fetch_apart(wanted)
    if bad and repair:
        cache = Cache(folder(root))
        altered = [one.oid for one in bad if one.what == "altered"]
        if altered:
            there.remove(cache, wanted, altered)
        push(root, stages, name)
        bad, problem = there.fetch_apart(wanted)
    return [
        *(f"{there}: {line}" for line in (problem if bad else [])),
        *(
            f"{there}: {Path(out.path, part)} of {out.stage}: object {one.oid} is {one.what} there. "
            # after a repair: DVC takes whatever lies there for right, and leaves it
            + (
                f"Delete {at(one.oid)} there, and run: wordloom push{there.option}"
                if repair
                else f"Run: wordloom verify --remote {name} --repair"
            )
            for one in bad
            for out, part in one.parts[:1]
        ),
    ]


def _say(line: str) -> None:
    print(line, flush=True)


@contextlib.contextmanager
def progress(total: int) -> Iterator[Tick]:
    """Bytes hashed, rate and time left: a bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        columns = TextColumn("hashing"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda n: bar.advance(task, n)
        return
    yield _lines(total, time.monotonic)


def _lines(total: int, clock: Callable[[], float]) -> Tick:
    start = last = clock()
    done = 0

    def tick(n: int) -> None:
        nonlocal done, last
        done += n
        now = clock()
        if now - last >= LINE_S:
            last, rate = now, done / (now - start)
            print(
                f"hashed {size(done)} of {size(total)}, {size(rate)}/s, {max(0, total - done) / rate:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    return tick


def size(n: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:,.0f} {unit}" if unit == "bytes" else f"{n:,.1f} {unit}"
        n /= 1000
    return f"{n:,.1f} TB"
