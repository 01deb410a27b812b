"""`wordloom init`: a project of somebody's own, which uses an installed Wordloom; and methods of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from flows import init as starting
from pipelines import dag, params, registry
from pipelines.errors import Fault
from tests.scratch import REPOSITORY, wordloom
from tests.support import ENV, run

MINE = '''"""Vectors of ones, longer from word to word.

reads   tokens    the vocabulary
writes  vectors   one float32 vector per token
"""

import numpy as np

from methods.helpers import longer
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.method import Knobs, Run


class Params(Knobs):
    vector_size: int = 3


def embed(tokens: Tokens, params: Params, run: Run) -> Vectors:
    from . import more

    words = tokens.words()
    with run.open(Vectors) as out:
        out.append(item=words, count=tokens.vocab().column("count"), vector=longer(len(words), params.vector_size) * more.TWICE)
    return out.artifact
'''
HELPERS = "import numpy as np\nfrom pipelines.kernels.nearest import unit\n\n\ndef longer(n, size):\n    return np.arange(1, n * size + 1, dtype=np.float32).reshape(n, size)\n"
ROWS = "run: {{seed: 1}}\ningest: {{c: {{method: csv}}}}\ntokenize: {{w: {{method: words, corpus: c}}}}\nembed: {{mine: {{method: {}, tokens: w}}}}\n"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


ALL = [".dvc", ".dvcignore", ".git", ".gitignore", "README.md", "dvc.yaml", "methods", "params.yaml", "pipelines", "prefect.yaml", "texts"]


@pytest.mark.parametrize("there", [False, True])
def test_a_project_has_all_that_a_run_needs_and_its_dag_is_right(tmp_path, there):
    folder = tmp_path / "mine"
    if there:
        folder.mkdir()
    said = "\n".join(starting.init(folder))
    assert names(folder) == ALL
    assert names(tmp_path) == ["mine"]
    dag.check(folder)
    assert (folder / "pipelines").resolve() == REPOSITORY / "pipelines"
    for name in ("prefect.yaml", ".dvcignore"):
        assert (folder / name).read_bytes() == (REPOSITORY / name).read_bytes(), name
    assert (folder / "texts/notices.csv").read_bytes() == (REPOSITORY / "tests/tiny/notices.csv").read_bytes()
    assert "dvc repro" in said
    assert "git commit" in said
    assert "pipelines" not in run(folder, "git", "status", "--porcelain", "--untracked-files=all").stdout.replace("pipelines/", "")
    assert run(folder, "dvc", "config", "core.analytics").stdout == "false\n"


def test_it_is_made_here_in_an_empty_repository_of_one_s_own(tmp_path, monkeypatch):
    run(tmp_path, "git", "init", "-q")
    monkeypatch.chdir(tmp_path)
    assert "Its repository is yours" in starting.init(Path("."))[-1]
    assert names(tmp_path) == ALL


@pytest.mark.parametrize("what", ["file in it", "a file", "a link"])
def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_is(tmp_path, what):
    folder = tmp_path / "mine"
    if what == "file in it":
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
    elif what == "a file":
        folder.write_text("mine")
    else:
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    done = subprocess.run(wordloom("init", "mine"), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.match(rf"fault: {folder} (holds notes.txt|is there and is no folder)\. Name ", done.stderr)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("there", [False, True])
def test_what_fails_on_the_way_leaves_nothing(tmp_path, monkeypatch, there):
    folder = tmp_path / "mine"
    if there:
        folder.mkdir()
    rename = Path.rename

    def full(path, to):
        if path.name in ("pipelines", "project"):
            raise OSError(28, "No space left on device", str(to))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(Fault, match="No space left on device"):
        starting.init(folder)
    assert list(tmp_path.rglob("*")) == ([folder] if there else [])


def test_where_nobody_may_write_is_a_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match="Look at what is there, and who may write it"):
        starting.init(tmp_path / "file" / "mine")


def test_without_git_dvc_does_without_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "There is no git here" in starting.init(tmp_path / "mine")[-1]
    monkeypatch.undo()
    assert names(tmp_path / "mine") == [name for name in ALL if name != ".git"]
    assert json.loads(run(tmp_path / "mine", "dvc", "status", "--json").stdout)
    for command in ("plan", "runs", "verify", "clean"):
        run(tmp_path / "mine", *wordloom(command))
    done = subprocess.run(wordloom("experiment", "x"), cwd=tmp_path / "mine", capture_output=True, text=True)
    assert "has no git repository of its own" in done.stderr


def test_in_another_repository_it_is_a_part_of_that(tmp_path):
    run(tmp_path, "git", "init", "-q")
    assert f"It is part of the repository {tmp_path}" in starting.init(tmp_path / "mine")[-1]
    assert ".git" not in names(tmp_path / "mine")
    assert json.loads(run(tmp_path / "mine", "dvc", "status", "--json").stdout)
    done = subprocess.run(wordloom("new", str(tmp_path / "mine/texts/notices.csv")), cwd=tmp_path / "mine", capture_output=True, text=True)
    assert (tmp_path / "mine/experiments/notices.yaml").exists(), done.stderr


def test_a_project_without_a_commit_says_that_an_experiment_needs_one(tmp_path):
    starting.init(tmp_path / "mine")
    done = subprocess.run(wordloom("experiment", "x"), cwd=tmp_path / "mine", capture_output=True, text=True)
    assert "has no commit yet" in done.stderr


def test_the_dag_leads_the_link_to_where_wordloom_is_now(tmp_path):
    starting.init(tmp_path / "mine")
    link = tmp_path / "mine" / "pipelines"
    for before in (None, tmp_path / "an-environment-that-is-gone"):
        link.unlink()
        if before:
            link.symlink_to(before)
        assert dag.write(tmp_path / "mine") is False
        assert link.resolve() == REPOSITORY / "pipelines"


# methods of one's own


@pytest.fixture
def own(tmp_path):
    """A project with methods of its own; a name that no other test uses, since this process keeps what it has imported."""
    name = f"mine_{os.urandom(4).hex()}"
    (tmp_path / "methods" / "embed").mkdir(parents=True)
    (tmp_path / "methods" / "embed" / f"{name}.py").write_text(MINE)
    (tmp_path / "params.yaml").write_text(ROWS.format(name))
    return tmp_path, name


def test_a_method_of_the_project_s_own_is_known_like_the_others(own):
    root, name = own
    (root / "methods" / "helpers.py").write_text(HELPERS)
    (root / "methods" / "embed" / "more.py").write_text("TWICE = 2\n")
    row = params.read_row(root, "embed", "mine")
    assert (row.method.name, row.knobs.vector_size, row.method.module) == (name, 3, f"methods.embed.{name}")
    assert name in registry.methods("embed", root)
    assert name not in registry.methods("embed")
    with pytest.raises(Fault, match=rf"embed has no method '{name[:-1]}'.*Did you mean '{name}'"):
        registry.load("embed", name[:-1], root)


def test_its_stage_depends_on_it_on_what_it_imports_of_the_project_and_of_wordloom(own):
    root, name = own
    (root / "methods" / "helpers.py").write_text(HELPERS)
    (root / "methods" / "embed" / "more.py").write_text("TWICE = 2\n")
    found = dag.own_closure(root, f"methods.embed.{name}")
    assert {f"methods/embed/{name}.py", "methods/helpers.py", "methods/embed/more.py"} <= set(found)
    assert {"pipelines/artifacts/tokens.py", "pipelines/kernels/nearest.py", "pipelines/method.py"} <= set(found)
    dag.write(root)
    stages = params.load_yaml(root / "dvc.yaml")["stages"]
    assert "methods" in stages["params"]["deps"]
    assert set(found) <= set(stages["embed-mine"]["deps"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def embed(:\n", r"cannot be imported: SyntaxError in line 1"),
        ("import no_such_library\n", r"cannot be imported: ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0\n", r"cannot be imported: ZeroDivisionError"),
        ("x = 1\n", r"has no embed and no Params; a method has class Params\(Knobs\) and def embed"),
        (MINE.replace("tokens: Tokens", "tokens: str"), r"embed\(\) takes tokens, which is no noun"),
        (MINE.replace("tokens: Tokens", "tokens: Nothing"), r"NameError: name 'Nothing' is not defined"),
        (MINE.replace("Params(Knobs)", "Params"), r"Params is not made of Knobs"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_told_by_its_file(own, text, said):
    root, name = own
    (root / "methods" / "embed" / f"{name}.py").write_text(text.replace("from methods.helpers import longer\n", ""))
    with pytest.raises(Fault, match=rf"^params.yaml: embed.mine: methods/embed/{name}.py:? ?.*{said}"):
        params.read_row(root, "embed", "mine")


def test_a_name_that_wordloom_has_is_refused(own):
    root, _ = own
    (root / "methods" / "embed" / "glove.py").write_text(MINE)
    with pytest.raises(Fault, match=r"methods/embed/glove.py: Wordloom has a method of that name"):
        registry.load("embed", "glove", root)


def test_two_projects_methods_of_one_name_are_not_mistaken_for_each_other(own, tmp_path_factory):
    root, name = own
    (root / "methods" / "embed" / f"{name}.py").write_text(MINE.replace("from methods.helpers import longer\n", ""))
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(root / "methods", other / "methods")
    registry.load("embed", name, root)
    with pytest.raises(Fault, match="Ask in a process of its own"):
        registry.load("embed", name, other)


# from a wheel


SMALL = """run: {seed: 1, threads: 1, device: cpu}
ingest: {notices: {method: csv, source: texts/notices.csv, id: id, split: split}}
tokenize: {words: {method: words, corpus: notices, min_count: 2}}
cooccur: {w5: {method: windowed, tokens: words, window: 5}}
embed: {own: {method: mine, counts: w5, vector_size: 8}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """An environment with a wheel of this checkout in it, and the libraries, but not the Wordloom, of the one that runs the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    source, python = folder / "source", folder / "environment" / "bin" / "python"
    for package in ("flows", "tasks", "pipelines", "wordloom"):
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip"]
    run(source, *pip, "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(folder), ".")
    venv.create(folder / "environment", symlinks=True)
    run(folder, *pip, "--python", str(python), "install", "-q", "--no-index", "--no-deps", *map(str, folder.glob("*.whl")))
    libraries = folder / "environment" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages" / "libraries.pth"
    libraries.write_text(sysconfig.get_path("purelib") + "\n")
    return {**ENV, "PATH": f"{python.parent}{os.pathsep}{ENV['PATH']}", "PYTHONPATH": ""}


@pytest.mark.slow
@pytest.mark.quick_slow
def test_an_installed_wordloom_runs_a_project_and_its_own_method(installed, tmp_path):
    run(tmp_path, "wordloom", "init", "mine", env=installed)
    root = tmp_path / "mine"
    package = (root / "pipelines").resolve()
    assert REPOSITORY not in package.parents
    there = {path.relative_to(package.parent).as_posix() for path in package.parent.rglob("*") if path.is_file()}
    wanted = {path for name in ("pipelines", "flows", "tasks", "wordloom") for path in _tracked(name)}
    assert wanted
    assert wanted <= there
    (root / "methods" / "embed").mkdir()
    example = re.search(r"```python\n(.*?)```", (root / "methods" / "README.md").read_text(), re.S)[1]
    (root / "methods" / "embed" / "mine.py").write_text(example)
    (root / "params.yaml").write_text(SMALL)
    run(root, "wordloom", "dag", env=installed)
    run(root, "python", "-m", "dvc", "repro", env=installed)
    assert run(root, "wordloom", "neighbours", "own", "boat", "-k", "3", env=installed).stdout.startswith("boat: ")
    (root / "report.html").unlink()
    run(root, "wordloom", "report", env=installed)
    assert "own" in (root / "report.html").read_text()
    assert json.loads(run(root, "python", "-m", "dvc", "status", "--json", env=installed).stdout) == {}
    with (root / "methods" / "embed" / "mine.py").open("a") as file:
        file.write("\n# a change\n")
    with (package / "cooccur" / "windowed.py").open("a") as file:
        file.write("\n# a newer one\n")
    found = json.loads(run(root, "python", "-m", "dvc", "status", "--json", env=installed).stdout)
    assert {"embed-own", "cooccur-w5"} <= set(found)
    assert not {"ingest-notices", "tokenize-words"} & set(found)


def _tracked(package: str) -> list[str]:
    """All that is no bytecode in a package of this checkout."""
    return [
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
