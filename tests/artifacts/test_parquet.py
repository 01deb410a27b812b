"""What all artifacts share: the folder of Parquet tables, its writer, its lazy reader."""

import hashlib
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.artifacts import parquet
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.tokens import Tokens
from pipelines.artifacts.vectors import Vectors
from pipelines.errors import Fault
from pipelines.registry import NOUNS


def vectors_of(folder, n=5, size=3):
    matrix = np.arange(n * size, dtype=np.float32).reshape(n, size)
    with parquet.Writer(Vectors, folder) as out:
        out.append(item=[f"w{i}" for i in range(n)], count=np.arange(n), vector=matrix)
    return out.artifact


def digest(folder):
    files = sorted(folder.iterdir())
    assert files
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# pieces


@given(cuts=st.lists(st.integers(0, 40), max_size=12), n=st.integers(0, 40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bytes_do_not_depend_on_the_sizes_of_the_pieces(tmp_path_factory, monkeypatch, cuts, n):
    monkeypatch.setattr(parquet, "ROW_GROUP", 8)  # so that forty rows make several groups
    lengths = np.arange(n) % 4
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.arange(offsets[-1]) % 7

    def write(borders):
        folder = tmp_path_factory.mktemp("pieces") / "words"
        with parquet.Writer(Tokens, folder) as out:
            for start, end in itertools.pairwise(borders):
                rows = range(start, end)
                flat = values[offsets[start] : offsets[end]]
                out.append(
                    doc_id=[f"d{i}" for i in rows],
                    split=["train"] * len(rows),
                    label=[None if i % 3 else "x" for i in rows],
                    token_ids=(flat, offsets[start : end + 1] - offsets[start]),
                )
        return folder

    whole = write([0, n])
    pieces = write([0, *sorted(cut for cut in cuts if cut <= n), n])
    assert digest(pieces) == digest(whole)
    assert pq.ParquetFile(whole / "tokens.parquet").num_row_groups == max(1, -(-n // 8))
    back = Tokens(pieces).read().column("token_ids").to_pylist()
    assert back == [values[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def test_a_batch_has_at_most_the_rows_asked_for_and_all_come_in_order(tmp_path):
    vectors = vectors_of(tmp_path / "v", n=11)
    batches = list(vectors.batches(["item"], rows=4))
    assert [batch.num_rows for batch in batches] == [4, 4, 3]
    assert [item for batch in batches for item in batch.column(0).to_pylist()] == vectors.items()


def test_a_table_nobody_wrote_to_is_a_table_of_no_rows(tmp_path):
    with parquet.Writer(Counts, tmp_path / "c") as out:
        out.append("vocab", token_id=[0], token=["<unk>"], count=[0])
    assert out.artifact.n_rows("counts") == 0
    out.artifact.verify()


def test_columns_that_are_missing_or_not_known_are_refused_by_name(tmp_path):
    out = parquet.Writer(Vectors, tmp_path / "v")
    with pytest.raises(
        TypeError, match=r"vectors: vectors has columns \['count', 'item', 'label', 'vector'\], was given \['item', 'norm'\]"
    ):
        out.append(item=["a"], norm=[1.0])
    with pytest.raises(TypeError, match=r"was given \['count', 'item', 'label'\]"):
        out.append(item=["a"], count=[1], label=["x"])
    with pytest.raises(TypeError, match=r"was given \['count', 'item', 'norm', 'vector'\]"):
        out.append(item=["a"], count=[1], vector=np.zeros((1, 2)), norm=[1.0])


def test_a_column_that_may_be_null_and_is_not_given_is_null(tmp_path):
    with parquet.Writer(Vectors, tmp_path / "v") as out:
        out.append(item=["a", "b"], count=[1, 2], vector=np.eye(2))
        out.append(item=["c"], count=[3], label=["x"], vector=np.ones((1, 2)))
    assert out.artifact.read(columns=["item", "label"]).to_pylist() == [
        {"item": "a", "label": None},
        {"item": "b", "label": None},
        {"item": "c", "label": "x"},
    ]
    out.artifact.verify()


def test_a_null_where_none_may_be_is_not_written(tmp_path):
    with pytest.raises(pa.ArrowInvalid, match="non-nullable"), parquet.Writer(Vectors, tmp_path / "v") as out:
        out.append(item=["a", None], count=[1, 1], vector=np.zeros((2, 2), np.float32))


# what a stranger's tool sees


def test_plain_pandas_reads_an_artifact(tmp_path):
    vectors_of(tmp_path / "v", n=2, size=3)
    frame = pd.read_parquet(tmp_path / "v" / "vectors.parquet")
    assert frame["item"].tolist() == ["w0", "w1"]
    assert np.stack(frame["vector"]).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_file_says_what_each_column_holds_and_in_which_unit(tmp_path):
    vectors_of(tmp_path / "v")
    field = pq.read_schema(tmp_path / "v" / "vectors.parquet").field("count")
    assert field.metadata[b"unit"] == b"tokens"
    assert field.metadata[b"description"].startswith(b"sightings")


@pytest.mark.parametrize("noun", NOUNS.values(), ids=NOUNS)
def test_every_column_of_every_noun_is_described_and_comes_back_as_declared(tmp_path, noun):
    columns = {
        name: {field.name: np.zeros((0, 4), np.float32) if field.name == table.sized else [] for field in table.fields.values()}
        for name, table in noun.tables.items()
    }
    with parquet.Writer(noun, tmp_path / "x") as out:
        for name, empty in columns.items():
            out.append(name, **empty)
    for name, table in noun.tables.items():
        found = pq.read_schema(tmp_path / "x" / f"{name}.parquet")
        assert found.equals(table.schema(4), check_metadata=False), name
        for field in found:
            assert field.metadata[b"description"], field.name


def test_weights_lie_beside_the_tables_as_safetensors_and_settings_as_json(tmp_path):
    with parquet.Writer(Vectors, tmp_path / "v") as out:
        out.append(item=["a"], count=[1], vector=np.ones((1, 2), np.float32))
        out.model({"size": 2}, {"bias": np.float32([3, 4])})
    settings_, weights = out.artifact.model()
    assert settings_ == {"size": 2}
    assert weights["bias"].tolist() == [3, 4]
    assert json.loads((tmp_path / "v" / "model.json").read_text()) == {"size": 2}


def test_an_artifact_without_a_model_says_so(tmp_path):
    with pytest.raises(Fault, match="vectors/v holds no model"):
        vectors_of(tmp_path / "v").model()


def test_a_curve_is_read_back_with_the_cells_that_were_left_empty_missing(tmp_path):
    with parquet.Writer(Vectors, tmp_path / "v") as out:
        out.append(item=["a"], count=[1], vector=np.ones((1, 2), np.float32))
        out.csv("curve", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": None}])
    assert out.artifact.curve() == [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0}]


# what cannot be used


def test_all_that_is_wrong_with_a_schema_is_said_at_once(tmp_path):
    folder = tmp_path / "v"
    folder.mkdir()
    pq.write_table(pa.table({"item": [1], "vector": pa.array([[1.0]]), "norm": [1.0]}), folder / "vectors.parquet")
    with pytest.raises(Fault) as caught:
        Vectors(folder).read()
    said = [fault.split("vectors.parquet: ")[1].split(". Delete")[0] for fault in caught.value.faults]
    assert said[:2] == ["column 'item' is int64, not string", "column 'count' (int64) is missing"]
    assert said[2] == "column 'label' (string) is missing"
    assert said[3].startswith("column 'vector' is list<")
    assert said[4] == "column 'norm' is not known"
    assert len(said) == 5


@pytest.mark.parametrize("keep", [0, 4, 0.5, 0.99])
def test_a_truncated_file_is_a_fault_that_names_it(tmp_path, keep):
    path = vectors_of(tmp_path / "v", n=200).folder / "vectors.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(Fault, match=r"vectors/v: .*vectors.parquet is not a readable Parquet file .*Delete it and run: dvc repro"):
        Vectors(tmp_path / "v").verify()


def test_verify_names_every_table_that_is_broken(tmp_path):
    folder = tmp_path / "w"
    with parquet.Writer(Counts, folder) as out:
        out.append("vocab", token_id=[0], token=["<unk>"], count=[0])
    (folder / "vocab.parquet").write_bytes(b"PAR1")
    (folder / "counts.parquet").unlink()
    with pytest.raises(Fault) as caught:
        out.artifact.verify()
    assert len(caught.value.faults) == 2
    assert "counts.parquet is missing" in caught.value.faults[0]
    assert "vocab.parquet is not a readable Parquet file" in caught.value.faults[1]


def test_vectors_are_not_taken_for_codings(tmp_path):
    vectors_of(tmp_path / "v").folder.joinpath("vectors.parquet").rename(tmp_path / "v" / "codings.parquet")
    with pytest.raises(Fault, match="column 'coding' .* is missing"):
        Codings(tmp_path / "v").verify()


# larger than memory

LARGER = """
import os, resource, sys
import numpy as np
import pyarrow as pa
from pathlib import Path
from pipelines.artifacts.parquet import Writer
from pipelines.artifacts.vectors import Vectors

N, SIZE, PIECE, ROOM = 1_600_000, 128, 20_000, 256 * 2**20

def in_use():  # bytes of the process's own, not the file's pages that the system lends it
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024

rng = np.random.default_rng(0)
# RLIMIT_DATA counts what was mapped, touched or not, so the start is measured in its own coin
start = int(dict(l.split(":", 1) for l in Path("/proc/self/status").read_text().splitlines())["VmData"].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (start + ROOM, start + ROOM))
before = peak = in_use()

total = 0.0
with Writer(Vectors, Path(sys.argv[1])) as out:
    for first in range(0, N, PIECE):
        piece = rng.random((PIECE, SIZE), np.float32)
        total += float(piece.sum(dtype=np.float64))
        out.append(item=[str(i) for i in range(first, first + PIECE)], count=np.zeros(PIECE, np.int64), vector=piece)
        peak = max(peak, in_use())
del piece
vectors = out.artifact
vectors.verify()
rows, back = 0, 0.0
for batch in vectors.batches(rows=16_384):
    rows += batch.num_rows
    back += float(batch.column("vector").flatten().to_numpy().sum(dtype=np.float64))
    peak = max(peak, in_use())
try:
    vectors.read()
    whole = "fits"
except (MemoryError, pa.ArrowException):  # of memory, or of a thread for want of memory
    whole = "does not fit"
print(rows, abs(back - total) < 1e-6 * total, whole, (peak - before) // 2**20, vectors.n_bytes() // 2**20, ROOM // 2**20)
"""


@pytest.mark.slow
@pytest.mark.quick_slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_an_artifact_larger_than_memory_is_written_and_read_in_pieces(tmp_path):
    """700 MB of vectors in a process that may take 256 MB more than at its start, and cannot read them whole."""
    env = {
        **os.environ,
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run([sys.executable, "-c", LARGER, str(tmp_path / "v")], capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    rows, same, whole, peak, size, room = done.stdout.replace("does not fit", "no").split()
    assert (rows, same, whole) == ("1600000", "True", "no")
    assert int(size) > 2.5 * int(room)
    assert int(peak) < int(room), done.stdout
