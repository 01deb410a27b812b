"""The whole DAG of dvc.yaml, or a part of it, as one Prefect flow.

DVC says what has changed and runs each stage; Prefect runs, waits, retries and shows. A stage that is
up to date when its turn comes is not submitted.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Annotated, Any

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound, TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed, Running, State
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows import experiments, graph
from flows.git import changed, commit_of, git, main_checkout
from flows.graph import Graph, Stage
from flows.place import allowed, die_with_worker
from pipelines import layout, workspaces
from pipelines.errors import Fault
from pipelines.layout import DAG, SUMMARY
from tasks import children, dvc, report, stage, worker, workspace

TICK_S = 3.0  # how often a flow looks whether somebody cancelled it
LEAVE_S = 8.0  # from a signal to our end; Prefect would wait for minutes until a server that hangs has heard of it
LIMITS = {"gpu": 1}  # stages of a queue at a time on this machine: two on one GPU would share its memory
HERE = {"params", "report"}  # stages of the whole project, which no worker takes: they read what is beside the artifacts


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
    """The run's name in the UI: the folder or the experiment, and the commit when there is one."""
    asked = flow_run.parameters
    root = Path(asked.get("root") or ".").resolve()
    try:
        commit = git(root, "rev-parse", "--short", commit_of(root, asked.get("revision") or "HEAD"))
    except Fault:  # the run says it again
        commit = asked.get("revision") or ""
    return f"{asked.get('experiment') or root.name} {commit}".strip()


@flow(name="train", flow_run_name=_name, task_runner=ThreadPoolTaskRunner())
def train(
    root: str | None = None, targets: list[str] | None = None, jobs: Annotated[int, Field(ge=1)] = 2,
    experiment: str | None = None, revision: str | None = None, workers: bool = False, remote: str | None = None,
) -> State:  # fmt: skip
    """Brings the DAG up to date, what is independent at the same time.

    Args:
        root: the project's folder; the current one when it is not given.
        targets: stage names or verb/row; what they need is brought up to date first. All when not given.
        jobs: how many stages run at a time.
        experiment: work in this experiment's worktree instead, with the parameters of experiments/NAME.yaml, or
            of params.yaml when there is no such file. What somebody edits in the folder meanwhile is not in it.
        revision: the commit, branch or tag that the experiment runs; the one that is checked out when not given.
        workers: send the stages to workers of their queues.
        remote: the DVC remote between workers that have clones of their own; they share this folder when not given.
    """
    die_with_worker()
    children.ALL.open()
    try:
        place = allowed(root)
        with _workspace(place, experiment, revision) as tree:
            part = graph.read(tree).of(targets or [])
            about = workspaces.name_of(tree)
            _tag(about)
            starter = Starter(tree, _workers(tree, part, experiment, remote) if workers else None, [about])
            outcome = walk(part, Judge(tree, part), starter, jobs, is_cancelled, _limits(part) if workers else LIMITS)
            children.ALL.stop()
            dvc.order_lock(tree)
            if not outcome.failed and any(SUMMARY in it.outs for it in part.stages.values()):
                report.complete(tree)
    except Fault as fault:
        return Failed(message=str(fault))
    except (KeyboardInterrupt, TerminationSignal):
        children.leave_within(LEAVE_S)
        raise
    finally:
        children.ALL.stop()
    text = outcome.text(part)
    if outcome.cancelled:
        return Cancelled(message=text)
    return Failed(message=text) if outcome.failed else Completed(message=text)


@contextlib.contextmanager
def _workspace(root: Path, experiment: str | None, revision: str | None) -> Iterator[Path]:
    """The folder itself, or an experiment's worktree at a commit; nobody else runs there meanwhile."""
    if experiment is None:
        if revision is not None:
            raise Fault("a revision runs in a worktree of its own: give an experiment, too, by whose name it is kept")
        with workspace.alone(root):
            yield root
        return
    main = main_checkout(root)
    commit = commit_of(main, revision or "HEAD")
    source, text = experiments.committed(main, experiment, commit)
    with experiments.readied(main, experiments.place(main, experiment), source, text, commit) as tree:
        yield tree


def _tag(tag: str) -> None:
    """Adds a tag to this run, whoever started it."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:  # a run without its tag is a run all the same
        client.update_flow_run(context.flow_run.id, tags=sorted({*context.flow_run.tags, tag}))


def _workers(root: Path, part: Graph, experiment: str | None, remote: str | None) -> dict[str, Any]:
    """What workers have to be told besides the stage. Raises Fault when no deployment could take it."""
    with get_client(sync_client=True) as client:
        missing = []
        for queue in _queues(part):
            try:
                client.read_deployment_by_name(f"stage/{queue}")
            except ObjectNotFound:
                missing.append(f"no deployment stage/{queue} for the stages of queue {queue}. Run: wordloom deploy")
    if missing:
        raise Fault(missing)
    if remote is None:
        return {"clone": None}
    # a worktree's parameters go with each stage; those of the main checkout are the commit's
    name = experiment or ("main" if main_checkout(root).resolve() == root.resolve() else root.name)
    ours = experiments.OURS - ({layout.PARAMS, DAG} if name == "main" else set())
    edited = [path for path in changed(root) if path not in ours]
    if edited:
        raise Fault(
            f"workers with clones of their own run what is committed, and {root} has edits in {', '.join(edited)}. "
            "Commit them, or run without --remote"
        )
    return {"clone": {"experiment": name, "revision": git(root, "rev-parse", "HEAD"), "remote": remote}}


def _limits(part: Graph) -> dict[str, int]:
    """The limits of the queues: what waits for its turn waits here, in the order of priority, which a queue of Prefect's does not know."""
    with get_client(sync_client=True) as client:
        limits = {queue: client.read_work_queue_by_name(queue, worker.POOL).concurrency_limit for queue in _queues(part)}
    return {queue: limit for queue, limit in limits.items() if limit}


def _queues(part: Graph) -> list[str]:
    """Those that workers have to serve."""
    return sorted({it.queue for it in part.stages.values() if it.verb not in HERE})


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
    """Submits a stage as a task, after the tasks that made what it reads.

    Args:
        workers: what workers have to be told; None runs the stages on this machine.
        tags: of each task.
        again: run a stage whether or not something changed.
        retried: as often as the stage says; not where who sent it does that.
    """

    def __init__(
        self, root: Path, workers: dict[str, Any] | None = None, tags: Collection[str] = (), again: bool = False, retried: bool = True
    ):
        self.root, self.workers, self.tags, self.again, self.retried = root, workers, tags, again, retried
        self.futures: dict[str, Any] = {}

    def __call__(self, it: Stage, before: Collection[str]) -> Any:
        task = stage.of(it.label, it.retries if self.retried else 0, it.retry_delay_s)
        earlier = [self.futures[name] for name in sorted(before) if name in self.futures]  # the lines in the UI's graph
        order = None
        if self.workers is not None and it.verb not in HERE:
            order = {"queue": it.queue, "tags": [it.verb, it.row, *self.tags], "before": sorted(before), **self.workers}
        tags = [tag for tag in (it.verb, it.queue, it.row, *self.tags) if tag]
        self.futures[it.name] = task.submit(str(self.root), it.name, it.label, it.timeout_s, tags, order, self.again, wait_for=earlier)
        return self.futures[it.name]


def walk(
    part: Graph,
    why: Callable[[str, Collection[str]], str | None],
    start: Callable[[Stage, Collection[str]], Any],
    jobs: int,
    cancelled: Callable[[], bool] = lambda: False,
    limits: Mapping[str, int] = LIMITS,
) -> Outcome:
    """Starts each stage that has to run when all before it have ended, the one with the highest priority first.

    What failed stops only what comes after it.

    Args:
        why: (stage, stages that ran) -> the reason to run it, or None.
        start: (stage, stages before it) -> a future of Prefect's.
        jobs: how many run at a time.
        cancelled: asked now and then while waiting; when it says so, all are stopped.
        limits: queue -> how many of its stages run at a time, where that is fewer.
    """
    outcome = Outcome()
    waiting = sorted(part.stages, key=lambda name: -part.stages[name].priority)
    running: dict[str, Stage] = {}
    done: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    asked = time.monotonic()
    while waiting or running:
        if not outcome.cancelled and time.monotonic() - asked > TICK_S:
            asked = time.monotonic()
            if cancelled():
                outcome.cancelled = True
                children.ALL.stop()  # what runs fails now, and what would start too
        n_waiting = len(waiting)
        for name in list(waiting):
            it, before = part.stages[name], part.before(name)
            if outcome.cancelled or before & {*outcome.failed, *outcome.behind}:
                outcome.behind.append(name)
            elif not before <= outcome.ended:
                continue
            elif why(name, outcome.ran) is None:
                outcome.current.append(name)
            elif len(running) >= jobs or sum(other.queue == it.queue for other in running.values()) >= limits.get(it.queue, jobs):
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


def is_cancelled() -> bool:
    """Whether somebody pressed Cancel in the UI; a flow in this process is not told otherwise.

    A server that was away, or too busy to hear our heartbeats, takes us for dead: it is told that we live.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return False
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(context.flow_run.id).state
            if state is not None and state.is_crashed():
                client.set_flow_run_state(context.flow_run.id, Running(message="it lives; its heartbeats were not heard"), force=True)
    except Exception:  # a server that does not answer for a moment is no reason to stop; it is asked again
        return False
    return state is not None and (state.is_cancelling() or state.is_cancelled())
