"""`wordloom` as a person calls it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from pipelines import layout
from pipelines.use.rows import rows
from tests.matrices import vectors_of
from tests.scratch import REPOSITORY, wordloom
from tests.spelled import spelled
from tests.use.test_neighbours import coded


@pytest.mark.parametrize(
    "args",
    [
        "run", "server", "deploy", "plan", "dag", "dag --check", "lock", "experiment x", "experiment --list", "new x", "compare", "final x", "report",
        "runs", "export counts w w.npz", "neighbours w word", "generate w",
        "analogy w a b c", "similar w a b", "search w text", "explore", "encode w a.vec b.vec", "decode w a.vec b.vec",
    ],
)  # fmt: skip
def test_outside_of_a_project_each_command_says_so_and_writes_nothing(tmp_path, args):
    done = subprocess.run(wordloom(*args.split()), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"fault: no project here, in {tmp_path}: go to the folder that holds params.yaml\n"
    assert list(tmp_path.iterdir()) == []


def test_a_project_in_which_nothing_has_run_has_no_runs(project):
    done = project.wordloom("runs")
    assert (done.returncode, done.stdout) == (0, "no stage has run here yet. Run: wordloom run\n")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("neighbours g", ["glove", "grams"]),
        ("neighbours compress/", ["compress/pca"]),
        ("analogy gl", ["glove"]),
        ("search ", ["bags", "glove", "grams"]),
        ("encode ", ["compress/pca"]),
        ("predict ", ["lstm"]),
        ("simi", ["similar"]),
    ],
)
def test_the_tab_key_offers_commands_and_the_rows_of_params_yaml(tmp_path, typed, offered):
    (tmp_path / "params.yaml").write_text("embed: {bags: {}, glove: {}, grams: {}}\ncompress: {pca: {}}\nclassify: {lstm: {}}\n")
    asked = ["wordloom", *typed.split(" ")]
    shell = {"_WORDLOOM_COMPLETE": "complete_bash", "COMP_WORDS": "wordloom " + typed, "COMP_CWORD": str(len(asked) - 1)}
    ask = "from flows.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['wordloom']; {ask}"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, **shell, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.stdout.split() == offered


def test_the_tab_key_offers_nothing_where_there_is_nothing_to_read(tmp_path):
    for text in (None, "embed: [", "embed: 7", "- a"):
        if text is not None:
            (tmp_path / "params.yaml").write_text(text)
        assert rows(tmp_path, "embed") == []


def test_analogies_and_likeness_are_told_for_people_and_for_scripts(tmp_path):
    (tmp_path / "params.yaml").write_text("embed: {v: {}}")
    words = {"man": [1, 0, 0], "king": [1, 1, 0], "woman": [0, 0, 1], "queen": [0, 1, 1]}
    vectors_of(tmp_path / layout.artifact("vectors", "v"), list(words), np.array(list(words.values())))
    outputs = []
    for args in (
        ["analogy", "v", "man", "king", "woman"],
        ["analogy", "v", "man", "king", "woman", "--method", "mul", "--json"],
        ["similar", "v", "king", "queen"],
        ["similar", "v", "king", "queen", "--json"],
        ["neighbours", "v", "king", "-k", "1", "--json"],
        ["similar", "v", "king", "quean"],
    ):
        done = subprocess.run(wordloom(*args), cwd=tmp_path, capture_output=True, text=True)
        outputs.append(done.stdout or done.stderr)
    assert outputs[0] == "man : king = woman : queen 0.959\n"
    assert json.loads(outputs[1]) == [{"word": "queen", "score": pytest.approx(1.27779, abs=1e-4)}]
    assert outputs[2] == "0.500\n"
    assert json.loads(outputs[3]) == {"a": "king", "b": "queen", "cosine": 0.5}
    near = [{"item": "man", "cosine": pytest.approx(0.7071, abs=1e-4)}]
    assert json.loads(outputs[4]) == {"word": "king", "origin": "its own vector", "near": near}
    assert outputs[5] == "fault: vectors/v has no vector of 'quean', and no letter n-grams for one. Did you mean 'queen'?\n"


def test_neighbours_says_of_which_word_and_export_gives_its_files(tmp_path):
    (tmp_path / "params.yaml").write_text("embed: {}")
    spelled(tmp_path / layout.artifact("vectors", "v"), {"sea": [1, 0], "pea": [0, 1]}, {"ea>": [2, 1]})
    (tmp_path / "list.txt").write_text("lea\nox\n")
    outputs = []
    for args in (["neighbours", "v", "sea", "lea", "-k", "1"], ["export", "vectors", "v", "v.vec", "--words", "list.txt"]):
        done = subprocess.run(wordloom(*args), cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout)
    assert outputs == ["sea: pea 0.000\nlea (made of its letter n-grams): sea 0.894\n", "v.missing.txt\nv.vec\n"]


def test_codings_are_asked_as_compress_row_and_again_by_vectors(tmp_path):
    (tmp_path / "params.yaml").write_text("compress: {}")
    coded(tmp_path, {"sea": [1, 1], "pea": [1, -1], "ox": [-1, -1]})
    vectors_of(tmp_path / layout.artifact("vectors", "v"), ["sea", "pea", "ox"], np.array([[1, 0], [0, 1], [0.6, 0.8]]))
    outputs = []
    for args in (
        ["compress/b", "sea"],
        ["compress/b", "sea", "-k", "1", "--exact", "v"],
        ["v", "sea", "--exact", "v"],
        ["compress/b", "a", "--in", "a"],
    ):
        done = subprocess.run(wordloom("neighbours", *args), cwd=tmp_path, capture_output=True, text=True)
        outputs.append(done.stdout or done.stderr)
    assert outputs == [
        "sea (by Hamming distance): pea 0.000, ox -1.000\n",
        "sea (by Hamming distance, the first 2 again by vectors/v): ox 0.600\n",
        "fault: --exact is for codings, and v is a row of embed, which is exact. Leave it out, or name compress/ROW\n",
        "fault: --in: codings have no sentences. Name a row of bilm\n",
    ]


# stands for our packages: `python -m pipelines report` writes report.html
REPORT = """
import sys
from pathlib import Path
assert sys.argv[1:] == ["report"]
Path("report.html").write_text("written again")
"""


def test_a_report_that_dvc_did_not_restore_is_written(project):
    (project.root / "pipelines").mkdir()
    (project.root / "pipelines" / "__main__.py").write_text(REPORT)
    assert project.dvc("repro").returncode == 0
    page = project.root / "report.html"
    page.unlink()
    assert project.wordloom("run", "embed/g").returncode == 0
    assert not page.exists()
    assert project.wordloom("run").returncode == 0
    assert page.read_text() == "written again"
    page.write_text("there")
    assert project.wordloom("run").returncode == 0
    assert page.read_text() == "there"


def test_a_report_that_cannot_be_written_is_a_fault(project):
    from pipelines.errors import Fault
    from tasks import report

    (project.root / "pipelines").mkdir()
    (project.root / "pipelines" / "__main__.py").write_text("raise SystemExit(2)")
    report.complete(project.root)  # there is no data/report.md yet
    (project.root / "data").mkdir()
    (project.root / "data/report.md").write_text("# Report")
    with pytest.raises(Fault, match="report.html is missing in .* could not be written"):
        report.complete(project.root)


def test_a_run_with_nothing_to_do_starts_no_prefect(project):
    assert project.dvc("repro").returncode == 0
    done = project.wordloom("run", PREFECT_API_URL="http://127.0.0.1:1/api")
    assert (done.returncode, done.stdout) == (0, "all 7 stages are up to date\n")


def test_a_server_that_does_not_answer_is_named(project):
    done = project.wordloom("run", PREFECT_API_URL="http://127.0.0.1:1/api")
    assert done.returncode == 2
    assert "fault: no Prefect server answers at http://127.0.0.1:1/api" in done.stderr
    assert "Traceback" not in done.stderr


def test_plan_and_lock_print_what_they_found(project):
    assert project.wordloom("plan", "embed/g").stdout.splitlines()[-1] == "3 of 3 stages have to run, 0 more may have to"
    assert project.dvc("repro").returncode == 0
    assert project.wordloom("plan", "--all").stdout.splitlines()[0] == "ingest/a [cpu]: up to date"
    assert project.wordloom("lock").stdout == "dvc.lock is in order\n"


def test_a_second_run_that_may_not_wait_names_the_first(project):
    from tasks import workspace

    with workspace.alone(project.root):
        done = project.wordloom("run", "--no-wait")
    assert done.returncode == 2
    assert f"in use by process {os.getpid()}" in done.stderr


def start(project, home) -> tuple[subprocess.Popen, list[psutil.Process]]:
    """A run whose stage embed-g takes a minute, and all its processes while that stage works."""
    project.set("embed", "g", sleep=60)
    env = {**os.environ, "PREFECT_HOME": str(home)}
    env.pop("PREFECT_API_URL", None)
    # a session of its own, so that Ctrl-C can be given to all of it, as a terminal does
    with (project.root / "said.txt").open("w") as said:
        run = subprocess.Popen(wordloom("run"), cwd=project.root, env=env, start_new_session=True, stderr=said)
    ran, end = project.root / "ran.txt", time.monotonic() + 180
    while not (ran.exists() and "start embed-g" in ran.read_text()):
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.2)
    return run, psutil.Process(run.pid).children(recursive=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("prefect")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "term", "ctrl-c"])
def test_a_run_that_is_ended_leaves_no_process_and_the_next_one_repairs(project, home, how):
    run, below = start(project, home)
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["pid", "cmdline"]) if process in below]
    assert any("stage.py" in " ".join(command) for command in commands)
    assert any("flows.api" in command for command in commands)
    if how == "ctrl-c":
        os.killpg(run.pid, signal.SIGINT)
    else:
        run.send_signal({"kill": signal.SIGKILL, "term": signal.SIGTERM}[how])
    _, left = psutil.wait_procs(below, timeout=10)
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []
    assert run.wait(20) != 0
    if how == "ctrl-c":
        last = (project.root / "said.txt").read_text().splitlines()[-1]
        assert (run.returncode, last) == (130, "stopped; nothing half-written is left. To go on: wordloom run")
    assert not (project.root / "data/4_vectors/g").exists()
    project.set("embed", "g", sleep=0)
    done = project.wordloom("run", PREFECT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."
