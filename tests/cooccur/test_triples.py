"""GloVe's own files: what is read, and what is refused."""

import gzip
import struct

import numpy as np
import pytest

from pipelines.cooccur import triples, windowed
from pipelines.cooccur.triples import RECORD, Params, cooccur
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.use.export_counts import triples as export
from tests.texts import tokens_of

VOCAB = "the 10\nice 4\nwater 3\n"


def written(tmp_path, records, vocab=VOCAB, name="cooccurrence.bin"):
    data = b"".join(struct.pack("<iid", *record) for record in records)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    (tmp_path / "vocab.txt").write_bytes(vocab.encode() if isinstance(vocab, str) else vocab)
    return Params(source=str(tmp_path / name), vocab=str(tmp_path / "vocab.txt"))


def read(tmp_path, *written_as, name="t", **more):
    return cooccur(written(tmp_path, *written_as, **more), Run(tmp_path / name, name="cooccur/t"))


@pytest.mark.parametrize("name", ["cooccurrence.bin", "cooccurrence.shuf.bin.gz"])
def test_records_are_numbered_from_one_as_the_lines_of_the_vocabulary(tmp_path, name):
    params = written(tmp_path, [(3, 2, 0.5), (1, 3, 1.25), (1, 2, 2.0)], name=name)
    counts = cooccur(params, Run(tmp_path / "t"))
    assert counts.vocab().to_pydict() == {"token_id": [0, 1, 2, 3], "token": ["<unk>", "the", "ice", "water"], "count": [0, 10, 4, 3]}
    assert counts.read().to_pydict() == {"row": [1, 1, 3], "col": [2, 3, 2], "count": [2.0, 1.25, 0.5]}


def test_a_shuffled_file_in_many_pieces_becomes_the_matrix_in_order(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    dense = np.triu(rng.integers(0, 9, (41, 41)) * 0.25)
    dense[0] = dense[:, 0] = 0
    records = [(i, j, dense[i, j]) for i, j in np.argwhere(dense).tolist()]
    rng.shuffle(records)
    vocab = "".join(f"w{i} 1\n" for i in range(1, 41))
    expected = read(tmp_path, [(int(i), int(j), n) for i, j, n in records], vocab)
    assert np.array_equal(expected.sparse().toarray(), dense)
    monkeypatch.setattr(triples, "READ", 7)
    monkeypatch.setattr(triples, "SORTED", 50)
    found = cooccur(Params(source=str(tmp_path / "cooccurrence.bin"), vocab=str(tmp_path / "vocab.txt")), Run(tmp_path / "again"))
    assert (found.folder / "counts.parquet").read_bytes() == (expected.folder / "counts.parquet").read_bytes()
    assert not list(tmp_path.glob(".scratch*"))


def test_a_pair_that_stands_there_again_is_summed(tmp_path):
    assert read(tmp_path, [(1, 2, 0.5), (2, 1, 1.0), (1, 2, 0.25)]).read().to_pydict() == {
        "row": [1, 2],
        "col": [2, 1],
        "count": [0.75, 1.0],
    }


def test_our_counts_exported_and_read_back_are_the_same_bytes(tmp_path):
    documents = (np.random.default_rng(1).zipf(1.5, (80, 50)) % 300).tolist()
    counts = windowed.cooccur(tokens_of(tmp_path / "tokens", documents, 300), windowed.Params(), Run(tmp_path / "w"))
    export(counts, tmp_path / "w.bin")
    assert (tmp_path / "w.bin").stat().st_size == 16 * counts.n_rows() == RECORD.itemsize * counts.n_rows()
    again = cooccur(Params(source=str(tmp_path / "w.bin"), vocab=str(tmp_path / "w.vocab.txt")), Run(tmp_path / "t"))
    assert (again.folder / "counts.parquet").read_bytes() == (counts.folder / "counts.parquet").read_bytes()
    assert again.words() == counts.words()
    assert again.vocab().column("count").to_pylist()[1:] == counts.vocab().column("count").to_pylist()[1:]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ((4, 1, 1.0), r"record 3: words 4 and 1; vocab.txt has words 1 to 3\. Name the one that it was counted with"),
        ((1, 0, 1.0), r"record 3: words 1 and 0; vocab.txt has words 1 to 3"),
        ((-5, 1, 1.0), r"record 3: words -5 and 1; vocab.txt has words 1 to 3"),
        ((1, 3, float("nan")), r"record 3: the count of words 1 and 3 is nan; it must be a float32 above 0"),
        ((1, 3, -2.0), r"record 3: the count of words 1 and 3 is -2; it must be a float32 above 0"),
        ((1, 3, 0.0), r"record 3: the count of words 1 and 3 is 0; it must be a float32 above 0"),
        ((1, 3, 1e39), r"record 3: the count of words 1 and 3 is 1e\+39; it must be a float32 above 0"),
    ],
)
def test_a_record_that_cannot_be_is_named(tmp_path, record, message):
    with pytest.raises(Fault, match="cooccurrence.bin " + message):
        read(tmp_path, [(1, 2, 1.0), (2, 1, 1.0), record, (3, 1, 1.0)])


def test_many_such_records_are_counted_and_the_first_named(tmp_path, monkeypatch):
    monkeypatch.setattr(triples, "READ", 4)
    with pytest.raises(Fault) as caught:
        read(tmp_path, [(9, 1, 1.0)] * 30)
    assert len(caught.value.faults) == 11
    assert caught.value.faults[9].startswith("cooccurrence.bin record 10: words 9 and 1")
    assert caught.value.faults[-1] == "and 20 more of them"


def test_a_file_cut_short_is_named_by_the_record_in_which_it_ends(tmp_path):
    params = written(tmp_path, [(1, 2, 1.0), (2, 1, 1.0)])
    path = tmp_path / "cooccurrence.bin"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(Fault, match=r"cooccurrence.bin record 2 is cut short: 13 of 16 bytes"):
        cooccur(params, Run(tmp_path / "t"))
    path.write_bytes(b"")
    with pytest.raises(Fault, match=r"cooccurrence.bin is empty"):
        cooccur(params, Run(tmp_path / "t"))


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ("the 10\nnew york 4\n", "vocab.txt line 2: is 'new york 4'; it must be a word, a space, and how often it was seen"),
        ("the 10\n\nice 4\n", "vocab.txt line 2: is ''"),
        ("the 1e3\n", "vocab.txt line 1: is 'the 1e3'"),
        ("the 10\nice 4\nthe 2\n", "vocab.txt line 3: 'the' stands in line 1 already"),
        ("the 10\n<unk> 4\n", "vocab.txt line 2: <unk> is what the unknown token is called here"),
        (b"the 10\n\xff 4\n", "vocab.txt line 2: is not UTF-8"),
        ("", "vocab.txt has no line"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_named_by_its_line(tmp_path, vocab, message):
    with pytest.raises(Fault, match=message):
        read(tmp_path, [(1, 1, 1.0)], vocab)
