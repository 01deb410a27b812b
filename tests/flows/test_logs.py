"""What is left of a run in Prefect's log."""

import logging

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.exceptions import FailedRun
from prefect.flow_engine import run_flow
from prefect.logging.loggers import flow_run_logger
from prefect.states import Failed, State


@flow
def closed() -> State:
    return Failed(message="check/vectors-g failed: 1 rows fail, first the")


@flow
def broken() -> State:
    raise ValueError("a fault of ours")


@pytest.fixture
def log(prefect_server):
    """What a worker's process would send to the server."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("prefect.flow_runs")
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def as_a_worker_does(it) -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(it)
    run_flow(it, flow_run=run, error_logger=flow_run_logger(run))


def test_the_log_of_a_run_that_failed_ends_with_its_reason(log):
    with pytest.raises(FailedRun):
        as_a_worker_does(closed)
    assert "check/vectors-g failed: 1 rows fail" in log[-1].getMessage()
    assert [record for record in log if record.exc_info] == []


def test_the_log_of_a_run_that_broke_has_the_traceback(log):
    with pytest.raises(ValueError, match="a fault of ours"):
        as_a_worker_does(broken)
    assert ValueError in [record.exc_info[0] for record in log if record.exc_info]
