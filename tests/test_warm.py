"""What an environment is made ready by."""

import subprocess
import sys

from tests.support import HOME


def test_the_kernels_are_compiled_by_the_methods_own_work():
    done = subprocess.run([sys.executable, "-m", "pipelines", "warm"], cwd=HOME, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
