"""Where a worker's flow runs happen: in the folder in which the worker was started, and no longer than it lives."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flows.git import main_checkout
from pipelines.deathsig import die_with_parent
from pipelines.errors import Fault, nearest
from tasks import children, dvc
from tasks.worker import FOLDER, POOL

if TYPE_CHECKING:  # Prefect is slow to import
    from prefect.exceptions import PrefectHTTPStatusError

RESTARTS, WITHIN_S = 3, 600.0  # of a worker that ends though the server is there
GIVES_UP_S = 30.0  # Prefect's worker ends itself when the server is away for long; one that ends sooner than this has another reason
FLOWS = "default"  # the queue of whole runs, which wait for their stages
WORKER = "WORDLOOM_WORKER"  # the worker's process
SETTINGS = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",  # how often it looks for runs; Prefect's own 10 s is most of a small stage's time
    "PREFECT_RUNNER_AUTO_INSTALL_DEPENDENCIES": "false",
}


def work(root: Path, queues: list[str], limit: int | None) -> int:
    """Runs a Prefect worker of the pool, in this folder, until a signal; gives its exit status. Raises Fault."""
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        raise Fault("no Prefect server is named. Start one: wordloom server; then say: export PREFECT_API_URL=http://127.0.0.1:4200/api")
    answers(url)
    _are_there(queues)
    if limit == 1 and (not queues or (FLOWS in queues and len(queues) > 1)):
        raise Fault(
            f"a worker of one run at a time that serves {FLOWS!r} would wait for its own stages. Name other queues, or a higher --limit"
        )
    command = [sys.executable, "-P", "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--install-policy", "never"]
    command += ["--name", f"{platform.node()}-{os.getpid()}"]
    command += [word for queue in queues for word in ("--work-queue", queue)]
    command += ["--limit", str(limit)] if limit else []
    command = ["sh", "-c", f'{WORKER}=$$ exec "$@"', "sh", *command]
    env = {**SETTINGS, **dvc.environment(), FOLDER: str(root.resolve())}
    ends: list[float] = []
    while True:
        began = time.monotonic()
        status, asked = _until_it_ends(command, env)
        # what a signal ended, that of the kernel when memory runs out for one, has not failed by itself
        if asked or (status >= 0 and time.monotonic() - began < GIVES_UP_S):
            return status
        if _is_there(url):
            ended = f"signal {-status}" if status < 0 else f"exit status {status}"
            ends = [*(at for at in ends if time.monotonic() - at < WITHIN_S), time.monotonic()]
            if len(ends) > RESTARTS:
                print(
                    f"the worker ended with {ended}, {len(ends)} times within {WITHIN_S / 60:.0f} minutes; no other is started", flush=True
                )
                return status
            print(f"the worker ended with {ended}, though the server answers; another one starts", flush=True)
            continue
        print("the worker gave up, since the server was away; another one starts once it answers", flush=True)
        while not _is_there(url):
            time.sleep(2)


def _are_there(queues: list[str]) -> None:
    """Raises Fault for queues that the server does not have: Prefect's worker would look there for ever, and not say so."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    if not queues:
        return
    try:
        with get_client(sync_client=True) as client:
            known = sorted(queue.name for queue in client.read_work_queues(work_pool_name=POOL))
    except ObjectNotFound:
        raise Fault(f"the Prefect server has no work pool {POOL!r} yet. Run: wordloom deploy") from None
    except PrefectHTTPStatusError as err:
        raise refused(err) from err
    faults = [
        f"there is no queue {queue!r}; there are {', '.join(known)}.{nearest(queue, known)}" for queue in queues if queue not in known
    ]
    if faults:
        raise Fault([*faults, "A queue of your own comes with its deployment in prefect.yaml. Run: wordloom deploy"])


def refused(err: "PrefectHTTPStatusError") -> Fault:
    if err.response.status_code == 401:
        return Fault("the Prefect server wants a name and a password: set PREFECT_API_AUTH_STRING to NAME:PASSWORD")
    return Fault(f"Prefect's server refused {err.request.method} {err.request.url.path}: {err.response.text}")


def _until_it_ends(command: list[str], env: dict[str, str]) -> tuple[int, bool]:
    """(its exit status, whether somebody asked for its end); SIGTERM is handed on, Ctrl-C reaches it by itself."""
    asked = []

    def hand_on(number: int, _: object) -> None:
        asked.append(number)
        if number == signal.SIGTERM:
            worker.terminate()

    # before it starts: it is to hear both, though whoever started us in the background may have had Ctrl-C ignored
    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        worker = subprocess.Popen(children.guarded(command), env=env)
        return worker.wait(), bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_there(url: str) -> bool:
    try:
        answers(url)
    except Fault:
        return False
    return True


def answers(url: str) -> None:
    """Raises Fault when no server is there: Prefect would show a traceback."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise Fault(f"no Prefect server answers at {url} ({error}). Start it, or unset PREFECT_API_URL to get one for the run") from error


def here(otherwise: str) -> dict[str, str]:
    """A pull step of prefect.yaml: the worker's own folder, or the one that was deployed where a worker names none."""
    return {"directory": os.environ.get(FOLDER) or otherwise}


def allowed(root: str | None) -> Path:
    """The folder of a flow's parameter; on a worker only its own project, since whatever dvc.yaml lies there is run. Raises Fault."""
    place = Path(root or ".").resolve()
    if own := os.environ.get(FOLDER):
        main = main_checkout(Path(own)).resolve()
        if not place.is_relative_to(main):
            raise Fault(f"{place} is not in {main}, where this worker was started. Start one there, or use --remote")
    if not place.is_dir():
        raise Fault(f"there is no {place} on this machine. Workers that do not share the disk need --remote")
    return place


def die_with_worker() -> None:
    """From here on this flow run's process is killed when its worker is: its stages then end, too.

    Prefect's workers leave their runs alone when they are killed; another worker would then be a second writer.
    """
    # taken out: what the run starts has another parent
    if worker := os.environ.pop(WORKER, ""):
        die_with_parent(int(worker))
