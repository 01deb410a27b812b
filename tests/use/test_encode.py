"""Vectors to codings and back, by a row of compress: what it has coded itself comes out as it coded it."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from ruamel.yaml import YAML

from pipelines import layout
from pipelines.artifacts.codings import Codings
from pipelines.artifacts.vectors import Vectors
from pipelines.coding import decode as whole
from pipelines.errors import Fault
from pipelines.params import load_yaml
from pipelines.use.encode import decode, encode
from pipelines.use.export import export
from tests.matrices import vectors_of
from tests.rows import run_all

ROWS = Path("experiments/codings.yaml").absolute()
SEARCHED = {"additive", "codebook"}  # codes of sums
OF = load_yaml(ROWS)["compress"]
OF_VECTORS = [name for name, row in OF.items() if row.get("vectors") == "glove" and "tokens" not in row]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """experiments/codings.yaml as far as its codings; not to be written to."""
    root = tmp_path_factory.mktemp("project")
    tree = {key: value for key, value in load_yaml(ROWS).items() if key not in ("classify", "evaluate")}
    with (root / "params.yaml").open("w") as file:
        YAML().dump(tree, file)
    run_all(root / "params.yaml", root / "rows")
    for noun in (root / "rows").iterdir():
        shutil.move(noun, root / layout.DATA[noun.name])
    return root


def held(file, column):
    table = pq.read_table(file)
    return table["item"].to_pylist(), np.array(table[column].to_pylist(), np.float32)


@pytest.mark.parametrize("row", sorted(set(OF_VECTORS) - SEARCHED))
def test_what_the_row_coded_is_coded_the_same_and_comes_back_as_it_does(project, tmp_path, row):
    export(project, "vectors", "glove", tmp_path / "v.parquet")
    codings = Codings(project / layout.artifact("codings", row))
    n = encode(project, f"compress/{row}", tmp_path / "v.parquet", tmp_path / "c.parquet")
    items, found = held(tmp_path / "c.parquet", "coding")
    assert (n, items) == (len(codings.items()), codings.items())
    close = np.isclose(found, codings.matrix(), atol=1e-4).all(axis=1)
    assert close.mean() > 0.97  # a number on the border of two cells may fall into the other one
    assert decode(project, row, tmp_path / "c.parquet", tmp_path / "back.parquet") == n
    _, back = held(tmp_path / "back.parquet", "vector")
    assert back[close] == pytest.approx(whole(codings)[close], abs=1e-3)


def test_the_rows_that_were_tried_are_of_all_kinds():
    assert {"linear", "stacked", "pca-rounded", "binary", "convolutional", "product", "scalar", "scalar-int8", "transform"} <= set(
        OF_VECTORS
    )


def test_text_goes_in_and_out_too(project, tmp_path):
    codings = Codings(project / layout.artifact("codings", "pca"))
    for ending in ("vec", "txt"):
        export(project, "vectors", "glove", tmp_path / f"v.{ending}")
        encode(project, "pca", tmp_path / f"v.{ending}", tmp_path / f"c.{ending}")
        lines = (tmp_path / f"c.{ending}").read_text().splitlines()
        assert lines[: ending == "vec"] == [f"{codings.n_rows()} 4"][: ending == "vec"]
        decode(project, "pca", tmp_path / f"c.{ending}", tmp_path / f"back.{ending}")
        back = [line.split() for line in (tmp_path / f"back.{ending}").read_text().splitlines()[ending == "vec" :]]
        assert [word for word, *_ in back] == codings.items()
        assert np.array([numbers for _, *numbers in back], np.float32) == pytest.approx(whole(codings), abs=1e-4)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("additive", "compress.additive has no way from a vector to its codes, which were searched for together with it. Name a row"),
        ("recurrent", "compress.recurrent codes texts, not vectors"),
        ("pac", r"compress has no row 'pac'.* Did you mean 'pca'\?"),
    ],
)
def test_a_row_that_has_no_way_there_says_so(project, tmp_path, row, message):
    export(project, "vectors", "glove", tmp_path / "v.parquet")
    with pytest.raises(Fault, match=message):
        encode(project, row, tmp_path / "v.parquet", tmp_path / "c.parquet")


def test_codes_of_sums_have_a_way_back(project, tmp_path):
    codings = Codings(project / layout.artifact("codings", "additive"))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(codings.matrix().ravel()), codings.size)
    pq.write_table(pa.table({"word": codings.items(), "coding": lists}), tmp_path / "c.parquet")
    decode(project, "additive", tmp_path / "c.parquet", tmp_path / "v.parquet")
    items, back = held(tmp_path / "v.parquet", "vector")
    assert items == codings.items()
    assert back == pytest.approx(whole(codings), abs=1e-6)


def test_what_does_not_fit_is_a_fault_and_nothing_is_written(project, tmp_path):
    vectors_of(tmp_path / "v", ["a b", "c"], np.ones((2, 3)))
    three = tmp_path / "v/vectors.parquet"
    (tmp_path / "t.vec").write_text("1 2\na 1 x\n")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    (tmp_path / "out").mkdir()
    for file, out, message in [
        (three, "c.parquet", "the vectors have 3 numbers, and those that codings/pca codes have 16"),
        (three, "c.csv", r"c.csv ends in '.csv'; codings are written to \*.parquet, \*.vec or \*.txt"),
        (three, "no/c.vec", "there is no folder"),
        (tmp_path / "none.vec", "c.vec", "none.vec is no file"),
        (tmp_path / "t.vec", "c.vec", "line 2 .'a'.: 'x' is no number"),
        (tmp_path / "bad.parquet", "c.vec", "cannot be read as a table"),
    ]:
        with pytest.raises(Fault, match=message):
            encode(project, "pca", file, tmp_path / "out" / out)
    with pytest.raises(Fault, match="has 3 numbers a row, and codings of codings/pca have 4. Name the row that made them"):
        decode(project, "pca", three, tmp_path / "out/v.parquet")
    vectors_of(tmp_path / "w", ["a b", "c"], np.ones((2, 16)))
    with pytest.raises(Fault, match="1 names have white space in them, first 'a b'"):
        encode(project, "pca", tmp_path / "w/vectors.parquet", tmp_path / "out/c.vec")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_is_mended_in_the_file_since_no_row_has_knobs_for_it(project, tmp_path):
    (tmp_path / "t.vec").write_text("a 1 2\na 1 2\n")
    with pytest.raises(Fault) as fault:
        encode(project, "pca", tmp_path / "t.vec", tmp_path / "c.vec")
    assert fault.value.faults[1:] == [f"Mend these lines of {tmp_path / 't.vec'}, or leave them out of it"]
    two = {name: [[1.0, 2.0]] for name in ("v1", "v2")}
    for table, message in [
        (
            {"item": ["a"], "x": ["q"]},
            r"has no column of vectors; it has item \(string\), x \(string\)\. Write one of lists of numbers, 'vector'",
        ),
        ({"item": ["a"], **two}, "has the columns of lists v1, v2. Call the one that holds the vectors 'vector'"),
    ]:
        pq.write_table(pa.table(table), tmp_path / "t.parquet")
        with pytest.raises(Fault, match=message):
            encode(project, "pca", tmp_path / "t.parquet", tmp_path / "c.vec")


def test_vectors_are_coded_as_the_artifact_was_made_whatever_params_yaml_says_now(project, tmp_path):
    other = shutil.copytree(project, tmp_path / "p")
    tree = load_yaml(other / "params.yaml")
    tree["compress"]["scalar"] |= {"bits": 8, "symmetric": True}
    with (other / "params.yaml").open("w") as file:
        YAML().dump(tree, file)
    export(other, "vectors", "glove", tmp_path / "v.parquet")
    for root, name in ((project, "before"), (other, "after")):
        encode(root, "scalar", tmp_path / "v.parquet", tmp_path / f"{name}.parquet")
    assert pq.read_table(tmp_path / "after.parquet") == pq.read_table(tmp_path / "before.parquet")


def test_vectors_of_a_row_can_be_read_from_its_own_artifact(project, tmp_path):
    glove = Vectors(project / layout.artifact("vectors", "glove"))
    assert encode(project, "linear", glove.folder / "vectors.parquet", tmp_path / "c.txt") == glove.n_rows()


def test_a_table_in_csv_is_coded_as_the_same_table_in_parquet(project, tmp_path):
    glove = Vectors(project / layout.artifact("vectors", "glove"))
    x, items = glove.matrix()[:5].astype(np.float64), glove.items()[:5]
    columns = {"item": items, **{f"n{i}": column for i, column in enumerate(x.T)}}
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    csv.write_csv(pa.table(columns), tmp_path / "v.csv")
    for ending in ("parquet", "csv"):
        assert encode(project, "pca", tmp_path / f"v.{ending}", tmp_path / f"of-{ending}.parquet") == 5
    coded = [pq.read_table(tmp_path / f"of-{ending}.parquet") for ending in ("parquet", "csv")]
    assert coded[0]["item"].to_pylist() == items
    assert coded[0] == coded[1]


def table(file, x, items):
    csv.write_csv(pa.table({"item": items, **{f"n{i}": column for i, column in enumerate(np.float64(x).T)}}), file)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("row", sorted(set(OF_VECTORS) - SEARCHED))
def test_numbers_beyond_what_can_be_coded_are_refused_before_anything_is_written(project, tmp_path, row):
    x = np.ones((3, 16))
    x[1:] *= 1e38
    table(tmp_path / "v.csv", x, ["a", "b", "c"])
    (tmp_path / "out").mkdir()
    for out in ("c.parquet", "c.vec"):
        with pytest.raises(
            Fault, match=r"v.csv: the numbers of 'b' go from 1e\+38 to 1e\+38, and no number may be beyond 1e\+15. Mend them"
        ):
            encode(project, row, tmp_path / "v.csv", tmp_path / "out" / out)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.filterwarnings("error")
def test_what_would_not_be_finite_is_refused_there_and_back(project, tmp_path):
    (tmp_path / "out").mkdir()
    table(tmp_path / "c.csv", [[1, 1, 1, 1], [3e38, -3e38, 3e38, 3e38]], ["a", "b"])
    with pytest.raises(Fault, match="the numbers of 'b' go from -3e.38 to 3e.38, and make a vector of numbers that are not finite"):
        decode(project, "stacked", tmp_path / "c.csv", tmp_path / "out/v.vec")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_name_that_comes_again_is_refused_in_tables_as_in_text(project, tmp_path, ending):
    x = np.random.default_rng(0).random((4, 16))
    table(tmp_path / "v.csv", x, ["a", "b", "b", "c"])
    pq.write_table(csv.read_csv(tmp_path / "v.csv"), tmp_path / "v.parquet")
    for out in ("c.vec", "c.parquet"):
        with pytest.raises(Fault, match=f"v.{ending}: 1 names are there more than once, first 'b'. Give each vector a name of its own"):
            encode(project, "pca", tmp_path / f"v.{ending}", tmp_path / out)
