"""`wordloom verify` and `wordloom push`: damage found, told apart from edits, and repaired."""

import shutil

import pytest

from flows import verify as verifying
from flows.verify import size, verify
from pipelines.errors import Fault
from tasks import store
from tasks.cache import faults, folder, outs
from tests import scratch
from tests.objects import ARTIFACT, alter, objects_of
from tests.webdav import serve

STAGES = list(scratch.dag()["stages"])


@pytest.fixture
def made(ran, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "RETRY_DELAY_S", 0.1)
    monkeypatch.setattr(store, "_through", set())
    shutil.copytree(ran.root, tmp_path / "project", symlinks=True)
    return scratch.Project(tmp_path / "project")


def with_remote(project, url) -> None:
    assert project.dvc("remote", "add", "-d", "store", str(url)).returncode == 0
    store.push(project.root, STAGES)
    store._through.clear()


def contents(project) -> dict:
    return {p.relative_to(project.root): p.read_bytes() for p in (project.root / "data").rglob("*") if p.is_file()}


def is_mended(project, before: dict) -> bool:
    """Right bytes in data/ and in the cache, and nothing to do."""
    return (
        contents(project) == before
        and faults(project.root, STAGES) == []
        and project.dvc("repro").returncode == 0
        and contents(project) == before
    )


def test_what_is_right_is_counted(made):
    done = made.wordloom("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == f"10 objects of 7 outputs, {sum(p.stat().st_size for p in (made.root / '.dvc/cache/files').rglob('*') if p.is_file())} bytes, are what dvc.lock says\n"
    )


def test_all_faults_are_told_at_once_with_status_2(made):
    alter(objects_of(made)[0])
    objects_of(made, "data/report.md")[0].unlink()
    done = made.wordloom("verify")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith(f"fault: {ARTIFACT}/made of embed-g: cache object altered (64 bytes")
    assert second.startswith("fault: data/report.md of report-all: cache object missing")
    assert done.stdout == ""


def test_only_the_rows_that_are_named_and_what_they_need_are_hashed(made):
    alter(objects_of(made)[0])
    assert verify(made.root, ["embed/h"], None, False).startswith("5 objects of 3 outputs")
    with pytest.raises(Fault, match="embed-g"):
        verify(made.root, ["check/vectors-g"], None, False)


def test_a_file_edited_by_hand_is_told_apart_and_not_touched(made):
    place = made.root / ARTIFACT / "made"
    place.write_text("my own")
    (made.root / ARTIFACT / "new").write_text("more of mine")
    with pytest.raises(Fault) as err:
        verify(made.root, [], None, True)
    (line,) = err.value.faults
    assert f"{ARTIFACT}/made, {ARTIFACT}/new" in line
    assert "is not what dvc.lock says" in line
    assert line.endswith("delete it and run: dvc checkout embed-g")
    assert place.read_text() == "my own"


def test_what_the_clock_hides_from_dvc_is_found(made):
    assert made.dvc("status").returncode == 0  # DVC has looked
    alter(made.root / ARTIFACT / "made")
    with pytest.raises(Fault, match="is not what dvc.lock says"):
        verify(made.root, [], None, False)


def test_data_that_is_not_checked_out_is_not_missed(made):
    shutil.rmtree(made.root / "data")
    assert verify(made.root, [], None, False).startswith("10 objects")


@pytest.mark.parametrize("damage", [alter, lambda path: path.unlink()], ids=["altered", "missing"])
@pytest.mark.parametrize("which", [0, 1], ids=["file", "list"])
def test_an_object_that_still_lies_in_data_is_put_back_from_there(made, damage, which, capsys):
    before = contents(made)
    damage(objects_of(made)[which])
    verify(made.root, [], None, True)
    assert "put back from data/" in capsys.readouterr().out
    assert made.ran() == []
    assert is_mended(made, before)


def lost(project) -> None:
    """An altered object, which DVC has restored into data/ too."""
    alter(objects_of(project)[0])
    shutil.rmtree(project.root / ARTIFACT)
    assert project.dvc("checkout", "embed-g").returncode == 0


@pytest.mark.slow
def test_what_was_restored_from_an_altered_object_is_repaired_from_the_remote(made, tmp_path, capsys):
    before = contents(made)
    with_remote(made, tmp_path / "remote")
    lost(made)
    with pytest.raises(Fault) as err:
        verify(made.root, [], None, False)
    assert len(err.value.faults) == 2  # the cache, and data/
    verify(made.root, [], None, True)
    said = capsys.readouterr().out
    assert f"{ARTIFACT}/made: fetched from remote store" in said
    assert f"{ARTIFACT}: restored in data/" in said
    assert is_mended(made, before)
    assert made.ran() == []


@pytest.mark.slow
@pytest.mark.quick_slow
def test_what_the_remote_has_altered_too_is_made_again(made, tmp_path, capsys):
    before = contents(made)
    with_remote(made, tmp_path / "remote")
    alter(tmp_path / "remote" / objects_of(made)[0].relative_to(folder(made.root)))
    lost(made)
    verify(made.root, [], None, True)
    assert "embed/g: runs again" in capsys.readouterr().out
    assert made.ran() == ["embed-g"]
    assert is_mended(made, before)


@pytest.mark.slow
def test_without_a_remote_a_lost_chain_of_outputs_is_made_again_in_its_order(made):
    before = contents(made)
    for path in ("data/1_corpus/a", "data/checks/corpus/a.json", ARTIFACT):
        for place in objects_of(made, path):
            place.unlink()
    shutil.rmtree(made.root / "data")
    assert verify(made.root, [], None, True).startswith("10 objects")
    assert made.ran() == ["ingest-a", "check-corpus-a", "embed-g"]
    assert made.dvc("checkout").returncode == 0
    assert is_mended(made, before)


@pytest.mark.slow
def test_what_comes_out_different_is_said(made):
    """As on another CPU family."""
    lock = made.root / "dvc.lock"
    old = next(out for out in outs(made.root) if out.path == "data/report.md")
    # the recorded hash is of another machine's output
    lock.write_text(lock.read_text().replace(old.oid, "ab" * 16))
    (made.root / old.path).unlink()
    with pytest.raises(Fault, match=f"report/all: data/report.md has MD5 {old.oid} now, not {'ab' * 16} as recorded: another CPU family"):
        verify(made.root, [], None, True)
    assert verify(made.root, [], None, False).startswith("10 objects")


@pytest.mark.slow
def test_a_stage_whose_inputs_have_changed_is_not_made_again_on_others(made):
    made.set("embed", "g", text="other")
    lost_for_good = objects_of(made)[0]
    lost_for_good.unlink()
    shutil.rmtree(made.root / ARTIFACT)
    with pytest.raises(Fault, match="embed-g cannot be run again as it was: its command or parameters have changed") as err:
        verify(made.root, [], None, True)
    assert "no DVC remote" not in err.value.faults[-1]
    made.set("embed", "g", text="glove")
    (made.root / "data/1_corpus/a/made").write_text("mine")
    with pytest.raises(Fault, match="data/1_corpus/a is not what dvc.lock says"):
        verify(made.root, [], None, True)
    assert made.ran() == []


@pytest.mark.slow
@pytest.mark.quick_slow
def test_the_worktrees_of_the_main_checkout_count_too(made):
    tree = made.root / ".wordloom" / "other"
    made.git("worktree", "add", "-q", "--detach", str(tree))
    other = scratch.Project(tree)
    other.set("embed", "g", text="of the worktree")
    assert other.dvc("config", "--local", "cache.dir", str(folder(made.root))).returncode == 0
    assert other.dvc("repro").returncode == 0
    path = objects_of(other)[0]
    alter(path)
    with pytest.raises(Fault, match=str(path)):
        verify(made.root, [], None, False)
    assert "objects" in verify(made.root, [], None, True)
    alter(path)
    with pytest.raises(Fault, match=str(path)):
        verify(tree, [], None, False)


@pytest.mark.slow
def test_a_remote_is_hashed_and_repaired_from_the_cache(made, tmp_path):
    with_remote(made, tmp_path / "remote")
    damaged = tmp_path / "remote" / objects_of(made)[0].relative_to(folder(made.root))
    whole = damaged.read_bytes()
    alter(damaged)
    (tmp_path / "remote" / objects_of(made, "data/report.md")[0].relative_to(folder(made.root))).unlink()
    with pytest.raises(Fault) as err:
        verify(made.root, [], "store", False)
    assert [line.split(" of ")[0].split(": ")[1] for line in err.value.faults if "object" in line] == [f"{ARTIFACT}/made", "data/report.md"]
    assert "is altered there. Run: wordloom verify --remote store --repair" in str(err.value)
    assert damaged.read_bytes() != whole
    verify(made.root, [], "store", True)
    assert damaged.read_bytes() == whole
    assert not list((made.root / ".wordloom").glob("verify-*"))


@pytest.mark.slow
def test_an_altered_list_of_files_at_the_remote_is_called_altered_and_replaced(made, tmp_path):
    with_remote(made, tmp_path / "remote")
    damaged = tmp_path / "remote" / objects_of(made)[-1].relative_to(folder(made.root))
    assert damaged.suffix == ".dir"
    whole = damaged.read_bytes()
    alter(damaged)
    with pytest.raises(Fault, match=r"object \w+\.dir is altered there. Run: wordloom verify --remote store --repair"):
        verify(made.root, [], "store", False)
    verify(made.root, [], "store", True)
    assert damaged.read_bytes() == whole


@pytest.mark.slow
def test_a_worktree_of_a_commit_without_the_remote_is_hashed_there_too(made, tmp_path):
    tree = made.root / ".wordloom" / "older"
    made.git("worktree", "add", "-q", "--detach", str(tree))
    assert scratch.Project(tree).dvc("config", "--local", "cache.dir", str(folder(made.root))).returncode == 0
    shutil.copy(made.root / "dvc.lock", tree)
    with_remote(made, "../remote")  # in .dvc/config of the main checkout alone
    assert verify(made.root, [], "store", False).startswith("10 objects of 14 outputs")
    (tmp_path / "remote" / objects_of(made, "data/report.md")[0].relative_to(folder(made.root))).unlink()
    with pytest.raises(Fault) as err:
        verify(made.root, [], "store", False)
    assert sum("is missing there" in line for line in err.value.faults) == 2
    verify(made.root, [], "store", True)


@pytest.mark.slow
def test_a_webdav_remote_is_hashed_and_repaired_from_the_cache(made, tmp_path):
    with serve(tmp_path / "dav") as server:
        with_remote(made, server.url)
        damaged = server.folder / objects_of(made)[0].relative_to(folder(made.root))
        whole = damaged.read_bytes()
        alter(damaged)
        with pytest.raises(Fault, match="is altered there"):
            verify(made.root, [], "store", False)
        verify(made.root, [], "store", True)
        assert damaged.read_bytes() == whole


@pytest.mark.slow
def test_push_says_what_the_remote_has_and_refuses_what_is_altered(made, tmp_path):
    made.dvc("remote", "add", "-d", "store", str(tmp_path / "remote"))
    done = made.wordloom("push", "embed/g")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == f"5 objects, {size(sum(p.stat().st_size for p in (tmp_path / 'remote/files').rglob('*') if p.is_file()))}, are at the remote\n"
    )
    alter(objects_of(made)[0])
    done = made.wordloom("push", "embed/g")
    assert done.returncode == 2
    assert done.stderr.startswith("fault: nothing was pushed")


def test_progress_tells_rate_and_time_left(capsys):
    now = iter([0.0, 2.0, 11.0, 12.0, 22.0])
    tick = verifying._lines(40_000_000, lambda: next(now))
    for _ in range(4):
        tick(10_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "hashed 20.0 MB of 40.0 MB, 1.8 MB/s, 11 s left",
        "hashed 40.0 MB of 40.0 MB, 1.8 MB/s, 0 s left",
    ]
