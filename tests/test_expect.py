"""Gates: the report is always there, the pass token only when all expectations hold."""

import json

import numpy as np
import pytest

from pipelines import layout
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.expect import check, suite_hash
from pipelines.method import Run
from pipelines.run import check_token


def put_vectors(root, matrix, items=None):
    with Run(root / layout.artifact("vectors", "v")).open(Vectors) as out:
        out.append(item=items or [f"w{i}" for i in range(len(matrix))], count=[1] * len(matrix), vector=matrix)
    return out.artifact


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A gate that found two rows wanting: one has a NaN, one is all zeros."""
    root = tmp_path_factory.mktemp("failed")
    matrix = np.ones((50, 3), np.float32)
    matrix[7, 1], matrix[9] = np.nan, 0
    put_vectors(root, matrix)
    token = root / layout.pass_token("vectors", "v")
    layout.write_aside(token, '{"artifact": "of an earlier run"}')
    with pytest.raises(Fault) as caught:
        check(root, "vectors", "v")
    return root, caught.value.faults


def test_a_closed_gate_says_which_rows_failed_with_examples(failed):
    text = "\n".join(failed[1])
    assert (
        'n_not_finite: every number of a vector is finite; a lower lr often helps (expect_column_values_to_be_between {"max_value": 0'
        in text
    )
    assert '"item": "w7"' in text
    assert '"item": "w9"' in text
    assert "1 rows fail (2.00%)" in text
    assert "Full report: runs/checks/vectors/v.html" in text


def test_a_closed_gate_leaves_no_token_but_a_full_report(failed):
    root, _ = failed
    assert not (root / layout.pass_token("vectors", "v")).exists()
    report = json.loads((root / layout.gate_report("vectors", "v")).read_text())
    assert report["success"] is False
    assert [r["examples"] for r in report["results"] if r["column"] == "n_not_finite"] == [[{"n_not_finite": 1, "item": "w7"}]]


def test_the_page_a_person_opens_names_the_rows_and_fetches_nothing(failed):
    page = (failed[0] / layout.gate_report("vectors", "v", "html")).read_text()
    assert "w7" in page
    assert "<script" not in page
    assert "url(http" not in page.replace("'", "")
    assert 'src="http' not in page
    assert "<link" not in page


def test_an_open_gate_names_the_artifact_and_the_suite_and_has_the_same_bytes_twice(tmp_path):
    artifact = put_vectors(tmp_path, np.eye(4, dtype=np.float32) + 1)
    check(tmp_path, "vectors", "v")
    path = tmp_path / layout.pass_token("vectors", "v")
    first = path.read_bytes()
    token = json.loads(first)
    assert token["artifact"] == layout.hash_path(artifact.folder) == check_token(tmp_path, "vectors", "v")
    assert token["suite"] == suite_hash(Vectors)
    check(tmp_path, "vectors", "v")
    assert path.read_bytes() == first


def test_a_token_of_another_artifact_or_of_other_expectations_is_refused(tmp_path, monkeypatch):
    put_vectors(tmp_path, np.eye(4, dtype=np.float32) + 1)
    with pytest.raises(Fault, match="pass token names artifact|is missing"):
        check_token(tmp_path, "vectors", "v")
    layout.write_aside(tmp_path / layout.pass_token("vectors", "v"), '{"artifact": "0123456789abcdef", "suite": ""}')
    with pytest.raises(Fault, match=r"names artifact 0123456789ab, this is .*Run: dvc repro check-vectors-v"):
        check_token(tmp_path, "vectors", "v")
    check(tmp_path, "vectors", "v")
    monkeypatch.setattr(Vectors, "expectations", Vectors.expectations[:-1])
    with pytest.raises(Fault, match="other expectations"):
        check_token(tmp_path, "vectors", "v")


def test_an_artifact_that_cannot_be_read_closes_the_gate(tmp_path):
    artifact = put_vectors(tmp_path, np.ones((4, 3), np.float32))
    path = artifact.folder / "vectors.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Fault, match="not a readable Parquet file"):
        check(tmp_path, "vectors", "v")
    assert not (tmp_path / layout.pass_token("vectors", "v")).exists()


def test_a_model_that_cannot_be_loaded_closes_the_gate(tmp_path):
    with Run(tmp_path / layout.artifact("vectors", "v")).open(Vectors) as out:
        out.append(item=["a", "b"], count=[1, 1], vector=np.eye(2) + 1)
        out.model({"model": "x"}, {"w": np.ones(3, np.float32)})
    check(tmp_path, "vectors", "v")
    for name, garbage in (("model.safetensors", "garbage"), ("model.json", "{")):
        path = out.artifact.folder / name
        whole = path.read_bytes()
        path.write_text(garbage)
        with pytest.raises(Fault, match="the model in .* cannot be read"):
            check(tmp_path, "vectors", "v")
        path.write_bytes(whole)
    check(tmp_path, "vectors", "v")


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe", b"3"])
def test_a_pass_token_that_is_none_is_refused_by_name(tmp_path, content):
    put_vectors(tmp_path, np.eye(4, dtype=np.float32) + 1)
    check(tmp_path, "vectors", "v")
    (tmp_path / layout.pass_token("vectors", "v")).write_bytes(content)
    with pytest.raises(Fault, match=r"data/checks/vectors/v.json is no pass token.*Delete it"):
        check_token(tmp_path, "vectors", "v")


@pytest.mark.parametrize(("noun", "row"), [("nope", "v"), ("vectors", "../../etc"), ("vectors", "")])
def test_a_gate_after_what_is_no_artifact_is_refused(tmp_path, noun, row):
    with pytest.raises(Fault, match="not a noun|not the name of a row"):
        check(tmp_path, noun, row)


def test_a_name_that_leads_out_of_its_folder_removes_nothing_there(tmp_path, monkeypatch, capsys):
    from pipelines.__main__ import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/checks/vectors").mkdir(parents=True)
    precious = tmp_path / "precious.json"
    precious.write_text("{}")
    assert main(["check", "vectors", "../../../precious"]) == 2
    assert precious.exists()
    assert "not the name of a row" in capsys.readouterr().err
