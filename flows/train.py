"""The whole DAG of dvc.yaml, or a part of it, as one Prefect flow.

DVC says what has changed and runs each stage; Prefect runs, waits, retries and shows. A stage that is
up to date when its turn comes is not submitted.
"""

import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows import graph
from flows.graph import Graph, Stage
from pipelines.errors import Fault
from pipelines.layout import DAG
from tasks import children, dvc, stage, workspace

TICK_S = 5.0  # how often a waiting flow looks whether somebody cancelled it
ONE_AT_A_TIME = {"gpu"}  # two stages on one GPU would share its memory


@dataclass
class Outcome:
    """What became of each stage."""

    ran: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)  # up to date when its turn came
    failed: dict[str, str] = field(default_factory=dict)  # stage -> reason
    behind: list[str] = field(default_factory=list)  # not run, since something before it failed
    cancelled: bool = False

    @property
    def ended(self) -> set[str]:
        return {*self.ran, *self.current}

    def text(self, part: Graph) -> str:
        """In words, with each failed stage and its reason."""
        label = {name: stage.label for name, stage in part.stages.items()}
        lines = [f"{label[name]} failed: {reason}" for name, reason in self.failed.items()]
        if self.behind:
            lines.append(f"not run, since it comes after: {', '.join(label[name] for name in self.behind)}")
        lines.append(
            f"{len(self.ran)} stages ran, {len(self.current)} were up to date, {len(self.failed)} failed, {len(self.behind)} not run"
        )
        return "\n".join(lines)


def _name() -> str:
    """The run's name in the UI: the folder, and the commit when there is one."""
    root = Path(flow_run.parameters.get("root") or ".").resolve()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True)
    return f"{root.name} {commit.stdout.strip()}".strip()


@flow(name="train", flow_run_name=_name, task_runner=ThreadPoolTaskRunner())
def train(root: str | None = None, targets: list[str] | None = None, jobs: int = 2) -> State:
    """Brings the DAG up to date, what is independent at the same time.

    Args:
        root: the project's folder; the current one when it is not given.
        targets: stage names or verb/row; what they need is brought up to date first. All when not given.
        jobs: how many stages run at a time.
    """
    place = Path(root or ".").resolve()
    children.ALL.open()
    try:
        with workspace.alone(place):
            part = graph.read(place).of(targets or [])
            outcome = walk(part, Judge(place, part), Starter(place), jobs, _is_cancelled)
            children.ALL.stop()
            dvc.order_lock(place)
    except Fault as fault:
        return Failed(message=str(fault))
    finally:  # a signal comes this way too
        children.ALL.stop()
    text = outcome.text(part)
    if outcome.cancelled:
        return Cancelled(message=text)
    return Failed(message=text) if outcome.failed else Completed(message=text)


class Judge:
    """Says why a stage has to run, once all before it have ended."""

    def __init__(self, root: Path, part: Graph):
        self.root, self.part = root, part
        self.found = dvc.status(root)
        self.locked = dvc.read_lock(root)
        self.n_ran = 0

    def __call__(self, name: str, ran: Collection[str]) -> str | None:
        if len(ran) != self.n_ran:
            self.locked, self.n_ran = dvc.read_lock(self.root), len(ran)
        return graph.due(self.root, self.part, name, self.found, ran, self.locked)


class Starter:
    """Submits a stage as a task, after the tasks that made what it reads."""

    def __init__(self, root: Path):
        self.root = root
        self.futures: dict[str, Any] = {}

    def __call__(self, it: Stage, before: Collection[str]) -> Any:
        task = stage.of(it.label, it.verb, it.row, it.queue, it.retries)
        earlier = [self.futures[name] for name in sorted(before) if name in self.futures]  # the lines in the UI's graph
        self.futures[it.name] = task.submit(str(self.root), it.name, it.label, it.timeout_s, wait_for=earlier)
        return self.futures[it.name]


def walk(
    part: Graph,
    why: Callable[[str, Collection[str]], str | None],
    start: Callable[[Stage, Collection[str]], Any],
    jobs: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Starts each stage that has to run when all before it have ended; what failed stops only what comes after it.

    Args:
        why: (stage, stages that ran) -> the reason to run it, or None.
        start: (stage, stages before it) -> a future of Prefect's.
        jobs: how many run at a time.
        cancelled: asked now and then while waiting; when it says so, all are stopped.
    """
    outcome = Outcome()
    waiting = list(part.stages)
    running: dict[str, Stage] = {}
    done: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    while waiting or running:
        n_waiting = len(waiting)
        for name in list(waiting):
            it, before = part.stages[name], part.before(name)
            if outcome.cancelled or before & {*outcome.failed, *outcome.behind}:
                outcome.behind.append(name)
            elif not before <= outcome.ended:
                continue
            elif why(name, outcome.ran) is None:
                outcome.current.append(name)
            elif len(running) >= jobs or (it.queue in ONE_AT_A_TIME and any(other.queue == it.queue for other in running.values())):
                continue
            else:
                running[name] = it
                start(it, before).add_done_callback(lambda future, name=name: done.put((name, future)))
            waiting.remove(name)
        if not running:
            if len(waiting) == n_waiting:
                raise Fault(f"{DAG}: stages need each other in a ring, among {', '.join(waiting)}")
            continue
        try:
            name, future = done.get(timeout=TICK_S)
        except Empty:
            if not outcome.cancelled and cancelled():
                outcome.cancelled = True
                children.ALL.stop()  # what runs fails now, and what would start too
            continue
        del running[name]
        reason = failure(future)
        if reason is None:
            outcome.ran.append(name)
        else:
            outcome.failed[name] = reason
    return outcome


def failure(future: Any) -> str | None:
    """Why a task failed, None when it did not."""
    future.wait()
    if future.state.is_completed():
        return None
    return future.state.message or future.state.name


def _is_cancelled() -> bool:
    """Whether somebody pressed Cancel in the UI; a flow in this process is not told otherwise."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return False
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(context.flow_run.id).state
    except Exception:  # a server that does not answer for a moment is no reason to stop; it is asked again
        return False
    return state is not None and (state.is_cancelling() or state.is_cancelled())
