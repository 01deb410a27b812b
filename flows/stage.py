"""One stage as a flow of its own: what a worker of the queue `cpu` or `gpu` runs."""

from pathlib import Path

from prefect import flow
from prefect.states import Completed, Failed, State

from flows import graph
from flows.train import Starter, failure
from pipelines.errors import Fault
from tasks import children


@flow(name="stage", flow_run_name="{name}")
def stage(name: str, root: str | None = None) -> State:
    """Brings one stage up to date; what it reads must be there.

    Args:
        name: as in dvc.yaml, or verb/row.
        root: the project's folder; the current one when it is not given.
    """
    place = Path(root or ".").resolve()
    children.ALL.open()
    try:
        part = graph.read(place).of([name])
        it = next(it for it in part.stages.values() if name in (it.name, it.label))
        reason = failure(Starter(place)(it, []))
    except Fault as fault:
        return Failed(message=str(fault))
    finally:
        children.ALL.stop()
    return Failed(message=reason) if reason else Completed(message=f"{it.label} is up to date")
