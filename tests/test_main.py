"""The stages' command line, before it does anything."""

import shutil
import sys

from tests.support import HOME, run


def test_compiled_kernels_that_a_power_cut_has_emptied_are_taken_away_and_others_stay(tmp_path):
    shutil.copytree(HOME / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "pipelines" / "kernels" / "__pycache__"
    cache.mkdir()
    for name, content in (("a.nbi", b""), ("a.1.nbc", b""), ("b.nbi", b"index"), ("a.pyc", b"")):
        (cache / name).write_bytes(content)
    run(tmp_path, sys.executable, "-m", "pipelines", "list")
    assert {path.name for path in cache.iterdir() if path.suffix in (".nbi", ".nbc")} == {"b.nbi"}
