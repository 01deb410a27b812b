"""Gates: the report is always there, the pass token only when all expectations hold."""

import json

import numpy as np
import pytest

from pipelines import layout, reference
from pipelines.artifacts.corpus import Corpus
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.expect import check, suite, suite_hash
from pipelines.method import Run
from pipelines.registry import NOUNS
from pipelines.run import check_token
from tests.support import HOME, RUN


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
    assert 'n_not_finite: every number is finite; a lower lr often helps (expect_column_values_to_be_between {"max_value": 0' in text
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
    assert page.count("<td>w7<") == 1
    assert "every number is finite; a lower lr often helps" in page
    assert "expected at most 0; seen: 1 rows (2.00%) are not" in page
    assert "<svg" in page
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
    assert token["suite"] == suite_hash(Vectors, Vectors.thresholds())
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
    monkeypatch.setattr(Vectors, "expectations", classmethod(lambda noun, t: super(Vectors, noun).expectations(t)))
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


def put_corpus(root, texts, split="train", label="x"):
    with Run(root / layout.artifact("corpus", "c")).open(Corpus) as out:
        n = len(texts)
        out.append(doc_id=[f"d{i}" for i in range(n)], text=texts, label=[label] * n, split=[split] * n, group=[None] * n)
    return out.artifact


TEXTS = [f"This is the text of document {'very ' * i}number {'so ' * i}much." for i in range(20)]


def gates(root, text):
    layout.write_aside(root / "params.yaml", RUN + "ingest:\n  c: {method: csv}\n" + text)


def test_a_warning_is_told_and_kept_and_leaves_the_gate_open(tmp_path, capsys):
    put_corpus(tmp_path, [*TEXTS, TEXTS[3]])
    check(tmp_path, "corpus", "c")
    said = capsys.readouterr().out
    assert "warning: corpus/c: duplicate: a text is in its split once" in said
    assert '"doc_id": "d20"' in said
    report = json.loads((tmp_path / layout.gate_report("corpus", "c")).read_text())
    n_unasked = sum(not one["asked"] for one in report["results"])
    assert n_unasked  # no run was accepted that it could be like
    n_hold = len(report["results"]) - 1 - n_unasked
    assert f"check corpus/c: {n_hold} expectations hold, 1 warn, {n_unasked} could not be asked\n" in said
    page = (tmp_path / layout.gate_report("corpus", "c", "html")).read_text()
    assert f"{n_hold} expectations hold, 1 warn, {n_unasked} could not be asked." in page
    token = json.loads((tmp_path / layout.pass_token("corpus", "c")).read_text())
    assert report["success"] is True
    for seen in (report["results"], token["checked"]):
        (warned,) = [(one["severity"], one["n_failed"]) for one in seen if not one["success"]]
        assert warned == ("warn", 1)
    assert "<td>d20<" in (tmp_path / layout.gate_report("corpus", "c", "html")).read_text()


def test_params_yaml_says_what_closes_a_gate_for_a_noun_and_over_that_for_a_row(tmp_path):
    put_corpus(tmp_path, [*TEXTS, TEXTS[3]])
    gates(tmp_path, "gates:\n  corpus: {fail: [duplicates]}\n")
    with pytest.raises(Fault, match="duplicate: a text is in its split once"):
        check(tmp_path, "corpus", "c")
    gates(tmp_path, "gates:\n  corpus: {fail: [duplicates]}\n  corpus.c: {duplicates: 0.1}\n")
    check(tmp_path, "corpus", "c")
    token = (tmp_path / layout.pass_token("corpus", "c")).read_bytes()
    check_token(tmp_path, "corpus", "c")
    gates(tmp_path, "gates:\n  corpus.c: {duplicates: 0.2}\n")
    with pytest.raises(Fault, match="other expectations than today's"):
        check_token(tmp_path, "corpus", "c")
    gates(tmp_path, "gates:\n  vectors: {largest_norm: 5}\n")
    check(tmp_path, "corpus", "c")
    assert token != (tmp_path / layout.pass_token("corpus", "c")).read_bytes()


def accepted(root):
    return reference.accept(root, Corpus, "c")


def many(n, seed, text="the sea and a ship of wood or wind in all its wrath"):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(text.split(), 60)) for _ in range(n)]


def test_what_is_like_the_accepted_run_passes_and_what_is_not_is_named(tmp_path, capsys):
    put_corpus(tmp_path, many(400, 0))
    assert accepted(tmp_path) == "reference/corpus/c.json"
    put_corpus(tmp_path, many(420, 1))
    check(tmp_path, "corpus", "c")
    report = json.loads((tmp_path / layout.gate_report("corpus", "c")).read_text())
    drift = {one["column"]: one for one in report["results"] if one["column"] in reference.DRIFT}
    assert all(one["asked"] and one["success"] for one in drift.values())
    assert drift["drift_rows"]["observed"] == 0.05
    capsys.readouterr()
    put_corpus(tmp_path, many(900, 2, "Am Anfang war das Wort und das Wort war lang geschrieben"), label="y")
    check(tmp_path, "corpus", "c")
    said = capsys.readouterr().out
    assert "drift_rows: about as many rows as in the accepted run" in said
    assert '{"column": "n_characters", "PSI": ' in said
    assert '{"of": "label", "distance": 1.0, "differs most": "x", "was": "100.00%", "is": "0.00%"}' in said
    assert "drift" not in (tmp_path / layout.pass_token("corpus", "c")).read_text()
    gates(tmp_path, "gates:\n  corpus: {fail: [drift_psi]}\n")
    with pytest.raises(Fault, match="numbers are distributed as in the accepted run"):
        check(tmp_path, "corpus", "c")


def test_a_reference_has_no_text_and_the_same_bytes_twice_and_accepting_changes_no_token(tmp_path):
    put_corpus(tmp_path, many(300, 0))
    check(tmp_path, "corpus", "c")
    token = (tmp_path / layout.pass_token("corpus", "c")).read_bytes()
    path = tmp_path / accepted(tmp_path)
    first = path.read_bytes()
    accepted(tmp_path)
    assert path.read_bytes() == first
    assert b"wrath" not in first
    assert str(tmp_path).encode() not in first
    check_token(tmp_path, "corpus", "c")
    check(tmp_path, "corpus", "c")
    assert (tmp_path / layout.pass_token("corpus", "c")).read_bytes() == token


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": 3}'])
def test_a_reference_that_is_none_is_refused_by_name(tmp_path, content):
    put_corpus(tmp_path, TEXTS)
    layout.write_aside(tmp_path / layout.reference("corpus", "c"), content)
    with pytest.raises(Fault, match=r"reference/corpus/c.json is no reference .* wordloom accept corpus/c"):
        check(tmp_path, "corpus", "c")


def test_what_a_text_holds_is_text_on_the_page(tmp_path):
    put_corpus(tmp_path, [*TEXTS, "<script>alert(1)</script>", "<script>alert(1)</script>"])
    check(tmp_path, "corpus", "c")
    page = (tmp_path / layout.gate_report("corpus", "c", "html")).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_on_gates_names_every_threshold_with_its_default_and_what_it_does():
    page = (HOME / "docs/gates.md").read_text()
    found: dict[tuple[str, str], tuple[str, str]] = {}
    of = ""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and "`" in cells[1]:
            of = cells[0] or of
            for noun in of.split(", "):
                found |= {(noun, name): (cells[2], cells[4]) for name in cells[1].replace("`", "").split(", ")}
    n = 0
    for noun in NOUNS.values():
        for one in suite(noun, noun.thresholds()):
            if one["threshold"]:
                of_all = one["threshold"].startswith("drift_")
                default, outcome = found["all" if of_all else noun.noun, one["threshold"]]
                assert float(default) == getattr(noun.thresholds(), one["threshold"])
                assert outcome == {"fail": "fails", "warn": "warns"}[one["severity"]]
                n += 1
    assert n >= 30
