"""Guards: each fault is injected for real, in a scratch project, and must leave nothing wrong behind."""

import errno
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipelines import layout
from tests.support import ENV, RUN, make_project, run

SLOW_METHOD = '''"""slow: a corpus that takes its time. writes corpus, source none"""

import time

from pipelines.artifacts.corpus import Corpus
from pipelines.method import Knobs, Run


class Params(Knobs):
    seconds: float = 0.0


def ingest(params: Params, run: Run) -> Corpus:
    with run.open(Corpus) as out:
        out.append(doc_id=["a"], text=["one two"], label=["x"], split=["train"], group=[None])
        print("half way", flush=True)
        time.sleep(params.seconds)
    return out.artifact
'''


@pytest.fixture
def project(tmp_path) -> Path:
    """A project whose only stage takes `seconds`, and its gate."""
    root = make_project(tmp_path / "project", "ingest:\n  a: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}\n")
    (root / "pipelines/ingest/slow.py").write_text(SLOW_METHOD)
    set_params(root, "ingest:\n  slow: {method: slow, seconds: 0}\n")
    return root


def set_params(root: Path, text: str) -> None:
    (root / "params.yaml").write_text(RUN + text)
    run(root, "python", "-m", "pipelines", "dag")


def start(root: Path, *command: str) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=root, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(line: str, process: subprocess.Popen) -> None:
    for text in process.stdout:
        if line in text:
            return
    pytest.fail(f"{line!r} was never printed")


def alive(root: Path) -> list[str]:
    """Command lines of the processes that work in `root`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd") == str(root) and (entry / "stat").read_text().split()[2] != "Z":
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


def eventually(condition, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())


pytestmark = [pytest.mark.slow, pytest.mark.quick_slow]


@pytest.mark.parametrize(
    ("path", "edit"),
    [
        ("params.yaml", lambda text: text.replace("seconds: 3", "seconds: 4")),
        ("pipelines/artifacts/corpus.py", lambda text: text + "\n# edited\n"),
        ("data/checks/params.json", lambda text: text + " "),
    ],
)
def test_an_input_parameter_or_code_edited_during_the_run_fails_the_stage(project, path, edit):
    set_params(project, "ingest:\n  slow: {method: slow, seconds: 3}\n")
    process = start(project, "dvc", "repro")
    wait_for("half way", process)
    (project / path).write_text(edit((project / path).read_text()))
    output = process.stdout.read()
    assert process.wait() != 0
    assert "changed while the stage ran" in output
    assert not (project / "data/1_corpus/slow").exists()
    assert "ingest-slow" not in (project / "dvc.lock").read_text()


def test_expectations_edited_while_the_gate_asks_them_do_not_pass(project):
    noun = project / "pipelines/artifacts/corpus.py"
    slow = '        print("asking", flush=True)\n        __import__("time").sleep(3)\n        parts = []\n'
    noun.write_text(noun.read_text().replace("        parts = []\n", slow))
    process = start(project, "dvc", "repro", "check-corpus-slow")
    wait_for("asking", process)
    noun.write_text(noun.read_text() + "\n# edited\n")
    output = process.stdout.read()
    assert process.wait() != 0
    assert "check-corpus-slow: pipelines/artifacts/corpus.py changed while the stage ran" in output
    assert not (project / "data/checks/corpus/slow.json").exists()
    run(project, "dvc", "repro")


def test_parameters_edited_while_they_are_read_are_not_locked_as_valid(project):
    method = project / "pipelines/ingest/slow.py"
    method.write_text(method.read_text() + '\nprint("imported", flush=True)\ntime.sleep(3)\n')
    process = start(project, "dvc", "repro", "params")
    wait_for("imported", process)
    params = project / "params.yaml"
    params.write_text(params.read_text() + "\n# edited\n")
    output = process.stdout.read()
    assert process.wait() != 0, output
    assert "params: params.yaml changed while the stage ran" in output
    assert not (project / "data/checks/params.json").exists()


def test_a_report_comes_back_with_what_dvc_brings_back(project):
    run(project, "dvc", "repro")
    run(project, "rm", "-rf", "data", "report.html")
    assert "is cached - skipping run" in run(project, "dvc", "repro").stdout
    assert (project / "report.html").exists()


@pytest.mark.parametrize("victim", ["dvc", "stage"])
def test_a_killed_stage_leaves_no_orphan_and_no_half_artifact_and_the_next_run_repairs_it(project, victim):
    set_params(project, "ingest:\n  slow: {method: slow, seconds: 2}\n")
    process = start(project, "dvc", "repro")
    wait_for("half way", process)
    if victim == "dvc":
        process.kill()
    else:
        stages = subprocess.run(["pgrep", "-f", "pipelines ingest slow"], capture_output=True, text=True).stdout.split()
        for pid in stages:
            if os.readlink(f"/proc/{pid}/cwd") == str(project):
                os.kill(int(pid), signal.SIGKILL)
    process.wait()
    assert eventually(lambda: not alive(project)), f"still running: {alive(project)}"
    assert not (project / "data/1_corpus/slow").exists()
    run(project, "dvc", "repro")
    assert (project / "data/1_corpus/slow/corpus.parquet").exists()
    assert [p.name for p in (project / "data/1_corpus").iterdir()] == ["slow"]
    assert "up to date" in run(project, "dvc", "repro").stdout


def test_a_terminated_stage_sweeps_up_what_it_had_written(project):
    set_params(project, "ingest:\n  slow: {method: slow, seconds: 30}\n")
    run(project, "dvc", "repro", "params")
    process = start(project, "python", "-m", "pipelines", "ingest", "slow")
    wait_for("half way", process)
    process.terminate()
    assert process.wait(timeout=10) != 0
    assert list((project / "data/1_corpus").iterdir()) == []


def test_two_runs_in_one_workspace_never_write_the_same_row_together(project):
    set_params(project, "ingest:\n  slow: {method: slow, seconds: 5}\n")
    first = start(project, "dvc", "repro")
    wait_for("half way", first)
    second = run(project, "python", "-m", "pipelines", "ingest", "slow", ok=False)
    assert second.returncode == 2
    assert "is being run by process" in second.stderr
    third = run(project, "dvc", "repro", "--single-item", "ingest-slow", ok=False)
    assert third.returncode != 0
    assert "busy" in third.stderr or "lock" in third.stderr
    assert first.wait() == 0, first.stdout.read()


def test_a_failed_gate_cannot_be_passed_by_a_later_stage_nor_after_checkout_of_an_old_token(tmp_path):
    params = """
ingest:
  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}
tokenize:
  words: {method: words, corpus: tiny, min_count: 2}
"""
    root = make_project(tmp_path / "project", params)
    run(root, "dvc", "repro")
    good = (root / "dvc.lock").read_text()
    notices = root / "tests/tiny/notices.csv"
    text = notices.read_text()
    notices.write_text(text.replace("notice-01", "notice-00"))  # an id twice

    failed = run(root, "dvc", "repro", ok=False)
    assert failed.returncode != 0
    assert "the source's records could be read" in failed.stderr
    assert "has an id that stands before" in failed.stderr

    past = run(root, "dvc", "repro", "--single-item", "tokenize-words", ok=False)
    assert past.returncode != 0

    # the old token comes back from the cache, beside the artifact that it does not name
    (root / "dvc.lock").write_text(good)
    run(root, "dvc", "checkout", "check-corpus-tiny", "--force")
    run(root, "dvc", "repro", "--single-item", "ingest-tiny")
    assert (root / "data/checks/corpus/tiny.json").exists()
    past = run(root, "dvc", "repro", "--single-item", "--force", "tokenize-words", ok=False)
    assert past.returncode != 0
    assert "has not passed its gate: the pass token names artifact" in past.stderr

    notices.write_text(text)
    run(root, "dvc", "repro")
    assert (root / "dvc.lock").read_text() == good


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path):
    """On a real file system that is full: a tmpfs of a few hundred kilobytes, where one can be mounted."""
    root = make_project(tmp_path / "project", "ingest:\n  tiny: {method: csv, source: big.csv}\n")
    (root / "big.csv").write_text("text,label\n" + "".join(f"{os.urandom(40).hex()},{'ab'[i % 2]}\n" for i in range(20_000)))
    run(root, "dvc", "repro", "params")
    disk = root / "data/1_corpus"
    disk.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        full = run(root, "python", "-m", "pipelines", "ingest", "tiny", ok=False)
        assert full.returncode == 2
        assert "no space left on the disk while writing" in full.stderr
        assert "Nothing was kept" in full.stderr
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    run(root, "python", "-m", "pipelines", "ingest", "tiny")


def test_a_write_that_fails_for_want_of_space_is_a_fault_wherever_it_happens(tmp_path, monkeypatch):
    """The twin of the full disk for machines that cannot mount one."""
    from pipelines import run as stage
    from pipelines.errors import Fault

    root = make_project(tmp_path / "project", "ingest:\n  tiny: {method: csv, source: tests/tiny/notices.csv}\n")
    run(root, "dvc", "repro", "params")
    monkeypatch.chdir(root)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stage, "_rename", full)
    with pytest.raises(Fault, match=r"data/1_corpus/tiny: no space left.*Nothing was kept"):
        stage.run_stage(root, "ingest", "tiny")
    assert list((root / "data/1_corpus").iterdir()) == []


def test_a_gpu_without_memory_is_a_fault_and_another_error_stays_what_it_is():
    import torch

    from pipelines import run as stage
    from pipelines.errors import Fault

    with pytest.raises(Fault, match="embed/x: cuda has no memory left. Lower batch_size"), stage._room_on("cuda", "embed/x"):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="shapes"), stage._room_on("cuda", "embed/x"):
        raise RuntimeError("shapes differ")


def test_a_machine_without_memory_is_a_fault_that_names_the_row():
    import numpy as np
    import torch

    from pipelines import run as stage
    from pipelines.errors import Fault

    said = {
        "you tried to allocate 400000000000000000 bytes": lambda: torch.empty(10**17),
        "Storage size calculation overflowed": lambda: torch.empty(2**60, 64),
        "Unable to allocate": lambda: np.empty(10**17),
    }
    for reason, ask in said.items():
        with (
            pytest.raises(Fault, match=rf"embed/x: this machine has too little memory \(.*{reason}.*\. Lower"),
            stage._room_on("cpu", "embed/x"),
        ):
            ask()


@pytest.mark.parametrize(
    ("method", "knobs"),
    [
        ("stacked", {"sizes": [10**14, 4]}),
        ("convolutional", {"shape": [4, 4], "coding_size": 4, "channels": [10**13]}),
        ("adversarial", {"sizes": [4], "hidden_size": 10**14}),
    ],
)
def test_a_network_that_no_memory_holds_is_a_fault(tmp_path, method, knobs):
    import importlib

    import numpy as np

    from pipelines import run as stage
    from pipelines.errors import Fault
    from pipelines.method import Run
    from tests.matrices import vectors_of

    module = importlib.import_module(f"pipelines.compress.{method}")
    v = vectors_of(tmp_path / "v", [f"w{i}" for i in range(20)], np.random.default_rng(0).random((20, 16)))
    with (
        pytest.raises(Fault, match=r"compress/x: this machine has too little memory .* Lower the row's sizes"),
        stage._room_on("cpu", "compress/x"),
    ):
        module.compress(v, module.Params(**knobs), Run(tmp_path / "c", "compress/x"))


def test_a_stage_that_dvc_yaml_does_not_know_is_refused(project):
    (project / "params.yaml").write_text(RUN + "ingest:\n  other: {method: slow}\n")
    done = run(project, "python", "-m", "pipelines", "ingest", "other", ok=False)
    assert (done.returncode, done.stderr) == (2, "fault: dvc.yaml: stage ingest-other is missing. Run: wordloom dag\n")


def test_a_new_import_in_a_method_is_not_run_before_dvc_yaml_knows_of_it(project):
    run(project, "dvc", "repro")
    method = project / "pipelines/ingest/slow.py"
    method.write_text(method.read_text().replace("import time\n", "import time\n\nimport pipelines.kernels.splits  # noqa: F401\n"))
    done = run(project, "dvc", "repro", "--single-item", "ingest-slow", ok=False)
    assert done.returncode != 0
    assert "stage ingest-slow is not what params.yaml and the code imply. Run: wordloom dag" in done.stderr


@pytest.mark.parametrize("target", [[], ["ingest-slow"]])
def test_bad_parameters_of_any_row_stop_a_bare_dvc_repro_before_anything_runs(project, target):
    """Also when DVC is asked for a row that is well."""
    (project / "params.yaml").write_text(RUN + "ingest:\n  slow: {method: slow, seconds: 0}\n  other: {method: slow, secnds: 0}\n")
    done = run(project, "dvc", "repro", *target, ok=False)
    assert done.returncode != 0
    assert "ingest.other has no knob 'secnds'" in done.stderr
    assert "Did you mean 'seconds'?" in done.stderr
    assert not (project / "data/1_corpus").exists()


def test_a_truncated_input_or_one_of_another_schema_is_refused_by_name(tmp_path):
    import pandas as pd

    root = make_project(
        tmp_path / "project",
        "ingest:\n  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}\ntokenize:\n  words: {method: words, corpus: tiny, min_count: 2}\n",
    )
    run(root, "dvc", "repro")
    path = root / layout.artifact("corpus", "tiny") / "corpus.parquet"
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[: len(whole) // 2])
    gate = run(root, "python", "-m", "pipelines", "check", "corpus", "tiny", ok=False)
    assert gate.returncode == 2
    assert "is not a readable Parquet file" in gate.stderr
    pd.DataFrame({"doc_id": [1], "body": ["x"]}).to_parquet(path)
    gate = run(root, "python", "-m", "pipelines", "check", "corpus", "tiny", ok=False)
    assert gate.returncode == 2
    for words in ("column 'doc_id' is int64, not string", "column 'text' (string) is missing", "column 'body' is not known"):
        assert words in gate.stderr


def test_codes_that_only_name_something_do_not_stand_for_vectors(tmp_path):
    rows = (
        "embed:\n  digits: {method: numbers}\n"
        "compress:\n  pca: {method: pca, vectors: digits, coding_size: 4}\n  int8: {method: scalar_quantisation, vectors: digits}\n"
        "evaluate:\n  map: {method: isotropy, vectors: digits, codings: [pca, int8]}\n"
        "  kept: {method: reconstruction, vectors: digits, codings: [pca, int8]}\n"
    )
    root = make_project(tmp_path / "project", rows)
    run(root, "dvc", "repro", "evaluate-kept")
    told = run(root, "dvc", "repro", "evaluate-map", ok=False)
    assert told.returncode != 0
    assert "codings/int8: its numbers only name entries of codebooks or cells" in told.stdout + told.stderr
    assert "codings/pca" not in told.stdout + told.stderr
