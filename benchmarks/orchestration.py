"""What the orchestration costs a stage: `python -m benchmarks.orchestration [local] [workers] [nightly] [plan] [memory]`.

A chain of stages that take no time; each writes down when its process starts and ends, so that the gap
between two is all orchestration: DVC's, Prefect's and ours. Rival: DVC alone, stage by stage, in a shell loop.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from tasks import dvc
from tests import scratch
from tests.orchestra import Orchestra
from tests.support import make_project, run

STAGE = 'echo "$1 start $(date +%s.%N)" >> ran.txt; mkdir -p data; echo "$1" > "data/$1"; echo "$1 end $(date +%s.%N)" >> ran.txt\n'
QUERY_S = 1.0  # how often the workers of this benchmark ask for runs
N_CHAIN, N_WIDE, N_ROWS = 10, 500, 200


def make(root: Path, n: int, chained: bool) -> scratch.Project:
    """A project of n stages that take no time."""
    made = scratch.make(root)
    (root / "stage.sh").write_text(STAGE)
    stages = {
        f"embed-s{i}": {
            "cmd": f"exec sh stage.sh s{i}",
            "deps": ["stage.sh", *([f"data/s{i - 1}"] if chained and i else [])],
            "outs": [f"data/s{i}"],
            "meta": {"verb": "embed", "row": f"s{i}"},
        }
        for i in range(n)
    }
    made.write("dvc.yaml", {"stages": stages})
    made.write("params.yaml", {"run": {"seed": 1}})
    made.can_write_its_dag()
    made.git("add", "-A")
    made.git("commit", "-qm", "a chain")
    return made


def gaps(root: Path) -> list[float]:
    """Seconds from a stage's end to the next one's start."""
    lines = [line.split() for line in (root / "ran.txt").read_text().splitlines()]
    ends = [float(when) for _, what, when in lines if what == "end"]
    starts = [float(when) for _, what, when in lines if what == "start"]
    return [start - end for end, start in zip(ends, starts[1:], strict=False)]


def told(name: str, found: Iterable[float]) -> None:
    found = sorted(found)
    print(f"| {name} | {statistics.median(found):.2f} | {found[-1]:.2f} | {len(found)} |", flush=True)


def local(folder: Path) -> None:
    alone = make(folder / "alone", N_CHAIN, chained=True)
    for i in range(N_CHAIN):
        assert alone.dvc("repro", "--single-item", f"embed-s{i}").returncode == 0
    by_flow = make(folder / "flow", N_CHAIN, chained=True)
    run(by_flow.root, sys.executable, "-m", "flows", "run", env={"PREFECT_HOME": str(folder / "home")})
    told("`dvc repro --single-item`, one after the other", gaps(alone.root))
    told("`wordloom run`", gaps(by_flow.root))


def workers(folder: Path) -> None:
    with_server(folder, lambda orchestra: _workers(folder, orchestra))


def _workers(folder: Path, orchestra: Orchestra) -> None:
    project = make(folder / "workers", N_CHAIN, chained=True)
    orchestra.worker(project.root, "cpu")
    done = orchestra.wordloom(project.root, "run", "--workers")
    assert done.returncode == 0, done.stdout + done.stderr
    told(f"`wordloom run --workers`, a worker that asks every {QUERY_S:g} s", gaps(project.root))


def nightly(folder: Path) -> None:
    with_server(folder, lambda orchestra: _nightly(folder, orchestra))


def _nightly(folder: Path, orchestra: Orchestra) -> None:
    project = make(folder / "nightly", N_CHAIN, chained=True)
    orchestra.worker(project.root)
    command = ["deployment", "run", "train/nightly", "--watch", "--watch-interval", "1"]
    orchestra.prefect(*command)
    start = time.perf_counter()
    orchestra.prefect(*command)
    print(f"| a nightly run with nothing to do, from `prefect deployment run` to its end | {time.perf_counter() - start:.1f} | | 1 |")


def with_server(folder: Path, do: Callable[[Orchestra], Any]) -> None:
    orchestra = Orchestra(folder / "prefect", PREFECT_WORKER_QUERY_SECONDS=str(QUERY_S))
    try:
        orchestra.serve()
        orchestra.deploy()
        do(orchestra)
    finally:
        orchestra.close()


def plan(folder: Path) -> None:
    rows = "".join(f"  g{i}: {{method: glove, counts: w5, vector_size: {i + 2}}}\n" for i in range(N_ROWS - 3))
    params = (
        "ingest:\n  tiny: {method: csv, source: tests/tiny/notices.csv, id: id, split: split}\n"
        "tokenize:\n  words: {method: words, corpus: tiny}\ncooccur:\n  w5: {method: windowed, tokens: words, window: 5}\n"
        f"embed:\n{rows}"
    )
    project = make_project(folder / "rows", params)
    n = len(dvc.load(project / "dvc.yaml")["stages"])
    for command in ("dag", "plan"):
        start = time.perf_counter()
        run(project, sys.executable, "-m", "flows", command)
        print(f"| `wordloom {command}`, {N_ROWS} rows, {n} stages | {time.perf_counter() - start:.1f} | | 1 |", flush=True)


def memory(folder: Path) -> None:
    """The flow's memory while it runs many stages, its server's aside."""
    project = make(folder / "wide", N_WIDE, chained=False)
    env = {**dvc.environment(), "PREFECT_HOME": str(folder / "home")}
    flow = subprocess.Popen([sys.executable, "-m", "flows", "run"], cwd=project.root, env=env, stdout=subprocess.DEVNULL)
    process, next_at = psutil.Process(flow.pid), 50
    while flow.poll() is None:
        time.sleep(0.5)
        path = project.root / "ran.txt"
        n = path.read_text().count("end") if path.exists() else 0
        if n >= next_at:
            next_at += 50
            print(f"| the flow's memory after {n} stages, MB | {process.memory_info().rss / 2**20:.0f} | | |", flush=True)
    assert flow.returncode == 0


def main(wanted: list[str]) -> None:
    parts = {part.__name__: part for part in (local, workers, nightly, plan, memory)}
    print("| between two stages, or in all | median, s | most, s | n |")
    print("| --- | --: | --: | --: |")
    for name in wanted or parts:
        with tempfile.TemporaryDirectory() as folder:
            parts[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
