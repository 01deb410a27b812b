"""What BPE and WordPiece share, on real text."""

import subprocess
import sys

import pytest
from gensim.test.utils import datapath

from tests.support import ENV, HOME

# the library starts its threads once in a process, so each number of them takes one of its own
RUN = """
import sys
from pathlib import Path
from pipelines import layout, registry
from tests.tokenize.forms import tokens_of
name, folder, threads, text = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
method = sys.modules[registry.load("tokenize", name).module]
tokens = tokens_of(method, folder, text.read_text().splitlines(), threads=threads, vocab_size=3000)
assert tokens.n_rows("vocab") == 3000
print(layout.hash_path(tokens.folder))
"""


@pytest.mark.slow
@pytest.mark.quick_slow
@pytest.mark.parametrize("name", ["bpe", "wordpiece"])
def test_any_number_of_threads_writes_the_same_bytes(tmp_path, name):
    hashes = set()
    for threads in (1, 2, 3):
        command = [sys.executable, "-c", RUN, name, str(tmp_path / str(threads)), str(threads), datapath("lee_background.cor")]
        hashes.add(
            subprocess.run(command, cwd=HOME, env={**ENV, "PYTHONHASHSEED": str(threads)}, stdout=subprocess.PIPE, check=True).stdout
        )
    assert len(hashes) == 1
