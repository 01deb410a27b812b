"""What a person or a parameter file says reaches a command line, a path or DVC's templates as data, or is refused."""

import ast
import contextlib
import json
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flows import experiments, git, graph, sweep
from pipelines import dag, params
from pipelines.errors import Fault
from tasks import dvc
from tests import scratch
from tests.support import HOME, make_project, run

NASTY = [
    "$(touch canary)", "`touch canary`", "; touch canary", "| touch canary", "&& touch canary", "\ntouch canary\n", "> canary",
    "${run.seed}", "#{x}", "{{ name }}", "%s", "../../canary", "/etc/passwd", "..", "-x", "--force", "--output=canary", "~", "*",
    "'", '"', "\\", "\0", "\x85", "\u2028", "é", "名", "\u202e", " ", "", "a:b", "a@b", ".git", "CON", "1e5", "null",
]  # fmt: skip
# surrogates are no text: no YAML file and no argument can hold one
CHARACTERS = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
words = st.one_of(
    st.sampled_from(NASTY), st.text(CHARACTERS, max_size=12), st.lists(st.sampled_from([*NASTY, "row"]), max_size=3).map("".join)
)
fuzz = settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
SAFE = re.compile(r"exec python -m pipelines( [A-Za-z0-9][A-Za-z0-9-]*)+")

TREE = {
    "run": {"seed": 1, "threads": 1},
    "ingest": {"tiny": {"method": "csv", "source": "notices.csv"}},
    "tokenize": {"words": {"method": "words", "corpus": "tiny"}},
    "classify": {"logreg": {"method": "tfidf_logreg", "tokens": "words"}},
    "evaluate": {"classification": {"method": "classification", "predictions": ["logreg"]}},
}


def accepted(check, *args):
    """What `check` gives, or None when it is a Fault; nothing else may come out of it."""
    with contextlib.suppress(Fault):
        return check(*args)
    return None


@given(words)
@fuzz
def test_an_experiments_name_is_a_plain_word_or_is_refused(tmp_path, name):
    (tmp_path / "experiments").mkdir(exist_ok=True)
    with contextlib.suppress(Fault):
        experiments.check_name(name)
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", name)
        assert experiments.place(tmp_path, name).parent == tmp_path / experiments.FOLDER
    for which in (name, f"{name}.yaml", f"x/{name}.yml"):
        found = accepted(experiments.resolve, tmp_path, which)
        assert found is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", found[0])


def write(path, tree):
    """As JSON, which YAML reads, and which keeps every character: what is tested is how it is read."""
    path.write_text(json.dumps(tree))


def stages_of(tree):
    """What dvc.yaml holds for these parameters, as DVC will read it."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "params.yaml", tree)
        (Path(folder) / "dvc.yaml").write_text(dag.render(Path(folder)), encoding="utf-8")
        return dvc.load(Path(folder) / "dvc.yaml")


def is_safe(tree, data):
    """All commands are plain words; `data` is where a path is named and nowhere else, and DVC has nothing to fill in."""
    for body in tree["stages"].values():
        assert SAFE.fullmatch(body["cmd"]), body["cmd"]
        assert set(body["meta"]["queue"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        strings = [
            body["cmd"],
            body.get("desc", ""),
            *body.get("params", []),
            *(out if isinstance(out, str) else next(iter(out)) for out in body["outs"]),
        ]
        assert not any("${" in text for text in [*strings, *body["deps"]])
        assert all(
            re.fullmatch(r"data/[A-Za-z0-9_/.-]+", text) and ".." not in text for text in strings[len(strings) - len(body["outs"]) :]
        )
    assert data in [dep for body in tree["stages"].values() for dep in body["deps"]]


@given(row=words, source=words, queue=words)
@example(row="a\n", source="\x85", queue="cpu\n")
@example(row="a", source="", queue="$(touch canary)")
@fuzz
def test_rows_sources_and_queues_make_commands_of_safe_characters_only(row, source, queue):
    good = {"tiny": {"method": "csv", "source": "notices.csv"}}
    tree = accepted(stages_of, {**TREE, "ingest": {**good, row: good["tiny"]}})
    if tree is not None:
        assert re.fullmatch(r"[A-Za-z0-9-]+", row)
        is_safe(tree, "notices.csv")
    tree = accepted(stages_of, {**TREE, "ingest": {"tiny": {"method": "csv", "source": source}}})
    if tree is not None:
        is_safe(tree, source)  # literally
    tree = accepted(stages_of, {**TREE, "placement": {"ingest.tiny": {"queue": queue}}})
    if tree is not None:
        is_safe(tree, "notices.csv")


@given(verb=words, method=words, named=words, key=words, value=words)
@fuzz
def test_other_words_of_a_parameter_file_are_refused_or_are_data(verb, method, named, key, value):
    for tree in (
        {**TREE, verb: {"x": {"method": "csv"}}},
        {**TREE, "ingest": {"tiny": {"method": method}}},
        {**TREE, "tokenize": {"words": {"method": "words", "corpus": named}}},
        {**TREE, "ingest": {"tiny": {"method": "csv", key: value}}},
        {**TREE, "ingest": {"tiny": {"method": "csv", "text": value}}},
    ):
        rows = accepted(params.rows_of, tree)
        if rows is not None and tree["ingest"]["tiny"].get("text") == value:
            assert next(row for row in rows if row.name == "tiny").knobs.text == value


@given(row=words, knob=words, values=st.lists(words, min_size=1, max_size=3, unique=True), target=words, base=words, name=words)
@fuzz
def test_a_sweep_makes_plain_names_and_keeps_its_values_as_they_were(row, knob, values, target, base, name):
    sources = {"ingest.tiny": {"source": values}}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / "params.yaml", TREE)
        for asked in (
            {"rows": sources}, {"rows": {**sources, row: {knob: values}}}, {"rows": {"ingest.tiny": {knob: values}}},
            {"rows": sources, "targets": [target]}, {"rows": sources, "base": base}, {"rows": sources, name: values}, {"rows": sources, "scores": values},
        ):  # fmt: skip
            write(root / "s.yaml", asked)
            it = accepted(sweep.read, root, root / "s.yaml")
            if it is None:
                assert asked != {"rows": sources} or any("${" in value or not value or not value.isprintable() for value in values)
                continue
            tree = it.expanded()
            assert all(params.ROW_NAME.fullmatch(made.name) and len(made.name) <= sweep.LONGEST for made in it.all())
            assert all(re.fullmatch(r"[a-z]+/[A-Za-z0-9-]+", wanted) for wanted in it.targets)
            if asked == {"rows": sources}:
                assert [body["source"] for body in tree["ingest"].values()] == values
        found = accepted(sweep.read, root, root / f"{name}.yaml")
        assert found is None or found.name == name == "s"


@given(words)
@fuzz
def test_a_target_is_a_stage_of_dvc_yaml_or_is_refused(lab, target):
    part = accepted(graph.read(lab.root).of, [target])
    assert part is None or target in {alias for it in part.stages.values() for alias in (it.name, it.label)}


@given(name=words, queue=words, path=words)
@fuzz
def test_a_stage_that_somebody_wrote_into_dvc_yaml_is_no_option_of_dvcs(name, queue, path):
    body = {"cmd": "true", "deps": [path], "outs": ["out"], "meta": {"verb": "embed", "row": name, "queue": queue}}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "dvc.yaml", {"stages": {name: body}})
        read = accepted(graph.read, Path(folder))
        assert read is None or (list(read.stages) == [name] and not name.startswith("-"))


@pytest.mark.parametrize(
    "text",
    ["stages: [a]", "stages: {a: 3}", "stages: {3: {cmd: x}}", "stages: {a: {cmd: x, meta: 3}}", "a", "stages: {a: {cmd: x, deps: 3}}"],
)
def test_what_is_no_dvc_yaml_is_a_fault(tmp_path, text):
    (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(Fault):
        graph.read(tmp_path)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return scratch.make(tmp_path_factory.mktemp("injection") / "project")


@given(words)
@example("HEAD")
@example("\0")
@settings(fuzz, max_examples=20)
def test_a_git_revision_names_a_commit_or_is_refused(lab, revision):
    before = sorted(path.name for path in lab.root.iterdir())
    commit = accepted(git.commit_of, lab.root, revision)
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}", commit)
    assert sorted(path.name for path in lab.root.iterdir()) == before


@pytest.mark.parametrize(
    "words",
    [["run", "--", "--force"], ["plan", "embed/g; touch canary"], ["experiment", "--remove", "../x"], ["sweep", "../$(touch canary).yaml"]],
)
def test_the_command_refuses_with_a_fault_what_names_nothing(lab, words):
    done = lab.wordloom(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("fault: ")
    assert "Traceback" not in done.stderr
    assert not list(lab.root.parent.rglob("canary*"))


NAMES = ["$(touch canary).csv", "`touch canary`.csv", "; touch canary;.csv", "a b'\".csv", "-rf.csv", "é名.csv"]


@pytest.mark.slow
@pytest.mark.quick_slow
def test_dvc_runs_rows_with_shell_characters_in_every_value_and_no_shell_sees_them(tmp_path):
    """Real files under these names, in a sweep, by DVC, whose commands a real shell executes."""
    folder = tmp_path / "project"
    root = make_project(folder, "ingest:\n  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}\n")
    for name in NAMES:
        shutil.copy(root / "tests/tiny/notices.csv", root / name)
    (root / "s.yaml").write_text(dvc.dump({"rows": {"ingest.tiny": {"source": NAMES, "label": ["label"]}}}), encoding="utf-8")
    tree = sweep.read(root, root / "s.yaml").expanded()
    (root / "params.yaml").write_text(dvc.dump(tree), encoding="utf-8")
    run(root, "python", "-m", "pipelines", "dag")
    stages = [f"ingest-{row}" for row in tree["ingest"]]
    assert len(stages) == len(NAMES)
    said = run(root, "dvc", "repro", *stages).stdout
    assert all(f"Running stage '{stage}'" in said for stage in stages)
    assert all((root / "data/1_corpus" / row).is_dir() for row in tree["ingest"])
    assert not list(tmp_path.rglob("canary*"))
    # a template of DVC's would be filled in: it is refused where a path goes into dvc.yaml, and data in a knob that does not
    (root / "params.yaml").write_text(dvc.dump({**tree, "ingest": {"a": {"method": "csv", "source": "${run.seed}"}}}))
    assert "printable characters without '${'" in run(root, "python", "-m", "pipelines", "dag", ok=False).stderr
    (root / "params.yaml").write_text(
        dvc.dump({**tree, "ingest": {"a": {"method": "csv", "source": NAMES[0], "text": "${run.seed}$(touch canary)"}}})
    )
    run(root, "python", "-m", "pipelines", "dag")
    done = run(root, "dvc", "repro", "ingest-a", ok=False)
    assert "${run.seed}$(touch canary)" in done.stdout + done.stderr
    assert not list(tmp_path.rglob("canary*"))


PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle"}


def unsafe(text):
    """Where source code unpickles, evaluates text, or hands a line to a shell: (line, what)."""
    tree, found = ast.parse(text), []
    gensim = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (node.module or "" if isinstance(node, ast.ImportFrom) else alias.name).startswith("gensim")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [(node.lineno, name) for name in modules if name.partition(".")[0] in PICKLES]
        if not isinstance(node, ast.Call):
            continue
        name, said = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
        last, root = name.rpartition(".")[2], name.partition(".")[0]
        wrong = [
            name
            in (
                "eval",
                "exec",
                "builtins.eval",
                "builtins.exec",
                "os.system",
                "os.popen",
                "subprocess.getoutput",
                "subprocess.getstatusoutput",
            ),
            said.get("shell", "False") != "False",
            name == "torch.load" and said.get("weights_only") != "True",
            said.get("allow_pickle", "False") != "False",
            last in ("read_pickle", "to_pickle", "load_from_checkpoint"),
            last == "load" and root in gensim,
            root == "yaml" and last in ("load", "load_all", "unsafe_load", "full_load"),
            last == "YAML" and "unsafe" in "".join([*said.values(), *map(ast.unparse, node.args)]),
        ]
        if any(wrong):
            found.append((node.lineno, ast.unparse(node)))
    return found


def test_our_code_unpickles_nothing_and_gives_nothing_to_a_shell():
    files = [path for room in ("flows", "tasks", "pipelines", "wordloom") for path in sorted((HOME / room).rglob("*.py"))]
    assert len(files) > 80
    assert {str(path.relative_to(HOME)): found for path in files if (found := unsafe(path.read_text()))} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle", "from joblib import load", "import cloudpickle as c", "torch.load(path)", "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)", "numpy.load(path, allow_pickle=flag)", "yaml.load(text)", "YAML(typ='unsafe')", "eval(text)", "exec(text)",
        "subprocess.run(text, shell=True)", "os.system(text)", "pd.read_pickle(path)", "from gensim.models import KeyedVectors\nKeyedVectors.load(path)",
    ],
)  # fmt: skip
def test_what_is_planted_is_found(planted):
    assert unsafe(f"def f():\n    {planted.replace(chr(10), chr(10) + '    ')}\n")


@pytest.mark.parametrize(
    "fine", ["torch.load(path, weights_only=True)", "np.load(path)", "YAML(typ='safe')", "json.load(file)", "model.eval()", "run(words)"]
)
def test_what_is_harmless_is_not_found(fine):
    assert unsafe(fine) == []
