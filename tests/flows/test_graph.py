"""dvc.yaml as a graph, and what has to run."""

import pytest

from flows import graph
from flows.graph import Graph, Stage
from pipelines.errors import Fault
from tasks import dvc
from tests.scratch import dag


def make(**stages: tuple[list[str], list[str]]) -> dict:
    return {"stages": {name: {"cmd": "x", "deps": deps, "outs": outs} for name, (deps, outs) in stages.items()}}


def read(tmp_path, tree) -> Graph:
    (tmp_path / "dvc.yaml").write_text(dvc.dump(tree))
    return graph.read(tmp_path)


def test_a_stage_comes_after_what_makes_its_dependency_lies_around_it_or_in_it(tmp_path):
    found = read(
        tmp_path,
        make(
            a=(["src"], ["data/a"]),
            b=(["src"], ["data/b"]),
            same=(["data/a"], ["o1"]),
            inside=(["data/a/part.parquet"], ["o2"]),
            around=(["data"], ["o3"]),
            apart=(["data2", "dat"], ["o4"]),
        ),
    )
    assert [found.before(name) for name in found.stages] == [set(), set(), {"a"}, {"a"}, {"a", "b"}, set()]


def test_stages_carry_the_placement_that_their_meta_says(tmp_path):
    found = read(tmp_path, dag())
    assert found.stages["embed-g"] == Stage(
        "embed-g", "embed", "g", ("data/1_corpus/a", "data/checks/corpus/a.json", "stage.py"), ("data/4_vectors/g",)
    )
    assert found.stages["check-vectors-g"].label == "check/vectors-g"


def test_a_part_is_its_targets_and_all_that_they_need(tmp_path):
    whole = read(tmp_path, dag())
    assert list(whole.of(["embed/g"]).stages) == ["ingest-a", "check-corpus-a", "embed-g"]
    assert list(whole.of(["embed-g"]).stages) == list(whole.of(["embed/g"]).stages)
    assert whole.of([]).stages == whole.stages


def test_unknown_targets_are_all_named_with_the_nearest_stage(tmp_path):
    with pytest.raises(Fault, match="'embed/gg'.* Did you mean 'embed/g'") as err:
        read(tmp_path, dag()).of(["embed/gg", "report/all", "nonsense"])
    assert "'nonsense'" in err.value.faults[1]


def test_what_comes_after_goes_to_the_end_of_the_graph(tmp_path):
    assert read(tmp_path, dag()).after({"embed-g"}) == {"check-vectors-g", "report-all"}


@pytest.mark.parametrize("tree", [{}, {"stages": {}}])
def test_a_project_without_stages_is_refused(tmp_path, tree):
    with pytest.raises(Fault, match="wordloom dag"):
        read(tmp_path, tree)


def test_a_foreach_is_refused(tmp_path):
    with pytest.raises(Fault, match="stage x has no cmd of its own"):
        read(tmp_path, {"stages": {"x": {"foreach": ["a"], "do": {"cmd": "y"}}}})


def entry(deps: dict[str, str], outs: dict[str, str]) -> dict:
    return {key: [{"path": path, "md5": md5} for path, md5 in items.items()] for key, items in (("deps", deps), ("outs", outs))}


class TestDue:
    """b reads what a makes."""

    def why(self, tmp_path, found, ran, recorded="1", made="1", there=True):
        part = read(tmp_path, make(a=(["src"], ["data/a"]), b=(["data/a", "code.py"], ["data/b"])))
        for name in ("a", *("b" * there)):
            (tmp_path / "data" / name).mkdir(parents=True)
        locked = {"a": entry({}, {"data/a": made}), "b": entry({"data/a": recorded, "code.py": "c"}, {"data/b": "2"})}
        return graph.due(tmp_path, part, "b", found, ran, locked)

    def test_nothing_changed(self, tmp_path):
        assert self.why(tmp_path, {}, ()) is None

    def test_an_output_that_is_missing(self, tmp_path):
        assert self.why(tmp_path, {}, (), there=False) == "output data/b missing"

    def test_code_that_changed(self, tmp_path):
        assert "code.py" in self.why(tmp_path, {"b": [{"changed deps": {"code.py": "modified"}}]}, ())

    def test_parameters_that_changed(self, tmp_path):
        assert "embed.b" in self.why(tmp_path, {"b": [{"changed deps": {"params.yaml": {"embed.b": "modified"}}}]}, ["a"])

    def test_a_command_that_changed(self, tmp_path):
        assert self.why(tmp_path, {"b": ["changed command"]}, ["a"]) == "changed command"

    def test_another_output_of_the_stage_before_it(self, tmp_path):
        assert self.why(tmp_path, {}, ["a"], recorded="1", made="9") == "dep data/a changed"

    def test_the_same_output_of_the_stage_before_it_is_no_reason(self, tmp_path):
        assert self.why(tmp_path, {}, ["a"]) is None

    def test_an_output_that_was_altered_and_has_been_made_again_is_no_reason(self, tmp_path):
        assert self.why(tmp_path, {"b": [{"changed deps": {"data/a": "modified"}}]}, ["a"]) is None

    def test_an_output_that_was_altered_and_not_made_again_is_one(self, tmp_path):
        assert self.why(tmp_path, {"b": [{"changed deps": {"data/a": "modified"}}]}, ()) is not None
