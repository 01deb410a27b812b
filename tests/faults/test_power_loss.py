"""Power fails: at each write of a process, and with the loss of what had not reached the disk."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.layout import hash_path
from tests.faults.support import call, copy, happened, holds, hook, objects, repro, start, wordloom_run
from tests.faults.support import calm as run_calmly
from tests.support import make_project

pytestmark = pytest.mark.slow

ROWS = """
ingest:
  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}
tokenize:
  words: {method: words, corpus: tiny, min_count: 2}
"""
STAGE = "-m pipelines ingest tiny"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A project of two real stages with their gates: nothing has run; and what a calm run of a copy left."""
    template = make_project(tmp_path_factory.mktemp("real") / "project", ROWS)
    return template, run_calmly(copy(template, tmp_path_factory.mktemp("calm") / "project"))


@pytest.mark.quick_slow
@pytest.mark.parametrize("point", [r"rename .*/data/1_corpus/\.tiny\.part/tiny$", r"rmdir .*/data/1_corpus/\.tiny\.part$"])
def test_a_stage_killed_just_before_or_after_its_output_is_renamed_into_place_is_made_again(real, tmp_path, point):
    root = copy(real[0], tmp_path / "project")
    killed = call(root, "dvc", "repro", **hook(root, STAGE, "kill", point))
    assert happened(root)
    assert killed.returncode != 0
    assert (root / "data/1_corpus/tiny").exists() == point.startswith("rmdir")
    holds(root, real[1])


def test_an_old_output_is_whole_in_its_place_or_gone_when_a_stage_by_hand_is_killed_as_it_replaces_it(real, api, tmp_path):
    root = copy(real[0], tmp_path / "project")
    repro(root)
    out = root / "data/1_corpus/tiny"
    for point, there in ((r"rename .*/1_corpus/tiny$", True), (r"rename .*/\.tiny\.part/tiny$", False)):
        call(root, "python", "-m", "pipelines", "ingest", "tiny", **hook(root, STAGE, "kill", point))
        assert happened(root)
        assert hash_path(out) == (real[1].data["data/1_corpus/tiny"] if there else "missing")
    holds(root, real[1], wordloom_run(PREFECT_API_URL=api))


@pytest.mark.timeout(1800)
def test_a_stage_killed_at_any_of_its_writes_leaves_nothing_wrong(real, tmp_path):
    _at_each_write(real, tmp_path, STAGE, ["dvc", "repro", "ingest-tiny"], repro, every=3)


@pytest.mark.timeout(1800)
def test_dvc_killed_at_any_of_its_writes_leaves_nothing_wrong(template, calm, api, tmp_path):
    _at_each_write((template, calm), tmp_path, "dvc", ["dvc", "repro", "check-corpus-a"], wordloom_run(PREFECT_API_URL=api), every=5)


def _at_each_write(project, folder, who, command, driver, every):
    """`every`: of the writes of one kind that follow each other, so many are passed over."""
    template, calm = project
    listed = copy(template, folder / "listed" / "project")
    call(listed, *command, **hook(listed, who, "log"))
    deeds = [deed.replace(str(listed), "") for deed in happened(listed)]
    assert len(deeds) > 10
    for n in range(1, len(deeds) + 1):
        if n % every and "rwlock" in deeds[n - 1]:
            continue
        root = copy(template, folder / str(n) / "project")
        call(root, *command, **hook(root, who, "kill", n=n))
        assert happened(root), f"{deeds[n - 1]} was not reached"
        try:
            holds(root, calm, driver)
        except AssertionError as err:
            raise AssertionError(f"killed at write {n}, {deeds[n - 1]}: {err}") from err
        shutil.rmtree(root.parent)


@pytest.mark.parametrize("reached", ["what was waited for", "all"])
def test_what_had_not_reached_the_disk_is_lost_and_nothing_wrong_is_taken_for_right(real, api, tmp_path, reached):
    """On a real ext4, whose image is copied in mid-run: the copy holds what a power cut leaves.

    A stage waits until its output is on the disk, DVC waits for nothing: dvc.lock is whole then, and
    objects that it names are empty.
    """
    template, calm = real
    image, lost, disk = tmp_path / "image", tmp_path / "lost", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(200 << 20)
    mkfs = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if mkfs is None or subprocess.run([mkfs, "-q", str(image)], capture_output=True).returncode:
        pytest.skip("no mkfs.ext4 here")
    with mounted(image, disk):
        root = copy(template, disk / "project")
        sync(disk)
        run = start(root, "dvc", "repro", **hook(root, "-m pipelines tokenize words", "kill", r"rename .*/\.words\.part/words$"))
        assert run.wait(200) != 0
        assert happened(root)
        if reached == "all":
            sync(disk)
        shutil.copyfile(image, lost)
    with mounted(lost, disk):
        empty = [path for path in objects(root) if not path.stat().st_size]
        assert bool(empty) == (reached != "all")  # else there is no loss
        holds(root, calm, wordloom_run(PREFECT_API_URL=api))


@contextmanager
def mounted(image: Path, place: Path):
    """The test is skipped where a file system in a file cannot be mounted."""
    place.mkdir(exist_ok=True)
    # nothing is written back by itself while the test runs
    done = subprocess.run(["mount", "-o", "loop,commit=600,noatime", str(image), str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a file system in a file cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def sync(disk: Path) -> None:
    subprocess.run(["sync", "--file-system", str(disk)], check=True)
