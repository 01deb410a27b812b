"""What the Prefect UI is given of a stage that ended, and the events that an automation can wait for."""

import base64
import json
import logging
import time
from xml.etree import ElementTree

import pytest

from tasks import show

LOG = logging.getLogger("test_show")


def result(name, success, **more):
    seen = {
        "why": "each word stands once",
        "column": "token",
        "observed": None,
        "n_failed": 2 * (not success),
        "share_failed": 0.5 * (not success),
    }
    return {"expectation": name, "success": success, **seen, "examples": [{"token": word} for word in "abcd"] * (not success), **more}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def gate(root, *results):
    report = {"artifact": "abc", "suite": "s", "success": all(r["success"] for r in results), "results": list(results)}
    write(root / "runs/checks/vectors/g.json", report)
    write(root / "runs/checks/vectors/g.html", "<h1>Closed</h1>")
    return report


def trained(root, verb="embed", folder="data/4_vectors/g"):
    write(root / f"runs/records/vectors/g-{'0' * 12}.json", {"verb": verb, "row": "g", "seconds": 3.5, "device": "cpu", "hash": "0" * 64})
    write(root / folder / "curve.csv", "epoch,loss,valid_loss\n1,0.5,0.6\n2,0.25,0.5\n")


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """What is created, without a server: key -> content; and the events."""
    monkeypatch.setenv("WORDLOOM_PAGES_URL", "http://127.0.0.1:9")
    found = {"events": []}
    monkeypatch.setattr(
        "prefect.artifacts.create_table_artifact", lambda key, table, description: found.update({key: (table, description)})
    )
    monkeypatch.setattr(
        "prefect.artifacts.create_markdown_artifact", lambda key, markdown, description: found.update({key: (markdown, description)})
    )
    monkeypatch.setattr("prefect.artifacts.create_link_artifact", lambda link, link_text, key, description: found.update({key: link}))
    monkeypatch.setattr("prefect.events.emit_event", lambda event, resource, payload: found["events"].append((event, resource, payload)))
    return found


def test_a_closed_gate_is_an_event_that_says_what_fails_how_often_and_where(shown, tmp_path):
    gate(tmp_path, result("holds", True), result("fails", False))
    show.artifacts(tmp_path, "check/vectors-g", time.time(), False, LOG)
    ((event, resource, payload),) = shown["events"]
    assert event == "wordloom.gate.failed"
    assert resource["prefect.resource.id"] == "wordloom.gate.vectors.g"
    assert resource["prefect.resource.name"] == payload["gate"] == "vectors/g"
    assert (payload["expectations"], payload["artifact"], payload["page"]) == (2, "abc", "runs/checks/vectors/g.html")
    (failed,) = payload["failed"]
    assert (failed["expectation"], failed["column"], failed["n_failed"], failed["share_failed"]) == ("fails", "token", 2, 0.5)
    assert failed["examples"] == [{"token": "a"}, {"token": "b"}, {"token": "c"}]
    table, description = shown["gate-vectors-g"]
    assert [row["passed"] for row in table] == ["NO", "yes"]
    assert description == f"The gate after vectors/g is **CLOSED**. Full report: `{tmp_path / 'runs/checks/vectors/g.html'}`"


def test_an_open_gate_and_an_old_report_are_no_event(shown, tmp_path):
    gate(tmp_path, result("holds", True))
    show.artifacts(tmp_path, "check/vectors-g", time.time(), True, LOG)
    gate(tmp_path, result("fails", False))
    show.artifacts(tmp_path, "check/vectors-g", time.time() + 60, False, LOG)  # of the run before
    assert shown["events"] == []
    assert "**open**" in shown["gate-vectors-g"][1]


def test_a_trained_model_is_an_event_with_what_it_took_and_its_last_figures(shown, tmp_path):
    trained(tmp_path)
    show.artifacts(tmp_path, "embed/g", time.time(), True, LOG)
    ((event, resource, payload),) = shown["events"]
    assert event == "wordloom.model.finished"
    assert resource == {
        "prefect.resource.id": "wordloom.model.embed.g",
        "prefect.resource.name": "embed/g",
        "wordloom.experiment": "main",
    }
    assert payload["figures"] == {"epoch": 2.0, "loss": 0.25, "valid_loss": 0.5}
    assert (payload["seconds"], payload["device"], payload["model"]) == (3.5, "cpu", "embed/g")
    assert {"what": "seconds", "value": "3.5"} in shown["run-embed-g"][0]


def test_what_came_from_the_cache_or_failed_or_trains_nothing_is_no_model(shown, tmp_path):
    trained(tmp_path)
    show.artifacts(tmp_path, "embed/g", time.time() + 60, True, LOG)  # no record of now: nothing was trained
    show.artifacts(tmp_path, "embed/g", time.time(), False, LOG)
    trained(tmp_path, verb="tokenize")
    show.artifacts(tmp_path, "tokenize/g", time.time(), True, LOG)
    assert shown["events"] == []


def picture(markdown):
    head, _, data = markdown.partition("(data:image/svg+xml;base64,")
    assert head.startswith("![")
    return base64.b64decode(data.removesuffix(")")).decode()


def test_the_training_curve_is_a_picture_that_needs_nothing_else(shown, tmp_path):
    trained(tmp_path)
    show.artifacts(tmp_path, "embed/g", time.time(), True, LOG)
    svg = picture(shown["curve-embed-g"][0])
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {element.text for element in root.iter() if element.text} >= {"loss", "valid_loss", "epoch"}
    assert "var(" not in svg  # no style sheet of the page's
    assert "url(" not in svg
    assert "<script" not in svg


def test_confusions_and_scores_are_shown_of_an_evaluation(shown, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(tmp_path / "data/7_scores/c/confusion.csv", "of,actual,predicted,count\np/<b>,pos,pos,3\np/<b>,pos,neg,1\np/<b>,neg,neg,2\n")
    score = {"of": "p/x", "metric": "accuracy", "on": "all", "value": 5 / 6, "low": None, "high": 0.97, "n": 6, "note": ""}
    pq.write_table(pa.Table.from_pylist([score]), tmp_path / "data/7_scores/c/scores.parquet")
    show.artifacts(tmp_path, "evaluate/c", time.time(), True, LOG)
    texts = {element.text for element in ElementTree.fromstring(picture(shown["confusion-c"][0])).iter()}
    assert {"p/<b>", "pos", "neg", "3", "1", "2"} <= texts
    assert shown["scores-c"][0] == [{**score, "value": "0.833", "low": "", "high": "0.970"}]


def test_a_picture_too_large_for_the_ui_is_in_the_report_alone(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(show, "IMAGE_BYTES", 100)
    trained(tmp_path)
    show.artifacts(tmp_path, "embed/g", time.time(), True, LOG)
    assert "curve-embed-g" not in shown
    assert "run-embed-g" in shown


def test_one_thing_that_cannot_be_shown_hides_no_other(shown, tmp_path, caplog):
    trained(tmp_path)
    (tmp_path / "data/4_vectors/g/curve.csv").write_text("epoch,loss\n1,no number\n")
    show.artifacts(tmp_path, "embed/g", time.time(), True, LOG)
    assert "not everything of embed/g is shown" in caplog.text
    write(tmp_path / "data/report.md", "# Report")
    show.artifacts(tmp_path, "report/all", time.time(), True, LOG)
    assert shown["report"][0] == f"With plots: `{tmp_path / 'report.html'}`\n\n# Report"


@pytest.mark.slow
def test_a_closed_gate_reaches_a_real_server_as_an_event_that_an_automation_is_triggered_by(project, tmp_path):
    import os
    import subprocess
    import sys

    from tests.scratch import REPOSITORY

    # a server of its own: the harness's runs no automations
    project.write("params.yaml", {**project.params(), "closed": "vectors-g"})
    env = {**os.environ, "PREFECT_HOME": str(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY)}
    env = {name: value for name, value in env.items() if not name.startswith("PREFECT_API")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRIGGERED, str(project.root)], env=env, cwd=project.root, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    (event,) = told["events"]
    assert event["resource"]["prefect.resource.id"] == "wordloom.gate.vectors.g"
    assert event["payload"]["failed"][0]["expectation"] == "expect_column_values_to_be_unique"
    roles = {
        related["prefect.resource.role"]: related["prefect.resource.name"]
        for related in event["related"]
        if "prefect.resource.name" in related
    }
    assert roles["task-run"] == "check/vectors-g"
    assert roles["flow"] == "train"
    assert told["paused"], "the automation that waits for the event pauses a work pool's queue"
    assert told["run tags"] == ["main"]
    assert told["tags"]["embed/g"] == ["cpu", "embed", "g", "main"]


TRIGGERED = """
import json, sys, time
from pathlib import Path
import flows
from flows import server
server.embed(Path(sys.argv[1]))
from prefect.automations import Automation, EventTrigger, Posture
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.events.actions import PauseWorkQueue
from flows.train import train

with get_client(sync_client=True) as client:
    pool = client.create_work_pool(WorkPoolCreate(name="p", type="process"))
    queue = client.create_work_queue("q", work_pool_name="p")
    Automation(
        name="a gate closed", trigger=EventTrigger(expect={"wordloom.gate.failed"}, posture=Posture.Reactive, threshold=1),
        actions=[PauseWorkQueue(source="selected", work_queue_id=queue.id)],
    ).create()
    time.sleep(2)  # the server's trigger service reads new automations in the background
    state = train(sys.argv[1], return_state=True)
    assert state.is_failed(), state
    end = time.monotonic() + 120
    found, paused = [], False
    while time.monotonic() < end and not (found and paused):
        time.sleep(0.5)
        answer = client._client.post("/events/filter", json={"filter": {"event": {"name": ["wordloom.gate.failed"]}}}).json()
        found, paused = answer["events"], client.read_work_queue(queue.id).is_paused
    run = client.read_flow_run(state.state_details.flow_run_id)
    of = FlowRunFilter(id={"any_": [run.id]})
    tags = {task.name: sorted(task.tags) for task in client.read_task_runs(flow_run_filter=of)}
print(json.dumps({"events": found, "paused": paused, "run tags": run.tags, "tags": tags}))
"""
