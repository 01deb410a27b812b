"""Processes end when we do; every ending is a real one."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from pipelines import deathsig
from tasks.children import Children

HERE = Path(__file__).parent.parent.parent
# a process that starts another and waits for it, as DVC does with a stage
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", '''
import runpy, sys, time, os
runpy.run_path(sys.argv[1])["die_with_parent"]()
open(sys.argv[2], "w").write(str(os.getpid()))
time.sleep(60)
''', *sys.argv[1:]])
sys.exit(child.wait())
"""


def wait_for(path: Path) -> int:
    end = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)
    return int(path.read_text())


def is_gone(pid: int, within: float = 10) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def run(children: Children, tmp_path: Path, timeout_s: float = 60) -> int:
    command = [sys.executable, "-c", PARENT, deathsig.__file__, str(tmp_path / "pid")]
    return children.run(command, tmp_path, os.environ, lambda line: None, timeout_s)


def test_lines_come_as_they_are_printed_errors_too_and_the_status_at_the_end(tmp_path):
    lines = []
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); sys.exit(3)"
    assert Children().run([sys.executable, "-c", code], tmp_path, os.environ, lines.append, 60) == 3
    assert lines == ["one", "two"]


def test_a_timeout_ends_the_process_and_its_child(tmp_path):
    with pytest.raises(TimeoutError, match="timeout of 3 s"):
        run(Children(), tmp_path, 3)
    assert is_gone(wait_for(tmp_path / "pid"))


def test_stop_ends_what_runs_and_starts_no_more(tmp_path):
    children = Children()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, children, tmp_path)
        pid = wait_for(tmp_path / "pid")
        children.stop()
        with pytest.raises(InterruptedError):
            ended.result(15)
    assert is_gone(pid)
    with pytest.raises(InterruptedError):
        run(children, tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_neither_the_process_nor_its_child(tmp_path, how):
    code = f"""
import sys, os, threading; sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
from tasks.children import Children
command = [sys.executable, "-c", {PARENT!r}, {deathsig.__file__!r}, {str(tmp_path / "pid")!r}]
threading.Thread(target=Children().run, args=(command, Path("."), os.environ, print, 60)).start()
"""
    parent = subprocess.Popen([sys.executable, "-P", "-c", code])
    child = wait_for(tmp_path / "pid")
    middle = psutil.Process(child).ppid()
    assert psutil.Process(middle).ppid() == parent.pid
    parent.send_signal(how)
    parent.wait(10)
    assert is_gone(child)
    assert is_gone(middle)


def test_a_process_whose_parent_is_gone_already_ends_at_once(tmp_path):
    code = f"import runpy; runpy.run_path({deathsig.__file__!r})['die_with_parent'](1 if __import__('os').getppid() != 1 else 2); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    assert "alive" not in done.stdout


def test_an_orphan_that_holds_the_output_open_does_not_hold_us(tmp_path):
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(15)'], start_new_session=True)"
    start = time.monotonic()
    assert Children().run([sys.executable, "-c", code], tmp_path, os.environ, lambda line: None, 60) == 0
    assert time.monotonic() - start < 12
