"""docs/using.md and docs/export.md, run: each `$ wordloom ...` in the project of its experiment says what the page says."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import __main__ as command
from flows import asking
from pipelines.errors import Fault

DOCS = Path("docs").absolute()
NUMBER = re.compile(r"-?\d+\.\d+")


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [block for named, block in found if named == language]


def spoken(page: str) -> list[tuple[str, str]]:
    """(command, what it says), in the page's order."""
    found: list[tuple[str, str]] = []
    for block in blocks(page, ""):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            elif found and block.startswith("$ "):
                found[-1] = found[-1][0], f"{found[-1][1]}{line}\n"
    return [(line, told) for line, told in found if line.startswith("wordloom ") and not line.startswith("wordloom experiment")]


@pytest.mark.parametrize(
    ("page", "project", "least"),
    [("using.md", "using", 10), pytest.param("export.md", "exported", 5, marks=[pytest.mark.slow, pytest.mark.quick_slow])],
)
def test_each_command_of_the_page_says_what_stands_there(request, monkeypatch, tmp_path, page, project, least):
    shutil.copytree(request.getfixturevalue(project), tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(asking, "ROOT", Path("."))
    commands = spoken(page)
    assert len(commands) > least
    for line, told in commands:
        done = CliRunner().invoke(command.app, shlex.split(line)[1:])
        said = "".join(f"fault: {it}\n" for it in done.exception.faults) if isinstance(done.exception, Fault) else done.output
        # figures of what was trained may differ in the last digit from one kind of processor to another
        assert NUMBER.sub("#", said) == NUMBER.sub("#", told), line
        numbers = [[float(it) for it in NUMBER.findall(text)] for text in (said, told)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.002), line
    if page == "export.md":  # that of using.md is of another folder; test_project.py asks the same
        (example,) = blocks(page, "python")
        exec(example, {})
