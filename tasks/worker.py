"""A stage on a worker: a flow run of the deployment `stage/<queue>`, watched to its end.

Workers see the same folder, or have clones of their own. Then what the stage reads goes to them through
a DVC remote, what it makes comes back the same way, and its entry of dvc.lock through Prefect.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from prefect.artifacts import Artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import Log, WorkerStatus, WorkQueueStatus
from prefect.client.schemas.sorting import LogSort
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelling, Crashed, State

from pipelines import layout
from pipelines.errors import Fault
from tasks import children, dvc, mend, show, store

FOLDER = "WORDLOOM_FOLDER"  # where a worker was started, for the processes of its runs
NO_WAY = re.compile("Flow run encountered an exception: (Connect|Read|Write|RemoteProtocol|PrefectHTTPStatus)")
TAKEN = re.compile(r"Worker '(.+)' submitting flow run")  # what a worker says first of a run
POLL_S = 0.5
LOOK_S = 15.0  # between two looks at the workers
GONE = 5  # looks, one after the other, at which a worker was not there; after an outage of the server it has to be heard of first
LOST = 2  # how often a stage is sent again, whatever its retries, when its worker is lost: that is no fault of the stage
PATIENCE_S = 600.0  # how long the server may be away
NO_ANSWER = f"Prefect's server has not answered for {PATIENCE_S:.0f} s"
CANCEL_S = 20.0  # how long a worker may take to end a run that is cancelled
REMIND_S = 60.0  # between two words on a run that no worker has taken
UNMANNED_S = 600.0  # how long a run waits where no worker asks for the queue's runs
POOL = "wordloom"
PARCEL = "parcel"  # the key of the artifact that brings back what DVC's remote does not carry
PARCEL_BYTES = 4_000_000  # a gate's page with its examples, and a record


def run(
    root: Path, name: str, label: str, say: Callable[[str], None],
    queue: str, tags: list[str], before: list[str], clone: dict[str, Any] | None,
) -> str | None:  # fmt: skip
    """Has a worker of the queue bring one stage up to date.

    Args:
        before: the stages whose outputs it reads.
        clone: for workers with clones of their own: experiment, revision, and the DVC remote between them.

    Returns:
        Why it failed, None when it did not.

    Raises:
        Fault, InterruptedError, TimeoutError: what it reads or makes could not be sent, the run was stopped,
            no worker took it.
    """
    parameters: dict[str, Any] = {"name": name}
    if clone:
        store.push(root, before, clone["remote"])
        parameters["clone"] = {**clone, "params": (root / layout.PARAMS).read_text(encoding="utf-8"), "before": dvc.entries(root, before)}
    else:
        parameters["root"] = str(root)
    for attempt in range(1 + LOST):
        sent = _send(f"stage/{queue}", parameters=parameters, flow_run_name=label, tags=tags)
        state = _watch(sent, queue, say)
        if not _is_lost(state) or attempt == LOST:
            break
        say(f"its worker was lost ({state.message}); it is sent again")
        if clone is None:  # the DVC that died with it may have left half a file
            mend.mend(root)
    if clone:
        _bring(root, name, label, sent, clone["remote"], state.is_completed())
    elif state.is_completed() and not _is_here(root, name):
        return f"its worker made it, and it is not in {root}: the worker sees another disk. Workers with clones of their own need --remote"
    return None if state.is_completed() else state.message or state.name


def _is_lost(state: State) -> bool:
    """Whether the stage's process, or its way to the server, broke: what a stage itself says of its failure is no exception of Prefect's."""
    return state.is_crashed() or (state.is_failed() and bool(NO_WAY.match(state.message or "")))


def _send(deployment: str, **more: Any) -> UUID:
    """The flow run that was made, once the server answers."""
    end, key = time.monotonic() + PATIENCE_S, str(uuid4())  # the key: one run, also when the first answer was lost
    while True:
        try:
            return run_deployment(deployment, timeout=0, idempotency_key=key, **more).id
        except httpx.HTTPError as err:
            if children.ALL.stopped:
                raise InterruptedError("the run was stopped") from err
            if time.monotonic() > end:
                raise Fault(f"{NO_ANSWER} ({err!r}). Start it again, and run again") from err
            time.sleep(POLL_S)


def _watch(run_id: UUID, queue: str, say: Callable[[str], None]) -> State:
    """Waits for the end of a flow run and hands on the lines of its stage; how long that may run, its worker sees to."""
    sent = seen = looked = manned = time.monotonic()
    n_lines, taker = 0, None
    with get_client(sync_client=True) as client:
        crew = Crew(client)
        while True:
            if children.ALL.stopped:
                _cancel(client, run_id)
                raise InterruptedError("the run was stopped")
            try:
                state = client.read_flow_run(run_id).state
                assert state is not None
                while logs := _logs(client, run_id, n_lines):  # the server gives some at a time
                    n_lines += len(logs)
                    for log in logs:
                        taker = match[1] if (match := TAKEN.match(log.message)) else taker
                        if _is_a_line(log):
                            say(log.message)
                seen = time.monotonic()
                if state.is_final():
                    return state
                if not state.is_scheduled() and (who := crew.gone(taker)):
                    lost = Crashed(message=f"its worker is gone, {who}")
                    client.set_flow_run_state(run_id, lost, force=True)
                    return lost
                if (state.is_scheduled() or state.is_pending()) and seen - looked > REMIND_S:
                    looked = seen
                    manned = seen if _is_served(client, queue) else manned
                    say(f"waits for a worker of the queue {queue}")
                    if seen - manned > UNMANNED_S:
                        _cancel(client, run_id)
                        raise TimeoutError(
                            f"no worker of the queue {queue} took it in {seen - sent:.0f} s. Start one: wordloom worker {queue}"
                        )
            except ObjectNotFound:
                raise Fault("its flow run was deleted; run again") from None
            except (httpx.HTTPError, PrefectHTTPStatusError) as err:
                crew.n_absent = 0
                if time.monotonic() - seen > PATIENCE_S:
                    raise Fault(f"{NO_ANSWER} ({err!r}). Start it again, and run again") from err
            time.sleep(POLL_S)


class Crew:
    """The workers, as one sees them who waits for a run of theirs.

    The server's automation goes by the run's heartbeats. A run that was taken and not started has none yet, and with SQLite,
    which is locked now and then, the server may lose the first of one that has.
    """

    def __init__(self, client: SyncPrefectClient):
        self.client, self.known, self.n_absent, self.looked = client, set[str](), 0, time.monotonic()

    def gone(self, taker: str | None) -> str:
        """The worker that has the run, when it has not been there for a while; all who are not where nobody said that he took it."""
        if time.monotonic() - self.looked < LOOK_S:
            return ""
        self.looked = time.monotonic()
        there = {worker.name for worker in self.client.read_workers_for_work_pool(POOL) if worker.status == WorkerStatus.ONLINE}
        self.known |= there
        absent = {taker} - there if taker else self.known - there
        self.n_absent = self.n_absent + 1 if absent else 0
        return ", ".join(sorted(absent)) if self.n_absent >= GONE else ""


def _is_here(root: Path, name: str) -> bool:
    locked = dvc.read_lock(root).get(name)
    return locked is not None and all((root / out["path"]).exists() for out in locked.get("outs") or [])


def _is_served(client: SyncPrefectClient, queue: str) -> bool:
    """Whether a worker has asked for the queue's runs within the last minute or so; it may be busy with others."""
    return client.read_work_queue_by_name(queue, POOL).status != WorkQueueStatus.NOT_READY


def _logs(client: SyncPrefectClient, run_id: UUID, n_known: int) -> list[Log]:
    return client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])), offset=n_known, sort=LogSort.TIMESTAMP_ASC)


def _is_a_line(log: Log) -> bool:
    """Whether the stage printed it; not Prefect's own words on its task."""
    return log.name == "prefect.task_runs" and not log.message.startswith(("Finished in state", "Created task run", "Task run "))


def _cancel(client: SyncPrefectClient, run_id: UUID) -> None:
    """Has the worker end the run, and waits for that a while; without a server the worker's run sees by itself that nobody waits."""
    end = time.monotonic() + CANCEL_S
    with contextlib.suppress(httpx.HTTPError, PrefectHTTPStatusError, ObjectNotFound):
        client.set_flow_run_state(run_id, Cancelling())
        while time.monotonic() < end:
            state = client.read_flow_run(run_id).state
            if state is None or state.is_final():
                return
            time.sleep(0.2)


def send(root: Path, name: str, label: str, done: bool) -> None:
    """On the worker: hands back a stage's entry of dvc.lock, when it is done, and the small files of it that lie outside DVC."""
    files = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in _beside(root, label) if path.exists()}
    data = {"entry": dvc.entries(root, [name])[name] if done else None, "files": files}
    Artifact(type="wordloom", key=PARCEL, description=f"dvc.lock's entry of {label}", data=data).create()


def _beside(root: Path, label: str) -> list[Path]:
    """A gate's pages, or a row's newest record."""
    if pages := _pages(label):
        return [root / page for page in pages]
    verb, _, row = label.partition("/")
    newest = show.newest_record(root, verb, row)
    return [newest] if newest else []


def _is_of(path: str, label: str) -> bool:
    """Whether a worker may send this file for the stage."""
    if pages := _pages(label):
        return path in pages
    row = re.escape(label.partition("/")[2])
    return bool(re.fullmatch(rf"{re.escape(layout.RECORDS)}/[a-z]+/{row}-[0-9a-f]{{12}}\.json", path))


def _pages(label: str) -> list[str]:
    """What a gate writes outside of DVC; nothing for a row."""
    verb, _, row = label.partition("/")
    noun, _, name = row.partition("-")
    return [layout.gate_report(noun, name, kind) for kind in ("json", "html")] if verb == "check" else []


def _bring(root: Path, name: str, label: str, run_id: UUID, remote: str, done: bool) -> None:
    """Takes a stage's files, and when it is done its entry and output, over from its worker.

    Raises:
        Fault: they are not what this project implies.
    """
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]), key=ArtifactFilterKey(any_=[PARCEL]))
        )
    if not found and not done:
        return  # it ended before it could send anything
    if not found or len(str(found[0].data)) > PARCEL_BYTES:
        raise Fault(f"{name}: its worker sent back no entry of {dvc.LOCK}, or one too large. Is its clone of another version? Run again")
    parcel = json.loads(str(found[0].data))
    files, entry = parcel["files"], parcel["entry"]
    if wrong := [path for path in files if not _is_of(path, label)]:
        raise Fault(f"{name}: the worker sent {wrong[0]!r}, which is no file of this stage. Is its clone of another version?")
    for path, text in files.items():
        layout.write_aside(root / path, text)
    if not done:
        return
    body = dvc.load(root / layout.DAG)["stages"][name]
    outs = {next(iter(out)) if isinstance(out, dict) else out for out in body.get("outs") or []}
    if not isinstance(entry, dict) or entry.get("cmd") != body["cmd"] or {out["path"] for out in entry.get("outs") or []} != outs:
        raise Fault(f"{name}: what the worker sent is no entry of this stage for {dvc.LOCK}. Is its clone of another version?")
    known = dvc.read_lock(root).get(name)
    dvc.put_entries(root, {name: entry})
    try:
        store.pull(root, [name], remote)
        if differs := dvc.status(root, name):
            raise Fault(
                f"{name}: what the worker made is not what this project implies: {json.dumps(differs[name])}. Has it other files than the commit?"
            )
    except BaseException:
        dvc.put_entries(root, {name: known})
        raise
