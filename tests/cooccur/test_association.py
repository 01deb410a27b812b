"""Counts turned into PMI and its kin: what is kept, what the artifact says of itself, and what its gate asks of it."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipelines.cooccur.association import Params, cooccur
from pipelines.embed import glove
from pipelines.errors import Fault
from pipelines.kernels.association import MEASURES, associate_plain
from pipelines.method import Run
from tests.artifacts.asked import failing
from tests.matrices import counts_of, files

# rows sum to 4 and 4, columns to 6 and 2
TWO = np.array([[0, 0, 0], [0, 4, 0], [0, 2, 2]], float)


def some(n=60, seed=0):
    """A symmetric matrix of n words, some of which are in no pair."""
    dense = np.random.default_rng(seed).poisson(0.8, (n, n)).astype(float)
    dense = dense + dense.T
    dense[0], dense[:, 0], dense[9], dense[:, 9] = 0, 0, 0, 0
    return dense


def associated(tmp_path, dense, name="a", **knobs):
    counts = counts_of(tmp_path / f"of-{name}", dense)
    return cooccur(counts, Params(**knobs), Run(tmp_path / name, name="cooccur/a"))


def test_pmi_of_two_by_two_counts_is_that_worked_by_hand(tmp_path):
    found = associated(tmp_path, TWO, measure="pmi").sparse().toarray()
    # 4/8 / (4/8 6/8), 2/8 / (4/8 6/8), 2/8 / (4/8 2/8)
    assert found == pytest.approx(np.array([[0, 0, 0], [0, math.log(4 / 3), 0], [0, math.log(2 / 3), math.log(2)]]))


@pytest.mark.parametrize("measure", MEASURES)
def test_the_written_matrix_is_the_plain_definitions(tmp_path, measure):
    knobs = {"measure": measure, "smoothing": 0.75, "shift": 1.2 if measure == "shifted_ppmi" else 1.0}
    dense = some()
    found = associated(tmp_path, dense, **knobs)
    np.testing.assert_allclose(found.sparse().toarray(), associate_plain(dense, **knobs), rtol=1e-6, atol=1e-7)
    assert found.measure() == measure
    assert (found.folder / "measure.csv").read_text().splitlines()[0] == "measure,smoothing,shift"


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("smoothing", [1.0, 0.75])
def test_the_gate_lets_every_measure_pass(tmp_path, measure, smoothing):
    assert failing(associated(tmp_path, some(), measure=measure, smoothing=smoothing)) == {}


def test_the_gate_of_pmi_still_finds_zeros_and_of_ppmi_also_what_is_below_0(tmp_path):
    for measure, n_wrong in (("pmi", 1), ("ppmi", 2)):
        found = associated(tmp_path, some(), name=measure, measure=measure)
        table = found.read()
        count = table["count"].to_numpy().copy()
        count[:2] = 0, -1
        pq.write_table(table.set_column(2, table.schema.field("count"), pa.array(count)), found.folder / "counts.parquet")
        assert found.profile()["n_not_positive"].sum() == n_wrong
        assert failing(found)["n_not_positive"]["severity"] == "fail"
        with pytest.raises(Fault, match=rf"counts/{measure}: {n_wrong} counts are no number above 0, first 0.0"):
            found.sparse()


def test_pairs_that_become_0_are_left_out_and_the_vocabulary_stays(tmp_path):
    dense = some()
    found = associated(tmp_path, dense, measure="ppmi")
    assert 0 < found.n_rows() < np.count_nonzero(dense)
    assert found.n_rows("vocab") == len(dense)
    assert found.profile()[["n_not_positive", "n_unsorted", "n_outside"]].to_numpy().sum() == 0


def test_documents_and_words_have_a_pmi_too_and_the_documents_are_kept(tmp_path):
    dense = np.array([[0, 4, 0], [0, 2, 2]], float)
    documents = [("d0", "train", "x"), ("d1", "test", None)]
    counts = counts_of(tmp_path / "bags", dense, documents=documents)
    found = cooccur(counts, Params(measure="ratio"), Run(tmp_path / "a"))
    assert found.sparse().toarray() == pytest.approx(np.array([[0, 4 / 3, 0], [0, 2 / 3, 2]]))
    assert [tuple(row.values()) for row in found.documents().to_pylist()] == documents


def test_the_same_counts_write_the_same_bytes(tmp_path):
    assert files(associated(tmp_path, some(), name="a")) == files(associated(tmp_path, some(), name="b"))


def test_counts_that_are_no_numbers_or_below_0_are_a_fault_that_names_the_first(tmp_path):
    dense = some()
    dense[3, 4], dense[5, 6] = np.nan, -2
    with pytest.raises(Fault, match=r"counts/of-a: 2 counts are no number above 0, first nan of row 3, col 4\. Look at the stage"):
        associated(tmp_path, dense)


def test_a_measure_of_a_measure_is_a_fault_and_so_is_glove_of_one(tmp_path):
    once = associated(tmp_path, some())
    message = r"counts/a: its numbers are ppmi, and this method needs counts\. Name the row"
    with pytest.raises(Fault, match=message):
        cooccur(once, Params(), Run(tmp_path / "b"))
    with pytest.raises(Fault, match=message):
        glove.embed(once, glove.Params(), Run(tmp_path / "v"))


def test_a_shift_that_leaves_no_pair_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="none is left by shifted_ppmi. Lower shift"):
        associated(tmp_path, TWO, measure="shifted_ppmi", shift=100.0)


def test_a_shift_of_another_measure_is_refused():
    with pytest.raises(ValidationError, match="shift is of shifted_ppmi alone, and measure is ppmi"):
        Params(shift=5.0)
