"""One Prefect task for all stages: DVC runs the stage, Prefect runs DVC.

The data stays where DVC put it; nothing of it goes through Prefect's results.
"""

import time
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed, State

from tasks import children, dvc, show

RETRY_DELAY_S = 10.0


def of(label: str, verb: str, row: str, queue: str, retries: int) -> Any:
    """The task, under the stage's own name, with its tags and retries."""
    return stage.with_options(
        task_run_name=label.replace("{", "{{").replace("}", "}}"),
        tags={tag for tag in (verb, row, queue) if tag},
        retries=retries,
        retry_delay_seconds=RETRY_DELAY_S,
        retry_condition_fn=lambda *_: not children.ALL.stopped,
    )


@task(name="stage", cache_policy=NO_CACHE, persist_result=False)
def stage(root: str, name: str, label: str, timeout_s: float) -> State:
    """Brings one stage of dvc.yaml up to date, and shows what it made.

    Args:
        root: the project's folder.
        name: the stage in dvc.yaml.
        label: what people call it.
        timeout_s: after so many seconds it is stopped, and fails.
    """
    log = get_run_logger()
    lines: list[str] = []
    told: set[str] = set()  # of a wait for another DVC, once

    def say(line: str) -> None:
        if dvc.is_chatter(line):
            return
        line = line.removeprefix(f"{label}: ")
        lines.append(line)
        if line in told:
            return
        print(f"{label} | {line}", flush=True)
        log.info(line)

    start = time.time()
    command = dvc.command("repro", "--single-item", name)
    try:
        status = children.ALL.run(command, Path(root), dvc.environment(), say, timeout_s)
        while status and any(dvc.BUSY in line for line in lines) and time.time() < start + dvc.BUSY_LIMIT_S:
            told.update(lines)
            lines.clear()
            time.sleep(dvc.BUSY_RETRY_S)
            status = children.ALL.run(command, Path(root), dvc.environment(), say, timeout_s)
        failure = reason(lines, status) if status else None
    except (TimeoutError, InterruptedError) as err:
        failure = str(err)
    show.artifacts(Path(root), label, start, log)
    if failure:
        # a state, not an exception: the reason is the message, and no traceback of ours hides it
        return Failed(message=failure)
    return Completed(message=f"{lines[-1] if lines else 'done'} ({time.time() - start:.1f} s)")


def reason(lines: list[str], status: int) -> str:
    """Why a stage failed: its own `fault:` lines, or the last thing it said and how it ended."""
    faults = [line.removeprefix("fault: ") for line in lines if line.startswith("fault: ")]
    if faults:
        return "\n".join(faults)
    said = [line for line in lines if not line.startswith("ERROR: ")]
    ends = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    end = ends[-1] if ends else f"dvc ended with status {status}"
    return f"{said[-1].strip()} ({end})" if said else end
