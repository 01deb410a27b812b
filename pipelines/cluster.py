"""A Dask cluster in the place of this machine's processes: `WORDLOOM_SCHEDULER=tls://host:8786`.

The environment names it, not params.yaml, and no method imports this file: where the work is done
decides no byte, so moving it re-runs nothing. A worker whose code or libraries differ from this
machine's is refused, since those do decide bytes.

Dask's scheduler, workers and clients unpickle what they send each other. So an address that is neither
on this machine nor encrypted with certificates on both sides (tls, from Dask's own settings) is refused.
"""

import contextlib
import importlib.metadata
import logging
import os
import platform
import socket
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines import layout
from pipelines.errors import Fault

VARIABLE = "WORDLOOM_SCHEDULER"
TICK = 5.0  # seconds between looks at whether the scheduler is there
PATIENCE = 20  # seconds to reach the scheduler, and again until it has a worker
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def from_environment() -> Callable[[], AbstractContextManager[Executor]] | None:
    """What opens the cluster that the environment names; None when it names none. Raises Fault for an address that is not safe."""
    address = os.environ.get(VARIABLE)
    if not address:
        return None
    url = urlsplit(address)
    if url.scheme != "tls" and not (url.scheme == "tcp" and url.hostname in LOOPBACK):
        raise Fault(
            f"{VARIABLE} is {address!r}; it must be tls://HOST:PORT, or tcp://127.0.0.1:PORT: Dask unpickles what it is sent. See docs/scale.md"
        )
    return partial(connect, address)


@contextlib.contextmanager
def connect(address: str) -> Iterator["Workers"]:
    """The workers of the scheduler at `address`. Raises Fault, also for what goes wrong while they are used."""
    try:
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError
        from distributed.scheduler import NoWorkerError
    except ModuleNotFoundError as err:
        raise Fault(f"{VARIABLE} is {address}, and {err.name} is not installed. Run: pip install distributed, or unset it") from err
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it has to say comes as an exception, too
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as err:  # the last three: an address or certificates that are none
        raise Fault(
            f"{_at(address)} cannot be reached: {str(err) or type(err).__name__}. Start it: python -m dask scheduler, or unset {VARIABLE}"
        ) from err
    with client, warnings.catch_warnings():
        # a piece of text travels with its task, so that it is not lost with a worker
        warnings.filterwarnings("ignore", "Sending large graph")
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as err:
            raise Fault(f"{_at(address)} has no worker. Start one in the project's folder: python -m dask worker {address}") from err
        try:
            yield Workers(client, address)
        except KilledWorker as err:
            raise Fault(f"{_at(address)}: the same piece of work ended several workers. Perhaps they need more memory: {err}") from err
        except ModuleNotFoundError as err:
            raise Fault(f"{_at(address)}: a worker has no {err.name}. Start workers in the project's folder, in its environment") from err
        except (CancelledError, CommClosedError, NoWorkerError) as err:
            raise _lost(address) from err


def _lost(address: str) -> Fault:
    return Fault(f"{_at(address)} was lost, or the workers with the data were. Look at it, and run again")


def _at(address: str) -> str:
    return f"the Dask scheduler at {address} ({VARIABLE})"


class Workers(Executor):
    """The processes of a cluster as an executor, which can also hold what many pieces of work share."""

    def __init__(self, client: Any, address: str):
        self.client, self.address = client, address
        self.pool = client.get_executor()
        self.n_threads = sum(client.nthreads().values())

    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        return self.pool.submit(checked, facts(), function, *args, **kwargs)

    def result(self, future: Future) -> Any:
        """Raises Fault once the scheduler is lost for good: what was submitted while Dask tried to reach it again is never answered."""
        while not wait([future], TICK).done:
            if self.client.status == "closed":
                raise _lost(self.address)
        return future.result()

    def share(self, values: tuple) -> list:
        """`values`, once on each worker, to be named among the arguments of `submit`."""
        return self.client.scatter(list(values), broadcast=True, hash=False) if values else []


def checked(expected: dict[str, str], function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Runs on a worker. Raises Fault when it would not give the bytes that the stage's own machine gives."""
    found = facts()
    if found != expected:
        differences = ", ".join(f"{name} {found[name]} (here {expected[name]})" for name in expected if found[name] != expected[name])
        raise Fault(f"the Dask worker on {socket.gethostname()} has {differences}. Bring it to the same revision and start it anew")
    return function(*args, **kwargs)


@cache  # as they were when the process first worked: a worker goes on with the code that it has loaded
def facts() -> dict[str, str]:
    """What decides bytes besides the parameters."""
    libraries = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "pyarrow", "distributed")}
    code = layout.hash_path(Path(__file__).parent)[:12]
    return {"python": platform.python_version(), "processor": platform.machine(), **libraries, "pipelines": code}
