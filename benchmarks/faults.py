"""How long the run after a fault takes: `python -m benchmarks.faults`.

Each fault of tests/faults/inject.py, in a scratch project of its own whose stages take no time; then what
must hold is looked at, and the table in docs/faults.md is written. Rivals: a run with everything to do, and with nothing.
"""

import inspect
import tempfile
import time
from pathlib import Path

from pipelines.layout import write_aside
from tests import scratch
from tests.faults import inject
from tests.faults.support import Calm, call, calm, copy, holds, repro, wordloom_run

PAGE = Path(__file__).parent.parent / "docs" / "faults.md"
BEGIN, END = "<!-- python -m benchmarks.faults writes from here -->\n", "<!-- to here -->\n"


def cells(fault) -> list[str]:
    """The fault, what happens, what a person does."""
    return [" ".join(part.split()) for part in inspect.getdoc(fault).split("\n\n")]


def measure(template: Path, folder: Path, wanted: Calm, api: str) -> list[str]:
    by_run = wordloom_run(PREFECT_API_URL=api)
    lines = ["| fault | what happens | what a person does | next run, s | test |", "| --- | --- | --- | --: | --- |"]
    for driver, faults in ((repro, inject.BY_DVC), (by_run, inject.BY_RUN)):
        for fault in faults:
            root = copy(template, folder / fault.__name__ / "project")
            fault(root, api)
            seconds = holds(root, wanted, driver)
            lines.append(f"| {' | '.join(cells(fault))} | {seconds:.1f} | `{fault.__name__}` |")
            print(lines[-1], flush=True)
    return lines


def seconds(root: Path, *command: str, **env: str) -> float:
    start = time.monotonic()
    assert call(root, *command, **env).returncode == 0
    return time.monotonic() - start


def main() -> None:
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    import flows  # noqa: F401  sets what Prefect must know before it is imported

    with tempfile.TemporaryDirectory() as name, prefect_test_harness(server_startup_timeout=300):
        folder, api = Path(name), PREFECT_API_URL.value()
        (folder / "template").mkdir()
        template = scratch.make(folder / "template" / "project").root
        wanted = calm(copy(template, folder / "calm" / "project"))
        rivals = []
        for command, env in ((("dvc", "repro"), {}), (("wordloom", "run"), {"PREFECT_API_URL": api})):
            root = copy(template, folder / command[0] / "project")
            everything, nothing = seconds(root, *command, **env), seconds(root, *command, **env)
            rivals.append(f"`{' '.join(command)}` takes {everything:.1f} s with all seven stages to do, {nothing:.1f} s with none")
        table = "\n".join(measure(template, folder, wanted, api))
    before, _, rest = PAGE.read_text().partition(BEGIN)
    write_aside(PAGE, f"{before}{BEGIN}\nWithout a fault {'; '.join(rivals)}.\n\n{table}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
