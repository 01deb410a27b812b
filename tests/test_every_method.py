"""What every method of every verb owes, asked of the files there are."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import registry
from pipelines.artifacts.parquet import Artifact
from pipelines.method import Knobs, Run
from pipelines.params import load_yaml, rows_of
from tests.support import HOME, make_project, run

METHODS = [(verb, name) for verb in registry.VERBS for name in registry.methods(verb)]


def test_every_verb_has_methods():
    assert {verb for verb, _ in METHODS} == set(registry.VERBS)
    assert len(METHODS) >= 15


@pytest.mark.parametrize(("verb", "name"), METHODS)
def test_a_method_has_knobs_with_defaults_a_signature_and_a_source(verb, name):
    method = registry.load(verb, name)
    assert issubclass(method.params, Knobs)
    method.params()
    hints = inspect.get_annotations(method.call)
    assert hints["params"] is method.params
    assert hints["run"] is Run
    assert hints["return"] is registry.VERBS[verb]
    assert all(issubclass(wanted.noun, Artifact) for wanted in method.inputs.values())
    page = sys.modules[method.module].__doc__ or ""
    for promise in ("writes ", "source "):
        assert promise in page, f"{method.module} does not say in its docstring: {promise}"
    assert inspect.getdoc(method.call) is None or "TODO" not in inspect.getdoc(method.call)


@pytest.mark.parametrize(("verb", "name"), METHODS)
def test_a_method_has_a_test_file_of_its_own(verb, name):
    assert (HOME / "tests" / verb / f"test_{name}.py").is_file()


@pytest.mark.parametrize(("verb", "name"), METHODS)
def test_a_knob_says_in_its_type_what_it_takes(verb, name):
    for knob, field in registry.load(verb, name).params.model_fields.items():
        assert not field.is_required(), f"{verb}.{name}.{knob} has no default"
        assert knob == knob.lower()
        assert knob not in {"dim", "ws", "neg", "alpha_lr", "latent", "idx", "cnt", "learning_rate", "eta"}, (
            "the style guide has a word for it"
        )


@pytest.mark.parametrize(("verb", "name"), [it for it in METHODS if it[0] != "ingest"])
def test_a_knob_that_names_splits_is_called_so_and_holds_none_out_by_default(verb, name):
    """The report goes by that, when it says what is transductive."""
    params = registry.load(verb, name).params
    for knob, field in params.model_fields.items():
        if knob == "infer":  # who gets a vector when all is learned, and from whom nothing is
            continue
        assert ("'unlabelled'" in str(field.annotation)) == (knob == "splits" or knob.endswith("_splits")), knob
        if knob == "splits" or knob.endswith("_splits"):
            assert not {"valid", "test"} & set(getattr(params(), knob))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The tiny project after `dvc repro`."""
    project = make_project(tmp_path_factory.mktemp("finished"))
    run(project, "dvc", "repro")
    return project


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        pytest.param("tests/tiny/params.yaml", marks=pytest.mark.quick_slow),
        "experiments/forms.yaml",
        "experiments/vectors.yaml",
        "experiments/codings.yaml",
        "experiments/classifiers.yaml",
        "experiments/evaluations.yaml",
    ],
)
def test_every_method_with_the_same_seed_and_threads_gives_the_same_bytes(tmp_path, params):
    """All rows twice, in processes of other hash seeds."""
    found = []
    for seed in ("1", "7"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.rows", params, tmp_path / seed],
            cwd=HOME, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout.splitlines()[-1]))
    assert found[0] == found[1]


def test_the_tiny_projects_have_a_row_of_every_method():
    names = (
        "tests/tiny/params.yaml",
        *(f"experiments/{name}.yaml" for name in ("forms", "vectors", "codings", "classifiers", "evaluations")),
    )
    rows = [row for name in names for row in read_rows(HOME / name)]
    assert {(row.verb, row.method.name) for row in rows} >= set(METHODS) - NEED_OTHER_DATA


def read_rows(path):
    return rows_of(load_yaml(path))


# they read what every install has, or what the user downloads, and are run twice in their own test files
NEED_OTHER_DATA = {
    ("ingest", "sample"), ("ingest", "imdb"), ("ingest", "graph"), ("evaluate", "similarity"), ("evaluate", "analogy"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.quick_slow
def test_every_artifact_is_read_by_plain_pandas_and_holds_no_pickle(finished):
    import pandas as pd

    tables = list((finished / "data").rglob("*.parquet"))
    assert len(tables) >= 12
    for path in tables:
        assert len(pd.read_parquet(path).columns) > 1
    for path in (p for p in (finished / "data").rglob("*") if p.is_file()):
        assert path.suffix in {".parquet", ".json", ".safetensors", ".csv", ".md"}, f"{path} is of an unexpected kind"
        assert str(finished).encode() not in path.read_bytes(), f"{path} holds a path of this machine"


def test_methods_import_where_only_the_lean_stack_is_installed():
    """A GPU worker has no prefect, dvc or great_expectations; fit.py and the nouns must not ask for them."""
    code = (
        "import sys\n"
        "for name in ('prefect', 'dvc', 'great_expectations', 'gensim', 'rich', 'typer', 'jinja2', 'plotly'): sys.modules[name] = None\n"
        "import pipelines.run, pipelines.fit, pipelines.params, pipelines.compress.linear, pipelines.classify.lstm, pipelines.embed.glove\n"
    )
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=HOME, env=env, check=True)
