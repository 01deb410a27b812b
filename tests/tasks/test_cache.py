"""Objects of DVC's cache, damaged for real."""

import hashlib
import shutil

import pytest

from tasks import cache
from tasks.cache import Cache, faults, folder, hash_output, outs, sweep_runs
from tests import scratch
from tests.objects import ARTIFACT, alter, objects_of

STAGES = list(scratch.dag()["stages"])


@pytest.fixture
def made(ran, tmp_path):
    """A copy of it, with an empty folder for a remote."""
    shutil.copytree(ran.root, tmp_path / "project", symlinks=True)
    project = scratch.Project(tmp_path / "project")
    assert project.dvc("remote", "add", "-d", "store", str(tmp_path / "remote")).returncode == 0
    return project


def test_dvc_restores_an_altered_object_and_says_nothing(made):
    """Why all of this is here; when DVC does better one day, this test says so."""
    old = alter(objects_of(made)[0])
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
    path = objects_of(made)[-1 if listing else 0]
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
    bad = alter(objects_of(made)[0]) and Cache(folder(made.root)).check(outs(made.root))
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
    objects_of(made, "data/checks/vectors/g.json")[0]
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
