"""Matrices of features, as vectors."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipelines import layout
from pipelines.embed.numbers import Params, embed, sources
from pipelines.errors import Fault
from pipelines.method import Run


def vectors_of(tmp_path, columns, /, **knobs):
    source = tmp_path / "own.parquet"
    pq.write_table(pa.table(columns), source)
    return embed(Params(source=str(source), **knobs), Run(tmp_path / "out", seed=1))


def rows(vectors):
    return vectors.read(columns=["item", "count", "label", "vector"]).to_pylist()


def test_numeric_columns_become_a_vector_in_the_order_in_which_they_stand(tmp_path):
    vectors = vectors_of(
        tmp_path, {"name": ["x", "y"], "a": [1, 2], "kind": ["p", None], "b": [0.5, 1.5], "c": [True, False]}, label="kind"
    )
    assert rows(vectors) == [
        {"item": "row-000000001", "count": 0, "label": "p", "vector": [1.0, 0.5, 1.0]},
        {"item": "row-000000002", "count": 0, "label": None, "vector": [2.0, 1.5, 0.0]},
    ]


def test_an_id_and_a_label_that_are_numbers_are_names_and_no_features(tmp_path):
    vectors = vectors_of(tmp_path, {"key": [7, 8], "a": [1, 2], "y": [0, 1]}, id="key", label="y")
    assert rows(vectors) == [
        {"item": "7", "count": 0, "label": "0", "vector": [1.0]},
        {"item": "8", "count": 0, "label": "1", "vector": [2.0]},
    ]


def test_columns_are_taken_in_the_order_in_which_the_row_names_them(tmp_path):
    assert vectors_of(tmp_path, {"a": [1], "b": [2], "c": [3]}, columns=["c", "a"]).matrix().tolist() == [[3, 1]]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.int16()), pa.list_(pa.float32(), 2)])
def test_a_column_of_lists_is_a_vector_a_row(tmp_path, kind):
    matrix = vectors_of(tmp_path, {"v": pa.array([[1, 2], [3, 4], [5, 6]], kind), "n": [0, 0, 0]}, column="v").matrix()
    assert matrix.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_several_files_are_one_matrix_and_rows_are_named_by_file(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, start in (("b", 2), ("a", 1)):
        pq.write_table(pa.table({"x": [start]}), folder / f"{name}.parquet")
    vectors = embed(Params(source=str(folder)), Run(tmp_path / "out"))
    assert vectors.items() == ["a.parquet/row-000000001", "b.parquet/row-000000001"]
    assert vectors.matrix().tolist() == [[1], [2]]


def test_the_digits_are_64_pixels_of_0_to_16_with_the_digit_as_label(tmp_path):
    vectors = embed(Params(), Run(tmp_path / "digits", seed=1))
    table = vectors.read()
    assert (vectors.n_rows(), vectors.size) == (1797, 64)
    assert (vectors.matrix().min(), vectors.matrix().max()) == (0, 16)
    assert table["label"].to_pylist()[:4] == ["0", "1", "2", "3"]
    assert np.unique(table["label"].to_numpy(zero_copy_only=False), return_counts=True)[1].tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    assert (vectors.profile()["n_not_finite"] == 0).all()
    assert sources(Params()) == []
    assert vectors.image() == (8, 8, 1)
    again = embed(Params(), Run(tmp_path / "again" / "digits", seed=2))
    assert layout.hash_path(again.folder) == layout.hash_path(vectors.folder)


def test_rows_of_many_batches_come_in_order(tmp_path):
    values = np.arange(1, 10_001, dtype=np.float64)
    assert (vectors_of(tmp_path, {"x": values}).matrix()[:, 0] == values).all()


def test_rows_are_images_where_a_shape_says_so(tmp_path):
    columns = {f"p{i}": [i, 0] for i in range(6)}
    assert vectors_of(tmp_path, columns).image() is None
    assert vectors_of(tmp_path, columns, shape=[1, 2, 3]).image() == (1, 2, 3)
    with pytest.raises(Fault, match="rows have 6 numbers, images of 2 x 2 have 4. Mend shape"):
        vectors_of(tmp_path, columns, shape=[2, 2])


# what is no matrix


@pytest.mark.parametrize(
    ("columns", "knobs", "message"),
    [
        ({"a": [1.0, float("nan"), 2.0], "b": [1.0, 1.0, float("-inf")]}, {},
         r"^2 cells are no finite float32, first row-000000002, a: nan; row-000000003, b: -inf\. Fill them"),
        ({"a": [1, None]}, {}, r"1 cells .* row-000000002, a: nan"),
        ({"a": [1e39]}, {}, r"1 cells .* row-000000001, a: inf"),
        ({"v": [[1.0, 2.0], [3.0, float("nan")]], "k": ["p", "q"]}, {"column": "v", "id": "k"}, r"first q, v\[1\]: nan"),
        ({"v": [[1.0], [2.0, 3.0]]}, {"column": "v"}, r"v of row-000000002 has 2 numbers, that of row-000000001 1; all must have as many"),
        ({"v": [[1.0], None]}, {"column": "v"}, r"v of row-000000002 has 0 numbers"),
        ({"v": pa.array([[], []], pa.list_(pa.float32()))}, {"column": "v"}, r"v of row-000000001 is empty"),
        ({"v": [["a"]]}, {"column": "v"}, r"column 'v' is list<.*>; it must be lists of numbers"),
        ({"v": [1.0]}, {"column": "v"}, r"column 'v' is double; it must be lists"),
        ({"a": [1], "b": ["x"]}, {"columns": ["a", "b"]}, r"column 'b' is string, no number"),
        ({"width": [1]}, {"columns": ["widht"]}, r"has no column 'widht'; it has width\. Did you mean 'width'"),
        ({"b": ["x"]}, {}, r"has no numeric column; it has b \(string\)"),
        ({"a": [1, 2], "k": ["x", None]}, {"id": "k"}, r"row-000000002 has no k"),
        ({"a": pa.array([], pa.int8())}, {}, r"has no rows"),
    ],
)  # fmt: skip
def test_what_is_no_matrix_of_numbers_is_named_by_row_and_column(tmp_path, columns, knobs, message):
    with pytest.raises(Fault, match=message):
        vectors_of(tmp_path, columns, **knobs)


def test_files_of_different_columns_are_named(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(pa.table({"x": [1], "y": [1]}), folder / "a.parquet")
    pq.write_table(pa.table({"x": [1], "z": [1], "y": [2]}), folder / "b.parquet")
    with pytest.raises(Fault, match="b.parquet/row-000000001 has 3 numbers, the rows before it 2; they differ in z"):
        embed(Params(source=str(folder)), Run(tmp_path / "out"))


def test_a_file_that_is_cut_is_named(tmp_path):
    source = tmp_path / "own.parquet"
    pq.write_table(pa.table({"x": [1]}), source)
    source.write_bytes(source.read_bytes()[:-5])
    with pytest.raises(Fault, match="own.parquet cannot be read as a table of numbers"):
        embed(Params(source=str(source)), Run(tmp_path / "out"))


@pytest.mark.parametrize("knobs", [{"column": "v", "columns": ["a"], "source": "x.parquet"}, {"label": "target"}, {"shape": [8, 8]}])
def test_knobs_that_contradict_each_other_are_refused(knobs):
    with pytest.raises(ValidationError):
        Params(**knobs)


def of_text(tmp_path, name, text, **knobs):
    (tmp_path / name).write_text(text)
    return embed(Params(source=str(tmp_path / name), **knobs), Run(tmp_path / f"of-{name}", seed=1))


def test_csv_and_tsv_are_tables_of_numbers_too(tmp_path):
    vectors = of_text(tmp_path, "x.csv", "id,a,b,note\n007,1,2,p\n008,2.5,3,q\n", id="id")
    assert rows(vectors) == [
        {"item": "007", "count": 0, "label": None, "vector": [1, 2]},
        {"item": "008", "count": 0, "label": None, "vector": [2.5, 3]},
    ]
    assert of_text(tmp_path, "x.tsv", "a\tb\n1\t2\n", columns=["b", "a"]).matrix().tolist() == [[2, 1]]
    # a fraction that comes only after a megabyte of whole numbers
    long = of_text(tmp_path, "long.csv", "a,b\n" + "100000,200000\n" * 100_000 + "0.5,1\n")
    assert (long.n_rows(), long.rows(np.array([100_000])).tolist()) == (100_001, [[0.5, 1]])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.csv", "a,b\n1,2,3\n", "Expected 2 columns, got 3: 1,2,3"),
        ("x.csv", "", "Empty CSV file"),
        ("x.csv", "a,b\n1,\n", "1 cells are no finite float32, first row-000000001, b: nan"),
        ("x.csv", "word\nyes\n", r"has no numeric column; it has word \(string\)"),
        ("x.txt", "1 2\n", "Write Parquet, or CSV or TSV whose first line names the columns"),
    ],
)
def test_text_that_is_no_table_of_numbers_is_a_fault(tmp_path, name, text, said):
    with pytest.raises(Fault, match=said):
        of_text(tmp_path, name, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,c\n1,?,2\n3,4,5\n", r"column 'b' has numbers, but 1 of its first 2 cells cannot be read as such, first row-000000001: '\?'"),
        ('a,b\n1,"1,5"\n3,"2,5"\n', "column 'b' has numbers, but 2 of its first 2 cells .*'1,5'"),
        ("1.5,2.5\n1,2\n3,4\n", "its first line holds numbers, 1.5, 2.5, where the columns' names must be"),
        ("king,0.1,0.2\nqueen,0.3,0.4\n", "its first line holds numbers, 0.1, 0.2"),
        ("a\n1\n\n3\n", "1 cells are no finite float32, first row-000000002, a: nan"),
        ("a,b\n1,nan\n", "1 cells are no finite float32, first row-000000001, b: nan"),
        ("a,a\n1,2\n", "has 2 columns 'a'. Call each otherwise"),
    ],
)
def test_what_would_be_lost_of_a_csv_table_is_a_fault(tmp_path, text, said):
    with pytest.raises(Fault, match=said):
        of_text(tmp_path, "x.csv", text)


def test_words_that_look_like_nothing_are_words_and_columns_without_numbers_are_told(tmp_path, capsys):
    (tmp_path / "x.csv").write_text('word,0,1,on,note\n"null",1,2,true,p\nNA,3,4,false,q\n')
    vectors = embed(Params(source=str(tmp_path / "x.csv"), id="word", label="word"), Run(tmp_path / "out", seed=1, show=True))
    assert rows(vectors) == [
        {"item": "null", "count": 0, "label": "null", "vector": [1, 2, 1]},
        {"item": "NA", "count": 0, "label": "NA", "vector": [3, 4, 0]},
    ]
    assert "3 columns of numbers; left out, as they hold none: note (string)" in capsys.readouterr().out


def test_whole_numbers_beyond_those_of_a_double_are_rounded(tmp_path):
    assert vectors_of(tmp_path, {"a": [2**60 + 1]}).matrix().tolist() == [[2.0**60]]
