"""One run at a time in a workspace."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.errors import Fault
from tasks import workspace

HERE = Path(__file__).parent.parent.parent
HOLD = f"""
import sys, time; sys.path.insert(0, {str(HERE)!r}); sys.argv = ["/usr/bin/wordloom", "run", "embed/g"]
from pathlib import Path
from tasks.workspace import alone
with alone(Path(".")):
    print("held", flush=True)
    time.sleep(float(sys.stdin.readline()))
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-P", "-c", HOLD], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_that_may_not_wait_says_which_run_holds_the_workspace(tmp_path, holder):
    with pytest.raises(Fault, match=rf"in use by process {holder.pid} \(wordloom run embed/g\)"), workspace.alone(tmp_path, wait=False):
        pass


def test_a_second_run_waits_and_says_for_whom(tmp_path, holder, capsys):
    holder.stdin.write("0.5\n")
    holder.stdin.flush()
    start = time.monotonic()
    with workspace.alone(tmp_path):
        assert time.monotonic() - start > 0.2
    assert f"waiting for process {holder.pid} (wordloom run embed/g)" in capsys.readouterr().err


def test_a_killed_run_holds_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    with workspace.alone(tmp_path, wait=False):
        pass


def test_a_run_within_a_run_goes_through(tmp_path):
    with workspace.alone(tmp_path), workspace.alone(tmp_path, wait=False):
        assert str(os.getpid()) in (tmp_path / workspace.LOCK).read_text()
