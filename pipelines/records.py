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
        "peak_bytes": max(peak_bytes(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024),
        "host": platform.node(),
        "cpu": platform.machine(),
        "python": platform.python_version(),
    }
    layout.write_aside(root / layout.record(kind, row, digest), json.dumps(record, indent=1) + "\n")
    return record


def of(root: Path, noun: str, row: str) -> dict[str, Any]:
    """The record of the run that made what lies in data/ now; empty where there is none, or none that can be read."""
    try:
        token = json.loads((root / layout.pass_token(noun, row)).read_text(encoding="utf-8"))
        return json.loads((root / layout.record(noun, row, token["artifact"])).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return {}


def peak_bytes() -> int:
    """The most memory that this process has had. Where there is no /proc it may be what its parent had before it began."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")) * 1024
