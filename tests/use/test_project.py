"""`import wordloom`, as a notebook has it."""

import doctest
import subprocess
import sys

import pytest

import wordloom
from pipelines.use import project as page


def test_the_examples_are_what_comes_out(using, monkeypatch):
    monkeypatch.chdir(using)
    found = doctest.testmod(page, extraglobs={"project": wordloom.Project(".")}, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert (found.failed, found.attempted > 8) == (0, True)
    asked = {name for name in vars(wordloom.Project) if not name.startswith("_")}
    shown = {test.name.rpartition(".")[2] for test in doctest.DocTestFinder().find(page) if test.examples}
    assert asked <= shown, "an answer has no example"


def test_what_is_asked_twice_is_read_once(using, monkeypatch):
    project = wordloom.Project(using)
    _, matrix = project.vectors("given")
    assert project.vectors("given")[1] is matrix
    assert project.neighbours("given", ["sea", "horse"], k=1).values.tolist() == [["sea", "boat", 0.9958], ["horse", "sheep", 0.9968]]


def test_faults_are_raised_as_faults(using, tmp_path):
    with pytest.raises(wordloom.Fault, match="no project here, in .*: name the folder that holds params.yaml"):
        wordloom.Project(tmp_path)
    project = wordloom.Project(using)
    with pytest.raises(wordloom.Fault, match="embed has no row 'gven'; it has given, means, topics. Did you mean 'given'?"):
        project.neighbours("gven", "sea")
    with pytest.raises(wordloom.Fault, match="Did you mean 'boat'?"):
        project.similar("given", "sea", "baot")
    (tmp_path / "params.yaml").write_text("embed: {}")
    with pytest.raises(wordloom.Fault, match="no scores in .* Run: wordloom run"):
        wordloom.Project(tmp_path).scores()


def test_the_import_brings_nothing_that_takes_time():
    heavy = "{'numpy', 'pandas', 'pyarrow', 'torch', 'numba', 'scipy', 'pydantic', 'prefect', 'dvc', 'gensim', 'faiss'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"import sys, wordloom; print({heavy})"], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
