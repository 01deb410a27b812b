"""One stage as a flow of its own: what a worker of the queue `cpu` or `gpu` runs."""

import contextlib
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, State

from flows import experiments, graph
from flows.git import main_checkout
from flows.place import allowed, die_with_worker
from flows.train import Starter, failure
from pipelines.errors import Fault
from tasks import children, dvc, store, worker

SENDER_S = 15.0  # how often a stage looks whether the run that sent it lives


def _name() -> str:
    """That of the run which sent it, or what was asked for."""
    return str(flow_run.name if flow_run.parent_flow_run_id else flow_run.parameters["name"])


@flow(name="stage", flow_run_name=_name)
def stage(name: str, root: str | None = None, clone: dict[str, Any] | None = None) -> State:
    """Brings one stage up to date; what it reads must be there, or in the DVC remote.

    Args:
        name: as in dvc.yaml, or verb/row.
        root: the project's folder; the current one when it is not given.
        clone: work in this machine's own clone instead: experiment, revision, params (the text of params.yaml),
            remote (DVC's), before (the entries of dvc.lock of what the stage reads).
    """
    die_with_worker()
    children.ALL.open()
    threading.Thread(target=_stop_with_sender, daemon=True).start()
    try:
        if clone:
            return _in_clone(main_checkout(Path(".")), name, **clone)
        return _run(allowed(root), name)
    except Fault as fault:
        return Failed(message=str(fault))
    finally:
        children.ALL.stop()
        APILogHandler().flush()  # who sent it reads the lines until the end of this run, and not after


def _stop_with_sender() -> None:
    """Stops the stage once the run that sent it is at its end: nobody would take what it makes, and the next run sends it anew.

    A sender that was taken for dead has the time between two looks to say that it lives.
    """
    sender, taken_for_dead = flow_run.parent_flow_run_id, False
    while sender:
        with contextlib.suppress(Exception), get_client(sync_client=True) as client:  # a server that is away is asked again
            state = client.read_flow_run(UUID(str(sender))).state
            if state is not None and state.is_final() and (taken_for_dead or not state.is_crashed()):
                children.ALL.stop()
                return
            taken_for_dead = state is not None and state.is_crashed()
        time.sleep(SENDER_S)


def _run(root: Path, name: str) -> State:
    part = graph.read(root).of([name])
    it = next(it for it in part.stages.values() if name in (it.name, it.label))
    reason = failure(Starter(root, tags=flow_run.tags, retried=not flow_run.parent_flow_run_id)(it, []))
    return Failed(message=reason) if reason else Completed(message=f"{it.label} is up to date")


def _in_clone(root: Path, name: str, experiment: str, revision: str, params: str, remote: str, before: dict[str, Any]) -> State:
    with experiments.opened(root, experiment, params, revision) as tree:
        dvc.put_entries(tree, before)
        store.pull(tree, list(before), remote)
        state = _run(tree, name)
        if state.is_completed():
            store.push(tree, [name], remote)
        worker.send(tree, name, graph.read(tree).stages[name].label, state.is_completed())
        return state
