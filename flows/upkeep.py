"""What is done for a project by a schedule or a button besides runs: all gates again, hashing, cleaning up."""

from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows import cleanup, experiments, graph
from flows import verify as hashing
from flows.git import main_checkout
from flows.place import die_with_worker
from flows.train import Starter, is_cancelled, walk
from pipelines.errors import Fault
from tasks import children, dvc, workspace


@flow(name="gates", task_runner=ThreadPoolTaskRunner())
def gates(experiment: str | None = None, jobs: Annotated[int, Field(ge=1)] = 2) -> State:
    """Runs every gate again on what lies in data/, whether or not something changed.

    The pass token of one that closes goes, so that nothing runs on that artifact.

    Args:
        experiment: in whose worktree; the folder itself when not given.
        jobs: how many gates run at a time.
    """
    die_with_worker()
    children.ALL.open()
    try:
        root = experiments.existing(main_checkout(Path(".")), experiment) if experiment else Path(".").resolve()
        with workspace.alone(root):
            whole = graph.read(root)
            checks = {name: it for name, it in whole.stages.items() if it.verb == "check" and (root / it.deps[0]).exists()}
            part = graph.Graph(checks, {name: {} for name in checks})
            outcome = walk(part, lambda name, ran: "asked for", Starter(root, again=True), jobs, is_cancelled)
            dvc.order_lock(root)
    except Fault as fault:
        return Failed(message=str(fault))
    finally:
        children.ALL.stop()
    text = outcome.text(part)
    if outcome.cancelled:
        return Cancelled(message=text)
    return Failed(message=text) if outcome.failed else Completed(message=text)


@flow(name="verify")
def verify(remote: str | None = None, repair: bool = False) -> State:
    """Hashes DVC's cache and data/ of the folder and its worktrees: `wordloom verify`.

    Args:
        remote: a DVC remote that is hashed too.
        repair: put right what is altered or missing.
    """
    die_with_worker()
    children.ALL.open()
    try:
        return Completed(message=hashing.verify(Path("."), [], remote, repair))
    except Fault as fault:
        return Failed(message=str(fault))
    finally:
        children.ALL.stop()


@flow(name="clean")
def clean(keep_days: Annotated[int, Field(ge=0)] = 30) -> State:
    """Removes what nothing refers to: `wordloom clean`."""
    die_with_worker()
    try:
        swept = cleanup.clean(main_checkout(Path(".")), keep_days, dry=False)
    except Fault as fault:
        return Failed(message=str(fault))
    for line in swept.lines:
        get_run_logger().info("%s", line)
    return Completed(message=f"{len(swept.lines)} things, {hashing.size(swept.n_bytes)}")
