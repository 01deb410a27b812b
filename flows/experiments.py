"""Experiments: a whole parameter file run in a git worktree of its own, .wordloom/NAME.

The worktree has its own params.yaml, dvc.yaml, dvc.lock and data/; DVC's cache and the downloads are
the main checkout's. Nothing of the user's is overwritten: neither there nor here.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from flows.git import changed, commit_of, file_at, git, own_repository
from pipelines import layout
from pipelines.errors import Fault, nearest
from pipelines.params import load_yaml
from pipelines.workspaces import FOLDER, names
from tasks import cache, children, dvc, mend, workspace

FILES = "experiments"
STALE_S = 60.0  # no git of ours takes so long to write an index
SENT = "sent"  # .wordloom/sent/NAME: worktrees for stages that an orchestrator elsewhere sends here
TAKEN = {"locks", "checkpoints", "main", SENT}  # other things that lie in .wordloom, and the name of the main checkout
OURS = {layout.PARAMS, layout.DAG, dvc.LOCK}  # the files that differ from the commit in a worktree
SHARED = (layout.RAW, layout.RECORDS)
COPIED = ".wordloom/params.yaml"  # in the worktree: params.yaml as it was put there


def place(root: Path, name: str) -> Path:
    return root / FOLDER / name


def sent(root: Path) -> list[Path]:
    """The worktrees for stages that are sent to this clone."""
    return sorted(path for path in (root / FOLDER / SENT).glob("*") if (path / ".git").is_file())


def existing(root: Path, name: str) -> Path:
    """The worktree of an experiment. Raises Fault when there is none."""
    check_name(name)
    if name not in names(root):
        raise Fault(f"there is no experiment {name!r} in {root / FOLDER}.{nearest(name, names(root))}")
    return place(root, name)


def resolve(root: Path, which: str) -> tuple[str, Path]:
    """NAME or FILE -> the experiment's name and its parameter file. Raises Fault."""
    own_repository(root)
    is_file = which.endswith((".yaml", ".yml")) or "/" in which
    name = Path(which).stem if is_file else which
    check_name(name)
    source = Path(which) if is_file else root / FILES / f"{name}.yaml"
    if not source.is_file():
        known = sorted(path.stem for path in (root / FILES).glob("*.yaml"))
        raise Fault(f"{source} is missing; experiments are {', '.join(known) or 'none yet'}.{nearest(name, known)}")
    return name, source


def seeded(source: Path, seed: int) -> str:
    """What a parameter file holds, with another seed for the run; a row that has a seed of its own keeps it. Raises Fault."""
    tree = load_yaml(source)
    if isinstance(tree.get("run", {}), dict):  # else the worktree's own code says what is wrong with it
        tree["run"] = {**tree.get("run", {}), "seed": seed}
    return dvc.dump(tree)


def check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", name):
        raise Fault(f"{name!r} cannot name an experiment; use letters, digits and hyphens")
    if name in TAKEN:
        raise Fault(f"an experiment cannot be called {name!r}: {FOLDER} keeps other things under that name")


def left_out(root: Path, *sources: Path) -> list[str]:
    """The files that an experiment does not have, since no commit has them as they are."""
    # it has a dvc.lock of its own, and the parameters are those of the file, committed or not
    known = {(root / dvc.LOCK).resolve(), *(source.resolve() for source in sources)}
    return [path for path in changed(root, untracked=True) if (root / path).resolve() not in known]


def prepare(root: Path, name: str, source: Path, text: str | None = None, revision: str = "HEAD", tree: Path | None = None) -> Path:
    """Makes or moves the worktree to a commit, with the experiment's parameters.

    Args:
        source: the parameter file, as messages name it.
        text: what the file holds, when that is not what it holds now.
        tree: where the worktree lies, if not in its usual place.

    Raises:
        Fault: the parameters are not right, or somebody's files are in the way; a worktree made for it is gone again.
    """
    try:
        text = source.read_text(encoding="utf-8") if text is None else text
    except UnicodeDecodeError as err:
        raise Fault(f"{source} is not UTF-8: {err}. Save it as UTF-8") from err
    commit = commit_of(root, revision)
    tree = tree or place(root, name)
    if (tree / ".git").is_file() and not (tree / COPIED).exists():  # git was killed as it made it: nobody has worked in it
        _drop(root, tree)
    is_new = not (tree / ".git").is_file()
    if is_new:
        if tree.exists() and any(tree.iterdir()):
            raise Fault(f"{tree} is there and is no worktree. Move it away, or give the experiment another name")
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--detach", str(tree), commit)
    else:
        _move(tree, source, text, commit)
    try:
        _fill(root, tree, source, text)
    except BaseException:
        if is_new:
            _drop(root, tree)
        raise
    return tree


def committed(root: Path, name: str, revision: str) -> tuple[Path, str]:
    """The parameter file of an experiment and what it holds at a revision; that of the project when it has none of its own."""
    check_name(name)
    own = f"{FILES}/{name}.yaml"
    path = own if git(root, "ls-tree", "--name-only", "--end-of-options", revision, "--", own) else layout.PARAMS
    return root / path, file_at(root, revision, path)


@contextlib.contextmanager
def opened(root: Path, name: str, text: str, revision: str) -> Iterator[Path]:
    """A worktree for the stages that are sent to this clone, several of which may work in it at the same time."""
    if name != "main":  # the main checkout sends its stages under that name
        check_name(name)
    tree = root / FOLDER / SENT / name
    with readied(root, tree, tree / layout.PARAMS, text, revision, several=True):
        os.utime(tree / COPIED)  # `wordloom clean` goes by it
        yield tree


@contextlib.contextmanager
def readied(root: Path, tree: Path, source: Path, text: str | None, commit: str, several: bool = False) -> Iterator[Path]:
    """A worktree as `prepare` makes it, held: nobody takes it to another commit meanwhile.

    Args:
        several: others who want it just so may work in it at the same time.
    """
    with contextlib.ExitStack() as held:
        with workspace.alone(root, lock=_lock(root, tree)):
            if not (several and _is_current(tree, str(text), commit)):
                with workspace.alone(tree) if tree.exists() else contextlib.nullcontext():
                    prepare(root, tree.name, source, text, commit, tree)
            if several:
                mend.mend(tree)
            held.enter_context(workspace.shared(tree) if several else workspace.alone(tree))
        yield tree


def _lock(root: Path, tree: Path) -> str:
    """Of a worktree while it is made, moved or removed; relative to the main checkout."""
    return f"{layout.LOCKS}/experiment-{'-'.join(tree.relative_to(root / FOLDER).parts)}"


def _is_current(tree: Path, text: str, revision: str) -> bool:
    copied, params = tree / COPIED, tree / layout.PARAMS
    return (
        (tree / ".git").is_file()
        and all(path.exists() and path.read_text(encoding="utf-8") == text for path in (copied, params))
        and git(tree, "rev-parse", "HEAD") == revision
        and not set(changed(tree)) - OURS
    )


def _fill(root: Path, tree: Path, source: Path, text: str) -> None:
    """Puts the parameters, what they imply and the shared folders into a worktree."""
    layout.write_aside(tree / layout.PARAMS, text)
    layout.write_aside(tree / COPIED, text)
    _share(root, tree)
    # by the worktree's own code: that is what will run
    written = subprocess.run(
        children.guarded([sys.executable, "-m", "pipelines", "dag"]), cwd=tree, env=dvc.environment(), capture_output=True, text=True
    )
    if written.returncode:
        lines = [line.removeprefix("fault: ") for line in written.stderr.strip().splitlines()]
        raise Fault(f"{source}: {line}" for line in lines[-20:] or [f"python -m pipelines dag ended with {written.returncode}"])


def _move(tree: Path, source: Path, text: str, commit: str) -> None:
    """Takes a worktree that is there to another commit; what somebody wrote in it stops us."""
    index = Path(git(tree, "rev-parse", "--path-format=absolute", "--git-path", "index.lock"))
    if index.exists() and time.time() - index.stat().st_mtime > STALE_S:  # of a git that was killed; we hold the workspace
        index.unlink()
    edited = [path for path in changed(tree) if path not in OURS]
    if edited:
        raise Fault(
            f"{tree} has edits of yours in {', '.join(edited[:5])}{' ...' if len(edited) > 5 else ''}. "
            "Commit them on a branch there, or take them back, and run again"
        )
    copied, params = tree / COPIED, tree / layout.PARAMS
    if copied.exists() and params.exists() and params.read_bytes() not in (copied.read_bytes(), text.encode()):
        raise Fault(f"{params} was edited by hand. Copy it over {source} to keep the edit, or delete it, and run again")
    lock = (tree / dvc.LOCK).read_text() if (tree / dvc.LOCK).exists() else None
    for path in OURS & set(changed(tree)):
        git(tree, "checkout", "HEAD", "--", path)
    for path in OURS & set(git(tree, "ls-files", "--others", "--", *OURS).splitlines()):
        (tree / path).unlink()  # a commit that tracks it may come; it is written again below
    git(tree, "checkout", "--quiet", "--detach", commit)
    if lock is not None:
        layout.write_aside(tree / dvc.LOCK, lock)


def _share(root: Path, tree: Path) -> None:
    """The main checkout's cache, remotes' passwords, downloads, and records of what runs took serve the worktree too."""
    if (root / dvc.CONFIG).exists():
        shutil.copy(root / dvc.CONFIG, tree / dvc.CONFIG)  # with its mode
        dvc.mend_remotes(tree, is_copy=True)  # the commit may be without a remote
    dvc.configure(tree, {"cache": {"dir": str(cache.folder(root))}})
    cache.folder.cache_clear()  # it may have been asked of the worktree before
    for folder in SHARED:
        there = tree / folder
        if not there.exists() and not there.is_symlink():
            (root / folder).mkdir(parents=True, exist_ok=True)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.symlink_to((root / folder).resolve(), target_is_directory=True)


def run(tree: Path, options: list[str], prefect: bool) -> int:
    """Runs a prepared worktree by DVC, or by the flow; gives the driver's exit status."""
    command = [sys.executable, "-m", "flows", "run", *options] if prefect else dvc.command("repro", *options)
    env = dvc.environment()
    if data := env.get("WORDLOOM_DATA"):
        env["WORDLOOM_DATA"] = str(Path(data).resolve())  # it may be relative to here
    if prefect:  # it takes the worktree's lock itself, and writes dvc.lock in order
        return subprocess.run(children.guarded(command), cwd=tree, env=env).returncode
    with workspace.alone(tree):
        status = subprocess.run(children.guarded(command), cwd=tree, env=env).returncode
        dvc.order_lock(tree)
    return status


def remove(root: Path, name: str) -> None:
    drop(root, existing(root, name))


def drop(root: Path, tree: Path) -> None:
    """Removes a worktree with its data; what the cache holds stays. Raises Fault: edits of yours are in it, or it is in use."""
    edited = [path for path in changed(tree) if path not in OURS]
    if edited:
        raise Fault(f"{tree} has edits of yours in {', '.join(edited[:5])}. Commit them on a branch there, or take them back")
    with workspace.alone(root, wait=False, lock=_lock(root, tree)), workspace.alone(tree, wait=False):
        _drop(root, tree)


def _drop(root: Path, tree: Path) -> None:
    for folder in SHARED:  # they are the main checkout's
        if (tree / folder).is_symlink():
            (tree / folder).unlink()
    git(root, "worktree", "remove", "--force", "--force", str(tree))  # twice: locked ones, too, as a killed git leaves them
    shutil.rmtree(tree, ignore_errors=True)
