"""`wordloom plan`: what would run, and why."""

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
