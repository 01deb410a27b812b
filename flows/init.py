"""A project of somebody's own, which uses an installed Wordloom: what lies in project/, with a dvc.yaml, and a repository where git is there.

In project/ a name that begins with _ is one that begins with a dot. All is made beside the folder and moved there at the end, so nothing
is left half-made.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from pipelines import dag
from pipelines.errors import Fault

TEMPLATE = Path(__file__).parent / "project"
MAY_BE_THERE = {".git"}  # of a repository that is empty


def init(folder: Path) -> list[str]:
    """Makes the project; gives lines that say what to do next.

    Raises:
        Fault: the folder is not empty, or it cannot be made.
    """
    folder = folder.absolute()
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Fault(f"{folder} is there and is no folder. Name one that is empty, or that is not there yet")
    try:
        there = sorted(path.name for path in folder.iterdir() if path.name not in MAY_BE_THERE) if folder.exists() else []
        if there:
            more = f" and {len(there) - 3} more" if len(there) > 3 else ""
            raise Fault(f"{folder} holds {', '.join(there[:3])}{more}. Name a folder that is empty, or that is not there yet")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
            made = Path(aside) / "project"
            _copy(TEMPLATE, made)
            state = _git(folder, made)
            dag.write(made)
            _move(made, folder)
    except OSError as err:
        raise Fault(f"{err.filename or folder}: {err.strerror or err}. Look at what is there, and who may write it") from err
    return [
        f"{folder} is a project, with forty made-up notices to try it on. Next:",
        *([f"  cd {folder.name if folder.parent == Path.cwd() else folder}"] if folder != Path.cwd() else []),
        "  dvc repro                             all that params.yaml says, to report.html",
        "  wordloom neighbours skipgram boat     and wordloom explore, to look at it in a browser",
        "  wordloom new FILE                     looks at data of your own, and writes the rows for it",
        state,
    ]


def _copy(source: Path, to: Path) -> None:
    to.mkdir()
    for path in sorted(source.iterdir()):
        place = to / (f".{path.name[1:]}" if path.name.startswith("_") else path.name)
        if path.is_dir():
            if path.name != "__pycache__":
                _copy(path, place)
        else:
            shutil.copyfile(path, place)  # not its mode: an installed file may be read-only


def _git(folder: Path, made: Path) -> str:
    """Makes a repository, unless there is one, or one around it, or no git; says which."""
    if (folder / ".git").exists():
        return "Its repository is yours: git add -A && git commit -m start, since experiments run what is committed."
    try:
        around = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=folder.parent, capture_output=True, text=True)
        if not around.returncode:
            return f"It is part of the repository {around.stdout.strip()}; wordloom experiment and sweep need a repository of the project's own."
        subprocess.run(["git", "init", "--quiet"], cwd=made, check=True, capture_output=True)
        return "It is a git repository: git add -A && git commit -m start, since experiments run what is committed."
    except (FileNotFoundError, subprocess.CalledProcessError):
        with (made / ".dvc" / "config").open("a") as config:
            config.write("    no_scm = true\n")
        return "There is no git here; wordloom experiment, sweep and final need it. After a git init delete no_scm from .dvc/config."


def _move(made: Path, folder: Path) -> None:
    if not folder.exists():
        made.rename(folder)
        return
    moved: list[Path] = []
    try:
        for path in sorted(made.iterdir()):
            moved.append(path.rename(folder / path.name))
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        raise
