"""Objects of DVC's cache and its remotes, damaged for real."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.errors import Fault
from tasks import cache
from tasks.cache import Cache, Remote, faults, folder, hash_output, outs, pull, push, sweep_runs
from tests import scratch
from tests.webdav import serve

STAGES = list(scratch.dag()["stages"])
ARTIFACT = "data/4_vectors/g"


@pytest.fixture
def made(ran, tmp_path, monkeypatch):
    """A copy of it, with an empty folder for a remote; no waiting between tries, nothing remembered of other tests."""
    monkeypatch.setattr(cache, "RETRY_DELAY_S", 0.1)
    monkeypatch.setattr(cache, "STILL_S", 0.1)
    monkeypatch.setattr(cache, "_through", set())
    shutil.copytree(ran.root, tmp_path / "project", symlinks=True)
    project = scratch.Project(tmp_path / "project")
    assert project.dvc("remote", "add", "-d", "store", str(tmp_path / "remote")).returncode == 0
    return project


def clone(project, place: Path):
    """Another checkout, with the same dvc.lock and remotes, and nothing of the data."""
    shutil.copytree(project.root, place, ignore=shutil.ignore_patterns("data", "cache", "tmp", "ran.txt"))
    (place / ".dvc" / "tmp").mkdir(exist_ok=True)
    cache._through.clear()
    return scratch.Project(place)


def alter(path: Path) -> bytes:
    """Flips a byte of a read-only file; gives what was there."""
    old = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(old[:7] + bytes([old[7] ^ 1]) + old[8:])
    path.chmod(0o444)
    return old


def object_of(project, path: str = ARTIFACT, listing: bool = False) -> Path:
    """The object of an output's list of files, or of its first file."""
    oid = next(out.oid for out in outs(project.root) if out.path == path)
    there = Cache(folder(project.root))
    return there.path(oid if listing or not oid.endswith(".dir") else there.tree(oid)[0][1])


def is_same(one: Path, other: Path) -> bool:
    return {p.relative_to(one): p.read_bytes() for p in one.rglob("*") if p.is_file()} == {
        p.relative_to(other): p.read_bytes() for p in other.rglob("*") if p.is_file()
    }


def test_dvc_restores_an_altered_object_and_says_nothing(made):
    """Why all of this is here; when DVC does better one day, this test says so."""
    old = alter(object_of(made))
    shutil.rmtree(made.root / ARTIFACT)
    assert made.dvc("checkout", "embed-g").returncode == 0
    assert (made.root / ARTIFACT / "made").read_bytes() != old
    assert made.dvc("status", "embed-g").stdout == "Data and pipelines are up to date.\n"
    assert made.dvc("push", "embed-g").returncode == 0


def test_a_whole_cache_has_no_faults(made):
    assert faults(made.root, STAGES) == []


@pytest.mark.parametrize("listing", [False, True])
@pytest.mark.parametrize("damage", ["altered", "truncated", "empty", "missing"])
def test_a_damaged_object_is_named_with_its_output_and_the_next_step(made, damage, listing):
    path = object_of(made, listing=listing)
    if damage == "altered":
        alter(path)
    else:
        path.unlink()
    if damage in ("truncated", "empty"):
        path.write_bytes(b"0" * (30 if damage == "truncated" else 0))
    (fault,) = faults(made.root, STAGES)
    assert f"{ARTIFACT}{'' if listing else '/made'} of embed-g" in fault
    assert ("missing" if damage == "missing" else "altered") in fault
    assert str(path) in fault
    assert "wordloom verify --repair" in fault
    assert faults(made.root, ["embed-h"]) == []


def test_an_object_of_several_stages_is_hashed_once(made, monkeypatch):
    made.set("embed", "h", text="glove")  # the same text: the same output as g's
    assert made.dvc("repro").returncode == 0
    hashed = []
    real = cache.md5
    monkeypatch.setattr(cache, "md5", lambda path, tick: hashed.append(path) or real(path, tick))
    bad = alter(object_of(made)) and Cache(folder(made.root)).check(outs(made.root))
    assert len(hashed) == len(set(hashed)) > 5
    assert {out.stage for out, _ in bad[0].parts} == {"embed-g", "embed-h"}


def test_a_stage_that_has_not_run_is_a_fault(made):
    assert faults(made.root, ["embed-g", "embed-new"]) == [
        "dvc.lock has no stage embed-new: it has not run here. Run: wordloom run embed-new"
    ]


def test_an_output_that_dvc_does_not_cache_is_not_looked_for(made):
    tree = scratch.dag()
    tree["stages"]["report-all"]["outs"] = [{"data/report.md": {"cache": False}}]
    made.write("dvc.yaml", tree)
    assert made.dvc("repro").returncode == 0
    object_of(made, "data/checks/vectors/g.json")
    shutil.rmtree(folder(made.root))
    assert all("data/report.md" not in fault for fault in faults(made.root, STAGES))
    assert len(faults(made.root, STAGES)) == 6


def test_a_hash_in_dvc_lock_that_is_a_path_is_refused(made):
    lock = made.root / "dvc.lock"
    out = next(out for out in outs(made.root) if out.path == "data/report.md")
    lock.write_text(lock.read_text().replace(out.oid, "../../../../etc/passwd"))
    assert "which is none" in faults(made.root, STAGES)[0]


def test_a_list_that_names_files_outside_of_its_folder_is_refused(made):
    listing = b'[{"md5": "e508a83798d5e420d30f9189839f88c6", "relpath": "../../../up"}]'
    oid = hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
    old = next(out.oid for out in outs(made.root) if out.path == ARTIFACT)
    assert Cache(folder(made.root)).add(oid, listing)
    lock = made.root / "dvc.lock"
    lock.write_text(lock.read_text().replace(old, oid))
    assert "names files outside of its folder" in faults(made.root, STAGES)[0]


def test_an_object_whose_content_is_another_is_not_added(made):
    there = Cache(folder(made.root))
    assert not there.add("0" * 32, b"something else")
    assert not list(there.path("0" * 32).parent.iterdir())


def test_folders_are_hashed_as_dvc_hashes_them(tmp_path, made):
    place = made.root / "many"
    for name in ("b", "a/ü", "a/b/c", "a.txt", "__pycache__/x", "A"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    (made.root / ".dvcignore").write_text("__pycache__\n*.pyc\n")
    assert made.dvc("add", "many").returncode == 0
    oid, files, listing = hash_output(place)
    assert f"md5: {oid}" in (made.root / "many.dvc").read_text()
    assert Cache(folder(made.root)).path(oid).read_bytes() == listing
    assert len(files) == 5


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
    alter(object_of(made))
    with pytest.raises(Fault, match="nothing was pushed") as err:
        push(made.root, STAGES)
    assert "made of embed-g: cache object altered" in str(err.value)
    assert not (tmp_path / "remote").exists()


@pytest.mark.slow
@pytest.mark.quick_slow
def test_a_half_at_the_remote_is_replaced_by_the_next_push(made, tmp_path):
    push(made.root, STAGES)
    half = tmp_path / "remote" / object_of(made).relative_to(folder(made.root))
    whole = half.read_bytes()
    half.chmod(0o644)
    half.write_bytes(whole[:20])
    cache._through.clear()
    push(made.root, STAGES)
    assert half.read_bytes() == whole


def test_no_remote_and_an_unknown_remote_are_faults(made):
    with pytest.raises(Fault, match="there is no DVC remote 'stor'; there are store"):
        push(made.root, STAGES, "stor")
    made.dvc("remote", "remove", "store")
    with pytest.raises(Fault, match=r"no DVC remote is the default one; there are none. Run: dvc remote add"):
        push(made.root, STAGES)


def test_a_remote_hashes_what_dvc_itself_pulls_from_it(made):
    Remote(made.root)
    assert "remote.store.verify=true" in made.dvc("config", "--list").stdout
    assert "verify" not in (made.root / ".dvc" / "config").read_text()


# -- pull


@pytest.mark.slow
@pytest.mark.quick_slow
def test_an_altered_object_of_the_remote_gets_neither_into_the_cache_nor_into_data(made, tmp_path):
    push(made.root, STAGES)
    path = object_of(made)
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
    alter(object_of(other))
    object_of(other, "data/4_vectors/h").unlink()
    shutil.rmtree(other.root / "data")
    cache._through.clear()
    pull(other.root, STAGES)
    assert is_same(made.root / "data", other.root / "data")
    assert faults(other.root, STAGES) == []


def test_an_entry_of_the_run_cache_that_is_cut_off_is_removed(made):
    place = folder(made.root)
    assert sweep_runs(place) == 0  # their names are what we think they are
    entries = sorted((place / "runs").glob("*/*/*"))
    assert len(entries) >= 6
    for n, path in enumerate(entries):
        text = path.read_text()
        path.chmod(0o644)
        # in a line, after a line, without the last figure, in the parameters, and not at all
        path.write_text([text[: len(text) // 2], text[: text.rindex("  size")], text[:-2], text[: text.index("outs:")], text][min(n, 4)])
    assert sweep_runs(place) == 4
    assert sorted((place / "runs").glob("*/*/*")) == entries[4:]


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
@pytest.mark.quick_slow
@pytest.mark.parametrize("after", [0, 9, 13])
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
    cache._through.clear()
    push(made.root, STAGES)
    pull(other.root, STAGES)
    assert is_same(made.root / "data", other.root / "data")


@pytest.mark.slow
def test_the_half_of_a_push_that_was_killed_is_replaced(made, dav, tmp_path):
    path = dav_object(dav, object_of(made), made)
    path.parent.mkdir(parents=True)
    path.write_bytes(object_of(made).read_bytes()[:10])  # as a server writes that does not write aside
    assert made.dvc("push", "embed-g").returncode == 0
    assert path.stat().st_size == 10  # DVC alone takes it for whole, and puts the list of files beside it
    push(made.root, ["embed-g"])
    assert path.read_bytes() == object_of(made).read_bytes()


@pytest.mark.slow
def test_an_altered_object_behind_webdav_is_not_taken(made, dav, tmp_path):
    push(made.root, STAGES)
    alter(dav_object(dav, object_of(made, listing=True), made))
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
@pytest.mark.quick_slow
def test_a_remote_that_is_too_slow_is_given_up_and_used_when_it_is_better(made, dav, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE_S", 3.0)
    monkeypatch.setattr(cache, "TRIES", 2)
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
        cache._through.clear()
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
