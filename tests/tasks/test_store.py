"""DVC's remotes, broken for real: what is pushed, what is pulled, and what is not."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.errors import Fault
from tasks import store
from tasks.cache import Cache, faults, folder, outs
from tasks.mend import mend
from tasks.store import Remote, pull, push
from tests import scratch
from tests.objects import alter, objects_of
from tests.webdav import serve

STAGES = list(scratch.dag()["stages"])


@pytest.fixture
def made(ran, tmp_path, monkeypatch):
    """A copy of it, with an empty folder for a remote; no waiting between tries, nothing remembered of other tests."""
    monkeypatch.setattr(store, "RETRY_DELAY_S", 0.1)
    monkeypatch.setattr(store, "STILL_S", 0.1)
    monkeypatch.setattr(store, "_through", set())
    shutil.copytree(ran.root, tmp_path / "project", symlinks=True)
    project = scratch.Project(tmp_path / "project")
    assert project.dvc("remote", "add", "-d", "store", str(tmp_path / "remote")).returncode == 0
    return project


def clone(project, place: Path):
    """Another checkout, with the same dvc.lock and remotes, and nothing of the data."""
    shutil.copytree(project.root, place, ignore=shutil.ignore_patterns("data", "cache", "tmp", "ran.txt"))
    (place / ".dvc" / "tmp").mkdir(exist_ok=True)
    store._through.clear()
    return scratch.Project(place)


def is_same(one: Path, other: Path) -> bool:
    return {p.relative_to(one): p.read_bytes() for p in one.rglob("*") if p.is_file()} == {
        p.relative_to(other): p.read_bytes() for p in other.rglob("*") if p.is_file()
    }


# -- push


@pytest.mark.slow
def test_a_push_takes_what_was_made_and_a_pull_brings_it(made, tmp_path):
    n, n_bytes = push(made.root, STAGES)
    assert (n, n_bytes) == Cache_counted(made)
    other = clone(made, tmp_path / "other")
    assert pull(other.root, STAGES) == (n, n_bytes)
    assert is_same(made.root / "data", other.root / "data")
    assert other.dvc("repro").returncode == 0
    assert other.ran() == []


def Cache_counted(project):
    there = Cache(folder(project.root))
    assert there.check(outs(project.root)) == []
    return there.counted()


def test_a_push_of_no_stages_pushes_nothing(made, tmp_path):
    assert push(made.root, []) == (0, 0)
    assert pull(made.root, []) == (0, 0)
    assert not (tmp_path / "remote").exists()


@pytest.mark.slow
def test_what_this_process_has_pushed_is_not_pushed_again(made, tmp_path):
    push(made.root, STAGES)
    assert push(made.root, STAGES) == (0, 0)
    made.set("embed", "g", text="other")
    assert made.dvc("repro").returncode == 0
    assert push(made.root, STAGES)[0] > 0


def test_an_altered_object_is_refused_before_a_push(made, tmp_path):
    alter(objects_of(made)[0])
    with pytest.raises(Fault, match="nothing was pushed") as err:
        push(made.root, STAGES)
    assert "made of embed-g: cache object altered" in str(err.value)
    assert not (tmp_path / "remote").exists()


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_half_at_the_remote_is_replaced_by_the_next_push(made, tmp_path):
    push(made.root, STAGES)
    half = tmp_path / "remote" / objects_of(made)[0].relative_to(folder(made.root))
    whole = half.read_bytes()
    half.chmod(0o644)
    half.write_bytes(whole[:20])
    store._through.clear()
    push(made.root, STAGES)
    assert half.read_bytes() == whole


def test_no_remote_and_an_unknown_remote_are_faults(made):
    with pytest.raises(Fault, match="there is no DVC remote 'stor'; there are store"):
        push(made.root, STAGES, "stor")
    with pytest.raises(Fault, match="there is no DVC remote 'stor'"):
        push(made.root, [], "stor")  # nothing has been made yet
    made.dvc("remote", "remove", "store")
    with pytest.raises(Fault, match=r"no DVC remote is the default one; there are none. Run: dvc remote add"):
        push(made.root, STAGES)
    with pytest.raises(Fault, match="no DVC remote is the default one"):
        push(made.root, [])


@pytest.mark.slow
def test_a_remote_whose_name_has_a_dot_serves_a_project_whose_path_is_not_ascii(made, tmp_path):
    place = made.root.rename(tmp_path / "Projekt-Größe")
    (place / ".dvc/config.local").write_text(f"['remote \"eu.store\"']\n    url = {tmp_path / 'Größe'}\n", encoding="utf-8")
    assert push(place, STAGES, "eu.store")[0] == 10
    assert Remote(place, "eu.store").fetch_apart(outs(place)) == ([], [])
    with pytest.raises(Fault, match="there are store, eu.store"):
        Remote(place, "eu")


def test_a_remote_hashes_what_dvc_itself_pulls_from_it(made):
    Remote(made.root)
    assert "remote.store.verify=true" in made.dvc("config", "--list").stdout
    assert "verify" not in (made.root / ".dvc" / "config").read_text()


def at_a_commit_without_the_remote(project) -> None:
    config = project.root / ".dvc/config"
    config.write_text("[core]\n    analytics = false\n")


def test_what_a_push_sets_of_a_remote_breaks_no_commit_without_it_and_follows_its_address(made, tmp_path):
    config = made.root / ".dvc/config"
    text = config.read_text()
    Remote(made.root)
    assert made.dvc("remote", "modify", "store", "url", "../elsewhere").returncode == 0
    assert Remote(made.root).url == str(tmp_path / "elsewhere")
    at_a_commit_without_the_remote(made)
    assert made.dvc("status").returncode == 0
    config.write_text(text)
    assert made.dvc("remote", "remove", "store").returncode == 0
    assert made.dvc("status").returncode == 0


def test_an_option_that_an_older_version_left_of_a_remote_without_an_address_goes(made, capsys):
    local = made.root / ".dvc/config.local"
    local.write_text("['remote \"box\"']\n    verify = true\n['remote \"mine\"']\n    url = /mine\n    verify = true\n")
    assert "expected 'url'" in made.dvc("status").stderr
    mend(made.root)
    assert "mended: .dvc/config.local had an option of remote 'box'" in capsys.readouterr().err
    assert made.dvc("status").returncode == 0
    assert "box" not in local.read_text()
    assert "url = /mine" in local.read_text()


def test_a_password_of_a_remote_without_an_address_is_named_and_stays(made):
    assert made.dvc("remote", "add", "net", "webdav://127.0.0.1:1/x").returncode == 0
    assert made.dvc("remote", "modify", "--local", "net", "password", "hush").returncode == 0
    at_a_commit_without_the_remote(made)
    with pytest.raises(Fault, match="has options of remote 'net', which has no url in .dvc/config at this commit"):
        mend(made.root)
    assert "hush" in (made.root / ".dvc/config.local").read_text()


# -- pull


@pytest.mark.slow
@pytest.mark.quick_slow
def test_an_altered_object_of_the_remote_gets_neither_into_the_cache_nor_into_data(made, tmp_path):
    push(made.root, STAGES)
    path = objects_of(made)[0]
    alter(tmp_path / "remote" / path.relative_to(folder(made.root)))
    other = clone(made, tmp_path / "other")
    with pytest.raises(Fault, match=r"(?s)made of embed-g: object \w+ .*wordloom verify --remote store --repair") as err:
        pull(other.root, STAGES)
    assert "embed-h" not in str(err.value).splitlines()[0]
    assert not (folder(other.root) / path.relative_to(folder(made.root))).exists()
    assert not (other.root / "data").exists()


@pytest.mark.slow
def test_an_altered_object_here_is_replaced_by_a_pull(made, tmp_path):
    push(made.root, STAGES)
    other = clone(made, tmp_path / "other")
    pull(other.root, STAGES)
    alter(objects_of(other)[0])
    objects_of(other, "data/4_vectors/h")[0].unlink()
    shutil.rmtree(other.root / "data")
    store._through.clear()
    pull(other.root, STAGES)
    assert is_same(made.root / "data", other.root / "data")
    assert faults(other.root, STAGES) == []


# -- over the network


@pytest.fixture
def dav(made, tmp_path):
    with serve(tmp_path / "dav") as server:
        made.dvc("remote", "add", "-d", "net", server.url)
        yield server


def dav_object(server, path: Path, project) -> Path:
    return server.folder / path.relative_to(folder(project.root))


@pytest.mark.slow
@pytest.mark.quick_slow
def test_over_webdav_a_pull_brings_the_same_bytes(made, dav, tmp_path):
    n, n_bytes = push(made.root, STAGES)
    other = clone(made, tmp_path / "other")
    assert pull(other.root, STAGES) == (n, n_bytes)
    assert is_same(made.root / "data", other.root / "data")
    assert other.dvc("repro").returncode == 0
    assert other.ran() == []


@pytest.mark.slow
@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.quick_slow), 9, 13])
def test_a_push_that_broke_off_leaves_no_half_that_is_taken_for_whole(made, dav, tmp_path, after):
    dav.break_after = after
    with pytest.raises(Fault, match=r"(?s)remote net \(webdav://127.0.0.1:\d+\): .*wordloom push"):
        push(made.root, STAGES)
    other = clone(made, tmp_path / "other")
    dav.break_after = None
    # what has arrived may be pulled; a half may not
    with pytest.raises(Fault, match="did not arrive whole|is altered there"):
        pull(other.root, STAGES)
    assert [bad.what for bad in Cache(folder(other.root)).check(outs(other.root)) if bad.what != "missing"] == []
    store._through.clear()
    push(made.root, STAGES)
    pull(other.root, STAGES)
    assert is_same(made.root / "data", other.root / "data")


@pytest.mark.slow
def test_the_half_of_a_push_that_was_killed_is_replaced(made, dav, tmp_path):
    path = dav_object(dav, objects_of(made)[0], made)
    path.parent.mkdir(parents=True)
    path.write_bytes(objects_of(made)[0].read_bytes()[:10])  # as a server writes that does not write aside
    assert made.dvc("push", "embed-g").returncode == 0
    assert path.stat().st_size == 10  # DVC alone takes it for whole, and puts the list of files beside it
    push(made.root, ["embed-g"])
    assert path.read_bytes() == objects_of(made)[0].read_bytes()


@pytest.mark.slow
def test_an_altered_object_behind_webdav_is_not_taken(made, dav, tmp_path):
    push(made.root, STAGES)
    alter(dav_object(dav, objects_of(made)[-1], made))
    other = clone(made, tmp_path / "other")
    with pytest.raises(Fault, match=r"data/4_vectors/g of embed-g: object \w+\.dir"):
        pull(other.root, STAGES)
    assert not (other.root / "data").exists()


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_remote_that_is_not_there_is_a_fault_with_its_name_and_the_next_step(made, tmp_path):
    with serve(tmp_path / "dav") as server:
        url = server.url
    made.dvc("remote", "add", "-d", "net", url.replace("//", "//somebody:secret@"))
    with pytest.raises(Fault) as err:
        push(made.root, STAGES)
    assert str(err.value).startswith(f"remote net ({url})")
    assert "wordloom push" in err.value.faults[-1]
    assert "secret" not in str(err.value)
    other = clone(made, tmp_path / "other")
    with pytest.raises(Fault, match="remote net"):
        pull(other.root, STAGES)
    assert not (other.root / "data").exists()


@pytest.mark.slow
def test_a_remote_that_is_too_slow_is_given_up_and_used_when_it_is_better(made, dav, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PATIENCE_S", 3.0)
    monkeypatch.setattr(store, "TRIES", 2)
    monkeypatch.setattr(Remote, "wrong", lambda *_, **__: [])  # its look at sizes is as slow; that is bounded by `timeout`
    dav.sleep_s = 1.5
    with pytest.raises(Fault, match="took longer than 3 s and was stopped; the remote is slow or hangs"):
        push(made.root, STAGES)
    assert subprocess.run(["pgrep", "-f", f"dvc.*{made.root}"], capture_output=True).stdout == b""
    dav.sleep_s = 0
    monkeypatch.undo()
    push(made.root, STAGES)
    other = clone(made, tmp_path / "other")
    pull(other.root, STAGES)
    assert is_same(made.root / "data", other.root / "data")


@pytest.mark.slow
def test_a_password_opens_the_remote_and_is_in_no_message(made, tmp_path):
    with serve(tmp_path / "dav", user="somebody", password="secret") as server:
        made.dvc("remote", "add", "-d", "net", server.url)
        for key, value in {"user": "somebody", "password": "secret"}.items():
            assert made.dvc("remote", "modify", "--local", "net", key, value).returncode == 0
        push(made.root, STAGES)
        made.dvc("remote", "modify", "--local", "net", "password", "wrong")
        store._through.clear()
        with pytest.raises(Fault) as err:
            push(made.root, STAGES)
    assert "wrong" not in str(err.value)


# -- a full disk


@pytest.fixture
def small_disk(made, tmp_path):
    """The cache on a disk of 1 MB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("needs to mount a small disk, which root may")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_full_disk_in_the_cache_leaves_no_half_object_and_the_next_pull_completes(made, tmp_path, small_disk):
    push(made.root, STAGES)
    other = clone(made, tmp_path / "other")
    other.dvc("config", "--local", "cache.dir", str(small_disk / "cache"))
    folder.cache_clear()
    filler = small_disk / "filler"
    assert subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], capture_output=True).returncode  # until it is full
    with pytest.raises(Fault, match="No space left"):
        pull(other.root, STAGES)
    assert [bad.what for bad in Cache(folder(other.root)).check(outs(other.root)) if bad.what != "missing"] == []
    filler.unlink()
    pull(other.root, STAGES)
    assert is_same(made.root / "data", other.root / "data")
