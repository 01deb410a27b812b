"""What several tests need: a project of their own, with the real code and the tiny corpus in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parent.parent
ENV = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DO_NOT_TRACK": "1",
    "SHELL": "/bin/sh",
}


RUN = "run: {seed: 1, threads: 1, device: cpu}\n"


def make_project(folder: Path, params: str | None = None) -> Path:
    """A git and DVC project in `folder` with our packages, the tiny corpus, and the rows `params` in params.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in ("pipelines", "flows", "tasks"):
        shutil.copytree(HOME / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HOME / "tests" / "tiny", folder / "tests" / "tiny")
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(HOME / name, folder / name)
    (folder / "params.yaml").write_text(RUN + params if params else (HOME / "tests" / "tiny" / "params.yaml").read_text())
    for command in (
        ["git", "init", "-q"], ["git", "config", "user.name", "t"], ["git", "config", "user.email", "t@example.org"],
        ["dvc", "init", "-q"], ["dvc", "config", "core.analytics", "false"],
    ):  # fmt: skip
        run(folder, *command)
    run(folder, "python", "-m", "pipelines", "dag")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "project")
    return folder


def run(folder: Path, *command: str, ok: bool = True, **more) -> subprocess.CompletedProcess:
    """Runs a command in `folder`; with ok=True its failing fails the test, output shown."""
    done = subprocess.run(command, cwd=folder, env={**ENV, **more.pop("env", {})}, capture_output=True, text=True, timeout=300, **more)
    if ok:
        assert done.returncode == 0, f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
