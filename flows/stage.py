"""One stage as a flow of its own: what a worker of the queue `cpu` or `gpu` runs."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, State

from flows import experiments, graph
from flows.git import main_checkout
from flows.place import die_with_worker
from flows.train import Starter, failure
from pipelines.errors import Fault
from tasks import cache, children, dvc, worker


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
    try:
        if clone:
            return _in_clone(main_checkout(Path(".")), name, **clone)
        place = Path(root or ".").resolve()
        if not place.is_dir():
            raise Fault(f"there is no {place} on this worker's machine. Workers that do not share the disk need --remote")
        return _run(place, name)
    except Fault as fault:
        return Failed(message=str(fault))
    finally:
        children.ALL.stop()


def _run(root: Path, name: str) -> State:
    part = graph.read(root).of([name])
    it = next(it for it in part.stages.values() if name in (it.name, it.label))
    reason = failure(Starter(root, tags=flow_run.tags)(it, []))
    return Failed(message=reason) if reason else Completed(message=f"{it.label} is up to date")


def _in_clone(root: Path, name: str, experiment: str, revision: str, params: str, remote: str, before: dict[str, Any]) -> State:
    with experiments.opened(root, experiment, params, revision) as tree:
        dvc.put_entries(tree, before)
        cache.pull(tree, list(before), remote)
        state = _run(tree, name)
        if state.is_completed():
            cache.push(tree, [name], remote)
        worker.send(tree, name, graph.read(tree).stages[name].label, state.is_completed())
        return state
