"""`wordloom deploy`, against a real server: what it puts there, twice; and that the automations do what they say."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.states import Cancelled, Pending

from tests import serving

pytestmark = pytest.mark.slow
MARKING = ["wordloom: a run that was taken has not started", "wordloom: a silent run has crashed"]  # those that tell nobody


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy")
    with serving.running(serving.project(folder / "project").root, folder / "home") as server:
        yield server


def python(server, code: str, *args: str) -> str:
    """Runs code as a client of the server, in the project."""
    command = [sys.executable, "-c", "import sys; sys.path.insert(0, '.')\n" + code, *args]
    done = subprocess.run(command, cwd=server.root, env=server.client_env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def deploy(server, silence_s: float, patience_s: float = 600) -> str:
    code = """
from datetime import timedelta
from pathlib import Path
import flows
from flows.deploy import deploy
silence, patience = (timedelta(seconds=float(word)) for word in sys.argv[1:])
print(*deploy(Path("."), silence=silence, patience=patience), sep="\\n")
"""
    return python(server, code, str(silence_s), str(patience_s))


@contextlib.contextmanager
def webhook(server) -> Iterator[list[tuple[str, dict]]]:
    """A block that we tell, and what it hears: path and body."""
    heard: list[tuple[str, dict]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        python(server, HOOK, f"http://127.0.0.1:{listener.server_port}")
        yield heard
    finally:
        listener.shutdown()
        listener.server_close()


def told(heard: list[tuple[str, dict]]) -> dict[str, tuple[str, str]]:
    """The last word of each subject -> subject and body."""
    return {said["subject"].split()[-1]: (said["subject"], said["body"]) for _, said in heard}


def found(server) -> dict:
    """What is on the server, by name, with ids."""
    with serving.client(server) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        return {
            "deployments": {f"{flows[it.flow_id]}/{it.name}": it for it in client.read_deployments()},
            "queues": {it.name: it for it in client.read_work_queues(work_pool_name="wordloom")},
            "automations": {it.name: it for it in client.read_automations()},
            "ids": sorted(str(it.id) for it in [*client.read_deployments(), *client.read_automations(), *client.read_work_queues()]),
            "triggers": [it["trigger"]["id"] for it in client.request("POST", "/automations/filter", json={}).json()],
            "template": client.read_work_pool("wordloom").base_job_template,
        }


def test_deploying_again_changes_what_is_named_keeps_what_people_switched_off_and_doubles_nothing(server):
    first = found(server)
    assert {name: (it.work_pool_name, it.work_queue_name) for name, it in first["deployments"].items()}.items() >= {
        "train/nightly": ("wordloom", "default"),
        "stage/cpu": ("wordloom", "cpu"),
        "stage/gpu": ("wordloom", "gpu"),
    }.items()
    (schedule,) = first["deployments"]["train/nightly"].schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone, schedule.active) == ("0 2 * * *", "UTC", True)
    assert first["deployments"]["stage/gpu"].pull_steps == [{"flows.place.here": {"otherwise": str(server.root)}}]
    assert (first["queues"]["gpu"].concurrency_limit, first["queues"]["cpu"].concurrency_limit) == (1, None)
    assert first["queues"]["gpu"].priority < first["queues"]["cpu"].priority
    assert first["template"]["variables"]["properties"]["env"]["default"] == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    assert sorted(first["automations"]) == MARKING
    with serving.client(server) as client:
        client.update_deployment_schedule(first["deployments"]["train/nightly"].id, schedule.id, active=False)
        client.pause_deployment(first["deployments"]["stage/gpu"].id)
        client.pause_automation(first["automations"]["wordloom: a silent run has crashed"].id)
    done = server.wordloom("deploy", "--gpus", "3")
    assert done.returncode == 0, done.stderr
    again = found(server)
    assert again["ids"] == first["ids"]
    assert again["triggers"] == first["triggers"]  # a new one would forget the runs that it watches
    assert again["queues"]["gpu"].concurrency_limit == 3
    assert [it.active for it in again["deployments"]["train/nightly"].schedules] == [False]
    assert (again["deployments"]["stage/gpu"].paused, again["deployments"]["stage/cpu"].paused) == (True, False)
    assert again["automations"]["wordloom: a silent run has crashed"].enabled is False
    with serving.client(server) as client:
        client.resume_automation(first["automations"]["wordloom: a silent run has crashed"].id)
    deploy(server, silence_s=77)
    last = found(server)
    assert last["ids"] == first["ids"]
    assert last["queues"]["gpu"].concurrency_limit == 3
    assert last["automations"]["wordloom: a silent run has crashed"].trigger.within.total_seconds() == 77


def test_a_worker_of_a_queue_that_is_not_there_does_not_start_and_says_which_there_are(server):
    done = server.wordloom("worker", "gup", "cpu")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "fault: there is no queue 'gup'; there are cpu, default, gpu. Did you mean 'gpu'?",
        "fault: A queue of your own comes with its deployment in prefect.yaml. Run: wordloom deploy",
    ]


def test_without_a_server_or_a_prefect_yaml_it_says_what_is_missing(server):
    unnamed = server.wordloom("deploy", PREFECT_API_URL="")
    assert (unnamed.returncode, unnamed.stderr.splitlines()[0][:43]) == (2, "fault: no Prefect server is named. Start on")
    file = server.root / "prefect.yaml"
    text = file.read_text()
    file.unlink()
    done = server.wordloom("deploy")
    assert (done.returncode, done.stderr) == (2, f"fault: prefect.yaml is missing in {server.root}: it says what there is to deploy\n")
    file.write_text(text.replace("flows.stage.stage", "flows.stage.nothing"))
    done = server.wordloom("deploy")
    assert done.returncode == 2
    assert done.stderr.startswith("fault: prefect.yaml was not deployed: ")
    file.write_text(text)


RUN = """
import sys, time
from prefect import flow

@flow(name="train")
def train(seconds: float):
    print("started", flush=True)
    time.sleep(seconds)
    raise ValueError("embed/glove failed: no such corpus")

train(float(sys.argv[1]))
"""

HOOK = """
from prefect.blocks.notifications import CustomWebhookNotificationBlock
CustomWebhookNotificationBlock(
    name="test", url=sys.argv[1] + "/{{key}}", json_data={"subject": "{{subject}}", "body": "{{body}}"}, secrets={"key": "hush"}
).save("wordloom", overwrite=True)
"""

MAIL = """
from prefect.blocks.notifications import SendgridEmail
SendgridEmail(api_key="hush", sender_email="from@example.org", to_emails=["to@example.org"]).save("wordloom")
"""

EVENT = """
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
emit_event("wordloom.gate.failed", resource={"prefect.resource.id": "wordloom.gate.vectors.glove"}, payload={"failed": ["norm"]})
EventsWorker.drain_all(timeout=60)
"""


def heartbeats(server) -> int:
    with serving.client(server) as client:
        return client.request("POST", "/events/filter", json={"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}}).json()[
            "total"
        ]


def forget_blocks(server) -> None:
    with serving.client(server) as client:
        for block in client.read_block_documents():
            if block.name == "wordloom":
                client.delete_block_document(block.id)


def test_a_killed_run_is_marked_and_a_webhook_hears_of_failures_and_of_closed_gates(server):
    with webhook(server) as heard:
        assert "notifications go to custom-webhook/wordloom" in deploy(server, silence_s=15)
        run = subprocess.Popen([sys.executable, "-c", RUN, "600"], env=server.client_env, stdout=subprocess.PIPE, text=True)
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == "started\n"
            serving.until(lambda: heartbeats(server))
            run.kill()
            failed = subprocess.run([sys.executable, "-c", RUN, "0"], env=server.client_env, capture_output=True, text=True, timeout=120)
            assert "no such corpus" in failed.stderr
            python(server, EVENT)
            # by name, not by number: an event that is sent again after a broken connection is told of twice
            serving.until(lambda: set(told(heard)) == {"closed", "Crashed", "Failed"}, heard)
        finally:
            run.kill()
            run.wait()
    assert {path for path, _ in heard} == {"/hush"}
    news = told(heard)
    assert news["closed"] == ("wordloom.gate.vectors.glove: the gate is closed", '{"failed": ["norm"]}')
    assert news["Crashed"][0].startswith("train ")
    assert news["Crashed"][1].startswith("no heartbeat for 15 s: its process, its worker or its machine is gone")
    subject, why_failed = news["Failed"]
    assert subject.startswith("train ")
    assert "embed/glove failed: no such corpus" in why_failed
    assert f"{server.url}/" in why_failed
    assert "hush" not in server.wordloom("deploy").stdout + server.said.read_text() + (server.root / ".wordloom/server.log").read_text()
    # another block is told instead; without one there is nobody to tell
    forget_blocks(server)
    python(server, MAIL)
    assert "notifications go to sendgrid-email/wordloom" in deploy(server, silence_s=15)
    forget_blocks(server)
    assert "nobody is told" in deploy(server, silence_s=15)
    assert sorted(found(server)["automations"]) == MARKING


def test_a_run_that_no_worker_takes_is_told_of_and_one_that_somebody_cancels_is_not(server):
    with webhook(server) as heard, serving.client(server) as client:
        deploy(server, silence_s=90, patience_s=20)
        clean = client.read_deployment_by_name("clean/weekly")
        waits, cancelled = (client.create_flow_run_from_deployment(clean.id, name=name) for name in ("waits", "cancelled"))

        def state(run) -> str:
            return client.read_flow_run(run.id).state_name

        serving.until(lambda: {state(waits), state(cancelled)} == {"Late"}, lambda: (state(waits), state(cancelled)))
        client.set_flow_run_state(cancelled.id, Cancelled())
        serving.until(lambda: heard, heard)
        time.sleep(20)  # in which it would be told of the other one too
        client.delete_flow_run(waits.id)
        deploy(server, silence_s=90)
    assert [said["subject"] for _, said in heard] == ["clean waits: late"]
    assert heard[0][1]["body"].startswith("No worker took it. Is one running? Start it: wordloom worker")
    forget_blocks(server)


def test_a_run_whose_worker_is_killed_before_it_starts_it_is_marked_and_one_that_waits_for_a_worker_is_not(server):
    with serving.client(server) as client:
        deploy(server, silence_s=90, patience_s=20)
        clean = client.read_deployment_by_name("clean/weekly")
        taken, waits = (client.create_flow_run_from_deployment(clean.id, name=name) for name in ("taken", "waits"))
        client.set_flow_run_state(taken.id, Pending())  # what a worker says before it starts the process
        serving.until(lambda: client.read_flow_run(taken.id).state_name == "Crashed")
        assert client.read_flow_run(taken.id).state.message.startswith("a worker took it, and it has not started within 20 s")
        assert client.read_flow_run(waits.id).state.is_scheduled()
        client.delete_flow_run(waits.id)
        deploy(server, silence_s=90)
