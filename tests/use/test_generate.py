"""New codings, and what they are decoded to."""

import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines import layout
from pipelines.compress import binary, variational
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.use.generate import between, drawn, near, write
from tests.matrices import vectors_of
from tests.scratch import wordloom

PARAMS = """
run: {seed: 1, threads: 1}
embed: {cloud: {method: numbers, source: cloud.parquet}}
compress:
  vae: {method: variational, vectors: cloud, sizes: [2], epochs: 60, lr: 0.01}
  flat: {method: linear, vectors: cloud, coding_size: 2}
  bits: {method: binary, vectors: cloud, n_bits: 8, epochs: 1}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two heaps of points, named by their heap and number; codings of them. Not to be written to."""
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text(PARAMS)
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(200, 6)) * 0.4 + np.repeat([[3, 3, 3, 0, 0, 0], [0, 0, 0, 3, 3, 3]], 100, axis=0)).astype(np.float32)
    names = [f"{heap}{i}" for heap in "ab" for i in range(100)]
    v = vectors_of(root / layout.artifact("vectors", "cloud"), names, x, [name[0] for name in names])
    for row in ("vae", "flat"):
        folder = root / layout.artifact("codings", row)
        made = variational.compress(v, variational.Params(sizes=[2], epochs=60, lr=0.01, beta=0.2), Run(folder, seed=1))
        if row == "flat":  # as of a method whose codings follow no law
            (folder / "model.json").write_text((made.folder / "model.json").read_text().replace('"prior"', '"other"'))
    binary.compress(v, binary.Params(n_bits=8, epochs=1), Run(root / layout.artifact("codings", "bits"), seed=1))
    return root


def test_draws_are_the_same_for_a_seed_and_lie_near_the_items(root):
    made = drawn(root, "vae", 30, seed=4)
    assert (made.coding.shape, made.vector.shape, made.names[:2]) == ((30, 2), (30, 6), ["draw 1", "draw 2"])
    assert (made.vector == drawn(root, "vae", 30, seed=4).vector).all()
    found = near(root, "vae", made.vector, 3)
    assert {items[0][0][0] for items in found} == {"a", "b"}  # both heaps are drawn
    assert all(cosines == sorted(cosines, reverse=True) for cosines in ([cosine for _, cosine in items] for items in found))
    assert np.mean([items[0][1] for items in found]) > 0.9


def test_steps_go_from_one_item_evenly_to_another(root):
    made = between(root, "flat", "a0", "b7", 5)
    assert made.names == ["0%", "25%", "50%", "75%", "100%"]
    assert np.diff(made.coding, axis=0) == pytest.approx(np.tile((made.coding[4] - made.coding[0]) / 4, (4, 1)), abs=1e-5)
    heaps = [items[0][0] for items in near(root, "flat", made.vector, 1)]
    assert [heaps[0][-3:], heaps[4][-3:]] == ["(a)", "(b)"]


def test_what_cannot_be_generated_is_said(root, tmp_path):
    with pytest.raises(Fault, match="codings/flat follows no law .* variational and adversarial do"):
        drawn(root, "flat", 3, seed=1)
    with pytest.raises(Fault) as fault:
        between(root, "flat", "a0x", "c", 3)
    assert [line.partition(".")[0] for line in fault.value.faults] == [f"codings/flat has no item {item!r}" for item in ("a0x", "c")]
    with pytest.raises(
        Fault, match=r"codings/bits: its codings are bits, and nothing lies between two .* Name a row whose codings are numbers"
    ):
        between(root, "bits", "a0", "b7", 3)
    with pytest.raises(Fault, match="compress has no row 'none'; it has vae, flat, bits"):
        drawn(root, "none", 3, seed=1)
    with pytest.raises(Fault, match="ends in '.npy'"):
        write(drawn(root, "vae", 3, seed=1), tmp_path / "x.npy")
    with pytest.raises(Fault, match="there is no folder"):
        write(drawn(root, "vae", 3, seed=1), tmp_path / "gone" / "x.parquet")


def test_the_command_shows_what_is_nearest_or_writes_a_file(root, tmp_path):
    shown = subprocess.run(wordloom("generate", "vae", "-n", "2", "-k", "1"), cwd=root, capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
    ((item, cosine), *_), *_ = near(root, "vae", drawn(root, "vae", 2, seed=1).vector, 1)
    assert shown.stdout.splitlines()[0] == f"draw 1: {item} {cosine:.3f}"
    file = tmp_path / "made.parquet"
    args = ["generate", "flat", "-n", "4", "--between", "a0", "b7", "--out", str(file)]
    done = subprocess.run(wordloom(*args), cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}\n", "")
    table = pq.read_table(file)
    assert (table.column_names, table.num_rows) == (["name", "coding", "vector"], 4)
    assert np.stack(table["vector"].to_numpy()) == pytest.approx(between(root, "flat", "a0", "b7", 4).vector)
    assert list(tmp_path.iterdir()) == [file]
