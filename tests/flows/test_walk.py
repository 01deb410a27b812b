"""The order in which stages start, without Prefect."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from flows import graph
from flows.train import walk
from pipelines.errors import Fault
from tasks import children, dvc
from tests.scratch import dag


class State:
    def __init__(self, message):
        self.message, self.name = message, "Failed"

    def is_completed(self):
        return self.message is None


class Future:
    """As much of Prefect's future as the walk uses."""

    def __init__(self, inner):
        self.inner = inner

    def add_done_callback(self, call):
        self.inner.add_done_callback(lambda _: call(self))

    def wait(self):
        self.state = State(self.inner.result())


class World:
    """Starts stages in threads; says what ran at the same time."""

    def __init__(self, fails=(), work=lambda name: None):
        self.pool, self.fails, self.work = ThreadPoolExecutor(8), fails, work
        self.started, self.now, self.most, self.lock = [], 0, 0, threading.Lock()

    def start(self, stage, before):
        self.started.append(stage.name)
        return Future(self.pool.submit(self.do, stage.name))

    def do(self, name):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.work(name)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        return f"no {name}" if name in self.fails else None


@pytest.fixture
def part(tmp_path):
    (tmp_path / "dvc.yaml").write_text(dvc.dump(dag()))
    return graph.read(tmp_path)


def always(name, ran):
    return "because"


def test_every_stage_runs_after_what_it_needs(part):
    world = World()
    outcome = walk(part, always, world.start, jobs=2)
    assert sorted(outcome.ran) == sorted(part.stages)
    assert all(outcome.ran.index(before) < outcome.ran.index(name) for name in part.stages for before in part.before(name))


def test_independent_stages_run_at_the_same_time_and_no_more_than_jobs(part):
    meet = threading.Barrier(2, timeout=10)
    both = World(work=lambda name: meet.wait() if name.startswith("embed") else None)
    assert not walk(part, always, both.start, jobs=2).failed
    assert both.most == 2
    one = World()
    walk(part, always, one.start, jobs=1)
    assert one.most == 1


def test_two_stages_of_the_gpu_queue_never_run_at_the_same_time(tmp_path):
    tree = dag()
    for row in "gh":
        tree["stages"][f"embed-{row}"]["meta"]["queue"] = "gpu"
    (tmp_path / "dvc.yaml").write_text(dvc.dump(tree))
    running: list[str] = []
    seen = []

    def work(name):
        running.append(name)
        time.sleep(0.05)
        seen.append([n for n in running if n.startswith("embed")])
        running.remove(name)

    walk(graph.read(tmp_path), always, World(work=work).start, jobs=4)
    assert max(map(len, seen)) == 1


def test_of_the_stages_that_could_start_the_one_with_the_highest_priority_starts_first(tmp_path):
    tree = dag()
    tree["stages"]["embed-h"]["meta"]["priority"] = 5
    (tmp_path / "dvc.yaml").write_text(dvc.dump(tree))
    world = World()
    walk(graph.read(tmp_path), always, world.start, jobs=1)
    assert world.started.index("embed-h") < world.started.index("embed-g")


def on_the_gpu(folder) -> graph.Graph:
    """Two stages that could start at once, the first with the lower priority."""
    tree = dag()
    for row, priority in (("g", 0), ("h", 5)):
        tree["stages"][f"embed-{row}"]["meta"] |= {"queue": "gpu", "priority": priority}
    (folder / "dvc.yaml").write_text(dvc.dump(tree))
    return graph.read(folder)


def test_as_many_stages_of_a_queue_run_at_a_time_as_its_limit_says(tmp_path):
    meet = threading.Barrier(2, timeout=10)
    world = World(work=lambda name: meet.wait() if name.startswith("embed") else None)
    assert not walk(on_the_gpu(tmp_path), always, world.start, jobs=2, limits={"gpu": 2}).failed


def test_what_a_queue_has_no_room_for_waits_here_so_that_priority_holds_on_workers_too(tmp_path):
    world = World()
    walk(on_the_gpu(tmp_path), always, world.start, jobs=4, limits={"gpu": 1})
    assert world.started.index("embed-h") < world.started.index("embed-g")


def test_a_failed_stage_stops_what_comes_after_it_and_nothing_else(part):
    world = World(fails={"embed-g"})
    outcome = walk(part, always, world.start, jobs=2)
    assert outcome.failed == {"embed-g": "no embed-g"}
    assert outcome.behind == ["check-vectors-g", "report-all"]
    assert "check-vectors-h" in outcome.ran
    assert "embed/g failed: no embed-g\nnot run, since it comes after: check/vectors-g, report/all" in outcome.text(part)


def test_what_is_up_to_date_is_not_started_and_what_comes_after_it_is_asked_anew(part):
    world = World()
    outcome = walk(
        part, lambda name, ran: "because" if name == "embed-h" or ("embed-h" in ran and "h" in name) else None, world.start, jobs=2
    )
    assert world.started == ["embed-h", "check-vectors-h"]
    assert set(outcome.current) == set(part.stages) - set(world.started)


def test_a_ring_of_stages_is_refused(tmp_path):
    stages = {"a": {"cmd": "x", "deps": ["o2"], "outs": ["o1"]}, "b": {"cmd": "x", "deps": ["o1"], "outs": ["o2"]}}
    (tmp_path / "dvc.yaml").write_text(dvc.dump({"stages": stages}))
    with pytest.raises(Fault, match="ring, among a, b"):
        walk(graph.read(tmp_path), always, World().start, jobs=2)


def test_a_run_that_is_cancelled_starts_nothing_more(part, monkeypatch):
    monkeypatch.setattr("flows.train.TICK_S", 0.05)
    stopped = threading.Event()
    monkeypatch.setattr(children.ALL, "stop", stopped.set)
    world = World(work=lambda name: stopped.wait(10), fails=set(part.stages))
    outcome = walk(part, always, world.start, jobs=2, cancelled=lambda: True)
    assert outcome.cancelled
    assert world.started == ["ingest-a"]


def test_a_run_is_cancelled_while_short_stages_keep_ending(part, monkeypatch):
    monkeypatch.setattr("flows.train.TICK_S", 0.0)
    world = World()
    outcome = walk(part, always, world.start, jobs=1, cancelled=lambda: bool(world.started))
    assert outcome.cancelled
    assert len(world.started) <= 2
