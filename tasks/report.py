"""The report beside the one that DVC keeps."""

import subprocess
import sys
from pathlib import Path

from pipelines.errors import Fault
from pipelines.layout import REPORT, SUMMARY
from tasks import children, dvc


def complete(root: Path) -> None:
    """Writes report.html when it is missing: DVC takes data/report.md from its run-cache, and that alone. Raises Fault."""
    if (root / REPORT).exists() or not (root / SUMMARY).exists():
        return
    # by the workspace's own code, which may be another commit's
    command = [sys.executable, "-m", "pipelines", "report"]
    if subprocess.run(children.guarded(command), cwd=root, env=dvc.environment()).returncode:
        raise Fault(f"{REPORT} is missing in {root.resolve()}, and could not be written. Run there: python -m pipelines report")
