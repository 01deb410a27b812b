"""Counts as other programs read them."""

import struct

import numpy as np
import pytest
from scipy.sparse import load_npz

from pipelines import layout
from pipelines.artifacts.counts import Counts
from pipelines.cooccur import documents, windowed
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.use.export import export
from tests.texts import tokens_of


def project(tmp_path, method=windowed):
    tokens = tokens_of(tmp_path / "tokens", [[1, 2, 3], [2, 3, 0]])
    folder = tmp_path / layout.artifact("counts", "w")
    method.cooccur(tokens, method.Params(), Run(folder))
    (tmp_path / "out").mkdir()
    return tmp_path, Counts(folder)


def test_npz_is_the_matrix_without_a_pickle_and_its_words_beside_it(tmp_path):
    root, counts = project(tmp_path)
    made = export(root, "counts", "w", root / "out/w.npz")
    assert [path.name for path in made] == ["w.npz", "w.vocab.txt"]
    found = load_npz(root / "out/w.npz")
    assert found.dtype == np.float32
    assert (found != counts.sparse()).nnz == 0
    assert (root / "out/w.vocab.txt").read_text() == "<unk> 1\nw1 1\nw2 2\nw3 2\n"
    np.load(root / "out/w.npz", allow_pickle=False)["data"]


def test_npz_of_documents_has_their_names_beside_it(tmp_path):
    root, counts = project(tmp_path, documents)
    export(root, "counts", "w", root / "out/w.npz")
    assert load_npz(root / "out/w.npz").shape == (2, 4)
    assert (root / "out/w.rows.txt").read_text() == "d0\nd1\n"
    assert counts.n_rows("documents") == 2


def test_bin_is_a_record_a_pair_with_words_numbered_from_one(tmp_path):
    root, counts = project(tmp_path)
    made = export(root, "counts", "w", root / "out/cooccurrence.bin")
    assert [path.name for path in made] == ["cooccurrence.bin", "cooccurrence.vocab.txt"]
    records = list(struct.iter_unpack("<iid", (root / "out/cooccurrence.bin").read_bytes()))
    assert records == [(pair["row"], pair["col"], pair["count"]) for pair in counts.read().to_pylist()]
    assert records == [(1, 2, 1), (1, 3, 0.5), (2, 1, 1), (2, 3, 2), (3, 1, 0.5), (3, 2, 2)]
    assert (root / "out/cooccurrence.vocab.txt").read_text() == "w1 1\nw2 2\nw3 2\n"


def test_a_token_with_white_space_is_a_fault_and_nothing_is_written(tmp_path):
    root, _ = project(tmp_path)
    with Run(root / layout.artifact("counts", "p")).open(Counts) as out:
        out.append(row=[1, 2], col=[2, 1], count=[1, 1])
        out.append("vocab", token_id=[0, 1, 2], token=["<unk>", "new york", "city"], count=[0, 1, 1])
    with pytest.raises(Fault, match=r"counts/p: 1 tokens have white space in them, first 'new york'"):
        export(root, "counts", "p", root / "out/p.bin")
    assert not list((root / "out").iterdir())


def test_what_cannot_be_exported_says_what_can(tmp_path):
    root, _ = project(tmp_path, documents)
    with pytest.raises(Fault, match=r"its rows are documents"):
        export(root, "counts", "w", root / "out/w.bin")
    with pytest.raises(Fault, match=r"w.xlsx ends in '.xlsx'; counts are written to \*.npz or \*.bin"):
        export(root, "counts", "w", root / "out/w.xlsx")
    with pytest.raises(Fault, match=r"scores cannot be exported; .*counts"):
        export(root, "scores", "w", root / "out/w.npz")
    with pytest.raises(Fault, match=r"no folder .*nowhere"):
        export(root, "counts", "w", root / "nowhere/w.npz")
    with pytest.raises(Fault, match=r"counts/none: .* is missing"):
        export(root, "counts", "none", root / "out/none.npz")
    assert not list((root / "out").iterdir())
