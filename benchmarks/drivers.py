"""What the drivers cost, beside the work of the stages: `python -m benchmarks.drivers`.

The tiny corpus of the tests through all seven stages, each driver in a project of its own, after one run
that compiles and fills the file cache. Rival: `dvc repro`, which the flow runs stage by stage.
"""

import tempfile
import time
from pathlib import Path

from pipelines.params import load_yaml
from tests.support import make_project, run
from tests.test_drivers import ROWS


def seconds(project: Path, *command: str, **env: str) -> float:
    start = time.perf_counter()
    run(project, *command, env=env)
    return time.perf_counter() - start


def afresh(project: Path) -> None:
    """Nothing made, nothing cached; the compiled kernels and Prefect's home stay."""
    run(project, "rm", "-rf", "data", "runs", "dvc.lock", ".dvc/cache", ".dvc/tmp")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "project", ROWS)
        home = {"PREFECT_HOME": str(Path(folder) / "home")}
        flow = ["python", "-m", "flows", "run"]
        seconds(project, *flow, **home)
        n_stages = len(load_yaml(project / "dvc.yaml")["stages"])
        idle_flow, idle_dvc = seconds(project, *flow, **home), seconds(project, "dvc", "repro")
        afresh(project)
        by_dvc = seconds(project, "dvc", "repro")
        afresh(project)
        one = seconds(project, *flow, "--jobs", "1", **home)
        afresh(project)
        two = seconds(project, *flow, **home)
    print(f"| {n_stages} stages | everything, s | nothing to do, s |")
    print("| --- | --: | --: |")
    print(f"| `dvc repro` | {by_dvc:.1f} | {idle_dvc:.1f} |")
    print(f"| `wordloom run --jobs 1`, its server included | {one:.1f} | {idle_flow:.1f} |")
    print(f"| `wordloom run`, two stages at a time | {two:.1f} | |")
    print(
        f"\nThe flow one stage at a time took {one - by_dvc:.1f} s more than DVC, {(one - by_dvc) / n_stages:.2f} s a stage, server included."
    )


if __name__ == "__main__":
    main()
