"""A sweep multiplies the rows that it is given, shares what the points share, and goes on where it was stopped."""

import json
import os
import signal
import subprocess
import time

import psutil
import pytest

from flows import sweep
from pipelines.errors import Fault
from pipelines.params import rows_of
from tasks import dvc
from tests.orchestra import Orchestra
from tests.scratch import wordloom
from tests.support import HOME, make_project, run

BASE = """
run: {seed: 1, threads: 1}
ingest:
  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}
tokenize:
  words: {method: words, corpus: tiny, min_count: 2}
cooccur:
  w5: {method: windowed, tokens: words}
embed:
  glove: {method: glove, counts: w5}
  skipgram: {method: skipgram, tokens: words}
compress:
  linear: {method: linear, vectors: glove}
  linear-skipgram: {method: linear, vectors: skipgram}
classify:
  lstm: {method: lstm, tokens: words, vectors: glove}
evaluate:
  neighbours: {method: neighbours, vectors: [glove, skipgram], codings: [linear]}
  reconstruction: {method: reconstruction, vectors: glove, codings: [linear]}
  classification: {method: classification, predictions: [lstm]}
placement:
  embed.glove: {queue: gpu}
"""


def read(folder, text, base=BASE):
    (folder / "params.yaml").write_text(base)
    (folder / "s.yaml").write_text(text)
    return sweep.read(folder, folder / "s.yaml")


def faults(folder, text, base=BASE):
    with pytest.raises(Fault) as caught:
        read(folder, text, base)
    return caught.value.faults


def test_two_values_of_one_knob_and_two_of_another_are_four_rows_with_readable_names(tmp_path):
    it = read(tmp_path, "rows:\n  embed.skipgram: {vector_size: [25, 50], lr: [0.1, 1e-3]}\n")
    rows = it.expanded()["embed"]
    assert list(rows) == [
        "glove",
        "skipgram-vector-size-25-lr-0-1", "skipgram-vector-size-25-lr-0-001",
        "skipgram-vector-size-50-lr-0-1", "skipgram-vector-size-50-lr-0-001",
    ]  # fmt: skip
    assert rows["skipgram-vector-size-50-lr-0-1"] == {"method": "skipgram", "tokens": "words", "vector_size": 50, "lr": 0.1}
    assert sweep.points_of(it) == [{"embed.skipgram": i} for i in range(4)]


def test_a_reader_of_one_multiplied_row_is_multiplied_and_a_reader_of_a_list_gets_all(tmp_path):
    tree = read(tmp_path, "rows:\n  embed.glove: [{epochs: 1}, {epochs: 2, lr: 0.1}]\n").expanded()
    assert tree["compress"] == {
        "linear-glove-epochs-1": {"method": "linear", "vectors": "glove-epochs-1"},
        "linear-glove-epochs-2-lr-0-1": {"method": "linear", "vectors": "glove-epochs-2-lr-0-1"},
        "linear-skipgram": {"method": "linear", "vectors": "skipgram"},
    }
    assert tree["evaluate"]["neighbours"]["vectors"] == ["glove-epochs-1", "glove-epochs-2-lr-0-1", "skipgram"]
    # one that reads one row and a list: each gets the codings of its own vectors
    assert tree["evaluate"]["reconstruction-glove-epochs-1"]["codings"] == ["linear-glove-epochs-1"]
    assert {where: its["queue"] for where, its in tree["placement"].items()} == {
        "embed.glove-epochs-1": "gpu", "embed.glove-epochs-2-lr-0-1": "gpu",
    }  # fmt: skip


def test_two_inputs_that_come_from_one_multiplied_row_come_from_the_same_point_of_it(tmp_path):
    it = read(tmp_path, "rows:\n  tokenize.words: {min_count: [2, 3]}\n  classify/lstm: {lr: [0.1, 0.2, 0.3]}\n")
    rows = it.expanded()["classify"]
    assert len(rows) == 2 * 3
    assert {(row["tokens"], row["vectors"]) for row in rows.values()} == {
        ("words-min-count-2", "glove-words-min-count-2"), ("words-min-count-3", "glove-words-min-count-3"),
    }  # fmt: skip
    assert "lstm-lr-0-1-words-min-count-3" in rows
    # vectors and codings differ in min_count alone, but the classifiers tell all six points apart
    assert len(sweep.points_of(it)) == 6


def test_an_evaluation_with_knobs_of_its_own_scores_every_row_at_each_of_them(tmp_path):
    it = read(tmp_path, "rows:\n  embed.glove: {epochs: [1, 2]}\n  evaluate.neighbours: {k: [5, 10]}\n")
    # skipgram, which is not multiplied, is in both evaluations; glove and what reads it are told apart
    assert [points for points in sweep.points_of(it) if len(points) == 2] == [
        {"evaluate.neighbours": k, "embed.glove": epochs} for k in (0, 1) for epochs in (0, 1)
    ]  # fmt: skip


def test_an_input_and_a_seed_can_be_multiplied_like_a_knob(tmp_path):
    rows = read(tmp_path, "rows:\n  compress.linear: {vectors: [glove, skipgram], seed: [1, 2]}\n").expanded()["compress"]
    assert rows["linear-vectors-skipgram-seed-2"] == {"method": "linear", "vectors": "skipgram", "seed": 2}
    assert len(rows) == 4 + 1


def test_names_that_would_be_the_same_or_too_long_are_told_apart_by_a_hash(tmp_path):
    it = read(tmp_path, "rows:\n  evaluate.neighbours: {words: [[the], ['the!'], ['é'], ['ü'], [a, " + ", ".join("b" * 60) + "]]}\n")
    names = list(it.expanded()["evaluate"])[:5]
    assert len(set(names)) == 5
    assert all(len(name) <= sweep.LONGEST for name in names)
    assert names[0].startswith("neighbours-words-the-")
    rows_of(it.expanded())


def test_all_faults_of_a_sweep_are_told_at_once_with_the_nearest_name(tmp_path):
    found = faults(
        tmp_path,
        "row: 3\ntargets: [evaluate/neighbors]\nscores: [hubnes, accuracy_majority]\njobs: 0\n"
        "rows:\n  embed.glvoe: {epochs: [1]}\n  embed.glove: {epochs: 3}\n",
    )
    assert [line.removeprefix(f"{tmp_path}/s.yaml: ") for line in found] == [
        "there is no place for 'row'; there is one for base, rows, targets, scores, jobs. Did you mean 'rows'?",
        "rows: 'embed.glvoe' is not a row of the base. Did you mean 'embed.glove'?",
        "embed.glove is {'epochs': 3}; it must be knobs with a list of values each, or a list of points, {knob: value, ...} each",
        "targets: 'evaluate.neighbors' is not a row of params.yaml. Did you mean 'evaluate.neighbours'?",
        *[line.removeprefix(f"{tmp_path}/s.yaml: ") for line in found if "scores: " in line],
        "jobs is 0; it must be how many stages run at a time, such as 2",
    ]
    assert "'hubnes' is no figure that has a best" in "\n".join(found)
    assert "Did you mean 'hubness'?" in "\n".join(found)
    assert "'accuracy_majority' is no figure that has a best" in "\n".join(found)


def test_what_a_method_says_of_a_point_is_told_once_under_the_name_in_the_file(tmp_path):
    found = faults(tmp_path, "rows:\n  embed.glove: {xmax: [1, 2], epochs: [0, one], lr: [0.1, 0.1]}\n")
    assert len(found) == len(set(found))
    text = "\n".join(found)
    assert "s.yaml: embed.glove has no knob 'xmax'; glove takes" in text
    assert "Did you mean 'x_max'?" in text
    assert "embed.glove.epochs is 0; it should be greater than or equal to 1" in text
    assert "embed.glove.epochs is 'one'" in text
    assert "embed.glove has the point {'xmax': 1, 'epochs': 0, 'lr': 0.1} twice" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rows: {embed.glove: {epochs: [%s], seed: [%s]}}", "embed.glove has 10,000 points; 1,000 rows"),
        (
            "rows: {embed.glove: {epochs: [%s], seed: [1, 2, 3]}, embed.skipgram: {epochs: [%s], seed: [1, 2, 3, 4, 5, 6, 7, 8]}}",
            "1,100 points",
        ),
        ("rows: {tokenize.words: {min_count: [%s]}, embed.glove: {epochs: [%s]}}", "more than 1,000 rows"),
    ],
)
def test_a_sweep_of_too_many_rows_is_refused(tmp_path, text, says):
    hundred = ", ".join(map(str, range(1, 101)))
    assert says in "\n".join(faults(tmp_path, text % (hundred, hundred)))


@pytest.mark.parametrize(
    "text",
    ["", "rows: {}", "rows: [embed.glove]", "rows: {embed.glove: {}}", "rows: {embed.glove: [3]}", "rows: {3: {epochs: [1]}}", "base: 3"],
)
def test_what_is_no_sweep_is_a_fault(tmp_path, text):
    assert faults(tmp_path, text)


def test_faults_of_the_base_name_the_base(tmp_path):
    assert faults(tmp_path, "rows: {embed.glove: {epochs: [1]}}", BASE.replace("w5}", "w6}"))[0].startswith(
        "params.yaml: embed.glove.counts names"
    )
    assert "none.yaml is missing" in faults(tmp_path, "base: none.yaml\nrows: {embed.glove: {epochs: [1]}}")[0]


def test_a_row_of_the_base_is_never_replaced_by_one_of_the_sweep(tmp_path):
    base = BASE.replace("compress:", "  glove-epochs-1: {method: glove, counts: w5}\ncompress:")
    assert "embed.glove-epochs-1 would get a row 'glove-epochs-1', which embed.glove has" in faults(
        tmp_path, "rows: {embed.glove: {epochs: [1]}}", base
    )[0]  # fmt: skip


def test_without_a_point_that_failed_the_lists_lose_it_and_a_row_with_nothing_left_to_read_goes(tmp_path):
    it = read(tmp_path, "rows:\n  embed.glove: {epochs: [1, 2]}\n")
    gone = {"embed.glove-epochs-1", "compress.linear-glove-epochs-1", "classify.lstm-glove-epochs-1", "classify.lstm-glove-epochs-2"}
    tree = it.expanded(gone)
    rows_of(tree)
    assert tree["evaluate"]["neighbours"]["vectors"] == ["glove-epochs-2", "skipgram"]
    assert set(tree["evaluate"]) == {"neighbours", "reconstruction-glove-epochs-2"}
    assert set(tree["placement"]) == {"embed.glove-epochs-2"}


def test_the_sweeps_that_are_shipped_are_valid():
    files = list((HOME / "experiments" / "sweeps").glob("*.yaml"))
    assert files
    for file in files:
        assert sweep.points_of(sweep.read(HOME, file)), file


def test_a_parameter_file_written_for_many_rows_has_no_anchors(tmp_path):
    text = dvc.dump(read(tmp_path, "rows: {evaluate.neighbours: {words: [[a, b]], k: [5, 10]}}").expanded())
    assert "&" not in text


LIGHT = """ingest:
  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}
tokenize:
  words: {method: words, corpus: tiny, min_count: 2}
classify:
  logreg: {method: tfidf_logreg, tokens: words, min_df: 1}
evaluate:
  classification: {method: classification, predictions: [logreg], n_bootstrap: 100}
"""


def call(root, *args):
    """`wordloom sweep`, with a Prefect home of its own."""
    env = {**os.environ, "PREFECT_HOME": str(root.parent / "prefect")}
    return subprocess.run(wordloom("sweep", *args), cwd=root, env=env, capture_output=True, text=True)


def ran(done):
    return {line.partition(" | ")[0] for line in done.stdout.splitlines() if " | " in line}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_sweep_that_is_killed_goes_on_where_it_was_and_a_point_that_fails_stops_no_other(tmp_path):
    root = make_project(tmp_path / "project", LIGHT)
    # no n-gram is in a thousand documents: that point fails
    text = "rows:\n  classify.logreg: {min_df: [1, 2, 1000]}\nscores: [accuracy, log_loss]\njobs: 1\n"
    (root / "reg.yaml").write_text(text)
    tree, env = root / ".wordloom" / "reg", {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")}
    before = {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()}
    refs = run(root, "git", "for-each-ref").stdout + run(root, "git", "status", "--porcelain").stdout

    first = subprocess.Popen(wordloom("sweep", "reg.yaml"), cwd=root, env=env, stdout=subprocess.DEVNULL)
    done, end = "classify-logreg-min-df-1", time.monotonic() + 900
    while done not in dvc.load(tree / "dvc.lock").get("stages", {}):
        assert first.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    below = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert below
    _, left = psutil.wait_procs(below, timeout=30)
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []

    again = call(root, "reg.yaml", "--json")
    assert again.returncode == 2, again.stderr
    assert not {"classify/logreg-min-df-1", "tokenize/words", "ingest/tiny"} & ran(again)
    assert {"classify/logreg-min-df-2", "evaluate/classification"} <= ran(again)
    assert "classify/logreg-min-df-1000 failed: " in again.stderr
    assert "the rest without what failed: classify.logreg-min-df-1000\n" in again.stdout
    assert "DVC experiment" not in again.stderr
    table = call(root, "reg.yaml", "--table", "--json").stdout
    assert again.stdout.endswith(table)
    entries = json.loads(table)
    assert {entry["point"]["classify.logreg"]["min_df"]: entry["done"] for entry in entries} == {1: True, 2: True, 1000: False}
    accuracy = [entry["scores"][0] for entry in entries[:2]]
    assert [score["metric"] for score in accuracy] == ["accuracy", "accuracy"]
    assert accuracy[0]["value"] >= accuracy[1]["value"] > 0.5
    assert all(score["low"] <= score["value"] <= score["high"] for score in accuracy)
    assert entries[2]["scores"] == []

    # without the failing point the sweep is done: nothing of it runs again, and it is kept as a DVC experiment
    (root / "reg.yaml").write_text(text.replace(", 1000", ""))
    last = call(root, "reg.yaml")
    assert last.returncode == 0, last.stderr
    assert ran(last) <= {"params/all", "report/all"}
    assert "kept as the DVC experiment " in last.stderr, last.stderr
    name = last.stderr.split("kept as the DVC experiment ")[1].split()[0]
    assert name in run(root, "dvc", "exp", "list", "--name-only").stdout.split()
    assert f"\n{name}," in run(root, "dvc", "exp", "show", "--csv").stdout
    assert f"kept as the DVC experiment {name}" in call(root, "reg.yaml").stderr
    # nothing of the user's has changed: files, branches, index
    (root / "reg.yaml").write_text(text)
    assert {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()} == before
    now = run(root, "git", "for-each-ref").stdout + run(root, "git", "status", "--porcelain").stdout
    assert [line for line in now.splitlines() if "refs/exps/" not in line] == refs.splitlines()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_sweep_on_workers_has_as_many_stages_under_way_as_it_says_and_is_kept_as_one_experiment(tmp_path):
    root = make_project(tmp_path / "project", LIGHT)
    (root / "reg.yaml").write_text("rows:\n  classify.logreg: {min_df: [1, 2, 3]}\nscores: [accuracy]\njobs: 2\n")
    orchestra = Orchestra(tmp_path / "prefect")
    try:
        orchestra.serve()
        orchestra.deploy()
        for _ in range(2):
            orchestra.worker(root, "cpu")
        done = orchestra.wordloom(root, "sweep", "reg.yaml", "--workers", "--json", timeout=1500)
        assert done.returncode == 0, done.stdout + done.stderr
        stages = orchestra.runs("stage")
    finally:
        orchestra.close()
    tree = root / ".wordloom" / "reg"
    # every stage went to a worker once, but for the two that stay where the sweep was called
    assert sorted(it["name"].replace("/", "-") for it in stages) == sorted({*dvc.read_lock(tree)} - {"params", "report"})
    spans = [(it["start_time"], it["end_time"]) for it in stages]
    assert max(sum(start <= at < end for start, end in spans) for at, _ in spans) == 2  # three points, and workers for them all
    name = done.stderr.split("kept as the DVC experiment ")[1].split()[0]
    assert run(root, "dvc", "exp", "list", "--name-only").stdout.split() == [name]
    # applied, it has the rows and the scores of all its points
    run(root, "dvc", "exp", "apply", name)
    assert list(dvc.load(root / "params.yaml")["classify"]) == [f"logreg-min-df-{n}" for n in (1, 2, 3)]
    assert (root / "data/7_scores/classification/scores.parquet").read_bytes() == (
        tree / "data/7_scores/classification/scores.parquet"
    ).read_bytes()
    scored = json.loads(done.stdout[done.stdout.index("\n[\n") :])
    assert [entry["done"] for entry in scored] == [True] * 3
    assert all(entry["scores"][0]["value"] > 0.5 for entry in scored)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_worktree_of_an_experiment_is_no_sweeps(tmp_path):
    root = make_project(tmp_path / "project", LIGHT)
    (root / "experiments").mkdir()
    (root / "experiments/reg.yaml").write_text((root / "params.yaml").read_text())
    from flows import experiments

    tree = experiments.prepare(root, *experiments.resolve(root, "reg"))
    (root / "reg.yaml").write_text("rows:\n  classify.logreg: {l2: [0.1, 10.0]}\n")
    it = sweep.read(root, root / "reg.yaml")
    with pytest.raises(Fault, match="is the worktree of an experiment"):
        sweep.prepare(root, it)
    experiments.remove(root, "reg")
    assert sweep.prepare(root, it) == tree
    assert list(dvc.load(tree / "params.yaml")["classify"]) == ["logreg-l2-0-1", "logreg-l2-10-0"]


def test_a_sweep_that_has_not_run_has_no_table(tmp_path):
    root = make_project(tmp_path / "project", LIGHT)
    (root / "reg.yaml").write_text("rows:\n  classify.logreg: {l2: [0.1, 10.0]}\n")
    done = run(root, *wordloom("sweep", "reg.yaml", "--table"), ok=False)
    assert (done.returncode, done.stderr) == (2, "fault: reg.yaml has not run yet. Run: wordloom sweep reg.yaml\n")
