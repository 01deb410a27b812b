"""Counts, vectors and codings as other programs read them."""

import json
import re
import struct
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from gensim.models import KeyedVectors
from safetensors.numpy import load_file
from scipy.sparse import load_npz

from pipelines import layout
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.counts import Counts
from pipelines.artifacts.vectors import Vectors
from pipelines.cooccur import documents, windowed
from pipelines.embed import pretrained
from pipelines.errors import Fault
from pipelines.method import Run
from pipelines.use.export import export
from pipelines.use.in_context import sentences
from tests.spelled import spelled
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


def test_a_table_of_counts_has_the_pairs_and_the_words_that_they_are_of(tmp_path):
    root, counts = project(tmp_path)
    assert export(root, "counts", "w", root / "out/w.parquet") == [root / "out/w.parquet"]
    found = pq.read_table(root / "out/w.parquet")
    assert found.select(["row", "col", "count"]).to_pylist() == counts.read().to_pylist()
    assert list(zip(found["row_item"].to_pylist(), found["col_item"].to_pylist(), found["count"].to_pylist(), strict=True)) == [
        ("w1", "w2", 1), ("w1", "w3", 0.5), ("w2", "w1", 1), ("w2", "w3", 2), ("w3", "w1", 0.5), ("w3", "w2", 2),
    ]  # fmt: skip


def test_a_table_of_counts_of_documents_has_their_names(tmp_path):
    root, counts = project(tmp_path, documents)
    export(root, "counts", "w", root / "out/w.parquet")
    found = pq.read_table(root / "out/w.parquet")
    assert found["row_item"].to_pylist() == [f"d{row}" for row in found["row"].to_pylist()]
    assert found["col_item"].to_pylist() == [counts.words()[col] for col in found["col"].to_pylist()]
    assert set(found["row_item"].to_pylist()) == {"d0", "d1"}


def test_pairs_of_the_unknown_token_have_no_triples_and_leave_no_vocabulary_behind(tmp_path):
    root, _ = project(tmp_path)
    with Run(root / layout.artifact("counts", "u")).open(Counts) as out:
        out.append(row=[0, 1], col=[1, 0], count=[1, 1])
        out.append("vocab", token_id=[0, 1], token=["<unk>", "a"], count=[1, 1])
    with pytest.raises(Fault, match="counts/u has pairs of the unknown token, which GloVe's files cannot have. Count without it"):
        export(root, "counts", "u", root / "out/u.bin")
    assert not list((root / "out").iterdir())


def test_a_token_with_white_space_is_a_fault_and_nothing_is_written(tmp_path):
    root, _ = project(tmp_path)
    with Run(root / layout.artifact("counts", "p")).open(Counts) as out:
        out.append(row=[1, 2], col=[2, 1], count=[1, 1])
        out.append("vocab", token_id=[0, 1, 2], token=["<unk>", "new york", "city"], count=[0, 1, 1])
    with pytest.raises(Fault, match=r"counts/p: 1 tokens have white space in them, first 'new york'"):
        export(root, "counts", "p", root / "out/p.bin")
    assert not list((root / "out").iterdir())


@pytest.mark.parametrize("ending", ["vec", "txt"])
def test_vectors_as_text_are_read_back_to_the_last_bit(tmp_path, trained, ending):
    made = export(trained, "vectors", "grams", tmp_path / f"g.{ending}")
    assert made == [tmp_path / f"g.{ending}"]
    vectors = Vectors(trained / layout.artifact("vectors", "grams"))
    assert made[0].read_text().startswith(f"{vectors.n_rows()} 6\n") == (ending == "vec")
    again = pretrained.embed(pretrained.Params(source=str(made[0])), Run(tmp_path / "again"))
    assert again.items() == vectors.items()
    assert (again.matrix() == vectors.matrix()).all()


WORDS = {"sea": [1, 0.1], "東京": [-1e-30, 2], "naïve": [3.4e18, -0.0], "</s>": [7, 8]}


def of_words(tmp_path):
    spelled(tmp_path / layout.artifact("vectors", "v"), WORDS, {})
    return Vectors(tmp_path / layout.artifact("vectors", "v"))


@pytest.mark.parametrize("ending", ["vec", "bin", "kv"])
def test_gensim_reads_the_same_vectors(tmp_path, ending):
    vectors = of_words(tmp_path)
    made = export(tmp_path, "vectors", "v", tmp_path / f"v.{ending}")
    if ending == "kv":
        found = KeyedVectors.load(str(made[0]))
    else:
        found = KeyedVectors.load_word2vec_format(str(made[0]), binary=ending == "bin")
    assert found.index_to_key == list(WORDS)
    assert found.vectors.dtype == np.float32
    assert (found.vectors == vectors.matrix()).all()
    assert found.most_similar("sea", topn=1)[0][0] == "naïve"


def test_gensim_finds_large_vectors_beside_their_file(tmp_path):
    rows = np.random.default_rng(1).normal(size=(10_500, 1000)).astype(np.float32)
    with Run(tmp_path / layout.artifact("vectors", "v")).open(Vectors) as out:
        out.append(item=[f"w{i}" for i in range(len(rows))], count=[0] * len(rows), vector=rows)
    (tmp_path / "out").mkdir()
    made = export(tmp_path, "vectors", "v", tmp_path / "out/v.kv")
    assert [path.name for path in made] == ["v.kv", "v.kv.vectors.npy"]
    assert (KeyedVectors.load(str(made[0]), mmap="r")["w10499"] == rows[-1]).all()


def test_the_binary_form_is_read_back_to_the_last_bit(tmp_path, trained):
    (file,) = export(trained, "vectors", "grams", tmp_path / "g.bin")
    vectors = Vectors(trained / layout.artifact("vectors", "grams"))
    again = pretrained.embed(pretrained.Params(source=str(file)), Run(tmp_path / "again"))
    assert again.items() == vectors.items()
    assert (again.matrix() == vectors.matrix()).all()


def test_safetensors_hold_the_matrix_and_its_words_lie_beside_it(tmp_path):
    vectors = of_words(tmp_path)
    file, words = export(tmp_path, "vectors", "v", tmp_path / "v.safetensors")
    assert (load_file(file)["vectors"] == vectors.matrix()).all()
    assert json.loads(words.read_text()) == list(WORDS)


def test_the_projectors_tables_have_a_line_a_word(tmp_path):
    of_words(tmp_path)
    (folder,) = export(tmp_path, "vectors", "v", tmp_path / "v.projector")
    tensors = np.loadtxt(folder / "tensors.tsv", delimiter="\t", dtype=np.float32)
    assert (tensors == np.float32(list(WORDS.values()))).all()
    assert (folder / "metadata.tsv").read_text() == "word\tcount\nsea\t4\n東京\t3\nnaïve\t2\n</s>\t1\n"
    paths = re.findall(r'_path: "(.*)"', (folder / "projector_config.pbtxt").read_text())
    assert sorted(paths) == sorted(path.name for path in folder.glob("*.tsv"))


def test_metadata_of_one_column_has_no_head_as_the_projector_wants_it(tmp_path):
    of_words(tmp_path)
    (tmp_path / "list.txt").write_text("東京\nsea\n")
    (folder,) = export(tmp_path, "vectors", "v", tmp_path / "v.projector", words=tmp_path / "list.txt")
    assert (folder / "metadata.tsv").read_text() == "東京\nsea\n"
    assert len((folder / "tensors.tsv").read_text().splitlines()) == 2


def test_codings_are_written_as_vectors_are(tmp_path):
    with Run(tmp_path / layout.artifact("codings", "c")).open(Codings) as out:
        out.append(item=["sea", "boat"], coding=np.float32([[1, 2], [3, 4]]), error=[0, 0])
    file, _ = export(tmp_path, "codings", "c", tmp_path / "c.safetensors")
    assert load_file(file)["codings"].tolist() == [[1, 2], [3, 4]]
    (file,) = export(tmp_path, "codings", "c", tmp_path / "c.vec")
    assert file.read_text() == "2 2\nsea 1 2\nboat 3 4\n"
    (file,) = export(tmp_path, "codings", "c", tmp_path / "c.parquet")
    assert pq.read_table(file).column("coding").to_pylist() == [[1, 2], [3, 4]]
    (folder,) = export(tmp_path, "codings", "c", tmp_path / "c.projector")
    assert (folder / "metadata.tsv").read_text() == "sea\nboat\n"
    with pytest.raises(Fault, match=r"codings are written to"):
        export(tmp_path, "codings", "c", tmp_path / "c.hf")


@pytest.mark.parametrize("ending", ["vec", "bin"])
def test_a_word_of_two_is_a_fault_where_a_blank_ends_a_word(tmp_path, ending):
    spelled(tmp_path / layout.artifact("vectors", "v"), {"new york": [1, 2], "sea": [3, 4]}, {})
    with pytest.raises(Fault, match=rf"1 words have white space in them, first 'new york'; a line of v.{ending} is cut there"):
        export(tmp_path, "vectors", "v", tmp_path / f"v.{ending}")
    export(tmp_path, "vectors", "v", tmp_path / "v.kv")
    assert "new york" in KeyedVectors.load(str(tmp_path / "v.kv"))


def test_of_a_list_the_unknown_words_are_composed_and_those_that_have_no_vector_are_listed(tmp_path):
    spelled(tmp_path / layout.artifact("vectors", "v"), {"sea": [1, 0.1], "pea": [0, 2]}, {"ea>": [2, 1]})
    (tmp_path / "list.txt").write_text("lea\n\npea\nox\nlea\n")
    made = export(tmp_path, "vectors", "v", tmp_path / "v.vec", words=tmp_path / "list.txt")
    assert [path.name for path in made] == ["v.missing.txt", "v.vec"]
    assert (tmp_path / "v.vec").read_text() == "2 2\nlea 2 1\npea 0 2\n"
    assert (tmp_path / "v.missing.txt").read_text() == "ox\n"
    export(tmp_path, "vectors", "v", tmp_path / "v.parquet", words=tmp_path / "list.txt")
    assert pq.read_table(tmp_path / "v.parquet").to_pylist() == [
        {"item": "lea", "composed": True, "vector": [2, 1]}, {"item": "pea", "composed": False, "vector": [0, 2]},
    ]  # fmt: skip


def test_words_that_are_all_unknown_are_a_fault_with_the_nearest_spelling(tmp_path, trained):
    (tmp_path / "list.txt").write_text("boatt\nnope\n")
    with pytest.raises(Fault, match=r"no vector of any of the 2 words, first 'boatt', and no letter n-grams .*Did you mean 'boat'\?"):
        export(trained, "vectors", "bilm", tmp_path / "x.vec", words=tmp_path / "list.txt")
    assert not list(tmp_path.glob("x.*"))


def test_of_sentences_each_word_has_a_row_with_its_line_and_its_place(tmp_path, trained):
    (tmp_path / "mine.txt").write_text("The boat lies.\n\nThe gnu lies.\n")
    export(trained, "vectors", "bilm", tmp_path / "mine.parquet", sentences=tmp_path / "mine.txt")
    table = pq.read_table(tmp_path / "mine.parquet")
    assert list(zip(*(table[name].to_pylist() for name in ("sentence", "place", "word", "known")), strict=True)) == [
        (1, 1, "the", True), (1, 2, "boat", True), (1, 3, "lies", True),
        (3, 1, "the", True), (3, 2, "gnu", False), (3, 3, "lies", True),
    ]  # fmt: skip
    expected = np.concatenate([it.vector for it in sentences(trained, "bilm", ["The boat lies.", "The gnu lies."])])
    assert np.array(table["vector"].to_pylist(), np.float32).tolist() == expected.tolist()


def test_vectors_that_cannot_be_exported_so_say_how(tmp_path, trained):
    listed, blank = tmp_path / "list.txt", tmp_path / "blank.txt"
    listed.write_text("boat\nthe boat\n")
    blank.write_text("\n")
    with pytest.raises(Fault, match=r"vectors/grams: 1 words have white space in them, first 'the boat'; a line of x.vec is cut there"):
        export(trained, "vectors", "grams", tmp_path / "x.vec", words=listed)
    with pytest.raises(Fault, match=r"x.vec ends in '.vec'; vectors of sentences are written to \*.parquet"):
        export(trained, "vectors", "bilm", tmp_path / "x.vec", sentences=listed)
    with pytest.raises(Fault, match=r"not both at once"):
        export(trained, "vectors", "bilm", tmp_path / "x.parquet", words=listed, sentences=listed)
    with pytest.raises(Fault, match=r"words or sentences are asked of vectors"):
        export(trained, "counts", "w", tmp_path / "x.npz", words=listed)
    with pytest.raises(Fault, match=r"blank.txt is empty"):
        export(trained, "vectors", "grams", tmp_path / "x.vec", words=blank)
    for given, file in (("words", tmp_path / "x.vec"), ("sentences", tmp_path / "x.parquet")):
        with pytest.raises(Fault, match=rf"--{given} sea,nope is missing: it has to be a file of the {given} that are wanted, one a line"):
            export(trained, "vectors", "bilm", file, **{given: Path("sea,nope")})
    assert not list(tmp_path.glob("x.*"))


def test_a_place_that_cannot_be_written_to_is_a_fault(tmp_path):
    of_words(tmp_path)
    (tmp_path / "v.projector").write_text("something else")
    with pytest.raises(Fault, match=r"v.projector is a file that is there already"):
        export(tmp_path, "vectors", "v", tmp_path / "v.projector")
    with pytest.raises(Fault, match=r"/proc/v.vec cannot be written: .*\. Make room, or name another place"):
        export(tmp_path, "vectors", "v", Path("/proc/v.vec"))


def test_what_cannot_be_exported_says_what_can(tmp_path):
    root, _ = project(tmp_path, documents)
    with pytest.raises(Fault, match=r"its rows are documents"):
        export(root, "counts", "w", root / "out/w.bin")
    with pytest.raises(Fault, match=r"w.xlsx ends in '.xlsx'; counts are written to \*.npz or \*.bin or \*.parquet"):
        export(root, "counts", "w", root / "out/w.xlsx")
    with pytest.raises(Fault, match=r"scores cannot be exported; .*counts"):
        export(root, "scores", "w", root / "out/w.npz")
    with pytest.raises(Fault, match=r"no folder .*nowhere"):
        export(root, "counts", "w", root / "nowhere/w.npz")
    with pytest.raises(Fault, match=r"params.yaml: cooccur has no row 'none'; it has none"):
        export(root, "counts", "none", root / "out/none.npz")
    with pytest.raises(Fault, match=r"vector cannot be exported.*Did you mean 'vectors'\?"):
        export(root, "vector", "w", root / "out/w.vec")
    assert not list((root / "out").iterdir())
