"""What became of a stage that was sent to a worker: lost on the way, or failed by itself."""

import pytest
from prefect.states import Crashed, Failed

from tasks.worker import _is_lost

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
