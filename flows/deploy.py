"""Everything of this project that a Prefect server has to know: pool, queues, deployments, automations.

Done again, it updates what is there. What people switched off in the UI stays off: a schedule, a
deployment, an automation. So do limits that are not named.
"""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkQueue
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from flows import HEARTBEAT_S, automations
from flows.place import POOL, refused
from pipelines.errors import Fault
from tasks import children

QUEUES = {"gpu": 1, "cpu": 2}  # a worker of both takes what waits for a GPU first
FILE = "prefect.yaml"


def deploy(
    root: Path, gpus: int | None = None, silence: timedelta = automations.SILENCE, patience: timedelta = automations.LATE
) -> list[str]:  # fmt: skip
    """Puts the project on the server that Prefect's settings name, and says what is there now.

    Args:
        root: the project's folder; the deployments' runs start from it.
        gpus: how many runs of the queue `gpu` at a time; None leaves a limit that is there, and makes it 1 where none is.
        silence: a run without a heartbeat for so long has crashed.
        patience: a run that is late for so long is told of, one that a worker took and has not started for so long has crashed.

    Raises:
        Fault: no prefect.yaml, not let in, or what Prefect says against it.
    """
    if not (root / FILE).exists():
        raise Fault(f"{FILE} is missing in {root.resolve()}: it says what there is to deploy")
    try:
        with get_client(sync_client=True) as client:
            _pool(client)
            limit = _queues(client, gpus)
            off = _switched_off(client)
            names = _deployments(root, client)
            _switch_off(client, off)
            blocks = _blocks(client)
            kept = _automations(client, sorted({name.partition("/")[0] for name in names}), silence, patience, list(blocks.values()))
    except PrefectHTTPStatusError as err:
        raise refused(err) from err
    notified = (
        f"notifications go to {', '.join(blocks)}" if blocks else f"no notification block is called {automations.BLOCK}: nobody is told"
    )
    return [
        f"work pool {POOL}: queues cpu, gpu ({limit} at a time)",
        f"deployments: {', '.join(names)}",
        f"automations: {', '.join(name.removeprefix('wordloom: ') for name in kept)}; {notified}",
    ]


def _pool(client: SyncPrefectClient) -> None:
    from prefect.workers.process import ProcessWorker

    # heartbeats from whatever worker serves the pool
    heartbeat = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S)}
    try:
        template = client.read_work_pool(POOL).base_job_template
        if (env := _env(template)) is not None and not heartbeat.items() <= (env.get("default") or {}).items():
            env["default"] = {**(env.get("default") or {}), **heartbeat}
            client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        env = _env(template)
        assert env is not None
        env["default"] = heartbeat
        client.create_work_pool(WorkPoolCreate(name=POOL, type=ProcessWorker.type, base_job_template=template))


def _env(template: dict[str, Any]) -> dict[str, Any] | None:
    """Where a pool's template keeps the environment of its runs; pools of other types may have none."""
    return template.get("variables", {}).get("properties", {}).get("env")


def _queues(client: SyncPrefectClient, gpus: int | None) -> int:
    """Gives the limit of the queue `gpu`."""
    for name, priority in QUEUES.items():
        try:
            queue = client.read_work_queue_by_name(name, work_pool_name=POOL)
        except ObjectNotFound:
            queue = client.create_work_queue(name, work_pool_name=POOL, priority=priority)
        if queue.priority != priority:
            client.update_work_queue(queue.id, priority=priority)
    gpu: WorkQueue = client.read_work_queue_by_name("gpu", work_pool_name=POOL)
    limit = gpus or gpu.concurrency_limit or 1
    if limit != gpu.concurrency_limit:
        client.update_work_queue(gpu.id, concurrency_limit=limit)
    return limit


def _deployments(root: Path, client: SyncPrefectClient) -> list[str]:
    """Those of prefect.yaml, by Prefect's own command: it reads more of that file than its Python functions do."""
    # the file's {{ $PWD }}; no question is asked, no colour given
    env = {**os.environ, "PWD": str(root.resolve()), "NO_COLOR": "1"}
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(
        children.guarded(command), cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()]
        raise Fault(
            f"{FILE} was not deployed: {' '.join(said[-3:]) or f'exit status {done.returncode}'}. Run: prefect --no-prompt deploy --all"
        )
    flows = {flow.id: flow.name for flow in client.read_flows()}
    return sorted(f"{flows[it.flow_id]}/{it.name}" for it in client.read_deployments() if it.work_pool_name == POOL)


def _switched_off(client: SyncPrefectClient) -> set[tuple[UUID, str]]:
    """(deployment, schedule) that somebody switched off, "" for the deployment itself; Prefect's command switches all on."""
    there = client.read_deployments()
    return {(it.id, repr(s.schedule)) for it in there for s in it.schedules if not s.active} | {(it.id, "") for it in there if it.paused}


def _switch_off(client: SyncPrefectClient, off: set[tuple[UUID, str]]) -> None:
    for it in client.read_deployments():
        for schedule in it.schedules:
            if schedule.active and (it.id, repr(schedule.schedule)) in off:
                client.update_deployment_schedule(it.id, schedule.id, active=False)
        if (it.id, "") in off:
            client.pause_deployment(it.id)


def _blocks(client: SyncPrefectClient) -> dict[str, UUID]:
    """The notification blocks that somebody made for us: type/name -> id."""
    return {
        f"{it.block_type.slug}/{it.name}": it.id
        for it in client.read_block_documents(include_secrets=False)
        if it.name == automations.BLOCK and it.block_type and it.block_schema and "notify" in it.block_schema.capabilities
    }


def _automations(client: SyncPrefectClient, flows: list[str], silence: timedelta, patience: timedelta, blocks: list[UUID]) -> list[str]:
    """Makes ours, or brings them up to date; gives their names. Those that tell somebody go when there is nobody to tell."""
    wanted = [automations.zombies(flows, silence), automations.stillborn(flows, patience), *automations.told(blocks, patience)]
    for it in wanted:
        first, *more = client.read_automations_by_name(it.name) or [None]
        if not it.actions:
            more = [same for same in [first, *more] if same]
        elif first is None:
            client.create_automation(it)
        else:
            # not without need: a changed trigger forgets the runs that it watches
            now = it.model_dump(exclude={"owner_resource"}) | {"enabled": first.enabled}
            if now != first.model_dump(exclude={"owner_resource", "id"}):
                client.update_automation(first.id, AutomationCore(**now))
        for same in more:
            client.delete_automation(same.id)
    return [it.name for it in wanted if it.actions]
