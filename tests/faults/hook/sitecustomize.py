"""A fault at an exact point of one process: Python loads this where PYTHONPATH names its folder.

FAULT_WHO    a regular expression; the process is the one whose command line it is found in
FAULT_ROOT   only what is done to files below this folder is looked at
FAULT_AT     a regular expression; the point is the first deed that it is found in, such as `rename .*/data/`
FAULT_N      not the first, the n-th, from 1
FAULT_DO     what happens then: kill (-9), tear (the file about to be written is left empty, then kill), stop (SIGSTOP),
             hang (for a minute), deaf (the same, and SIGTERM is not heard), full (no space left on the device),
             log (nothing; all deeds are listed)
FAULT_LOG    where the deed is written down; a fault happens once, and not when this file is there
FAULT_CLOCK  seconds by which the clock of every process is wrong
"""

import os
import re
import signal
import sys
import time

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


def watch() -> None:
    root, log, do = os.environ["FAULT_ROOT"], os.environ["FAULT_LOG"], os.environ["FAULT_DO"]
    at, left = re.compile(os.environ.get("FAULT_AT", "")), int(os.environ.get("FAULT_N", "1"))
    busy = False

    def deed(event: str, args: tuple) -> None:
        nonlocal left, busy
        if busy or left < 1 or (event not in CHANGES and not (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR))):
            return
        busy = True
        try:
            path = os.path.abspath(os.fsdecode(args[0])) if not isinstance(args[0], int) else ""
            what = f"{event.removeprefix('os.')} {path}"
            if path.startswith(root) and at.search(what):
                left -= do != "log"
                if do == "log" or (left < 1 and not os.path.exists(log)):
                    happen(event, path, what)
        finally:
            busy = False

    def happen(event: str, path: str, what: str) -> None:
        with open(log, "a") as file:
            print(what, file=file)
        if do == "tear":
            open(path, "w").close()
        if do in ("kill", "tear"):
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if do == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if do in ("hang", "deaf"):
            time.sleep(60)
        if do == "full":
            raise OSError(28, "No space left on device", path)

    sys.addaudithook(deed)


if "FAULT_DO" in os.environ and re.search(os.environ["FAULT_WHO"], " ".join(sys.orig_argv)):
    watch()
if "FAULT_CLOCK" in os.environ:
    off = float(os.environ["FAULT_CLOCK"])
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + off
    time.time_ns = lambda: right_ns() + int(off * 1e9)
