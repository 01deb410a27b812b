"""What a stage or a gate took: time, memory, machine. Lies in runs/records, since artifacts carry no clock."""

import json
import platform
import resource
import time
from pathlib import Path
from typing import Any

from pipelines import layout

STARTED = time.monotonic()  # imported first, so about when the process began


def write(root: Path, kind: str, row: str, digest: str, **facts: Any) -> dict[str, Any]:
    """Keeps the record of the process that is about to end, under the hash of the artifact that it made or checked."""
    record = {
        **facts,
        "row": row,
        "hash": digest,
        "seconds": round(time.monotonic() - STARTED, 3),  # of the whole process, imports included
        "peak_bytes": max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024,
        "host": platform.node(),
        "cpu": platform.machine(),
        "python": platform.python_version(),
    }
    layout.write_aside(root / layout.record(kind, row, digest), json.dumps(record, indent=1) + "\n")
    return record
