"""prefect.yaml deploys, against a server of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_prefect_deploys_the_nightly_run_and_a_stage_on_each_queue(tmp_path):
    code = f"""
import os, subprocess, sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
import flows
from flows import server
os.environ["PREFECT_API_URL"] = server.embed(Path({str(tmp_path)!r}))
for command in (["work-pool", "create", "wordloom", "--type", "process"], ["--no-prompt", "deploy", "--all"]):
    subprocess.run([sys.executable, "-m", "prefect", *command], cwd={str(HERE)!r}, check=True)
from prefect.client.orchestration import get_client
import json
with get_client(sync_client=True) as client:
    found = []
    for it in client.read_deployments():
        flow = client.read_flow(it.flow_id).name
        schedules = [[s.schedule.cron, s.schedule.timezone, s.active] for s in it.schedules]
        found.append([f"{{flow}}/{{it.name}}", it.work_pool_name, it.work_queue_name, it.pull_steps, schedules])
    print("FOUND", json.dumps(found))
"""
    env = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "home"),
        "PWD": str(tmp_path),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    env.pop("PREFECT_API_URL", None)
    done = subprocess.run([sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found = {name: rest for name, *rest in json.loads(line.removeprefix("FOUND "))}
    assert found["stage/gpu"][2][0]["prefect.deployments.steps.set_working_directory"]["directory"] == str(tmp_path)
    assert {name: (pool, queue) for name, (pool, queue, *_) in found.items()} == {
        "train/nightly": ("wordloom", "cpu"),
        "stage/cpu": ("wordloom", "cpu"),
        "stage/gpu": ("wordloom", "gpu"),
    }
    assert found["train/nightly"][3] == [["0 2 * * *", "UTC", True]]
