"""Codings: what the artifact keeps, and what its gate looks at."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.artifacts.codings import Codings
from pipelines.errors import Fault
from pipelines.method import Run
from tests.artifacts.asked import assert_asks_only_what_there_is, closing, failing


def codings(folder, matrix, error=None, items=None):
    matrix = np.asarray(matrix, np.float32)
    with Run(folder).open(Codings) as out:
        out.append(
            item=items or [f"w{i}" for i in range(len(matrix))], coding=matrix, error=[0.0] * len(matrix) if error is None else error
        )
    return out.artifact


def test_comes_back_as_it_was_written(tmp_path):
    made = Codings(codings(tmp_path / "c", [[1, 2], [3, 4], [5, 6]], error=[0, 0.5, 2]).folder)
    made.verify()
    assert made.name == "codings/c"
    assert made.items() == ["w0", "w1", "w2"]
    assert made.size == 2
    assert made.matrix().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert np.array_equal(made.memmap(), made.matrix())
    assert made.read(columns=["error"]).column("error").to_pylist() == [0, 0.5, 2]


def test_the_pieces_it_was_written_in_leave_no_trace(tmp_path):
    matrix = np.arange(20, dtype=np.float32).reshape(10, 2)
    whole = codings(tmp_path / "a" / "c", matrix)
    with Run(tmp_path / "b" / "c").open(Codings) as out:
        for start, end in ((0, 1), (1, 7), (7, 10)):
            out.append(item=[f"w{i}" for i in range(start, end)], coding=matrix[start:end], error=[0.0] * (end - start))
    assert (whole.folder / "codings.parquet").read_bytes() == (out.artifact.folder / "codings.parquet").read_bytes()


def test_plain_pandas_reads_it(tmp_path):
    import pandas as pd

    frame = pd.read_parquet(codings(tmp_path / "c", [[1, 2], [3, 4]]).folder / "codings.parquet")
    assert frame.columns.tolist() == ["item", "coding", "error"]
    assert frame["coding"].iloc[1].tolist() == [3, 4]


def test_a_model_is_kept_as_plain_arrays_and_json(tmp_path):
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=["a"], coding=np.ones((1, 2)), error=[0])
        out.model({"sizes": [3, 2]}, {"scale": np.float32(2), "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T})
    settings, weights = out.artifact.model()
    assert settings == {"sizes": [3, 2]}
    assert weights["scale"].shape == ()
    assert weights["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert len({path.stat().st_mode for path in out.artifact.folder.iterdir()}) == 1  # whoever reads the one reads the others


def test_settings_are_the_models_none_without_one_and_a_garbled_file_is_a_fault(tmp_path):
    made = codings(tmp_path / "c", [[1, 2]])
    assert made.settings() == {}
    with Run(tmp_path / "d").open(Codings) as out:
        out.append(item=["a"], coding=np.ones((1, 2)), error=[0])
        out.model({"bits": 8}, {"scale": np.float32(2)})
    assert out.artifact.settings() == {"bits": 8} == out.artifact.model()[0]
    for text in ("{", "[1]", '{"model": []}', '{"model": {}}', '{"model": null}'):
        (out.artifact.folder / "model.json").write_text(text)
        for read in (out.artifact.settings, out.artifact.model):
            with pytest.raises(Fault, match="codings/d: the model in .* cannot be read"):
                read()


def test_bits_that_are_no_number_do_not_keep_the_gate_from_asking(tmp_path):
    with Run(tmp_path / "c").open(Codings) as out:
        out.append(item=["a"], coding=np.ones((1, 8)), error=[0])
        out.model({"bits": "x"}, {"scale": np.float32(2)})
    assert not out.artifact.crowded


def test_the_profile_shows_numbers_that_are_not_finite_and_what_was_lost(tmp_path):
    profile = codings(tmp_path / "c", [[3, 4], [np.nan, 1], [np.inf, -np.inf]], error=[0.25, 1, -1]).profile()
    assert profile["item"].tolist() == ["w0", "w1", "w2"]
    assert profile["norm"].tolist() == pytest.approx([5, 1, 0])
    assert profile["n_not_finite"].tolist() == [0, 1, 2]
    assert profile["error"].tolist() == [0.25, 1, -1]


def test_the_gate_asks_only_what_there_is(tmp_path):
    assert_asks_only_what_there_is(codings(tmp_path / "c", [[1, 2]]))


def test_a_table_without_its_error_or_with_short_numbers_is_refused(tmp_path):
    made = codings(tmp_path / "c", [[1, 2], [3, 4]])
    table = made.read()
    path = made.folder / "codings.parquet"
    pq.write_table(table.drop_columns(["error"]), path)
    with pytest.raises(Fault, match="column 'error' .* is missing"):
        made.verify()
    pq.write_table(table.set_column(2, pa.field("error", pa.float64(), nullable=False), table["error"].cast(pa.float64())), path)
    with pytest.raises(Fault, match="column 'error' is double, not float"):
        made.verify()


def test_a_file_that_was_cut_is_refused(tmp_path):
    made = codings(tmp_path / "c", np.ones((100, 8)))
    path = made.folder / "codings.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Fault, match="codings/c: .* is not a readable Parquet file"):
        made.verify()


def test_codings_that_differ_pass_and_those_of_one_point_close_the_gate(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(200, 4))
    assert failing(codings(tmp_path / "good", matrix)) == {}
    collapsed = closing(codings(tmp_path / "bad", np.ones((200, 4))))
    assert {"effective_rank", "near_identical"} <= set(collapsed)


def test_few_numbers_or_bits_may_well_be_alike_but_not_all_the_same(tmp_path):
    rng = np.random.default_rng(0)
    for size in (1, 2, 3):
        assert failing(codings(tmp_path / f"good-{size}", rng.normal(size=(300, size)))) == {}
    assert "effective_rank" in closing(codings(tmp_path / "bad", np.ones((300, 2))))
    for bits, fails in ((8, set()), (80, {"near_identical"})):
        with Run(tmp_path / f"bits-{bits}").open(Codings) as out:
            matrix = rng.integers(0, 2, (300, 8)) * 2 - 1
            out.append(item=[f"w{i}" for i in range(300)], coding=matrix, error=[0.0] * 300)
            out.model({"bits": bits}, {})
        assert set(failing(out.artifact)) == fails


def test_codes_of_bits_pass_though_they_are_all_of_one_length(tmp_path):
    bits = np.where(np.random.default_rng(0).random((200, 64)) < 0.5, -1, 1)
    assert failing(codings(tmp_path / "good", bits)) == {}


def test_a_coordinate_that_is_the_same_for_all_is_a_warning_that_names_it(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(200, 4))
    matrix[:, 2] = 0.5
    result = failing(codings(tmp_path / "c", matrix))["dead_coordinates"]
    assert (result["severity"], result["observed"], result["examples"]) == ("warn", 0.25, [{"coordinate": 2}])
