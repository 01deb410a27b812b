"""Accepting a run: only what passed its gate, all or nothing."""

import shutil

import pytest

from flows.accept import accept
from pipelines import dag, layout
from pipelines.errors import Fault
from pipelines.expect import check
from pipelines.run import run_stage
from tests.support import HOME, RUN

ROWS = """ingest:
  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}
  again: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    shutil.copytree(HOME / "tests/tiny", tmp_path / "tests/tiny")
    (tmp_path / "params.yaml").write_text(RUN + ROWS)
    monkeypatch.chdir(tmp_path)
    dag.write(tmp_path)
    layout.write_aside(tmp_path / layout.PARAMS_TOKEN, '{"valid": true}')
    for row in ("tiny", "again"):
        run_stage(tmp_path, "ingest", row)
    check(tmp_path, "corpus", "tiny")
    return tmp_path


def test_an_accepted_artifact_is_a_dependency_of_its_gate(root):
    assert accept(root, ["corpus/tiny"]) == ["reference/corpus/tiny.json"]
    assert "- reference/corpus/tiny.json" in (root / "dvc.yaml").read_text()
    dag.check(root)
    check(root, "corpus", "tiny")


def test_nothing_is_accepted_when_one_has_not_passed_its_gate_or_is_none(root):
    with pytest.raises(Fault, match="corpus/again has not passed its gate"):
        accept(root, [])
    with pytest.raises(Fault, match="'corpus/tny' is not the artifact of a row, NOUN/ROW. Did you mean 'corpus/tiny'"):
        accept(root, ["corpus/tny", "corpus/tiny"])
    assert not (root / "reference").exists()
