"""What a process took."""

import json
import subprocess
import sys

import numpy as np

from pipelines import layout, records
from pipelines.records import peak_bytes

ASK = "from pipelines.records import peak_bytes; print(peak_bytes())"


def test_memory_that_was_given_back_still_counts():
    before = peak_bytes()
    held = np.ones(25_000_000)
    del held
    assert peak_bytes() >= max(before, 190_000_000)


def test_what_the_parent_had_does_not_count():
    held = np.ones(40_000_000)  # 320 MB
    found = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert held.nbytes > 2 * int(found.stdout) > 0


def test_the_record_is_that_of_what_lies_in_data_whichever_is_newer(tmp_path):
    token = tmp_path / layout.pass_token("vectors", "w")
    for path, text in [
        (token, json.dumps({"artifact": "a" * 32})),
        (tmp_path / layout.record("vectors", "w", "a" * 32), '{"seconds": 1}'),
        (tmp_path / layout.record("vectors", "w", "b" * 32), '{"seconds": 2}'),
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert records.of(tmp_path, "vectors", "w") == {"seconds": 1}
    (tmp_path / layout.record("vectors", "w", "a" * 32)).write_text("{bad")
    assert records.of(tmp_path, "vectors", "w") == {}
    assert records.of(tmp_path, "vectors", "another") == {}
