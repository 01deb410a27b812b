"""Objects of a project's cache, and damage to them."""

import os
from pathlib import Path

from tasks.cache import Cache, folder, outs
from tests.scratch import Project

ARTIFACT = "data/4_vectors/g"  # of a scratch project: a folder


def objects_of(project: Project, path: str = ARTIFACT) -> list[Path]:
    """The objects of an output: its files, then their list."""
    there = Cache(folder(project.root))
    return [there.path(oid) for out in outs(project.root) if out.path == path for oid in there.parts(out)]


def alter(path: Path) -> bytes:
    """Flips a byte of a read-only file, so that what goes by the time sees nothing; gives what was there."""
    old, time = path.read_bytes(), path.stat().st_mtime_ns
    path.chmod(0o644)
    path.write_bytes(old[:7] + bytes([old[7] ^ 1]) + old[8:])
    path.chmod(0o444)
    os.utime(path, ns=(time, time))
    return old
