"""`wordloom plan`: what would run, and why."""

import subprocess

import pytest

from flows import graph
from flows.plan import changes, text
from tasks import dvc


def test_a_change_of_parameters_is_told_value_by_value():
    old = {"lr": 0.05, "sizes": [64, 32], "gone": 1, "same": {"a": 1}}
    new = {"lr": 0.1, "sizes": [64], "same": {"a": 1}, "fresh": True}
    assert changes("embed.glove", old, new) == [
        "params embed.glove.lr changed 0.05 -> 0.1",
        "params embed.glove.sizes changed [64, 32] -> [64]",
        "params embed.glove.gone is gone, was 1",
        "params embed.glove.fresh is new: True",
    ]


def test_before_the_first_run_every_stage_has_to_run(project):
    said = text(project.root, graph.read(project.root))
    assert said.splitlines()[0] == "ingest/a: has not run yet"
    assert said.endswith("7 of 7 stages have to run, 0 more may have to")


def test_each_reason_is_told_in_words_and_what_comes_after_may_have_to_run(project):
    assert project.dvc("repro").returncode == 0
    whole = graph.read(project.root)
    assert text(project.root, whole) == "all 7 stages are up to date"
    project.set("embed", "g", text="other")
    said = text(project.root, whole).splitlines()
    assert said == [
        "embed/g: params embed.g.text changed glove -> other",
        "check/vectors-g: only if the output of embed/g changes",
        "report/all: only if the output of check/vectors-g changes",
        "1 of 7 stages have to run, 2 more may have to",
    ]
    (project.root / "data/checks/vectors/h.json").unlink()
    (project.root / "data/4_vectors/h/made").write_text("altered")
    said = text(project.root, whole).splitlines()
    assert "embed/h: output data/4_vectors/h modified" in said
    assert "check/vectors-h: dep data/4_vectors/h changed (made by embed/h)" in said
    assert "check/vectors-h: output data/checks/vectors/h.json missing" in said
    with (project.root / "stage.py").open("a") as file:
        file.write("# another line\n")
    assert "ingest/a: dep stage.py changed" in text(project.root, whole).splitlines()
    assert "embed/g" not in text(project.root, whole.of(["check/vectors-h"]))


def test_where_a_stage_runs_is_told_when_it_is_not_as_usual(project):
    tree = dvc.load(project.root / "dvc.yaml")
    tree["stages"]["embed-g"]["meta"].update(queue="gpu", retries=2, retry_delay_s=5, timeout_s=3600, priority=3)
    project.write("dvc.yaml", tree)
    said = text(project.root, graph.read(project.root))
    assert "embed/g [gpu, 2 retries from 5 s on, at most 3600 s, priority 3]: has not run yet" in said


def test_another_queue_makes_nothing_run_again(project):
    assert project.dvc("repro").returncode == 0
    tree = dvc.load(project.root / "dvc.yaml")
    tree["stages"]["embed-g"]["meta"].update(queue="gpu", priority=3)
    project.write("dvc.yaml", tree)
    whole = graph.read(project.root)
    assert text(project.root, whole) == "all 7 stages are up to date"
    assert "embed/g [gpu, priority 3]: up to date" in text(project.root, whole, everything=True)


@pytest.mark.parametrize("name", ["dvc.lock", "dvc.yaml", "params.yaml"])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_merge_that_was_not_finished_is_one_clear_fault(project, name, command):
    assert project.dvc("repro", "embed-g").returncode == 0
    project.git("add", "-A")
    project.git("commit", "-qm", "base")
    base = project.git("branch", "--show-current").strip()
    for branch, word in (("theirs", "theirs"), (base, "ours")):
        project.git("checkout", "-qB", branch)
        if name == "params.yaml":
            project.set("embed", "g", text=word)
        elif name == "dvc.lock":
            project.set("embed", "g", text=word)
            assert project.dvc("repro", "embed-g").returncode == 0
        else:
            tree = dvc.load(project.root / name)
            tree["stages"]["embed-g"]["desc"] = word
            project.write(name, tree)
        project.git("commit", "-qm", word, "--", name)
        project.git("checkout", "-q", "--", ".")
        if branch == "theirs":
            project.git("checkout", "-q", base)
    with pytest.raises(subprocess.CalledProcessError):
        project.git("merge", "theirs")
    both = (project.root / name).read_text()
    line = both.splitlines().index("<<<<<<< HEAD") + 1
    done = project.wordloom(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"fault: {name}: line {line} is a conflict marker of git's: a merge was not finished. Resolve it, "
        f"or take one side as it is: git checkout --ours {name}, and run again\n"
    )
    assert (project.root / name).read_text() == both  # a person's work stays where it is
    project.git("checkout", "--ours", name)
    assert project.wordloom("plan").returncode == 0
