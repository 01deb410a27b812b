"""The few questions that are asked of git."""

import subprocess
from pathlib import Path

from pipelines.errors import Fault


def git(root: Path, *args: str) -> str:
    """What a git command prints. Raises Fault with what it says when it fails."""
    return _ask(root, *args).strip()


def file_at(root: Path, revision: str, path: str) -> str:
    """A file's text at a revision, to the last blank."""
    return _ask(root, "show", "--end-of-options", f"{revision}:{path}")


def _ask(root: Path, *args: str) -> str:
    try:
        done = subprocess.run(["git", *args], cwd=root, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
    except FileNotFoundError:
        raise Fault(f"git {args[0]} in {root}: git is not installed") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Fault(f"git {args[0]} in {root}: {said[-1]}")
    return done.stdout


def commit_of(root: Path, revision: str) -> str:
    """The commit that a revision names, fetched when this clone does not know it yet. Raises Fault when there is none."""
    if revision.startswith("-") or "\0" in revision:  # git would read an option; no argument can hold a NUL
        raise Fault(f"{revision!r} cannot be a git revision; give a commit, a branch or a tag")
    names = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    found = subprocess.run(["git", *names], cwd=root, capture_output=True, text=True).stdout.strip()
    if not found:
        subprocess.run(["git", "fetch", "--quiet", "--all"], cwd=root, stdin=subprocess.DEVNULL, capture_output=True)
        found = subprocess.run(["git", *names], cwd=root, capture_output=True, text=True).stdout.strip()
    if not found:
        raise Fault(f"git in {root.resolve()} knows no commit {revision!r}, after a fetch too. Push it to where this clone fetches from")
    return found


def changed(root: Path, untracked: bool = False) -> list[str]:
    """Tracked files that differ from the commit, relative to the repository's folder; with those that git neither tracks nor ignores."""
    out = _ask(root, "status", "--porcelain", "-z", "--no-renames", f"--untracked-files={'all' if untracked else 'no'}")
    return [entry[3:] for entry in out.split("\0") if entry]


def main_checkout(root: Path) -> Path:
    """The repository's first working tree; `root` itself unless that is a worktree, also where it has no repository."""
    if not (root / ".git").exists():
        return root.resolve()
    return Path(git(root, "rev-parse", "--path-format=absolute", "--git-common-dir")).parent


def own_repository(root: Path) -> None:
    """Raises Fault where worktrees cannot be made of the project's commits: it has no repository, or lies in a folder of one."""
    if not (root / ".git").exists():
        raise Fault(
            f"{root.resolve()} has no git repository of its own, and experiments are worktrees of one. Run: git init, add and commit; "
            "or copy the experiment's file over params.yaml, and run: wordloom dag && dvc repro"
        )
    if subprocess.run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], cwd=root, capture_output=True).returncode:
        raise Fault(f"{root.resolve()} has no commit yet, and experiments run what is committed. Run: git add -A && git commit -m start")
