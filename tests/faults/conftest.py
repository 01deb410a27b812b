"""One calm run, and a Prefect server, for all the faults."""

from pathlib import Path

import pytest

from tests import scratch
from tests.faults import support


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """A scratch project in which nothing has run."""
    return scratch.make(tmp_path_factory.mktemp("template") / "project").root


@pytest.fixture(scope="session")
def done(template, tmp_path_factory) -> tuple[Path, support.Calm]:
    """A scratch project after a calm run, and what that left."""
    root = support.copy(template, tmp_path_factory.mktemp("calm") / "project")
    return root, support.calm(root)


@pytest.fixture
def calm(done) -> support.Calm:
    return done[1]


@pytest.fixture
def root(template, tmp_path) -> Path:
    """A scratch project of the test's own, in which nothing has run."""
    return support.copy(template, tmp_path / "project")


@pytest.fixture
def api(prefect_server) -> str:
    """The address of a Prefect server."""
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value()
