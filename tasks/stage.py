"""One Prefect task for all stages: DVC runs the stage, Prefect runs DVC.

The data stays where DVC put it; nothing of it goes through Prefect's results.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.runtime import task_run
from prefect.states import Completed, Failed, State

from pipelines.errors import Fault
from tasks import children, dvc, live, mend, show, worker


def of(label: str, retries: int, retry_delay_s: float) -> Any:
    """The task, under the stage's own name, and retries each after twice the wait of the one before."""
    return stage.with_options(
        task_run_name=label.replace("{", "{{").replace("}", "}}"),
        retries=retries,
        retry_delay_seconds=[retry_delay_s * 2**i for i in range(retries)],
        retry_condition_fn=lambda *_: not children.ALL.stopped,
    )


@task(name="stage", cache_policy=NO_CACHE, persist_result=False)
def stage(
    root: str, name: str, label: str, timeout_s: float, tags: list[str], order: dict[str, Any] | None = None, again: bool = False
) -> State:
    """Brings one stage of dvc.yaml up to date, and shows what it made.

    It gets its tags here, and they are seen with its next state. A task that starts with tags asks the server for a slot of
    each, and so often that SQLite's lock, when it was taken, cost seconds; and Prefect keeps a thread and a client for each
    set of tags to the end of the process, 0.9 MB a stage. Queues limit how many stages run at a time.

    Args:
        root: the project's folder.
        name: the stage in dvc.yaml.
        label: what people call it.
        timeout_s: after so many seconds it is stopped, and fails.
        tags: verb, queue, row, experiment.
        order: for a worker, what `worker.run` takes besides; None runs the stage in this process's hands.
        again: here, run it whether or not something changed.
    """
    log = get_run_logger()
    _tag(tags)
    lines: list[str] = []
    told: set[str] = set()  # of a wait for another DVC, once

    def say(line: str) -> None:
        if dvc.is_chatter(line):
            return
        line = line.removeprefix(f"{label}: ")
        lines.append(line)
        if line in told:
            return
        if order is None or worker.FOLDER not in os.environ:  # else the worker that runs the stage prints it
            print(f"{label} | {line}", flush=True)
        log.log(logging.ERROR if line.startswith(("fault: ", "ERROR: ")) else logging.INFO, "%s", line)

    start = time.time()
    command = dvc.command("repro", "--single-item", *(["--force"] if again else []), name)
    try:
        if order is not None:
            failure = worker.run(Path(root), name, label, say, **order)
        else:
            if task_run.run_count and task_run.run_count > 1:  # the DVC that was stopped may have left half a file
                mend.mend(Path(root))
            with live.watched(label, log) as watch:
                failure = _here(command, Path(root), {**dvc.environment(), **watch.environment}, timeout_s, say, lines, told)
                watch.done = failure is None
    except (TimeoutError, InterruptedError) as err:
        failure = str(err)
    except Fault as fault:
        failure = "\n".join(fault.faults)
    if order is None:
        show.artifacts(Path(root), label, start, failure is None, log)
    if failure:
        # a state, not an exception: the reason is the message, and no traceback of ours hides it
        return Failed(message=failure)
    return Completed(message=f"{lines[-1] if lines else 'done'} ({time.time() - start:.1f} s)")


def _tag(tags: list[str]) -> None:
    context = TaskRunContext.get()
    if context is not None:
        context.task_run.tags = sorted({*context.task_run.tags, *tags})


def _here(
    command: list[str], root: Path, env: dict[str, str], timeout_s: float, say: Callable[[str], None], lines: list[str], told: set[str]
) -> str | None:
    """Runs the stage by DVC, once no other DVC holds what it needs; gives why it failed."""
    end = time.time() + dvc.BUSY_LIMIT_S
    status = children.ALL.run(command, root, env, say, timeout_s)
    if status and dvc.forget(root, "\n".join(lines)):
        lines.clear()
        status = children.ALL.run(command, root, env, say, timeout_s)
    while status and any(dvc.BUSY in line for line in lines) and time.time() < end:
        told.update(lines)
        lines.clear()
        time.sleep(dvc.BUSY_RETRY_S)
        status = children.ALL.run(command, root, env, say, timeout_s)
    return reason(lines, status) if status else None


def reason(lines: list[str], status: int) -> str:
    """Why a stage failed: its own `fault:` lines, or the last thing it said and how it ended."""
    faults = [line.removeprefix("fault: ") for line in lines if line.startswith("fault: ")]
    if faults:
        return "\n".join(faults)
    said = [line for line in lines if not line.startswith("ERROR: ")]
    ends = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    end = ends[-1] if ends else f"dvc ended with status {status}"
    return f"{said[-1].strip()} ({end})" if said else end
