"""dvc.yaml: what the parameters and the code imply, and nothing else."""

import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipelines import dag, registry
from pipelines.errors import Fault
from tests.support import RUN

HOME = Path(__file__).parent.parent


def stages_of(root):
    return YAML(typ="safe", pure=True).load((root / "dvc.yaml").read_text())["stages"]


def test_the_committed_dvc_yaml_is_what_params_and_code_imply():
    dag.check(HOME)


def test_every_row_is_followed_by_its_gate_and_read_only_after_it():
    stages = stages_of(HOME)
    names = list(stages)
    rows = [name for name, stage in stages.items() if stage["meta"]["verb"] in registry.VERBS]
    assert rows
    for name in rows:
        noun = registry.VERBS[stages[name]["meta"]["verb"]].noun
        row = stages[name]["meta"]["row"]
        assert names[names.index(name) + 1] == f"check-{noun}-{row}"
        folder, token = stages[name]["outs"][0], stages[f"check-{noun}-{row}"]["outs"][0]
        readers = [other for other in rows if folder in stages[other]["deps"]]
        assert all(token in stages[other]["deps"] for other in readers)


def test_every_stage_comes_after_what_it_reads():
    made = {"pipelines", "params.yaml"}
    for name, stage in stages_of(HOME).items():
        for dep in stage["deps"]:
            assert dep in made or ((HOME / dep).exists() and not dep.startswith("data/")), f"{name} reads {dep} before it is made"
        made |= {path for out in stage["outs"] for path in ([out] if isinstance(out, str) else out)}


# each method is imported in a process of its own, a copy of one that has what is not ours and takes seconds
IMPORTS = """
import importlib, os, sys
import pandas, pyarrow.parquet, pydantic, scipy.sparse, sklearn.linear_model, torch
for module in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(module)
        print(module, *[name for name in sys.modules if name.startswith("pipelines.")], flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, module
"""


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_closure_holds_what_the_method_really_imports():
    """grimp's answer against Python's own: the modules of ours that are loaded after the import."""
    import subprocess

    modules = [f"pipelines.{verb}.{name}" for verb in registry.VERBS for name in registry.methods(verb)]
    said = subprocess.run([sys.executable, "-c", IMPORTS, *modules], cwd=HOME, capture_output=True, text=True, check=True).stdout
    loaded = {line.split()[0]: line.split()[1:] for line in said.splitlines()}
    assert set(loaded) == set(modules)
    assert len(loaded) >= 100
    for module, names in loaded.items():
        files = {m.replace(".", "/") + ".py" for m in names if (HOME / (m.replace(".", "/") + ".py")).exists()}
        assert files <= set(dag.closure(module))
        assert module.replace(".", "/") + ".py" in files


def test_a_method_that_reads_rows_of_its_own_verb_comes_after_them(tmp_path, monkeypatch):
    from dataclasses import replace

    real = registry.load

    def postprocess(verb, name, root):
        method = real(verb, name, root)
        inputs = {"counts": method.inputs.get("counts"), "vectors": registry.Input(registry.NOUNS["vectors"], True, True)}
        return replace(method, inputs={**inputs, "counts": replace(inputs["counts"], optional=True)}) if name == "glove" else method

    monkeypatch.setattr(registry, "load", postprocess)
    (tmp_path / "params.yaml").write_text(
        RUN + "ingest: {c: {method: csv}}\ntokenize: {w: {method: words, corpus: c}}\ncooccur: {n: {method: windowed, tokens: w}}\n"
        "embed:\n  top: {method: glove, vectors: [base]}\n  base: {method: glove, counts: n}\n"
    )
    dag.write(tmp_path)
    names = list(stages_of(tmp_path))
    assert names.index("check-vectors-base") < names.index("embed-top")
    assert "data/checks/vectors/base.json" in stages_of(tmp_path)["embed-top"]["deps"]


def test_a_dvc_yaml_of_other_parameters_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_text(RUN + "ingest:\n  tiny: {method: csv}\n")
    dag.write(tmp_path)
    assert dag.write(tmp_path) is False
    dag.check(tmp_path)
    (tmp_path / "params.yaml").write_text(RUN + "ingest:\n  other: {method: csv}\n")
    with pytest.raises(Fault, match="Run: wordloom dag"):
        dag.check(tmp_path)


def test_placement_is_in_meta_where_dvc_does_not_look_for_changes(tmp_path):
    (tmp_path / "params.yaml").write_text(RUN + "ingest:\n  tiny: {method: csv}\nplacement:\n  ingest.tiny: {queue: gpu}\n")
    dag.write(tmp_path)
    stage = stages_of(tmp_path)["ingest-tiny"]
    assert stage["meta"]["queue"] == "gpu"
    assert stage["params"] == ["run", "ingest.tiny"]


def test_a_method_s_own_placement_holds_but_for_what_a_row_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.ingest.csv.PLACEMENT", {"queue": "gpu", "retries": 2, "timeout_s": 600}, raising=False)
    (tmp_path / "params.yaml").write_text(
        RUN + "ingest:\n  as-it-is: {method: csv}\n  moved: {method: csv}\nplacement:\n  ingest.moved: {queue: cpu}\n"
    )
    dag.write(tmp_path)
    metas = [stages_of(tmp_path)[f"ingest-{row}"]["meta"] for row in ("as-it-is", "moved")]
    assert [(meta["queue"], meta["retries"], meta["timeout_s"]) for meta in metas] == [("gpu", 2, 600), ("cpu", 2, 600)]


@pytest.mark.parametrize("source", ["x/${y}.csv", "data/1_corpus/tiny/corpus.csv"])
def test_a_source_that_dvc_could_not_name_is_refused(tmp_path, source):
    (tmp_path / "params.yaml").write_text(RUN + f"ingest:\n  tiny: {{method: csv, source: '{source}'}}\n")
    with pytest.raises(Fault, match="ingest.tiny reads"):
        dag.write(tmp_path)


def test_a_gate_reads_the_thresholds_and_the_reference_where_there_are_some(tmp_path):
    rows = RUN + "ingest:\n  tiny: {method: csv}\n  other: {method: csv}\n"
    (tmp_path / "params.yaml").write_text(rows)
    dag.write(tmp_path)
    plain = stages_of(tmp_path)["check-corpus-tiny"]
    assert "params" not in plain
    assert not any(dep.startswith("reference/") for dep in plain["deps"])
    (tmp_path / "params.yaml").write_text(rows + "gates:\n  corpus: {leaks: 0.1}\n")
    reference = tmp_path / "reference/corpus/tiny.json"
    reference.parent.mkdir(parents=True)
    reference.write_text("{}")
    dag.write(tmp_path)
    stages = stages_of(tmp_path)
    assert stages["check-corpus-tiny"]["params"] == ["gates"]
    assert "reference/corpus/tiny.json" in stages["check-corpus-tiny"]["deps"]
    assert "reference/corpus/tiny.json" not in stages["check-corpus-other"]["deps"]
    assert stages["ingest-tiny"]["params"] == ["run", "ingest.tiny"]
