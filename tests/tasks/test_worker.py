"""What became of a stage that was sent to a worker: lost on the way, or failed by itself."""

from types import SimpleNamespace

import pytest
from prefect.client.schemas.objects import WorkerStatus
from prefect.states import Crashed, Failed

from tasks import worker
from tasks.worker import GONE, TAKEN, Crew, _is_lost

FOUND = "Flow run encountered an exception: "


@pytest.mark.parametrize(
    "state",
    [
        Crashed(message="no heartbeat for 90 s"),
        Failed(message=FOUND + "ConnectError: All connection attempts failed"),
        Failed(message=FOUND + "PrefectHTTPStatusError: Server error '503 Service Unavailable'"),
    ],
    ids=lambda state: state.message[:60],
)
def test_a_broken_way_to_the_server_is_no_fault_of_the_stage(state):
    assert _is_lost(state)


@pytest.mark.parametrize("message", [FOUND + "ValueError: no such corpus", "embed/g failed: no space left", "ConnectError in a text"])
def test_what_a_stage_says_of_itself_is(message):
    assert not _is_lost(Failed(message=message))


def seen_by(monkeypatch, taker, *looks: str) -> list[str]:
    """What a crew says at each look; a look is the names of the workers that are there, a letter each."""
    monkeypatch.setattr(worker, "LOOK_S", 0.0)
    there = iter(looks)

    def workers(_) -> list:
        return [SimpleNamespace(name=name, status=WorkerStatus.ONLINE) for name in next(there)]

    crew = Crew(SimpleNamespace(read_workers_for_work_pool=workers))
    return [crew.gone(taker) for _ in looks]


def test_a_worker_that_has_the_run_and_is_not_there_look_after_look_is_gone(monkeypatch):
    assert TAKEN.match("Worker 'a' submitting flow run '1'")[1] == "a"
    assert seen_by(monkeypatch, "a", "ab", *["b"] * GONE) == [""] * GONE + ["a"]
    assert not any(seen_by(monkeypatch, "a", *["ab"] * 3, *["a"] * 2 * GONE))  # another's end is no matter


def test_after_an_outage_of_the_server_a_worker_has_the_time_to_be_heard_again(monkeypatch):
    assert not any(seen_by(monkeypatch, "a", "a", *[""] * (GONE - 1), "a", *[""] * (GONE - 1)))


def test_where_nobody_said_that_he_took_the_run_the_worker_that_vanished_meanwhile_had_it(monkeypatch):
    assert seen_by(monkeypatch, None, "a", *["b"] * GONE)[-1] == "a"
    assert not any(seen_by(monkeypatch, None, *["b"] * 2 * GONE))
