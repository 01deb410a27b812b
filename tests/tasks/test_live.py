"""The progress artifact of a stage while it runs, on a real Prefect server."""

import json
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines.live import HERE, VARIABLE
from tasks import live
from tasks.live import duration, percent, sentence

FACTS = {"done": 25.0, "total": 100.0, "unit": "pairs", "rate": 12_345.6, "seconds_left": 200.0, "figures": {"epoch": 3, "loss": 0.123456}}


def test_a_person_reads_the_time_left_and_the_loss_first():
    assert sentence(FACTS) == "3 min 20 s left, epoch 3, loss 0.1235, 25 of 100 pairs at 12,346/s"
    assert sentence(FACTS, "done") == "done, epoch 3, loss 0.1235, 25 of 100 pairs at 12,346/s"
    assert sentence({"done": 7, "total": None, "unit": "B", "rate": 1, "seconds_left": None, "figures": {}}) == "7 B at 1/s"
    assert [duration(s) for s in (-1, 0.4, 59.6, 61, 3599, 7500)] == ["0 s", "0 s", "1 min 00 s", "1 min 01 s", "59 min 59 s", "2 h 05 min"]


def test_a_share_is_from_0_to_100_and_0_where_nobody_knows_the_end():
    assert percent(FACTS) == 25.0
    assert percent({**FACTS, "done": 101}) == 100.0
    assert [percent({"done": done, "total": total}) for done, total in ((1, None), (1, 0), ("x", 1), (float("nan"), 1), (-1, 1))] == [0] * 5


def send(watch, facts, word=None):
    port, _, ours = watch.environment[VARIABLE].partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(
            (ours if word is None else word).encode() + (facts if isinstance(facts, bytes) else json.dumps(facts).encode()),
            (HERE, int(port)),
        )


@pytest.fixture
def shown(monkeypatch):
    """What would be shown, without a server."""
    found = []
    monkeypatch.setattr(live, "EVERY_S", 0.01)
    monkeypatch.setattr(
        "prefect.artifacts.create_progress_artifact", lambda share, key, description: found.append((share, description)) or "id"
    )
    monkeypatch.setattr("prefect.artifacts.update_progress_artifact", lambda _, share, description: found.append((share, description)))
    return found


def wait(what):
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_follows_the_stage_and_ends_as_the_stage_does(shown):
    for well, last in ((True, (100.0, "embed/g: done, ")), (False, (40.0, "embed/g: stopped, "))):
        shown.clear()
        with live.watched("embed/g", logging.getLogger("t")) as watch:
            send(watch, FACTS)
            wait(lambda: shown)
            send(watch, {**FACTS, "done": 40})
            wait(lambda: shown[-1][0] == 40.0)
            watch.done = well
        assert shown[0] == (25.0, "embed/g: 3 min 20 s left, epoch 3, loss 0.1235, 25 of 100 pairs at 12,346/s")
        assert shown[-1][0] == last[0]
        assert shown[-1][1].startswith(last[1])


def test_a_stage_that_says_nothing_shows_nothing_and_is_not_waited_for(shown):
    start = time.monotonic()
    with live.watched("embed/g", logging.getLogger("t")) as watch:
        watch.done = True
    assert time.monotonic() - start < live.GRACE_S
    assert shown == []
    assert threading.active_count() < 50


def test_what_others_send_is_not_shown(shown):
    with live.watched("embed/g", logging.getLogger("t")) as watch:
        send(watch, FACTS, word="another word")
        send(watch, b"")
        send(watch, b"{no json")
        send(watch, FACTS)
        wait(lambda: shown)
    assert {share for share, _ in shown} == {25.0}


@pytest.mark.parametrize("facts", [[], 3, "text", None, {"figures": 3}, {"figures": {"loss": "x"}}, {"done": "x"}, {"rate": None}])
def test_what_is_no_progress_ends_the_showing_and_nothing_else(shown, facts):
    with live.watched("embed/g", logging.getLogger("t")) as watch:
        send(watch, facts)
        time.sleep(0.05)


def test_a_server_that_fails_or_hangs_holds_nothing_up(monkeypatch, shown):
    def fails(*_, **__):
        raise ConnectionError("no server")

    monkeypatch.setattr(live, "GRACE_S", 0.2)
    hung, free = threading.Event(), threading.Event()

    def hangs(*_, **__):
        hung.set()
        free.wait(60)

    for create in (fails, hangs):
        monkeypatch.setattr("prefect.artifacts.create_progress_artifact", create)
        with live.watched("embed/g", logging.getLogger("t")) as watch:
            send(watch, FACTS)
            if create is hangs:
                assert hung.wait(20)
            start = time.monotonic()
        assert time.monotonic() - start < 10  # of sixty
    free.set()


STAGE = """
import sys, time
sys.path.insert(0, {repository!r})
from pathlib import Path
from pipelines.live import teller
from pipelines.method import Run
run = Run(Path("x"), "ingest/a", show=True, tell=teller())
print("ingest/a: begins", flush=True)
with run.progress(100, "items") as bar:
    for i in range(100):
        time.sleep(0.1)
        bar.advance()
        run.log(epoch=i, loss=1.0)
        if Path("go on").exists():
            break
"""


@pytest.mark.slow
@pytest.mark.quick_slow
def test_while_a_stage_runs_its_progress_and_its_lines_are_on_the_server(prefect_server, project, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    from prefect.client.orchestration import get_client

    from flows.train import train
    from tasks import dvc

    monkeypatch.setattr(live, "EVERY_S", 0.2)
    tree = dvc.load(project.root / "dvc.yaml")
    program = STAGE.format(repository=str(Path(live.__file__).parent.parent))
    (project.root / "train.py").write_text(
        program + "Path('data/1_corpus/a').mkdir(parents=True)\nPath('data/1_corpus/a/x').write_text('x')\n"
    )
    tree["stages"]["ingest-a"] |= {"cmd": "exec python train.py", "deps": ["train.py"]}
    project.write("dvc.yaml", tree)

    def progress():
        return [a for a in client.read_latest_artifacts() if a.key == "progress-ingest-a"]

    with ThreadPoolExecutor(1) as pool, get_client(sync_client=True) as client:
        ended = pool.submit(train, str(project.root), targets=["ingest/a"], return_state=True)
        end = time.monotonic() + 60
        while not (found := progress()):
            assert time.monotonic() < end
            assert not ended.done(), ended.result()
            time.sleep(0.1)
        first = found[0]
        while not (said := [log.message for log in client.read_logs() if log.message == "begins"]):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert not ended.done()
        (project.root / "go on").touch()
        state = ended.result(60)
    assert state.is_completed(), state.message
    assert said == ["begins"]
    assert 0 < float(first.data) < 100
    assert "s left, epoch " in first.description
    assert "loss 1" in first.description
    with get_client(sync_client=True) as client:
        (last,) = progress()
    assert float(last.data) == 100.0
    assert last.description.startswith("ingest/a: done, epoch ")
    assert not [path for path in project.root.rglob("*") if "progress" in path.name]


@pytest.mark.slow
def test_the_stages_bytes_are_the_same_watched_and_unwatched(tmp_path):
    from tests.support import make_project, run

    project = make_project(
        tmp_path / "project",
        "ingest:\n  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}\n"
        "tokenize:\n  words: {method: words, corpus: tiny, min_count: 2}\n"
        "cooccur:\n  w5: {method: windowed, tokens: words, window: 5}\n"
        "embed:\n  glove: {method: glove, counts: w5, vector_size: 50, epochs: 30}\n",
    )
    run(project, "dvc", "repro", "check-counts-w5")
    made = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
        inbox.bind((HERE, 0))
        for env in ({}, {VARIABLE: f"{inbox.getsockname()[1]}:word"}):
            run(project, sys.executable, "-c", FAST, env={**os.environ, **env, "PYTHONPATH": str(project)})
            made.append({path.name: path.read_bytes() for path in sorted((project / "data/4_vectors/glove").iterdir())})
        inbox.setblocking(False)
        assert inbox.recv(65_536).startswith(b"word")  # it was watched
    assert made[0] == made[1]
    assert {"curve.csv", "vectors.npy"} & set(made[0])


# as `python -m pipelines embed glove`, but telling of every step: this takes less than a second
FAST = """
import sys
from pathlib import Path
from pipelines.method import Progress
Progress.tells_every = 0.0
from pipelines.run import run_stage
run_stage(Path("."), "embed", "glove")
"""
