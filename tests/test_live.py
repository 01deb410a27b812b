"""How far a stage is, told from its process: what is sent, how often, at what cost, and that it changes nothing."""

import json
import socket
import time

import pytest

from pipelines import live
from pipelines.method import Run


@pytest.fixture
def inbox(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind((live.HERE, 0))
        found.settimeout(10)
        monkeypatch.setenv(live.VARIABLE, f"{found.getsockname()[1]}:word")
        yield found


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when it is told to."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("pipelines.method.time", clock)
    return clock


def received(inbox):
    inbox.setblocking(False)
    found = []
    try:
        while True:
            found.append(json.loads(inbox.recv(65_536).removeprefix(b"word")))
    except BlockingIOError:
        return found


def train(run, clock, n=40, dt=0.1, done=0):
    with run.progress(200, "pairs") as bar:
        bar.begin(done)
        for step in range(n):
            clock.now += dt
            bar.advance(5)
            run.log(epoch=step, loss=1 / (step + 1))


def test_progress_is_told_once_a_second_with_rate_time_left_and_the_last_figures(inbox, clock, tmp_path):
    train(Run(tmp_path, "embed/g", show=True, tell=live.teller()), clock)
    told = received(inbox)
    assert len(told) == 4  # of forty steps in four seconds: after 1.1, 2.2, 3.3 s, and at the end
    assert told[0] == {
        "done": 55.0, "total": 200, "unit": "pairs", "rate": pytest.approx(50), "seconds_left": pytest.approx(2.9),
        "figures": {"epoch": 9, "loss": 0.1},
    }  # fmt: skip
    assert (told[-1]["done"], told[-1]["seconds_left"], told[-1]["figures"]["epoch"]) == (200, 0, 39)


def test_what_a_killed_process_had_done_says_nothing_of_the_rate(inbox, clock, tmp_path):
    train(Run(tmp_path, "embed/g", show=True, tell=live.teller()), clock, n=11, done=100)
    told = received(inbox)[0]
    assert told["done"] == 155
    assert told["rate"] == pytest.approx(50)
    assert told["seconds_left"] == pytest.approx(0.9)


def test_a_first_step_that_compiles_says_nothing_of_the_time_left(inbox, clock, tmp_path):
    with Run(tmp_path, "embed/g", show=True, tell=live.teller()).progress(100, "pairs") as bar:
        clock.now += 60
        bar.advance()
        for _ in range(20):
            clock.now += 0.1
            bar.advance()
    first, second, *_ = received(inbox)
    assert (first["rate"], first["seconds_left"]) == (pytest.approx(1 / 60), pytest.approx(99 * 60))
    assert (second["rate"], second["seconds_left"]) == (pytest.approx(10), pytest.approx(8.8))


def test_a_stage_of_less_than_a_second_tells_nothing(inbox, clock, tmp_path):
    train(Run(tmp_path, "embed/g", show=True, tell=live.teller()), clock, dt=0.01)
    assert received(inbox) == []


@pytest.mark.parametrize("where", ["", "nonsense", "99999999:word", ":word", "-1:word"])
def test_nobody_to_tell_is_no_fault(monkeypatch, where, clock, tmp_path):
    monkeypatch.setenv(live.VARIABLE, where)
    train(Run(tmp_path, "embed/g", show=True, tell=live.teller()), clock)


def test_a_listener_that_is_gone_or_asleep_is_no_fault(inbox):
    tell = live.teller()
    for _ in range(20_000):  # many times what the kernel keeps for one who does not read
        tell({"done": 1.0, "unit": "pairs" * 20})
    inbox.close()
    for _ in range(10):
        tell({"done": 1.0})
    tell({"done": object()})


def test_telling_costs_less_than_a_thousandth_of_the_second_between(inbox):
    tell = live.teller()
    facts = {"done": 1.0, "total": 2.0, "unit": "pairs", "rate": 3.0, "seconds_left": 4.0, "figures": {"epoch": 1, "loss": 0.5}}
    start = time.perf_counter()
    for _ in range(1000):
        tell(facts)
    assert (time.perf_counter() - start) / 1000 < 1e-3


def test_who_is_not_asked_opens_no_socket(monkeypatch):
    monkeypatch.delenv(live.VARIABLE, raising=False)
    assert live.teller() is None
