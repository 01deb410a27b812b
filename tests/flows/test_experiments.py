"""An experiment has a worktree of its own, and nothing of the user's is overwritten."""

import json
import os
import subprocess

import pytest

from flows import experiments
from flows.git import git
from pipelines.errors import Fault
from tasks import dvc, workspace
from tests import scratch


@pytest.fixture
def lab(project):
    """A project with an experiment file, committed."""
    root = project.root
    project.can_write_its_dag()
    (root / "experiments").mkdir()
    params = project.params()
    params["embed"]["g"]["text"] = "of the experiment"
    project.write("experiments/other.yaml", params)
    project.git("add", "-A")
    project.git("commit", "-qm", "an experiment")
    return project


def prepare(lab, name="other"):
    return experiments.prepare(lab.root, *experiments.resolve(lab.root, name))


def test_it_runs_in_a_worktree_with_the_main_cache_and_leaves_the_main_checkout_alone(lab):
    assert lab.dvc("repro").returncode == 0
    main = {path: path.read_bytes() for path in lab.root.rglob("*") if path.is_file() and "data" in path.parts and ".dvc" not in path.parts}
    lab.ran()
    tree = prepare(lab)
    assert tree == lab.root / ".wordloom" / "other"
    assert dvc.ask(tree, "cache", "dir").strip() == str(lab.root / ".dvc" / "cache")
    assert experiments.run(tree, [], prefect=False) == 0
    # ingest and h have been made before: they come from the cache
    ran = [line.split()[1] for line in (tree / "ran.txt").read_text().splitlines() if line.startswith("end")]
    assert ran == ["embed-g", "check-vectors-g", "report-all"]
    assert {path: path.read_bytes() for path in main} == main
    assert lab.git("status", "--porcelain") == "?? dvc.lock\n"
    assert list(dvc.read_lock(tree)) == list(dvc.load(tree / "dvc.yaml")["stages"])
    # again: nothing to do
    (tree / "ran.txt").unlink()
    assert experiments.run(prepare(lab), [], prefect=False) == 0
    assert not (tree / "ran.txt").exists()
    # options go to the driver
    assert experiments.run(tree, ["--force", "--single-item", "embed-g"], prefect=False) == 0
    assert "end embed-g" in (tree / "ran.txt").read_text()


@pytest.mark.slow
@pytest.mark.quick_slow
def test_another_seed_has_a_worktree_of_its_own(lab):
    done = lab.wordloom("experiment", "other", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("other-7: commit ")
    tree, asked = lab.root / ".wordloom/other-7", dvc.load(lab.root / "experiments/other.yaml")
    assert asked["run"]["seed"] != 7
    assert dvc.load(tree / "params.yaml") == {**asked, "run": {**asked["run"], "seed": 7}}
    assert not (lab.root / ".wordloom/other").exists()
    again = lab.wordloom("experiment", "other", "--seed", "7")
    assert (again.returncode, "other-7: commit " in again.stdout) == (0, True)
    wrong = lab.wordloom("experiment", "other", "--seed", "-1")
    assert wrong.returncode == 2
    assert "seed" in wrong.stderr
    assert experiments.names(lab.root) == ["other-7"]


def test_it_runs_in_a_project_whose_path_is_not_ascii(lab, tmp_path):
    (lab.root / ".dvc/config.local").write_text(
        "['remote \"store\"']\n    url = webdav://127.0.0.1:1/Größe\n    password = 50%\n", encoding="utf-8"
    )
    place = lab.root.rename(tmp_path / "Projekt-Größe")
    done = type(lab)(place).wordloom("experiment", "other")
    assert done.returncode == 0, done.stderr
    tree = place / ".wordloom/other"
    assert (tree / "report.html").exists()
    assert dvc.ask(tree, "cache", "dir").strip() == str(place / ".dvc/cache")
    assert {"remote.store.url=webdav://127.0.0.1:1/Größe", "remote.store.password=50%"} <= set(
        dvc.ask(tree, "config", "--list").splitlines()
    )
    assert not (tree / ".dvc/cache").exists()


def test_a_worktree_in_which_a_run_works_is_not_moved(lab):
    tree = prepare(lab)
    (lab.root / "stage.py").write_text((lab.root / "stage.py").read_text() + "# new\n")
    lab.git("commit", "-qam", "new code")
    with workspace.alone(tree):
        second = subprocess.Popen(
            scratch.wordloom("experiment", "other"), cwd=lab.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert f"waiting for process {os.getpid()}" in second.stderr.readline()
        assert not (tree / "stage.py").read_text().endswith("# new\n")
    assert second.communicate(timeout=120)[0].startswith("other: commit ")
    assert second.returncode == 0
    assert (tree / "stage.py").read_text().endswith("# new\n")


def test_it_moves_to_the_commit_that_is_checked_out_now(lab):
    tree = prepare(lab)
    (lab.root / "stage.py").write_text((lab.root / "stage.py").read_text() + "# new\n")
    lab.git("commit", "-qam", "new code")
    assert prepare(lab) == tree
    assert git(tree, "rev-parse", "HEAD") == git(lab.root, "rev-parse", "HEAD")
    assert (tree / "stage.py").read_text().endswith("# new\n")
    assert lab.params() != dvc.load(tree / "params.yaml") == dvc.load(lab.root / "experiments/other.yaml")


def test_a_lock_that_the_commit_tracks_does_not_stand_in_the_way(lab):
    tree = prepare(lab)
    assert experiments.run(tree, [], prefect=False) == 0
    before = (tree / "dvc.lock").read_text()
    assert lab.dvc("repro").returncode == 0
    lab.git("add", "dvc.lock")
    lab.git("commit", "-qm", "lock")
    prepare(lab)
    assert (tree / "dvc.lock").read_text() == before
    assert lab.git("-C", str(tree), "status", "--porcelain", "--untracked-files=no").split() == ["M", "dvc.lock", "M", "params.yaml"]


def test_edits_in_the_worktree_are_kept_and_stop_it(lab):
    tree = prepare(lab)
    (tree / "stage.py").write_text("mine")
    with pytest.raises(Fault, match=r"edits of yours in stage.py"):
        prepare(lab)
    with pytest.raises(Fault, match=r"edits of yours in stage.py"):
        experiments.remove(lab.root, "other")
    assert (tree / "stage.py").read_text() == "mine"


def test_parameters_edited_by_hand_are_kept_and_stop_it(lab):
    tree = prepare(lab)
    (tree / "params.yaml").write_text((tree / "params.yaml").read_text() + "mine: 1\n")
    with pytest.raises(Fault, match="was edited by hand"):
        prepare(lab)
    assert "mine: 1" in (tree / "params.yaml").read_text()


def test_a_folder_that_is_no_worktree_is_left_alone(lab):
    (lab.root / ".wordloom/other").mkdir(parents=True)
    (lab.root / ".wordloom/other/mine").write_text("x")
    with pytest.raises(Fault, match="is no worktree"):
        prepare(lab)


def test_faults_of_the_parameter_file_name_the_file(lab):
    (lab.root / "experiments/bad.yaml").write_text("broken: 1\n")
    with pytest.raises(Fault, match=r"experiments/bad.yaml: params.yaml has no place for 'broken'"):
        prepare(lab, "bad")


@pytest.mark.parametrize(("content", "says"), [(b"broken: 1\n", "has no place"), (b"text: Gr\xf6\xdfe\n", "bad.yaml is not UTF-8")])
def test_a_broken_parameter_file_leaves_no_new_worktree_and_removes_none(lab, content, says):
    bad = lab.root / "experiments/bad.yaml"
    bad.write_bytes(content)
    (lab.root / "data/0_raw").mkdir(parents=True)
    (lab.root / "data/0_raw/download").write_text("kept")
    with pytest.raises(Fault, match=says):
        prepare(lab, "bad")
    assert not (lab.root / ".wordloom/bad").exists()
    assert "bad" not in git(lab.root, "worktree", "list")
    assert (lab.root / "data/0_raw/download").read_text() == "kept"
    bad.write_text("run: {seed: 1}\n")
    tree = prepare(lab, "bad")
    bad.write_bytes(content)
    with pytest.raises(Fault, match=says):
        prepare(lab, "bad")
    assert (tree / ".git").is_file()


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_report_that_dvc_did_not_restore_is_written_in_the_worktree(lab):
    assert lab.wordloom("experiment", "other").returncode == 0
    (lab.root / ".wordloom/other/report.html").unlink()
    done = lab.wordloom("experiment", "other")
    assert done.returncode == 0, done.stderr
    assert (lab.root / ".wordloom/other/report.html").read_text() == "written again"
    assert "other: report at " in done.stdout


@pytest.mark.parametrize("name", ["../x", "a b", "-x", "a;b", "a_b", "", "locks", "main", "/etc/passwd.d/..yaml"])
def test_names_that_could_be_anything_else_are_refused(lab, name):
    with pytest.raises(Fault):
        experiments.resolve(lab.root, name)
    assert not (lab.root / ".wordloom").exists()


def test_an_experiment_that_is_not_there_is_told_with_the_nearest(lab):
    with pytest.raises(Fault, match=r"others.yaml is missing; experiments are other. Did you mean 'other'"):
        experiments.resolve(lab.root, "others")


def test_the_command_lists_and_removes_and_warns_of_what_is_not_committed(lab):
    (lab.root / "stage.py").write_text((lab.root / "stage.py").read_text() + "# not committed\n")
    (lab.root / "new").mkdir()
    (lab.root / "new/method.py").write_text("")
    (lab.root / "data").mkdir()
    (lab.root / "data/ignored").write_text("")
    done = lab.wordloom("experiment", "other", "--", "ingest-a")
    assert done.returncode == 0, done.stderr
    assert "files not committed and so not in it, 2: stage.py, new/method.py\n" in done.stderr
    assert "Running stage 'ingest-a'" in done.stdout
    assert "embed-g" not in done.stdout
    raw = lab.root / "data/0_raw"
    (raw / "download").write_text("kept")
    assert (lab.root / ".wordloom/other/data/0_raw/download").read_text() == "kept"
    assert lab.wordloom("experiment", "--list").stdout.startswith("other  ")
    assert lab.wordloom("experiment", "--remove", "other").returncode == 0
    assert not (lab.root / ".wordloom/other").exists()
    assert (raw / "download").read_text() == "kept"
    assert "other" not in git(lab.root, "worktree", "list")
    assert lab.wordloom("experiment", "--remove", "other").returncode == 2


def score(root, of, value, low=None, high=None):
    from pipelines.artifacts.parquet import Writer
    from pipelines.artifacts.scores import Scores

    folder = root / "data/7_scores/classification"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Writer(Scores, folder) as out:
        out.append(of=[of], metric=["accuracy"], on=["valid"], value=[value], low=[low], high=[high], n=[10], note=[""])


def test_scores_of_experiments_stand_side_by_side(lab):
    tree = prepare(lab)
    score(lab.root, "predictions/lstm", 0.5)
    score(tree, "predictions/lstm", 0.75, 0.7, 0.8)
    found = json.loads(lab.wordloom("compare", "--json").stdout)
    assert [(entry["of"], {name: got["value"] for name, got in entry["values"].items()}) for entry in found] == [
        ("predictions/lstm", {"main": 0.5, "other": 0.75})
    ]
    table = lab.wordloom("compare").stdout
    assert "0.75 [0.7, 0.8]" in table
    assert "The test set has not been read." in table
    assert lab.wordloom("compare", "othr").stderr == "fault: there is no experiment 'othr'; there are main, other. Did you mean 'other'?\n"


def test_runs_shows_the_newest_record_first(lab):
    import os

    for i, row in enumerate(("old", "new")):
        path = lab.root / f"runs/records/vectors/{row}-0123456789ab.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"verb": "embed", "row": row, "method": "glove", "seconds": 1.5, "peak_bytes": 2**20, "device": "cpu", "threads": 2}
        path.write_text(json.dumps(record))
        os.utime(path, (1_000_000 + i, 1_000_000 + i))
    table = lab.wordloom("runs").stdout
    assert table.index("embed/new") < table.index("embed/old")
    assert [record["row"] for record in json.loads(lab.wordloom("runs", "--json").stdout)] == ["new", "old"]


def test_a_worktree_that_a_killed_git_left_half_is_made_anew(lab):
    tree = prepare(lab)
    (tree / experiments.COPIED).unlink()  # the last thing but one that is written into a new one
    (tree / "stage.py").unlink()
    lab.git("worktree", "lock", str(tree))
    assert prepare(lab) == tree
    assert (tree / "stage.py").exists()


def test_an_index_lock_of_a_killed_git_does_not_stop_the_next_run(lab):
    tree = prepare(lab)
    lock = lab.root / ".git/worktrees/other/index.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    (lab.root / "stage.py").write_text((lab.root / "stage.py").read_text() + "# new\n")
    lab.git("commit", "-qam", "new code")
    assert prepare(lab) == tree
    assert git(tree, "rev-parse", "HEAD") == git(lab.root, "rev-parse", "HEAD")


def test_the_remotes_passwords_of_the_main_checkout_serve_the_worktree(lab):
    assert lab.dvc("remote", "add", "--local", "dav", "webdav://127.0.0.1:1/x").returncode == 0
    assert lab.dvc("remote", "modify", "--local", "dav", "password", "hush").returncode == 0
    tree = prepare(lab)
    assert "remote.dav.password=hush" in dvc.ask(tree, "config", "--list")
    assert dvc.ask(tree, "cache", "dir").strip() == str(lab.root / ".dvc" / "cache")


@pytest.mark.parametrize("name", ["../victim", "a/b", "", "-x"])
def test_a_name_from_a_flows_parameters_stays_in_its_folder(lab, name):
    with pytest.raises(Fault, match="cannot name an experiment"), experiments.opened(lab.root, name, "run: {}", "HEAD"):
        pass
    with pytest.raises(Fault, match="cannot name an experiment"):
        experiments.existing(lab.root, name)
    with pytest.raises(Fault, match="there is no experiment 'nightly'"):
        experiments.existing(lab.root, "nightly")
    assert not (lab.root / ".wordloom").exists()


def test_a_worker_takes_no_folder_but_its_own(lab, tmp_path, monkeypatch):
    from flows import place

    assert place.allowed(str(tmp_path)) == tmp_path
    monkeypatch.setenv(place.FOLDER, str(lab.root))
    assert place.allowed(str(lab.root / ".wordloom")[:-10]) == lab.root
    with pytest.raises(Fault, match="is not in .*, where this worker was started"):
        place.allowed(str(tmp_path))
