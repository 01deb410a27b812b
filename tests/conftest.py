"""Fixtures of several tests: a scratch DVC project, and Prefect's test server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import flows  # noqa: F401  sets what Prefect must know before it is imported
from tests import scratch


@pytest.fixture
def project(tmp_path: Path) -> scratch.Project:
    """A scratch DVC project in git; tests/scratch.py says what is in it."""
    return scratch.make(tmp_path / "project")


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Prefect with a server and a database of its own, for the whole session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
