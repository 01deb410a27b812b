"""No orphans: a process that ends when the process that started it does.

A killed `dvc` leaves the stage that it started running, and a retry would then be a second writer.
Linux tells a process of its parent's death; elsewhere nothing is done.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with_parent(expected_ppid: int | None = None) -> None:
    """From here on this process is killed when its parent dies; it survives an exec, not a fork.

    SIGKILL, since a handler would wait for a long call into compiled code to return. What the process
    wrote aside is swept away by the next run. "Parent" is the *thread* that started this process: start
    it from one that waits for it.

    Args:
        expected_ppid: who the parent has to be; when it is gone already, this process ends at once.
            None takes the parent of this moment.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid() if expected_ppid is None else expected_ppid
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":  # python -P deathsig.py PARENT COMMAND ...: the command, which dies with that parent
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
