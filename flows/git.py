"""The few questions that are asked of git."""

import subprocess
from pathlib import Path

from pipelines.errors import Fault


def git(root: Path, *args: str) -> str:
    """What a git command prints. Raises Fault with what it says when it fails."""
    done = subprocess.run(["git", *args], cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Fault(f"git {args[0]} in {root}: {said[-1]}")
    return done.stdout.strip()


def changed(root: Path, untracked: bool = False) -> list[str]:
    """Tracked files that differ from the commit, relative to the repository's folder; with those that git neither tracks nor ignores."""
    out = subprocess.run(
        ["git", "status", "--porcelain", "-z", "--no-renames", f"--untracked-files={'all' if untracked else 'no'}"],
        cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [entry[3:] for entry in out.split("\0") if entry]


def main_checkout(root: Path) -> Path:
    """The repository's first working tree; `root` itself unless that is a worktree."""
    return Path(git(root, "rev-parse", "--path-format=absolute", "--git-common-dir")).parent
