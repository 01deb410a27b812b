"""Several processes of this machine train one model: a row that says `devices: 2`, on as many GPUs or on the CPU.

`call` starts the processes and waits. Each runs the same method on the same inputs from the same seed, and
pipelines/fit.py divides each batch among them; the first one's output is the stage's, the others' is thrown
away. All end with the process that started them, and with any of them that fails.

They meet through a file and talk over the loopback interface: no port is open to others.
"""

import json
import logging
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipelines import layout
from pipelines.dag import closure
from pipelines.deathsig import die_with_parent
from pipelines.errors import Fault
from pipelines.params import Row, read_row

PATIENCE = timedelta(minutes=10)  # that one process waits for the others at a step, while all live
LAST_WORDS = 2.0  # seconds that the others have to say what they died of


def several(row: Row) -> bool:
    """Whether the row's method trains in torch, and on more than one device."""
    return row.world.devices > 1 and "pipelines/fit.py" in closure(row.method.module)


def call(root: Path, row: Row, aside: Path, stamp: dict[str, str]) -> dict[str, Any]:
    """The method's work in the folder `aside`, by as many processes as it has devices; see pipelines.run.call."""
    aside.mkdir(parents=True)
    layout.write_aside(aside / "stamp.json", json.dumps(stamp))
    n = row.world.devices
    command = [sys.executable, "-m", "pipelines.ranks", row.verb, row.name, str(aside), str(os.getpid())]
    local = {"WORLD_SIZE": str(n), "NODE_RANK": "0", "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    processes: list[subprocess.Popen] = []
    try:
        for rank in range(n):
            processes.append(subprocess.Popen(command, cwd=root, env={**os.environ, **local, "LOCAL_RANK": str(rank)}))
        while any(process.poll() is None for process in processes) and not any(process.poll() for process in processes):
            time.sleep(0.05)
        end = time.monotonic() + LAST_WORDS
        while any(process.poll() is None for process in processes) and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        codes = [process.poll() for process in processes]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
    answers = [json.loads(path.read_text()) if (path := _answer(aside, rank)).exists() else {} for rank in range(n)]
    if any(codes) or None in codes:
        raise Fault(_cause(row, codes, answers))
    return answers[0]["facts"]


def _cause(row: Row, codes: list[int | None], answers: list[dict[str, Any]]) -> list[str]:
    """What the processes ended of: a fault that one names, a signal, or else what the others noticed of it."""
    for answer in answers:
        if "faults" in answer:
            return answer["faults"]
    who = f"{row.verb}/{row.name}: process %d of {len(codes)}"
    for rank, code in enumerate(codes):
        if code is not None and code < 0:
            return [f"{who % (rank + 1)} was ended by signal {-code}, perhaps for memory. The others were stopped. Run again"]
    for rank, code in enumerate(codes):
        if code and not answers[rank]:
            return [f"{who % (rank + 1)} ended with code {code}; what it said stands above. The others were stopped"]
    return [f"{who % (rank + 1)} lost the others: {answer['lost']}. Run again" for rank, answer in enumerate(answers) if answer]


def _answer(aside: Path, rank: int) -> Path:
    return aside / f"answer-{rank}.json"


def main(verb: str, name: str, folder: str) -> int:
    """One of the processes; which one, the environment says."""
    import torch

    from pipelines.run import call

    root, aside, rank = Path.cwd(), Path(folder), int(os.environ["LOCAL_RANK"])
    stamp = json.loads((aside / "stamp.json").read_text())
    try:
        facts = call(root, read_row(root, verb, name), aside / f"rank-{rank}" if rank else aside, stamp, join=aside / "store")
        answer = {"facts": facts}
    except Fault as fault:
        answer = {"faults": fault.faults}
    except RuntimeError as err:  # gloo has no class of its own
        if not (isinstance(err, torch.distributed.DistError) or "gloo" in str(err)):
            raise
        answer = {"lost": str(err).strip().splitlines()[0]}
    layout.write_aside(_answer(aside, rank), json.dumps(answer))
    return 0 if "facts" in answer else 2


def join(n: int, device: str, store: Path) -> Any:
    """Lightning's Fabric, once all n processes are there."""
    import torch.distributed

    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment
    from lightning_fabric.strategies import DDPStrategy

    rank, backend = int(os.environ["LOCAL_RANK"]), "nccl" if device == "cuda" else "gloo"
    if device == "cuda":
        torch.cuda.set_device(rank)
    # by a file: the store that Fabric would make listens on all interfaces
    torch.distributed.init_process_group(
        backend, store=torch.distributed.FileStore(str(store), n), rank=rank, world_size=n, timeout=PATIENCE
    )
    fabric = Fabric(accelerator=device, devices=n, strategy=DDPStrategy(process_group_backend=backend), plugins=LightningEnvironment())
    fabric.launch()
    return fabric


if __name__ == "__main__":
    die_with_parent(int(sys.argv[4]))
    sys.exit(main(*sys.argv[1:4]))
