"""DVC as the second driver uses it: its command line, and the one file that both drivers write."""

import contextlib
import fcntl
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipelines.errors import Fault
from pipelines.layout import DAG, PARAMS, write_aside
from tasks import children

if TYPE_CHECKING:
    from configobj import ConfigObj

LOCK = "dvc.lock"
SHARED_CONFIG = ".dvc/config"
CONFIG = ".dvc/config.local"  # what git does not keep
FOLLOWS = f"# follows {SHARED_CONFIG}"  # beside an address that was copied from there
BORN = ".dvc/tmp/btime"  # by this file's time DVC finds its notes on the project
BUSY = "is busy, it is being blocked by"  # another DVC works on the same file
TORN = ("file is not a database", "database disk image is malformed")  # DVC's notes on the files that it has hashed
BUSY_RETRY_S = 2.0
BUSY_LIMIT_S = 86_400.0  # as long as a stage may take
CHATTER = (
    "To track the changes", "To enable auto staging", "\tgit add", "\tdvc config", "Use `dvc push`", "Updating lock file",
    "Generating lock file", "Running stage ", "> ",
)  # fmt: skip


def environment() -> dict[str, str]:
    """This process's, with its interpreter first on PATH: dvc.yaml says `python`."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }


def command(*args: str) -> list[str]:
    """DVC, waiting for a lock that another DVC holds: its own patience of 3 s would lose finished work."""
    # -P: no file of the project is imported in the place of one of DVC's
    return [sys.executable, "-P", "-m", "dvc", "--wait-for-lock", *args]


def ask(root: Path, *args: str) -> str:
    """What a DVC command prints, once no other DVC holds what it needs. Raises Fault with its errors when it fails."""
    end, told, forgot = time.monotonic() + BUSY_LIMIT_S, False, False
    while True:
        done = subprocess.run(
            children.guarded(command(*args)), cwd=root, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if not done.returncode:
            return done.stdout
        if not forgot and forget(root, done.stderr):
            forgot = True
            continue
        said = errors(done.stderr) or done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        if BUSY not in done.stderr or time.monotonic() > end:
            raise Fault(f"dvc {args[0]}: {line}" for line in said)
        if not told:
            print(f"dvc {args[0]} waits: {' '.join(said)}", flush=True)
            told = True
        time.sleep(BUSY_RETRY_S)


def forget(root: Path, said: str) -> bool:
    """Has DVC begin its notes on files' hashes anew where it said that they are damaged, of which it never gets well; whether it did."""
    if not any(words in line for line in errors(said) for words in TORN):
        return False
    (root / BORN).unlink(missing_ok=True)
    print("mended: DVC's notes on files' hashes were damaged; it hashes anew", file=sys.stderr, flush=True)
    return True


def errors(text: str) -> list[str]:
    """The errors in what DVC said, each on one line with the lines that continue it."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("ERROR: "):
            found.append([])
        inside = bool(found) and (line.startswith("ERROR: ") or (inside and not line.startswith(("WARNING: ", "Having any troubles?"))))
        if inside and line.strip():
            found[-1].append(line.removeprefix("ERROR: ").strip())
    return [" ".join(lines) for lines in found]


def status(root: Path, *targets: str) -> dict[str, list[Any]]:
    """The stages that differ from dvc.lock, each with what differs, as `dvc status --json` says it."""
    no_conflict(root / PARAMS)  # DVC's own message has no next step
    return json.loads(ask(root, "status", "--json", *targets) or "{}")


def configure(root: Path, settings: Mapping[str, Mapping[str, str]]) -> None:
    """Sets {section: {option: value}} in .dvc/config.local; `dvc config` cannot write a file that holds more than ASCII."""
    file = _config(root / CONFIG)
    file.merge(settings)
    file.write()


def mend_remotes(root: Path, is_copy: bool = False) -> list[str]:
    """Lets no option in .dvc/config.local stop DVC for want of the remote's address; the remotes whose options went.

    Beside our option `verify` the address is copied, since another commit's .dvc/config may be without the remote; the
    copy follows .dvc/config. Options of remotes that have no address anywhere go.

    Args:
        is_copy: what a person wrote goes, too, since the main checkout keeps it.

    Raises:
        Fault: a person's options, such as a password, are of a remote without an address.
    """
    file, shared = _config(root / CONFIG), _remotes(_config(root / SHARED_CONFIG))
    gone, is_new = [], False
    for name, section in _remotes(file).items():
        url = shared.get(name, {}).get("url")
        is_ours = FOLLOWS in (section.inline_comments.get("url") or "") or ("verify" in section and "url" not in section)
        if url and is_ours and section.get("url") != url:
            section["url"], is_new = url, True  # as it is written there: both files lie in the same folder
            section.inline_comments["url"] = FOLLOWS
        if "url" in section or url or f"remote.{name}.url=" in ask(root, "config", "--list"):  # the last: this user's, or this machine's
            continue
        if not is_copy and set(section) - {"verify"}:
            raise Fault(
                f"{CONFIG} in {root.resolve()} has options of remote {name!r}, which has no url in {SHARED_CONFIG} at this commit, "
                f"so every DVC fails. Add there: url = ..., or delete the section"
            )
        file.pop(section.name)
        gone.append(name)
    if gone or is_new:
        file.write()
    return gone


def _config(path: Path) -> "ConfigObj":
    from configobj import ConfigObj, ConfigObjError  # what DVC reads and writes it with

    try:
        return ConfigObj(str(path), encoding="utf-8", interpolation=False)
    except (ConfigObjError, UnicodeDecodeError) as err:
        raise Fault(f"{path} cannot be read: {err}. Mend it by hand") from err


def _remotes(file: "ConfigObj") -> dict[str, Any]:
    """Name -> section, of the remotes that one of DVC's configuration files names."""
    found = {re.fullmatch(r'\s*remote\s*"(.*)"\s*', section.lower()): section for section in file.sections}
    return {match[1]: file[section] for match, section in found.items() if match}


def without_git(root: Path) -> bool:
    """Whether DVC is told that the project is in no repository, so that there are no commits to name what is in the cache."""
    return str(_config(root / SHARED_CONFIG).get("core", {}).get("no_scm")).lower() == "true"


def is_chatter(line: str) -> bool:
    """Whether a line of DVC's says nothing about the stage."""
    return not line.strip() or line.startswith(CHATTER)


@contextlib.contextmanager
def paused(root: Path) -> Iterator[None]:
    """Nobody writes dvc.lock meanwhile: this is the lock that every DVC command takes."""
    path = root / ".dvc" / "tmp" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_lock(root: Path) -> dict[str, Any]:
    """stage -> what dvc.lock holds of it."""
    with paused(root):
        return load(root / LOCK).get("stages") or {}


def entries(root: Path, names: Iterable[str]) -> dict[str, Any]:
    """The entries of dvc.lock of these stages. Raises Fault for those that it has not."""
    locked = read_lock(root)
    missing = [name for name in names if name not in locked]
    if missing:
        raise Fault(f"{LOCK} in {root.resolve()} has no entry of {', '.join(missing)}. Run: wordloom run {' '.join(missing)}")
    return {name: locked[name] for name in names}


def put_entries(root: Path, made: Mapping[str, Any]) -> None:
    """Puts entries that another clone's DVC wrote into dvc.lock, in the place of those that are there; None takes one out."""
    path = root / LOCK
    with paused(root):
        tree = load(path) or {"schema": "2.0"}
        stages = {**(tree.get("stages") or {}), **made}
        text = dump({**tree, "stages": {name: entry for name, entry in stages.items() if entry is not None}})
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_aside(path, text)


def order_lock(root: Path) -> bool:
    """Writes dvc.lock in dvc.yaml's order; False when it was so already.

    DVC keeps the order in which stages happened to end, and entries of stages that are gone. Without
    both, two drivers that did the same work leave the same bytes.
    """
    order = load(root / DAG).get("stages") or {}
    path = root / LOCK
    with paused(root):
        if not path.exists():
            return False
        tree = load(path)
        there = tree.get("stages") or {}
        text = dump({**tree, "stages": {name: there[name] for name in order if name in there}})
        if path.read_text(encoding="utf-8") == text:
            return False
        write_aside(path, text)
    return True


def dump(tree: dict[str, Any]) -> str:
    """YAML as DVC writes it."""
    yaml = YAML()
    yaml.default_flow_style = False
    text = io.StringIO()
    yaml.dump(tree, text)
    return text.getvalue()


def load(path: Path) -> dict[str, Any]:
    """A YAML 1.2 file that DVC reads or wrote; empty when it is missing."""
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except (YAMLError, UnicodeDecodeError) as err:
        no_conflict(path)
        raise Fault(f"{path.name} is not YAML: {' '.join(str(err).split())}") from err


class Conflict(Fault):
    """A file that a merge has left with both sides in it, which a person has to resolve."""


def no_conflict(path: Path) -> None:
    """Raises Conflict for a file with a conflict marker of git's in it."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    found = next((n for n, line in enumerate(lines, 1) if line.startswith(b"<<<<<<< ")), None)
    if found is not None:
        raise Conflict(
            f"{path.name}: line {found} is a conflict marker of git's: a merge was not finished. Resolve it, "
            f"or take one side as it is: git checkout --ours {path.name}, and run again"
        )
