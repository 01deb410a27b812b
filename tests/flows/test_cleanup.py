"""`wordloom clean`: what nobody needs goes, what a lock file names or a process holds stays."""

import fcntl
import os
import shutil
import subprocess
import sys
import time

import pytest

from flows import experiments
from flows.cleanup import clean
from pipelines.errors import Fault
from tasks import workspace
from tasks.cache import Cache, faults, folder, outs
from tests import scratch

STAGES = list(scratch.dag()["stages"])
OLD = time.time() - 100 * 86_400


@pytest.fixture
def made(ran, tmp_path):
    shutil.copytree(ran.root, tmp_path / "project", symlinks=True)
    return scratch.Project(tmp_path / "project")


def write(path, text="left", old=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if old:
        for p in (path, path.parent):
            os.utime(p, (OLD, OLD))
    return path


def objects(project) -> set:
    there = Cache(folder(project.root))
    return {there.path(oid) for oid in all_oids(project, there)}


def all_oids(project, there):
    for out in outs(project.root):
        yield out.oid
        if out.oid.endswith(".dir"):
            yield from (oid for _, oid in there.tree(out.oid))


def in_cache(project) -> set:
    return {path for path in (folder(project.root) / "files").rglob("*") if path.is_file()}


def changed(project, text: str) -> set:
    """Runs the stages with another text; the objects that the lock file named before, and names no more."""
    before = objects(project)
    project.set("embed", "g", text=text)
    assert project.dvc("repro").returncode == 0
    return before - objects(project)


def test_what_a_killed_stage_left_goes_and_what_a_live_one_writes_stays(made):
    dead = write(made.root / "data/4_vectors/.g.part/g/made").parent.parent
    live = write(made.root / "data/4_vectors/.h.part/h/made").parent.parent
    lock = write(made.root / ".wordloom/locks/embed-h", "1")
    hold = "import fcntl, sys; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"\n"
    try:
        done = clean(made.root, 30, False)
        assert not dead.exists()
        assert live.exists()
        assert f"kept {live}: embed/h is running" in done.lines
        assert done.n_bytes == 4
    finally:
        holder.kill()
        holder.wait()
    clean(made.root, 30, False)
    assert not live.exists()
    assert faults(made.root, STAGES) == []


def test_old_checkpoints_go_young_ones_and_those_of_a_running_row_stay(made):
    folders = [
        made.root / f".wordloom/checkpoints/{name}" for name in ("embed-g-0123456789abcdef", "embed-g-1123456789abcdef", "embed-h-2")
    ]
    for path, old in zip(folders, (True, False, True), strict=True):
        write(path / "checkpoint.safetensors", old=old)
    with write(made.root / ".wordloom/locks/embed-h", "").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        clean(made.root, 30, False)
    assert [path.exists() for path in folders] == [False, True, True]


def test_scratch_files_go_when_they_are_old(made):
    old, young = (write(made.root / "data/0_raw" / f"{name}.1.part", old=name == "old") for name in ("old", "young"))
    clean(made.root, 0, False)
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.slow
def test_objects_that_no_lock_file_names_go_and_all_others_stay(made):
    gone = changed(made, "other")
    made.git("commit", "-qam", "other")
    assert gone <= in_cache(made)
    # the commit of today names them
    assert clean(made.root, 30, False).n_bytes == 0
    made.git("checkout", "-q", "--orphan", "anew")
    made.git("commit", "-qm", "anew")
    for branch in made.git("branch", "--format=%(refname:short)").split():
        if branch != "anew":
            made.git("branch", "-qD", branch)
    n_bytes = sum(path.stat().st_size for path in gone)
    before = in_cache(made)
    foretold = clean(made.root, 0, True)
    assert in_cache(made) == before
    done = clean(made.root, 0, False)
    assert before - in_cache(made) == gone
    assert any(f"{len(gone)} objects of the cache" in line for line in done.lines)
    assert foretold.n_bytes == done.n_bytes >= n_bytes
    assert [line.removeprefix("would remove ") for line in foretold.lines] == [line.removeprefix("removed ") for line in done.lines]
    assert faults(made.root, STAGES) == []


def worktree(project, name: str):
    tree = project.root / ".wordloom" / name
    project.git("worktree", "add", "-q", "--detach", str(tree))
    other = scratch.Project(tree)
    assert other.dvc("config", "--local", "cache.dir", str(folder(project.root))).returncode == 0
    return other


@pytest.mark.slow
@pytest.mark.quick_slow
def test_what_the_lock_file_of_a_worktree_names_stays(made):
    other = worktree(made, "other")
    changed(other, "of the worktree")  # not committed: only its dvc.lock names them
    mine = objects(other)
    left = write(other.root / "data/4_vectors/.g.part/x").parent
    gone = changed(made, "once") and changed(made, "twice")
    done = clean(made.root, 0, False)
    assert not gone & in_cache(made)
    assert mine <= in_cache(made)
    assert not left.exists()
    assert faults(other.root, STAGES) == faults(made.root, STAGES) == []
    assert done.n_bytes > 0
    # and when the worktree is gone, they are garbage
    made.git("worktree", "remove", "--force", str(other.root))
    clean(made.root, 0, False)
    assert not (mine - objects(made)) & in_cache(made) - at_head(made)
    assert faults(made.root, STAGES) == []


def at_head(project) -> set:
    """What the commit that is checked out names stays, too: it is the tip of a branch."""
    lock = (project.root / "dvc.lock").read_text()
    project.git("checkout", "-q", "--", "dvc.lock")
    try:
        return objects(project)
    finally:
        (project.root / "dvc.lock").write_text(lock)


@pytest.mark.slow
def test_what_a_saved_experiment_names_stays_until_it_is_removed(made):
    for key, value in (("user.name", "t"), ("user.email", "t@example.org")):
        made.git("config", key, value)
    other = worktree(made, "other")
    named = {}
    for name, project in (("mine", made), ("of-a-worktree", other)):  # the second is as a sweep keeps itself
        changed(project, name)
        assert project.dvc("exp", "save", "--name", name).returncode == 0
        named[name] = objects(project)
        project.git("checkout", "-q", ".")
    made.git("worktree", "remove", "--force", str(other.root))
    assert made.dvc("checkout").returncode == 0
    before = in_cache(made)
    assert clean(made.root, 0, False).lines == []
    assert in_cache(made) == before
    made.ran()
    for name in named:
        applied = made.dvc("exp", "apply", name)
        assert applied.returncode == 0, applied.stderr
        assert made.dvc("repro").returncode == 0
        made.git("checkout", "-q", ".")
    assert made.ran() == []
    assert made.dvc("checkout").returncode == 0
    assert made.dvc("exp", "remove", "mine").returncode == 0
    clean(made.root, 0, False)
    assert before - in_cache(made) == named["mine"] - named["of-a-worktree"] - objects(made)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_worktree_for_stages_that_are_sent_here_goes_when_it_is_old_and_not_in_use(made):
    made.can_write_its_dag()
    made.git("add", "-A")
    made.git("commit", "-qm", "it can write its dvc.yaml")
    its = ("main", (made.root / "params.yaml").read_text(), made.git("rev-parse", "HEAD").strip())
    with experiments.opened(made.root, *its) as tree:
        in_use = clean(made.root, 0, False).lines
        assert in_use[0].startswith(f"kept {tree.resolve()} is in use")
    clean(made.root, 30, False)
    assert tree.exists()
    os.utime(tree / experiments.COPIED, (OLD, OLD))
    (line,) = clean(made.root, 30, True).lines
    assert line.startswith(f"would remove {tree} (a worktree for stages that are sent here")
    with experiments.opened(made.root, *its):
        pass  # it has been used again
    clean(made.root, 30, False)
    assert tree.exists()
    os.utime(tree / experiments.COPIED, (OLD, OLD))
    (tree / "stage.py").write_text("an edit of somebody's")
    assert "has edits of yours in stage.py" in clean(made.root, 30, False).lines[0]
    scratch.Project(tree).git("checkout", "-q", "stage.py")
    clean(made.root, 30, False)
    assert not tree.exists()
    assert str(tree) not in made.git("worktree", "list")
    with experiments.opened(made.root, *its):
        assert tree.exists()


def test_the_deployment_takes_no_days_below_zero_either():
    from prefect.exceptions import ParameterTypeError
    from prefect.utilities.callables import parameter_schema

    from flows import upkeep

    with pytest.raises(ParameterTypeError, match="keep_days: Input should be greater than or equal to 0"):
        upkeep.clean.validate_parameters({"keep_days": -5})
    assert parameter_schema(upkeep.clean).properties["keep_days"]["minimum"] == 0  # the UI goes by it


@pytest.mark.slow
def test_while_a_run_is_under_way_the_cache_stays_as_it_is(made):
    changed(made, "once")
    changed(made, "twice")
    before = in_cache(made)
    hold = f"""
import sys; sys.path.insert(0, {str(scratch.REPOSITORY)!r})
from pathlib import Path
from tasks.workspace import alone
with alone(Path(".")):
    print(flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen([sys.executable, "-c", hold], cwd=made.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"\n"
    try:
        done = clean(made.root, 0, False)
    finally:
        holder.kill()
        holder.wait()
    assert in_cache(made) == before
    assert f"is in use by process {holder.pid}" in done.lines[-1]
    with workspace.alone(made.root, wait=False):
        pass


def test_with_a_list_of_files_missing_the_cache_is_not_cleaned(made):
    there = Cache(folder(made.root))
    out = next(out for out in outs(made.root) if out.path == "data/4_vectors/g")
    file = there.path(there.tree(out.oid)[0][1])
    there.path(out.oid).unlink()
    with pytest.raises(Fault, match=r"the list of files of data/4_vectors/g \(embed-g\) is altered or missing"):
        clean(made.root, 0, False)
    assert file.exists()


@pytest.mark.slow
def test_entries_of_the_run_cache_whose_outputs_are_gone_go_when_they_are_old(made):
    gone = changed(made, "once") and changed(made, "twice")
    entries = list((folder(made.root) / "runs").glob("*/*/*"))
    for path in entries:
        os.utime(path, (OLD, OLD))
    done = clean(made.root, 30, False)
    left = list((folder(made.root) / "runs").glob("*/*/*"))
    assert not gone & in_cache(made)
    assert 0 < len(entries) - len(left) < len(entries)
    assert any("entries of the run-cache" in line for line in done.lines)
    # what is left still spares a run
    shutil.rmtree(made.root / "data/4_vectors/h")
    (made.root / "ran.txt").unlink()
    assert made.dvc("repro").returncode == 0
    assert made.ran() == []


def test_with_a_merge_that_was_not_finished_the_command_fails(made):
    lock = made.root / "dvc.lock"
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text()}=======\n>>>>>>> theirs\n")
    done = made.wordloom("clean")
    assert done.returncode == 2
    assert done.stderr.startswith("fault: dvc.lock: line 1 is a conflict marker of git's")


def test_the_command_says_how_much_room_it_made(made):
    write(made.root / "data/4_vectors/.g.part/g/made", "x" * 2000)
    done = made.wordloom("clean", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "2.0 kB would be freed"
    done = made.wordloom("clean")
    assert done.stdout.splitlines()[-1] == "2.0 kB freed"
    assert made.wordloom("clean").stdout == "0 bytes freed\n"
