"""Fixtures of several tests: a scratch DVC project, and Prefect's test server."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import flows  # noqa: F401  sets what Prefect must know before it is imported
from tasks import children
from tests import scratch

# what nohup and a shell's background ignore would be ignored by all that the tests start, and then interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def opened() -> None:
    """A flow that ran in an earlier test has let no more processes start."""
    children.ALL.open()


@pytest.fixture
def project(tmp_path: Path) -> scratch.Project:
    """A scratch DVC project in git; tests/scratch.py says what is in it."""
    return scratch.make(tmp_path / "project")


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> scratch.Project:
    """A scratch project whose stages have run, committed; to be copied, not changed."""
    project = scratch.make(tmp_path_factory.mktemp("ran") / "project")
    assert project.dvc("repro").returncode == 0
    project.git("add", "dvc.lock")
    project.git("commit", "-qm", "ran")
    project.ran()
    return project


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Prefect with a server and a database of its own, for the whole session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
